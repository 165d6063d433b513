//! Many at a time: the sizes of all files below the working directory, with requests of two types in flight.

use std::io;

use aiohost_guest::types::{FileType, Outcome};
use aiohost_guest::{Dir, InFlight, Request, submit};

const IN_FLIGHT: usize = 64;

fn main() -> io::Result<()> {
    let (here, mut todo, mut in_flight) = (Dir::current(), vec![(".".to_owned(), true)], InFlight::new());
    let (mut files, mut bytes) = (0, 0);
    loop {
        while in_flight.len() < IN_FLIGHT {
            let Some((path, is_dir)) = todo.pop() else { break };
            let request: Request<Outcome> =
                if is_dir { submit::scandir(&here, &path, 0).untyped() } else { submit::lstat(&here, &path).untyped() };
            in_flight.push(path, request);
        }
        let Some((path, outcome)) = in_flight.next() else { break };
        match outcome? {
            Outcome::Scan(scan) => {
                todo.extend(scan.directories.iter().map(|name| (format!("{path}/{name}"), true)));
                todo.extend(scan.others.iter().map(|name| (format!("{path}/{name}"), false)));
            }
            Outcome::Status(status) if status.type_ == FileType::RegularFile => {
                files += 1;
                bytes += status.size;
            }
            _ => {}
        }
    }
    println!("{files} files, {bytes} bytes");
    Ok(())
}
