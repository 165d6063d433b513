//! Guests that are in the midst of something when the host is to end: computing, waiting, or in a system call.
//!
//! Each says `ready` first. The host's side ends it, or waits for what it has left.

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write, stdin, stdout};
use std::time::Duration;

use crate::bindings::aiohost::aio::types::{AllocateFlags, File, LockKind, OpenFlags, Request};
use crate::bindings::aiohost::aio::{blocking, control, submit};

/// A place in a file that is over the limit that the host has for the size of files.
const FAR: u64 = 64 << 20;

pub fn run(arguments: &[String]) {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    println!("ready");
    match arguments.as_slice() {
        ["compute"] => {
            print!("half a line");
            stdout().flush().expect("it can be written");
            compute()
        }
        ["print"] => loop {
            println!("{}", "x".repeat(1000));
        },
        ["complain"] => loop {
            eprintln!("{}", "x".repeat(1000));
        },
        // A guest that waits for a time, and that the host has to end before.
        ["sleep"] => std::thread::sleep(Duration::from_secs(3600)),
        ["stdin"] => drop(stdin().read(&mut [0])),
        ["lock"] => drop(lock_twice()),
        ["wasi", request, path] => by_wasi(request, path),
        ["blocking", request, path] => by_blocking(request, path),
        ["submit", request, path, count] => by_submit(request, path, count.parse().expect("a number")),
        ["submit-and-compute", request, path, count] => {
            let _requests = submit_all(request, path, count.parse().expect("a number"));
            compute()
        }
        ["too-large", request, path] => too_large(request, path),
        ["endlessly", request, path] => endlessly(request, path),
        ["leave", request, path] => leave(request, path),
        other => panic!("cannot do {other:?}"),
    }
    // The rest of a line stays in the buffers of host and guest until the end.
    print!("over");
    stdout().flush().expect("it can be written");
}

fn compute() -> ! {
    loop {
        std::hint::black_box(());
    }
}

fn lock_twice() -> (File, File) {
    let open = || blocking::open(None, "locked", OpenFlags::WRITE | OpenFlags::CREATE, 0o666).expect("it can be made");
    let files = (open(), open());
    for file in [&files.0, &files.1] {
        blocking::lock(file, LockKind::Exclusive, 0, 0, true).expect("it waits");
    }
    files
}

fn by_wasi(request: &str, path: &str) {
    match request {
        "open" => drop(fs::File::open(path)),
        "read" => drop(fs::read(path)),
        "list" => drop(fs::read_dir(path).map(Iterator::count)),
        "write" => drop(fs::write(path, "text")),
        "write-far" => {
            let mut file = fs::File::create(path).expect("it can be made");
            file.seek(SeekFrom::Start(FAR)).expect("a file has places");
            drop(file.write(b"text"));
        }
        other => panic!("cannot {other}"),
    }
}

fn by_blocking(request: &str, path: &str) {
    let writable = || blocking::open(None, path, OpenFlags::WRITE | OpenFlags::CREATE, 0o666).expect("it can be made");
    // What comes of it is no matter.
    let _ = match request {
        "open" => blocking::open(None, path, OpenFlags::READ, 0).map(drop),
        "read" => {
            let file = blocking::open(None, path, OpenFlags::READ, 0).expect("it can be opened");
            blocking::read(&file, Some(0), 100).map(drop)
        }
        "stat" => blocking::stat(None, path).map(drop),
        "list" => blocking::readdir(None, path).map(drop),
        "load" => blocking::load(None, path).map(drop),
        "write" => blocking::write(&writable(), Some(0), b"text").map(drop),
        "write-far" => blocking::write(&writable(), Some(FAR), b"text").map(drop),
        "drop" => {
            blocking::write(&writable(), Some(0), b"text").expect("it can be written");
            Ok(())
        }
        "keep" => {
            let _file = writable();
            println!("keeps");
            // The host ends this.
            std::thread::sleep(Duration::from_secs(3600));
            Ok(())
        }
        "close" => {
            let file = writable();
            blocking::write(&file, Some(0), b"text").expect("it can be written");
            blocking::close(file)
        }
        other => panic!("cannot {other}"),
    };
}

/// Makes a file larger than the host may have one, or tries to.
fn too_large(request: &str, path: &str) {
    let open = |path, flags| blocking::open(None, path, flags, 0o666).expect("it can be opened");
    let outcome = match request {
        "store" => blocking::store(None, "made", &vec![7; 12 << 20], 0o666),
        "truncate" => blocking::truncate(None, path, FAR),
        "allocate" => blocking::allocate(&open(path, OpenFlags::WRITE), AllocateFlags::empty(), 0, FAR),
        "copy" => blocking::copy(None, path, None, "made").map(drop),
        "copy-tree" => blocking::copy_tree(None, path, None, "made", 1).map(drop),
        "sendfile" => {
            let (input, output) = (open(path, OpenFlags::READ), open("output", OpenFlags::WRITE | OpenFlags::CREATE));
            blocking::sendfile(&output, Some(FAR), &input, 0, 4).map(drop)
        }
        other => panic!("cannot {other}"),
    };
    println!("{:?}", outcome.map_err(|error| error.code));
}

/// Copies and removes again, or moves there and back, until the host ends this.
fn endlessly(request: &str, path: &str) {
    loop {
        match request {
            "copy-tree" => {
                blocking::copy_tree(None, path, None, "copied", 4).expect("it is there");
                blocking::rmtree(None, "copied", 4).expect("it was made");
            }
            "move" => {
                blocking::move_(None, path, None, "/far/moved").expect("it is there");
                blocking::move_(None, "/far/moved", None, path).expect("it was moved");
            }
            other => panic!("cannot {other}"),
        }
    }
}

/// Begins a request and leaves it to the host. One that waits for a worker would be dropped.
fn leave(request: &str, path: &str) {
    let submitted = submitted(request, path);
    while control::count().running == 0 {}
    std::mem::forget(submitted);
}

fn by_submit(request: &str, path: &str, count: usize) {
    for submitted in &submit_all(request, path, count) {
        drop(submitted.request.wait());
    }
}

fn submit_all(request: &str, path: &str, count: usize) -> Vec<Submitted> {
    (0..count).map(|_| submitted(request, path)).collect()
}

/// A request, and the file that it works on.
struct Submitted {
    request: Request,
    _file: Option<File>,
}

fn submitted(request: &str, path: &str) -> Submitted {
    let open = |flags| blocking::open(None, path, flags, 0o666).expect("it can be opened");
    match request {
        "read" => {
            let file = open(OpenFlags::READ);
            Submitted { request: submit::read(&file, Some(0), 100), _file: Some(file) }
        }
        "fsync" => {
            let file = open(OpenFlags::WRITE | OpenFlags::CREATE);
            blocking::write(&file, Some(0), b"text").expect("it can be written");
            Submitted { request: submit::fsync(&file), _file: Some(file) }
        }
        "load" => Submitted { request: submit::load(None, path), _file: None },
        "copy" => Submitted { request: submit::copy(None, path, None, "copy"), _file: None },
        other => panic!("cannot {other}"),
    }
}
