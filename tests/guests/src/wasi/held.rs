//! What guests of WASI are held to, and what is told of them: each is run by its name, and panics where something is amiss.

use std::time::Duration;

use crate::files::{Fd, preopens};
use crate::records::{CREATE, DIRECTORY, How, READ};

fn root() -> Fd {
    preopens().swap_remove(0).0
}

/// Opens a file until that fails.
pub async fn open(count: usize) {
    let dir = root();
    dir.open("file", CREATE).await.expect("it is the first");
    let mut files = Vec::new();
    while files.len() < count {
        match dir.open("file", READ).await {
            Ok(file) => files.push(file),
            Err(code) => {
                println!("{} {code}", files.len());
                break;
            }
        }
    }
    println!("{}", dir.list().await.1.map_or_else(|code| code, |()| "listed".to_owned()));
    files.truncate(files.len() / 2);
    // What was closed can be had again, as soon as it is.
    while let Err(code) = dir.open("file", READ).await {
        assert!(code.starts_with("too-many") || code == "insufficient-memory", "{code}");
    }
    assert_eq!(dir.list().await.1, Ok(()));
}

/// Makes requests of which the host tells how many there were, some that fail among them.
pub async fn requests() {
    let dir = root();
    let file = dir.open("counted", CREATE).await.expect("it is new");
    file.write(Some(0), vec![7; 100], 0).await.expect("there is room on the disk");
    for _ in 0..3 {
        assert_eq!(dir.stat_at("counted", true).await.map(|status| status.size), Ok(100));
    }
    for _ in 0..5 {
        dir.stat_at("none", true).await.err().expect("it is not there");
    }
    for name in ["one", "two", "three", "four"] {
        dir.mkdir(name).await.expect("it is new");
    }
    dir.mkdir("one").await.expect_err("it is there");
    dir.rmdir("one").await.expect("it is empty");
    dir.rename("two", &dir, "one").await.expect("nothing is there");
    dir.symlink("counted", "link").await.expect("nothing is there");
    assert_eq!(dir.readlink("link").await.as_deref(), Ok("counted"));
    dir.unlink("link").await.expect("it is there");
    file.sync().await.expect("it can be written");
}

/// Reads all of a file.
pub async fn reads(path: &str) {
    println!("waits");
    let (bytes, end) = root().open(path, READ).await.expect("it is there").read(0, 1).await;
    end.expect("it can be read");
    println!("{} bytes", bytes.len());
}

/// Uses a file or a directory that may not answer, in one way.
pub async fn uses(how: &str, path: &str) {
    let dir = root();
    match how {
        "open" => drop(dir.open(path, READ).await.expect("it is there")),
        "stat" => drop(dir.stat_at(path, true).await.expect("it is there")),
        "list" => drop(dir.open(path, DIRECTORY).await.expect("it is there").list().await),
        "drop" => drop(dir.open(path, READ).await.expect("it is there")),
        "drop-written" => drop(written(&dir, path).await),
        "keep" => {
            let _file = written(&dir, path).await;
            println!("keeps");
            // The host ends this.
            std::thread::sleep(Duration::from_secs(3600));
        }
        other => panic!("nothing is used by {other}"),
    }
}

async fn written(dir: &Fd, path: &str) -> Fd {
    let file = dir.open(path, CREATE).await.expect("it can be opened");
    file.write(Some(0), vec![7; 10], 0).await.expect("it can be written");
    file
}

/// Tells what is known of each object in its directory, and whether it can be opened.
pub async fn objects() {
    let dir = root();
    let (mut entries, end) = dir.list().await;
    end.expect("it is there");
    entries.sort();
    for (name, listed) in entries {
        let status = dir.stat_at(&name, false).await.expect("it was listed");
        let opened = dir.open(&name, READ).await.map_or_else(|code| code, |_| "opened".to_owned());
        let links = if status.kind == "directory" { 0 } else { status.links };
        println!("{name}: {listed} {} {links} {opened} {}", status.kind, status.changed > status.modified);
    }
}

/// By the standard library, prints what is in files, and makes one.
pub fn by_library(paths: &[&str], made: &str) {
    for path in paths {
        println!("{}", std::fs::read_to_string(path).unwrap_or_else(|error| format!("{path}: {error}")));
    }
    std::fs::write(made, "").expect("it can be made");
}

/// Writes nothing to a file that was opened for reading.
pub async fn writes_nothing() {
    let dir = root();
    dir.open("file", CREATE).await.expect("it can be made");
    let file = dir.open("file", READ).await.expect("it is there");
    println!("{}", file.write(Some(0), Vec::new(), 1).await.map_or_else(|code| code, |()| "written".to_owned()));
}

/// Writes to its standard output, until somebody ends this.
pub fn prints() {
    let line = "x".repeat(1000);
    loop {
        println!("{line}");
    }
}

/// Does what keeps a thread busy, until somebody ends this.
pub async fn never_ends(how: &str) {
    let dir = root();
    let file = dir.open("endless", CREATE).await.expect("it can be made");
    println!("begins");
    match how {
        "computes" => loop {
            std::hint::black_box(());
        },
        "looks" => loop {
            dir.stat_at("endless", true).await.expect("it is there");
        },
        "lists" => loop {
            dir.list().await.1.expect("it is there");
        },
        "opens" => loop {
            dir.open("endless", How { truncate: true, ..CREATE }).await.expect("it can be made");
        },
        "writes" => loop {
            file.write(Some(0), vec![7; 100_000], 1).await.expect("there is room on the disk");
            assert_eq!(file.read(0, 0).await.0.len(), 100_000);
        },
        other => panic!("nothing that never ends is called {other}"),
    }
}

/// Sees how many directories of a flood there are, and tells.
pub async fn sees() {
    let dir = root();
    let (entries, end) = dir.list().await;
    end.expect("it is there");
    let seen = entries.iter().filter(|(name, _)| name.starts_with("flood-")).count();
    println!("{seen}");
}

/// A few requests of each kind, one after the other.
pub async fn modest() {
    let dir = root();
    for number in 0..20 {
        let name = format!("modest-{number}");
        let file = dir.open(&name, CREATE).await.expect("it can be made");
        file.write(Some(0), vec![7; 10], 0).await.expect("there is room on the disk");
        assert_eq!(file.read(0, 0).await.0, [7; 10]);
        assert_eq!(dir.stat_at(&name, false).await.map(|status| status.size), Ok(10));
        drop(file);
        dir.unlink(&name).await.expect("it is there");
        assert_eq!(dir.open(".", DIRECTORY).await.expect("it is there").list().await.1, Ok(()));
    }
}
