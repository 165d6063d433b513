//! ripgrep, which walks trees and maps nothing here, beside `grep`.

use std::path::{Path, PathBuf};

use crate::programs::engine::Engine;
use crate::programs::trees::{native, new_dir, plant};
use crate::programs::{Job, Program};
use crate::toolchains::toolchain;

const FINDS: Job = ("finds what grep finds in 10,000 files", finds);

pub(super) const OF_PREVIEW_1: Program = Program {
    name: "ripgrep of preview 1",
    get: || toolchain("rust-program.sh", &["ripgrep", "wasm32-wasip1"]),
    jobs: &[FINDS, ("ends with 2 where grep does", |engine, program| ends(engine, program, 2))],
};

/// In WASI 0.2 an exit status is good or bad, and bad is 1.
pub(super) const OF_0_2: Program = Program {
    name: "ripgrep of WASI 0.2",
    get: || toolchain("rust-program.sh", &["ripgrep", "wasm32-wasip2"]),
    jobs: &[FINDS, ("ends badly where grep does", |engine, program| ends(engine, program, 1))],
};

fn finds(engine: &Engine, program: &Path) {
    const PATTERN: &str = "(lark|wren) [0-9]*77$";
    let dir = new_dir();
    plant(dir.path(), 100, 100);
    let found = native("grep", &["-rnE", PATTERN, "."], dir.path());
    let path = |line: &str| PathBuf::from(line.split_once(':').expect("a path stands before the line").0);
    let mut expected: Vec<&str> = found.lines().collect();
    expected.sort_by_key(|line| path(line));
    assert!(expected.len() > 100);
    let mut command = engine.command(dir.path(), &["--dir", "."], program);
    command.args(["--line-number", "--no-heading", "--sort", "path", PATTERN, "."]);
    let said = engine.run(&mut command, "").well();
    assert!(said.lines().eq(expected.iter().copied()), "ripgrep:\n{said}\ngrep:\n{}", expected.join("\n"));
}

fn ends(engine: &Engine, program: &Path, failure: i32) {
    let dir = new_dir();
    plant(dir.path(), 1, 2);
    for (arguments, status, stderr) in [
        (&["--quiet", "lark", "."][..], 0, ""),
        (&["ostrich", "."], 1, ""),
        (&["(", "."], failure, "unclosed group"),
        (&["lark", "folder9"], failure, "No such file or directory"),
    ] {
        let ended = engine.run(engine.command(dir.path(), &["--dir", "."], program).args(arguments), "");
        assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(status), ""), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(stderr) && ended.stderr.is_empty() == stderr.is_empty(), "{arguments:?}: {ended:?}");
    }
    let ended = engine.run(engine.command(dir.path(), &["--dir", "."], program).args(["--count", "b", "-"]), "a\nb\nabc\n");
    assert_eq!(ended.well(), "2\n");
}
