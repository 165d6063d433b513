//! What the standard library does with files, on WASI 0.2: each line says what came of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};

fn say<T: std::fmt::Debug>(what: &str, result: io::Result<T>) {
    match result {
        Ok(value) => println!("{what}: {value:?}"),
        Err(error) => println!("{what}: {:?}", error.kind()),
    }
}

fn names(dir: &str) -> io::Result<Vec<(String, bool)>> {
    let entries = fs::read_dir(dir)?.map(|entry| {
        let entry = entry?;
        Ok((entry.file_name().into_string().expect("a name is text"), entry.file_type()?.is_dir()))
    });
    let mut names = entries.collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn sought() -> io::Result<String> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open("sought")?;
    file.write_all(b"0123456789")?;
    file.seek(SeekFrom::Start(3))?;
    file.write_all(b"abc")?;
    file.seek(SeekFrom::Current(-4))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    file.set_len(4)?;
    file.sync_all()?;
    Ok(format!("{text} {}", file.metadata()?.len()))
}

/// A reader at the end of a file gets what is written there later.
fn followed() -> io::Result<Vec<String>> {
    let mut writer = File::create("followed")?;
    let mut reader = File::open("followed")?;
    (0..3)
        .map(|number| {
            writeln!(writer, "line {number}")?;
            let mut text = String::new();
            reader.read_to_string(&mut text)?;
            Ok(text)
        })
        .collect()
}

/// Lists its directory, and removes each entry by the name that it has there.
fn remove_all() {
    let names: Vec<_> = fs::read_dir(".").expect("it is there").map(|entry| entry.expect("an entry").file_name()).collect();
    for name in &names {
        fs::remove_file(name).expect("it was listed");
    }
    println!("{} entries", names.len());
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some("remove-all") {
        return remove_all();
    }
    let long: Vec<u8> = (0..300_000_u32).map(|number| number.wrapping_mul(0x9e37_79b1).to_be_bytes()[0]).collect();
    say("write", fs::write("long", &long));
    say("read", fs::read("long").map(|read| read == long));
    say("append", OpenOptions::new().append(true).open("long").and_then(|mut file| file.write_all(b"end")));
    say("length", fs::metadata("long").map(|status| (status.len(), status.is_file())));
    say("sought", sought());
    say("followed", followed());
    say("make", fs::create_dir("dir"));
    say("make again", fs::create_dir("dir"));
    say("rename", fs::rename("long", "dir/moved"));
    say("copy", fs::copy("dir/moved", "copy"));
    say("link", fs::hard_link("copy", "dir/linked"));
    say("list", names("."));
    say("list below", names("dir"));
    say("list nothing", names("none"));
    say("read a directory", fs::read("dir"));
    say("write a directory", File::create("dir").map(|_| ()));
    say("remove full", fs::remove_dir("dir"));
    say("remove all", fs::remove_dir_all("dir"));
    say("remove none", fs::remove_file("none"));
    say("leave", fs::read("../secret"));
    for number in 0..700 {
        File::create(format!("many-{number}")).expect("a file");
    }
    say("many", names(".").map(|names| names.len()));
}
