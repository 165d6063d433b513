//! Writes `MANIFEST.sha256`: the SHA-256 of every regular file below the working directory, as `sha256sum` writes it.
//!
//! A plain program without async and without threads, and still with 64 requests in flight. A function of `submit` returns
//! a request at once: a handle of work that goes on in the host. `control::wait_any` waits until any of them is done, and
//! tells which. To wait for one in particular would let others, done before it, lie idle.

use std::{collections::HashMap, mem, process::ExitCode, time::Instant};

use aiohost::aio::types::{Error, File, FileType, OpenFlags, Outcome};
use aiohost::aio::{blocking, control, submit};
use sha2::{Digest, Sha256};

mod sha256sum;

// Makes a module of each interface that our world, in `wit/world.wit`, takes from the host: `aiohost::aio::submit` and so on.
wit_bindgen::generate!({ path: ["../../wit", "wit"], world: "example:manifest/manifest", generate_all });

const MANIFEST: &str = "MANIFEST.sha256";
const TEMPORARY: &str = "MANIFEST.sha256.tmp";
const IN_FLIGHT: usize = 64;
const PIECE: usize = 128 * 1024;

/// What is to be done next with a path.
enum Step {
    Scan,
    Status,
    Open,
    Read { file: File, offset: u64, hash: Sha256, piece: Vec<u8> },
}

fn main() -> ExitCode {
    let Err((path, Error { code, errno })) = manifest() else { return ExitCode::SUCCESS };
    eprintln!("{path}: {code:?}, errno {errno}");
    ExitCode::FAILURE
}

/// Do it all, or return the path that failed, and why.
fn manifest() -> Result<(), (String, Error)> {
    let (start, mut files, mut bytes) = (Instant::now(), Vec::new(), 0);
    let mut todo = vec![(".".to_string(), Step::Scan)];
    let mut in_flight = HashMap::new();
    while !todo.is_empty() || !in_flight.is_empty() {
        while in_flight.len() < IN_FLIGHT {
            // What was begun is on top and goes on first, so that few files are open and few names are held.
            let Some((path, mut step)) = todo.pop() else { break };
            let request = match &mut step {
                Step::Scan => submit::scandir(None, &path, 0),
                Step::Status => submit::lstat(None, &path),
                Step::Open => submit::open(None, &path, OpenFlags::READ | OpenFlags::NO_FOLLOW, 0),
                Step::Read { file, offset, .. } => submit::read(file, Some(*offset), PIECE as u32),
            };
            if let Step::Read { hash, piece, .. } = &mut step {
                hash.update(mem::take(piece)); // Meanwhile the host reads the piece after it.
            }
            in_flight.insert(request.id(), (path, step, request));
        }
        for (path, step, request) in control::wait_any().iter().filter_map(|id| in_flight.remove(id)) {
            let outcome = request.wait().map_err(|error| (path.clone(), error))?;
            match (step, outcome) {
                (Step::Scan, Outcome::Scan(scan)) => {
                    let below = |name| if path == "." { name } else { format!("{path}/{name}") };
                    todo.extend(scan.directories.into_iter().map(|name| (below(name), Step::Scan)));
                    todo.extend(scan.others.into_iter().map(|name| (below(name), Step::Status)));
                }
                // Anything but a regular file, a symbolic link for instance, is left out.
                (Step::Status, Outcome::Status(status)) if status.type_ != FileType::RegularFile => {}
                (Step::Status, _) if path == MANIFEST || path == TEMPORARY => {}
                (Step::Status, _) => todo.push((path, Step::Open)),
                (Step::Open, Outcome::File(file)) => {
                    todo.push((path, Step::Read { file, offset: 0, hash: Sha256::new(), piece: Vec::new() }));
                }
                (Step::Read { offset, hash, .. }, Outcome::Data(piece)) if piece.is_empty() => {
                    bytes += offset;
                    files.push((path, hash.finalize().into()));
                }
                (Step::Read { file, offset, hash, .. }, Outcome::Data(piece)) => {
                    todo.push((path, Step::Read { file, offset: offset + piece.len() as u64, hash, piece }));
                }
                _ => unreachable!("each request has an outcome of its own kind"),
            }
        }
    }
    write(&sha256sum::lines(&files)).map_err(|error| (MANIFEST.to_string(), error))?;
    println!("{} files, {bytes} bytes, {:.3} s", files.len(), start.elapsed().as_secs_f64());
    Ok(())
}

/// Write a file under another name and rename it, so that nobody ever sees half of it.
fn write(mut text: &[u8]) -> Result<(), Error> {
    let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE | OpenFlags::NO_FOLLOW;
    let file = blocking::open(None, TEMPORARY, flags, 0o666)?;
    while !text.is_empty() {
        let written = blocking::write(&file, None, &text[..text.len().min(PIECE)])?;
        text = &text[written as usize..];
    }
    blocking::fdatasync(&file)?;
    blocking::close(file)?;
    blocking::rename(None, TEMPORARY, None, MANIFEST)
}
