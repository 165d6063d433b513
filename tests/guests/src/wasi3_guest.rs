//! `wasi3.wasm`: a command of WASI 0.3 that knows nothing of aiohost, and one of 0.2 as well, as its standard library makes of it.
//!
//! Which of the two runs it says itself.

#[path = "wasi/attempt.rs"]
mod attempt;
#[path = "wasi3/checks.rs"]
mod checks;
#[path = "wasi/files3.rs"]
mod files;
#[path = "wasi/held.rs"]
mod held;
#[path = "wasi/plan.rs"]
mod plan;
#[path = "wasi/program.rs"]
mod program;
#[path = "wasi/race.rs"]
mod race;
mod random;
#[path = "wasi/records.rs"]
mod records;
mod words;

use wasip3::filesystem::preopens;
use wasip3::filesystem::types::Descriptor;

struct Command;

wasip3::cli::command::export!(Command);

impl wasip3::exports::cli::run::Guest for Command {
    async fn run() -> Result<(), ()> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        if program::run(&arguments).await {
            return Ok(());
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match arguments[..] {
            [] => println!("run of WASI 0.3"),
            ["plan", seed, steps] => plan::run(number(seed), number(steps)).await,
            [name, ref rest @ ..] => checks::run(name, rest).await,
        }
        Ok(())
    }
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

/// The directory that was granted first.
fn root() -> Descriptor {
    preopens::get_directories().into_iter().next().expect("a directory was granted").0
}

fn main() {
    println!("run of WASI 0.2");
}
