//! What was measured, for people and as JSON.

use std::fs;
use std::path::Path;
use std::thread::available_parallelism;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::goals::Checked;
use crate::measure::{Measured, Samples};
use crate::options::Options;

/// What else the machine does, as far as the system tells. Other work makes times longer, and ratios less sure.
fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").map_or_else(|_| "unknown".to_owned(), |release| release.trim().to_owned())
}

fn processors() -> usize {
    available_parallelism().map_or(0, usize::from)
}

pub(crate) fn print_machine(options: &Options) {
    println!("{} processors, Linux {}, load average {}", processors(), kernel(), load());
    if options.rounds() < 5 {
        println!("{} rounds: too few for the numbers to mean anything", options.rounds());
    }
    println!("busy: what processors worked for an operation, on all threads");
}

/// The contender that stands for aiohost: its first.
fn main_contender(row: &Measured) -> Option<&Samples> {
    row.contenders.iter().find(|samples| samples.name.starts_with("aiohost"))
}

pub(crate) fn print_row(row: &Measured) {
    let (Some(first), Some(main)) = (row.contenders.first(), main_contender(row)) else { return };
    println!("\n{}: {}", row.name, row.title);
    println!("  {:<34}{:>9}{:>22}{:>9}{:>10}{:>11}", "", "median", "min – max", "busy", "to first", "to aiohost");
    for samples in &row.contenders {
        let range = format!("{} – {}", time(samples.min()), time(samples.max()));
        let (to_first, to_main) = (samples.ratio_to(first), samples.ratio_to(main));
        let (median, busy) = (time(samples.median()), samples.busy().map_or_else(|| "-".to_owned(), time));
        println!("  {:<34}{median:>9}{range:>22}{busy:>9}{to_first:>10.2}{to_main:>11.2}", samples.name);
    }
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ..1e3 => format!("{nanoseconds:.0} ns"),
        ..1e5 => format!("{:.2} µs", nanoseconds / 1e3),
        ..1e6 => format!("{:.0} µs", nanoseconds / 1e3),
        _ => format!("{:.2} ms", nanoseconds / 1e6),
    }
}

pub(crate) fn print_goals(goals: &[Checked]) {
    println!("\ngoals, load average {}", load());
    for goal in goals {
        let met = if goal.met { "met" } else { "missed" };
        println!("  {met:<8}{:>7.2}  {}", goal.measured, goal.text);
    }
}

pub(crate) fn write_json(path: &Path, options: &Options, rows: &[Measured], goals: &[Checked]) -> anyhow::Result<()> {
    let report = json!({
        "processors": processors(),
        "kernel": kernel(),
        "load_average": load(),
        "rounds": options.rounds(),
        "rows": rows.iter().map(row).collect::<Vec<_>>(),
        "goals": goals.iter().map(goal).collect::<Vec<_>>(),
    });
    fs::write(path, format!("{report:#}\n")).with_context(|| format!("cannot write {}", path.display()))
}

fn row(row: &Measured) -> Value {
    let first = row.contenders.first();
    let contender = |samples: &Samples| {
        json!({
            "name": samples.name,
            "operations": samples.operations,
            "nanoseconds": samples.nanoseconds,
            "busy_nanoseconds": samples.busy,
            "median": samples.median(),
            "min": samples.min(),
            "max": samples.max(),
            "ratio_to_first": first.map(|first| samples.ratio_to(first)),
            "ratio_to_aiohost": main_contender(row).map(|main| samples.ratio_to(main)),
        })
    };
    json!({ "name": row.name, "title": row.title, "contenders": row.contenders.iter().map(contender).collect::<Vec<_>>() })
}

fn goal(goal: &Checked) -> Value {
    json!({ "goal": goal.text, "measured": goal.measured, "met": goal.met })
}
