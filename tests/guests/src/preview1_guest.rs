//! `preview1.wasm`: a command of WASI preview 1, which is a core module.
//!
//! It needs nothing but the compiler, whose target not every machine has.

#[path = "wasi/attempt.rs"]
mod attempt;
#[path = "wasi/files1.rs"]
mod files;
#[path = "wasi/held.rs"]
mod held;
#[path = "wasi/program.rs"]
mod program;
#[path = "wasi/race.rs"]
mod race;
mod ready;
#[path = "wasi/records.rs"]
mod records;
mod words;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    assert!(ready::block_on(program::run(&arguments)), "this guest knows no {arguments:?}");
}
