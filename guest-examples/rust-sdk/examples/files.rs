//! One after the other: files and directories as in `std`.

use std::io::{self, Read, Write};

use aiohost_guest::{Dir, ErrorCode, File, reason};

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

    // What the host says is in the error.
    let error = notes.metadata("none").expect_err("there is no such file");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    let why = reason(&error).expect("the host says why");
    assert_eq!((why.code, why.errno), (ErrorCode::NoEntry, 2));
    let error = File::options().write(true).create_new(true).open("notes/final").expect_err("it is there");
    println!("{error}");
    Ok(())
}
