//! The programs, where they come from, and their jobs.

use std::path::{Path, PathBuf};

use engine::Engine;

pub(crate) mod engine;

mod clang;
mod coreutils;
mod esbuild;
mod ripgrep;
mod sqlite;
mod standard_library;
mod trees;

/// What a program is to do, in words, and how: the engine runs the program, and a panic says what is wrong with the result.
pub(crate) type Job = (&'static str, fn(&Engine, &Path));

/// A program of WASI.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// Loads and builds it, if need be: the program or the folder that it is in, or why it cannot be had.
    get: fn() -> Result<PathBuf, String>,
    pub(crate) jobs: &'static [Job],
}

/// The programs by the tools that make them: two of one list are not made at a time.
const PROGRAMS: &[&[Program]] = &[
    &[ripgrep::OF_PREVIEW_1, ripgrep::OF_0_2, coreutils::PROGRAM],
    &[sqlite::PROGRAM],
    &[standard_library::GO],
    &[standard_library::PYTHON],
    &[esbuild::PROGRAM],
    &[clang::PROGRAM],
];

/// Each program, with where it is or why it cannot be had.
pub(crate) type Programs = Vec<(&'static Program, Result<PathBuf, String>)>;

/// All programs, made.
pub(crate) fn made() -> Programs {
    let make = |list: &'static [Program]| list.iter().map(|program| (program, (program.get)())).collect::<Programs>();
    std::thread::scope(|scope| {
        let making: Vec<_> = PROGRAMS.iter().map(|list| scope.spawn(move || make(list))).collect();
        making.into_iter().flat_map(|list| list.join().expect("what can be had can be built")).collect()
    })
}

/// All programs, none of them made.
#[allow(dead_code, reason = "the benchmark makes no list")]
pub(crate) fn listed() -> Programs {
    PROGRAMS.iter().copied().flatten().map(|program| (program, Ok(PathBuf::new()))).collect()
}
