//! Lists the working directory: each file with its size, and the sum.

use std::io;

use aiohost_guest::{Dir, FileType, InFlight, submit};

/// How many requests are in flight at most. 64 keep a fast disk busy.
const IN_FLIGHT: usize = 64;

fn main() -> io::Result<()> {
    let here = Dir::current();
    let names = here.read_dir(".")?;
    let mut todo = names.iter();
    let mut in_flight = InFlight::new();
    let mut found = Vec::new();
    loop {
        // A function of `submit` returns at once: the host looks at one file while we ask for the next one.
        while in_flight.len() < IN_FLIGHT {
            let Some(name) = todo.next() else { break };
            in_flight.push(name, submit::lstat(&here, name));
        }
        // They come as they are done, in any order.
        let Some((name, status)) = in_flight.next() else { break };
        found.push((name, status?));
    }
    found.sort_by_key(|(name, _)| *name);
    let mut bytes = 0;
    for (name, status) in &found {
        match status.type_ {
            FileType::RegularFile => println!("{:>10}  {name}", status.size),
            FileType::Directory => println!("{:>10}  {name}/", "-"),
            _ => println!("{:>10}  {name}", "-"),
        }
        if status.type_ == FileType::RegularFile {
            bytes += status.size;
        }
    }
    println!("{} entries, {bytes} bytes", found.len());
    Ok(())
}
