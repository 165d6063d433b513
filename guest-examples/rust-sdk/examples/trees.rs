//! Trees: two are copied side by side while the program reports their progress, one is listed, and one is removed.

use std::io;
use std::time::Duration;

use aiohost_guest::{Dir, FileType, Group, InFlight, Next, Request, submit};

fn main() -> io::Result<()> {
    let here = Dir::current();
    here.create_dir("tree")?;
    here.create_dir("tree/below")?;
    here.write("tree/leaf", b"green")?;
    here.write("tree/below/root", b"brown")?;

    println!("{} names were copied", copy(&here, "tree", &["first", "second"])?);
    println!("{:?}", list(&here, "second")?);
    let removal: Request<u64> = submit::rmtree(&here, "first", 0);
    eprintln!("{} names are removed so far", removal.progress().names);
    println!("{} names were removed", removal.wait()?);
    Ok(())
}

/// Makes several copies, and returns how many names they have together.
fn copy(at: &Dir, from: &str, copies: &[&str]) -> io::Result<u64> {
    let (group, mut in_flight) = (Group::new(), InFlight::new());
    for to in copies {
        let request = Next::new().group(&group).submit(|| submit::copy_tree(at, from, at, to, 0));
        in_flight.push(*to, request);
    }
    let mut names = 0;
    while !in_flight.is_empty() {
        match in_flight.next_within(Duration::from_millis(100)) {
            Some((to, copied)) => {
                eprintln!("{to} is there");
                names += copied?;
            }
            None => {
                let progress = group.progress();
                eprintln!("{} names and {} bytes so far", progress.names, progress.bytes);
            }
        }
    }
    Ok(names)
}

/// Everything below a directory.
fn list(at: &Dir, path: &str) -> io::Result<Vec<String>> {
    let walker = submit::walk(at, path, 0, 0).wait()?;
    let mut found = Vec::new();
    loop {
        let entries = submit::walk_next(&walker, 0).wait()?;
        if entries.is_empty() {
            found.sort();
            return Ok(found);
        }
        for entry in entries {
            match entry.error {
                // A directory that cannot be read: its entry came before, without this error.
                Some(error) => eprintln!("{}: {}", entry.path, io::Error::from(error)),
                None if entry.type_ == FileType::Directory => found.push(format!("{}/", entry.path)),
                None => found.push(entry.path),
            }
        }
    }
}
