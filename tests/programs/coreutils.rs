//! The coreutils of uutils, beside those of GNU.

use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use crate::programs::Program;
use crate::programs::engine::{Ended, Engine};
use crate::programs::trees::{contents, native, new_dir, plant};
use crate::toolchains::toolchain;

pub(super) const PROGRAM: Program = Program {
    name: "coreutils of uutils",
    get: || toolchain("rust-program.sh", &["coreutils", "wasm32-wasip1"]),
    jobs: &[
        ("copy, move and remove 5,500 files, 2,500 of them in one folder", copy_move_and_remove),
        ("list 5,500 files as GNU's do", list),
        ("sort 200,000 lines as GNU's do", sort),
        ("fail as GNU's do", fail),
    ],
};

fn utility(engine: &Engine, program: &Path, dir: &Path, arguments: &[&str]) -> Ended {
    engine.run(engine.command(dir, &["--dir", "."], program).args(arguments), "")
}

/// Many folders, and one with more files than any buffer for a listing holds.
fn plant_both(dir: &Path) {
    plant(dir, 30, 100);
    let flat = dir.join("flat");
    plant(&flat, 1, 2500);
}

fn copy_move_and_remove(engine: &Engine, program: &Path) {
    let dir = new_dir();
    let place = |name: &str| dir.path().join(name);
    let does = |arguments: &[&str]| assert_eq!(utility(engine, program, dir.path(), arguments).well(), "", "{arguments:?}");
    plant_both(&place("tree"));
    let planted = contents(&place("tree"));
    native("cp", &["-r", "tree", "native"], dir.path());
    does(&["cp", "-r", "tree", "copy"]);
    assert!(contents(&place("copy")) == contents(&place("native")), "a copy is not as GNU's");
    does(&["mv", "copy", "moved"]);
    assert!(!place("copy").exists() && contents(&place("moved")) == planted, "something was lost on the way");
    does(&["mv", "moved/flat/folder0", "moved/link", "."]);
    assert_eq!(contents(&place("folder0")).len(), 2500);
    // What is listed is removed meanwhile.
    does(&["rm", "-r", "folder0", "moved", "link"]);
    assert!(!["folder0", "moved", "link"].iter().any(|name| place(name).symlink_metadata().is_ok()));
    assert!(contents(&place("tree")) == planted, "what nobody named was changed");
}

fn list(engine: &Engine, program: &Path) {
    let dir = new_dir();
    plant_both(dir.path());
    let old = fs::File::options().append(true).open(dir.path().join("folder1/file1.txt")).expect("it was planted");
    old.set_modified(UNIX_EPOCH + Duration::new(981_173_106, 789_000_001)).expect("it is our own");
    let short = ["ls", "-R1", "."];
    assert_eq!(utility(engine, program, dir.path(), &short).well(), native(short[0], &short[1..], dir.path()));
    let long = ["ls", "-lR", "--time-style=full-iso", "."];
    // Of the rest uutils knows nothing in WASI: permissions, links, owners and blocks are always the same there.
    let known = |said: String| -> Vec<Vec<String>> {
        let lines = said.lines().filter(|line| !line.starts_with("total "));
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<String>>();
        lines.map(words).map(|words| if words.len() > 4 { words[4..].to_vec() } else { words }).collect()
    };
    let ours = known(utility(engine, program, dir.path(), &long).well());
    let time = ["2001-02-03", "04:05:06.789000001", "+0000", "file1.txt"];
    assert!(ours.iter().any(|words| words.get(1..).is_some_and(|words| words == time)), "a time of the past is missing");
    assert!(ours == known(native(long[0], &long[1..], dir.path())), "sizes, times or names are others");
}

fn sort(engine: &Engine, program: &Path) {
    let dir = new_dir();
    let line = |number: u64| format!("{} line {}\n", number * 7919 % 200_003, number * 31 % 977);
    fs::write(dir.path().join("lines"), (0..200_000).map(line).collect::<String>()).expect("there is room on the disk");
    for arguments in [&["sort", "lines"][..], &["sort", "-n", "-r", "lines"], &["sort", "-u", "-k", "3,3", "lines"]] {
        let ended = utility(engine, program, dir.path(), arguments).well();
        assert!(ended == native(arguments[0], &arguments[1..], dir.path()), "{arguments:?}");
    }
    // More than it holds in memory goes to temporary files.
    let external = ["sort", "-S", "1M", "-T", ".", "-o", "sorted", "lines"];
    assert_eq!(utility(engine, program, dir.path(), &external).well(), "");
    let sorted = fs::read_to_string(dir.path().join("sorted")).expect("it was made");
    assert!(sorted == native("sort", &["lines"], dir.path()) && contents(dir.path()).len() == 2);
}

fn fail(engine: &Engine, program: &Path) {
    let dir = new_dir();
    plant(dir.path(), 2, 2);
    for (arguments, status, message) in [
        (&["rm", "none"][..], 1, "No such file or directory"),
        (&["rm", "folder0"], 1, "Is a directory"),
        (&["cp", "none", "some"], 1, "No such file or directory"),
        (&["ls", "none"], 2, "No such file or directory"),
        (&["sort", "none"], 2, "No such file or directory"),
        (&["mv", "folder0", "link"], 1, "overwrite"),
    ] {
        let ended = utility(engine, program, dir.path(), arguments);
        assert!(ended.status.code() == Some(status) && ended.stderr.contains(message), "{arguments:?}: {ended:?}");
    }
    assert_eq!(contents(dir.path()).len(), 2 + 4 + 1);
}
