//! Programs that know only WASI and that nobody wrote for this host, each with jobs whose results are those of a native program.
//!
//! A program that cannot be had is counted as ignored, and the reason is printed. `cargo bench --bench programs` has wasmtime do the
//! same jobs, and prints how long both take.

use libtest_mimic::{Arguments, Trial};

use programs::engine::Engine;

#[path = "wasi/guests.rs"]
#[allow(dead_code, reason = "it also builds what other suites need")]
mod guests;
#[path = "programs/mod.rs"]
mod programs;
#[path = "support/toolchains.rs"]
mod toolchains;

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    // They are loaded and built for the tests, and not for a list of them.
    for (program, place) in if arguments.list { programs::listed() } else { programs::made() } {
        if let Err(reason) = &place {
            eprintln!("{} is skipped: {reason}", program.name);
        }
        for (name, work) in program.jobs {
            let (is_ignored, place) = (place.is_err(), place.clone());
            let test = move || {
                work(&Engine::aiohost(), &place?);
                Ok(())
            };
            trials.push(Trial::test(format!("{}: {name}", program.name), test).with_ignored_flag(is_ignored));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}
