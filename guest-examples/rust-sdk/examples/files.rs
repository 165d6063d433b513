//! One after the other: files as in `std`.

use std::io::{self, Read, Write};

use aiohost_guest::types::Advice;
use aiohost_guest::{Dir, ErrorCode, File, OpenOptions, blocking, reason};

fn main() -> io::Result<()> {
    let dir = Dir::current();
    dir.create_dir("notes")?;
    let mut file = File::create("notes/draft")?;
    file.write_all(b"one\n")?;
    file.write_at(b"two\n", 4)?;
    assert_eq!(file.metadata()?.size, 8);
    file.sync_data()?;
    file.close()?;
    dir.rename("notes/draft", "notes/final")?;

    let notes = Dir::open("notes")?;
    let mut text = String::new();
    notes.open_file("final")?.read_to_string(&mut text)?;
    println!("{:?} has {text:?}", notes.read_dir(".")?);

    log(&notes, "started\n")?;
    log(&notes, "stopped\n")?;
    println!("the last line is {:?}", tail(&notes.open_file("log")?, 8)?);

    // The error contains that of the host.
    let error = notes.metadata("none").expect_err("there is no such file");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    let why = reason(&error).expect("the host says why");
    assert_eq!((why.code, why.errno), (ErrorCode::NoEntry, 2));
    let error = File::options().write(true).create_new(true).open("notes/final").expect_err("it is there");
    println!("{error}");
    Ok(())
}

/// Appends a line to a log that only its owner may read, and returns once it is on the device.
fn log(at: &Dir, line: &str) -> io::Result<()> {
    let mut log = OpenOptions::new().append(true).create(true).no_follow(true).mode(0o600).open_at(at, "log")?;
    log.set_permissions(0o600)?; // also if it was there before
    log.write_all(line.as_bytes())?;
    log.sync_all()
}

/// The last bytes of a file.
fn tail(file: &File, length: usize) -> io::Result<String> {
    // A function without a method here can be called with the handle.
    blocking::advise(file.handle(), 0, 0, Advice::Random)?;
    let (mut tail, mut read) = (vec![0; length], 0);
    let start = file.metadata()?.size.saturating_sub(length as u64);
    while read < length {
        match file.read_at(&mut tail[read..], start + read as u64)? {
            0 => break,
            more => read += more,
        }
    }
    Ok(String::from_utf8_lossy(&tail[..read]).into_owned())
}
