//! Writes `MANIFEST.sha256`: the SHA-256 of every regular file below the working directory, as `sha256sum` writes it.
//!
//! A component of WASI 0.3: its `run` is async, and so are the requests. Futures do what they always do. 64 of them are in
//! flight, and it is the host that wakes them: there is no executor to choose and no thread.

use std::time::Instant;

use aiohost::aio::requests;
use aiohost::aio::types::{Error, FileType, OpenFlags};
use futures::{StreamExt, join, stream::FuturesUnordered};
use sha2::{Digest, Sha256};

#[path = "../../rust/src/sha256sum.rs"]
mod sha256sum;

// Makes a module of each interface that our world, in `wit/world.wit`, takes from the host. An `async func` becomes an
// `async fn`.
wit_bindgen::generate!({ path: ["../../wit", "wit"], world: "example:manifest/manifest", generate_all });

const MANIFEST: &str = "MANIFEST.sha256";
const TEMPORARY: &str = "MANIFEST.sha256.tmp";
const IN_FLIGHT: usize = 64;
const PIECE: usize = 128 * 1024;

struct Component;
wasip3::cli::command::export!(Component);

impl wasip3::exports::cli::run::Guest for Component {
    async fn run() -> Result<(), ()> {
        manifest().await.map_err(|(path, Error { code, errno })| eprintln!("{path}: {code:?}, errno {errno}"))
    }
}

/// What a path turned out to be.
enum Found {
    Directory(Vec<String>),
    File([u8; 32], u64),
    Other,
}

/// Do it all, or return the path that failed, and why.
async fn manifest() -> Result<(), (String, Error)> {
    let (start, mut files, mut bytes) = (Instant::now(), Vec::new(), 0);
    let mut todo = vec![".".to_string()];
    let mut in_flight = FuturesUnordered::new();
    while !todo.is_empty() || !in_flight.is_empty() {
        let room = todo.len().min(IN_FLIGHT - in_flight.len());
        in_flight.extend(todo.drain(todo.len() - room..).map(|path| async { (look(&path).await, path) }));
        let Some((found, path)) = in_flight.next().await else { break };
        match found {
            Ok(Found::Directory(names)) if path == "." => {
                todo.extend(names.into_iter().filter(|name| name != MANIFEST && name != TEMPORARY));
            }
            Ok(Found::Directory(names)) => todo.extend(names.iter().map(|name| format!("{path}/{name}"))),
            Ok(Found::File(hash, size)) => {
                bytes += size;
                files.push((path, hash));
            }
            Ok(Found::Other) => {} // A symbolic link, a FIFO, a socket or a device.
            Err(error) => return Err((path, error)),
        }
    }
    write(&sha256sum::lines(&files)).await.map_err(|error| (MANIFEST.to_string(), error))?;
    println!("{} files, {bytes} bytes, {:.3} s", files.len(), start.elapsed().as_secs_f64());
    Ok(())
}

/// Look at one path: the names in a directory, or the hash and the size of a file.
async fn look(path: &str) -> Result<Found, Error> {
    match requests::lstat(None, path.to_string()).await?.type_ {
        FileType::Directory => return requests::readdir(None, path.to_string()).await.map(Found::Directory),
        FileType::RegularFile => {}
        _ => return Ok(Found::Other),
    }
    let file = requests::open(None, path.to_string(), OpenFlags::READ | OpenFlags::NO_FOLLOW, 0).await?;
    let (mut hash, mut size, mut piece) = (Sha256::new(), 0, Vec::new());
    loop {
        // `join!` asks the host for the next piece first, and hashes this one meanwhile.
        let (next, ()) = join!(requests::read(&file, Some(size), PIECE as u32), async { hash.update(&piece) });
        piece = next?;
        if piece.is_empty() {
            return Ok(Found::File(hash.finalize().into(), size));
        }
        size += piece.len() as u64;
    }
}

/// Write a file under another name and rename it, so that nobody ever sees half of it.
async fn write(mut text: &[u8]) -> Result<(), Error> {
    let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE | OpenFlags::NO_FOLLOW;
    let file = requests::open(None, TEMPORARY.to_string(), flags, 0o666).await?;
    while !text.is_empty() {
        let written = requests::write(&file, None, text[..text.len().min(PIECE)].to_vec()).await?;
        text = &text[written as usize..];
    }
    requests::fdatasync(&file).await?;
    requests::close(file).await?;
    requests::rename(None, TEMPORARY.to_string(), None, MANIFEST.to_string()).await
}
