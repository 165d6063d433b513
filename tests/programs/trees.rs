//! Directories that programs work in.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::toolchains::said;

pub(crate) fn new_dir() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written")
}

/// What a native program says, which has to be there and to end well. It has the plain order of bytes, and UTC, as in WASI.
pub(crate) fn native(program: &str, arguments: &[&str], dir: &Path) -> String {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(dir).envs([("LC_ALL", "C"), ("TZ", "UTC")]);
    said(&mut command).unwrap_or_else(|failure| panic!("{failure}"))
}

/// Folders of files with lines of words and numbers, and a link.
pub(crate) fn plant(dir: &Path, folders: usize, files: usize) {
    const BIRDS: [&str; 8] = ["lark", "wren", "rook", "kite", "gull", "swan", "teal", "knot"];
    const LINES: usize = 20;
    // The numbers of a generator that is as old as any: they only have to be the same each time.
    let mut number: u32 = 1;
    let mut next = || {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (number >> 16) as usize
    };
    for folder in 0..folders {
        let path = dir.join(format!("folder{folder}"));
        fs::create_dir_all(&path).expect("a directory of our own");
        for file in 0..files {
            let text: String = (0..LINES).map(|_| format!("{} {}\n", BIRDS[next() % BIRDS.len()], next())).collect();
            fs::write(path.join(format!("file{file}.txt")), text).expect("there is room on the disk");
        }
    }
    symlink("folder0/file1.txt", dir.join("link")).expect("a directory of our own");
}

/// What is in a directory and below it, each by its path: the content of a file, the target of a link, nothing of a directory.
pub(crate) fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut next) = (BTreeMap::new(), vec![dir.to_owned()]);
    while let Some(folder) = next.pop() {
        for entry in fs::read_dir(folder).expect("a directory of our own") {
            let entry = entry.expect("it can be read");
            let (path, kind) = (entry.path(), entry.file_type().expect("it has one"));
            let content = if kind.is_symlink() {
                fs::read_link(&path).expect("it is a link").into_os_string().into_encoded_bytes()
            } else if kind.is_dir() {
                next.push(path.clone());
                Vec::new()
            } else {
                fs::read(&path).expect("it is a file")
            };
            found.insert(path.strip_prefix(dir).expect("it lies there").to_owned(), content);
        }
    }
    found
}
