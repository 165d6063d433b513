//! What the README shows: many requests in flight, and a group of them.

use std::io::{self, Read};
use std::time::Duration;

use aiohost_guest::{Dir, File, Group, InFlight, Next, submit};

fn main() -> io::Result<()> {
    sizes()?;
    on_disk(&["one", "two", "none"])
}

fn sizes() -> io::Result<()> {
    // One after the other ...
    let mut text = String::new();
    File::open("one")?.read_to_string(&mut text)?;

    // ... or many at a time: each result as soon as it is there.
    let dir = Dir::open(".")?;
    let mut in_flight = InFlight::new();
    for name in dir.read_dir(".")? {
        let request = submit::stat(&dir, &name);
        in_flight.push(name, request);
    }
    let mut bytes = 0;
    while let Some((_name, status)) = in_flight.next() {
        bytes += status?.size;
    }
    println!("{} lines, {bytes} bytes", text.lines().count());
    Ok(())
}

#[expect(unused_must_use, reason = "the group says what became of them")]
fn on_disk(paths: &[&str]) -> io::Result<()> {
    let here = Dir::current();
    let group = Group::new();
    group.set_limit(64); // over it, the next submission waits
    group.set_deadline(Some(Duration::from_secs(30)));
    for path in paths {
        Next::new().group(&group).submit(|| submit::pathsync(&here, path));
    }
    let outcome = group.wait()?; // how many are done, and which failed first
    println!("{} done, {} failed", outcome.done, outcome.failed);
    Ok(())
}
