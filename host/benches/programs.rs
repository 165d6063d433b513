//! The programs of the suite of that name, and what their jobs take here and on wasmtime's own WASI: the table of programs.
//!
//! `cargo bench --bench programs [-- ROUNDS [NAME]]`, the latter for the programs with that in their names. Each job is done by one
//! and the other in turn, in new directories, with code that is compiled before. Printed are the least processor times of the rounds,
//! which do not depend on what else a machine does as much as others. A job that comes to something else than the native program's
//! result differs.

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use programs::engine::Engine;
use programs::{Job, Program};

#[path = "../../tests/wasi/guests.rs"]
#[allow(dead_code, reason = "it also builds what other suites need")]
mod guests;
#[path = "../../tests/programs/mod.rs"]
mod programs;
#[path = "../../tests/support/toolchains.rs"]
mod toolchains;
#[path = "programs/wasmtime_run.rs"]
mod wasmtime_run;

const ROUNDS: usize = 3;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    // A process for each of wasmtime's runs.
    if let Some(("wasmtime", line)) = arguments.split_first().map(|(role, line)| (role.as_str(), line)) {
        std::process::exit(wasmtime_run::run(line));
    }
    let rounds = arguments.first().map_or(ROUNDS, |rounds| rounds.parse().expect("a number of rounds"));
    let chosen = arguments.get(1).map_or("", String::as_str);
    println!(
        "{:<22} {:<64} {:>10} {:>10} {:>7} {:>10} {:>10}",
        "program", "job", "aiohost", "wasmtime", "ratio", "aiohost", "wasmtime"
    );
    for (program, place) in programs::made() {
        match place {
            _ if !program.name.contains(chosen) => {}
            Ok(place) => program.jobs.iter().for_each(|job| measure(program, job, &place, rounds)),
            Err(reason) => println!("{:<22} skipped: {reason}", program.name),
        }
    }
}

fn measure(program: &Program, (name, work): &Job, place: &Path, rounds: usize) {
    let this = std::env::current_exe().expect("the benchmark has a path");
    let (mut times, mut verdicts) = ([Duration::MAX; 2], ["the same"; 2]);
    // The first round compiles.
    for round in 0..=rounds {
        for (index, (time, verdict)) in std::iter::zip(&mut times, &mut verdicts).enumerate() {
            let wasmtime = || Engine::new(vec![this.clone().into(), OsString::from("wasmtime")]);
            let engine = if index == 0 { Engine::aiohost() } else { wasmtime() };
            // What is wrong has been said on standard error.
            if catch_unwind(AssertUnwindSafe(|| work(&engine, place))).is_err() {
                *verdict = "differs";
            }
            if round > 0 {
                *time = engine.worked().min(*time);
            }
        }
    }
    let [ours, theirs] = times.map(|time| time.as_secs_f64());
    println!(
        "{:<22} {name:<64} {ours:>8.2} s {theirs:>8.2} s {:>6.2}x {:>10} {:>10}",
        program.name,
        ours / theirs,
        verdicts[0],
        verdicts[1]
    );
}
