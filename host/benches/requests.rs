//! How fast requests are: natively, through `wasmtime-wasi`, and through aiohost, in turn in one run.
//!
//! ```sh
//! cargo bench --bench requests                      # everything, some minutes
//! cargo bench --bench requests -- read-4k           # the rows whose name has this in it
//! cargo bench --bench requests -- --json out.json   # every round as well
//! ```
//!
//! What counts are the ratios. Times change with the machine and with what else it does; each round times all contenders of a
//! row one after the other, and a ratio is the median of those of the rounds. No slow number is an error, a wrong result is.

#[path = "requests/options.rs"]
mod options;

#[path = "requests/rows.rs"]
mod rows;

#[path = "requests/goals.rs"]
mod goals;

#[path = "requests/measure.rs"]
mod measure;

#[path = "requests/ring.rs"]
mod ring;

#[path = "requests/report.rs"]
mod report;

#[path = "requests/setup.rs"]
mod setup;

#[path = "requests/bare.rs"]
mod bare;
#[path = "requests/hosts.rs"]
mod hosts;

#[path = "requests/native.rs"]
mod native;

#[path = "requests/perl.rs"]
mod perl;

#[path = "guest/src/workload.rs"]
mod workload;

#[path = "guest/src/tree.rs"]
mod tree;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;

use options::Options;
use setup::Setup;

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    let rows = rows::all().into_iter().filter(|row| options.wants(row.name)).collect::<Vec<_>>();
    anyhow::ensure!(!rows.is_empty(), "there is no such row; there are {}", rows::names());
    let setup = Setup::new()?;
    report::print_machine(options);
    let mut measured = Vec::new();
    for plan in rows {
        let row = (plan.make)(&setup).with_context(|| format!("cannot set up {}", plan.name))?;
        let row = measure::row(plan.name, row, options).with_context(|| format!("cannot measure {}", plan.name))?;
        report::print_row(&row);
        measured.push(row);
    }
    let goals = goals::check(&measured);
    if !options.quick {
        report::print_goals(&goals);
    }
    match &options.json {
        Some(path) => report::write_json(path, options, &measured, &goals),
        None => Ok(()),
    }
}
