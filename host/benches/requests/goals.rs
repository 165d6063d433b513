//! The goals of the design, and whether they were met.

use crate::measure::{Measured, Samples};
use crate::rows::name;

/// What a measured number is to be.
#[derive(Clone, Copy)]
enum Bound {
    /// The contender takes this many times as long as another, at most.
    Slower { than: &'static str, at_most: f64 },
    /// The other takes this many times as long as the contender, at least.
    Faster { than: &'static str, at_least: f64 },
    /// Microseconds for each operation.
    Micros { at_most: f64 },
}

struct Goal {
    row: &'static str,
    contender: &'static str,
    bound: Bound,
}

const fn goal(row: &'static str, contender: &'static str, bound: Bound) -> Goal {
    Goal { row, contender, bound }
}

const SUBMIT_64: &str = "aiohost submit, 64 in flight";

/// The goals.
const GOALS: [Goal; 33] = [
    goal("read-4k", name::ALONE, Bound::Slower { than: name::BARE, at_most: 1.05 }),
    goal("read-4k", name::ALONE, Bound::Slower { than: name::NATIVE, at_most: 1.5 }),
    goal("read-4k", name::ALONE, Bound::Faster { than: "Coro::AIO, 64 in flight, 1 thread", at_least: 1.0 }),
    goal("read-4k", name::WASI_ALONE, Bound::Slower { than: name::WASI_BLOCKING, at_most: 0.9 }),
    goal("read-4k", name::WASI_ALONE, Bound::Slower { than: name::WASI_DEFAULT, at_most: 0.2 }),
    goal("read-4k", name::WASI3_ALONE, Bound::Slower { than: name::WASI3_BLOCKING, at_most: 0.5 }),
    goal("read-64k", name::ALONE, Bound::Slower { than: name::NATIVE, at_most: 1.08 }),
    goal("read-1m", name::ALONE, Bound::Slower { than: name::NATIVE, at_most: 1.05 }),
    goal("read-1m", name::WASI_ALONE, Bound::Slower { than: name::WASI_BLOCKING, at_most: 0.7 }),
    goal("sequential", name::WASI3_ALONE, Bound::Slower { than: name::NATIVE, at_most: 1.1 }),
    goal("uncached-1", name::ALONE, Bound::Slower { than: name::NATIVE, at_most: 1.05 }),
    goal("uncached-8", "aiohost submit, 8 in flight", Bound::Slower { than: name::NATIVE, at_most: 1.1 }),
    goal("uncached-64", SUBMIT_64, Bound::Slower { than: name::NATIVE, at_most: 1.1 }),
    goal("write-4k", name::ALONE, Bound::Slower { than: name::NATIVE, at_most: 1.5 }),
    goal("write-4k", name::ALONE, Bound::Slower { than: name::WASI_BLOCKING, at_most: 0.4 }),
    goal("make", name::ALONE, Bound::Slower { than: name::NATIVE, at_most: 1.5 }),
    goal("durable-32", "aiohost submit, 32 in flight", Bound::Slower { than: name::NATIVE, at_most: 1.1 }),
    goal("durable-32", "aiohost submit, 32 in flight", Bound::Slower { than: "Coro::AIO, 32 in flight", at_most: 0.7 }),
    goal("stat-names", name::ALONE, Bound::Slower { than: name::NATIVE, at_most: 1.4 }),
    goal("stat", name::ALONE, Bound::Slower { than: name::NATIVE, at_most: 2.0 }),
    goal("stat", name::ALONE, Bound::Slower { than: name::WASI_BLOCKING, at_most: 1.0 }),
    goal("open-read-close", name::ALONE, Bound::Slower { than: name::NATIVE, at_most: 1.8 }),
    goal("open-read-close", name::ALONE, Bound::Slower { than: name::WASI_BLOCKING, at_most: 1.2 }),
    goal("scandir", SUBMIT_64, Bound::Slower { than: name::FIND, at_most: 0.6 }),
    goal("scandir", name::WASI_ALONE, Bound::Slower { than: name::WASI_BLOCKING, at_most: 0.5 }),
    goal("walk", name::BLOCKING, Bound::Slower { than: name::FIND, at_most: 0.6 }),
    goal("copy", name::BLOCKING, Bound::Slower { than: name::CP, at_most: 1.0 }),
    goal("rmtree", name::BLOCKING, Bound::Slower { than: name::RM, at_most: 0.65 }),
    goal("nop-64", SUBMIT_64, Bound::Micros { at_most: 1.2 }),
    goal("nop-64", "aiohost requests, 64 in flight", Bound::Slower { than: SUBMIT_64, at_most: 1.3 }),
    goal("flat", "aiohost submit, 1000 in flight", Bound::Slower { than: "aiohost submit, 10 in flight", at_most: 1.3 }),
    goal("flat", "aiohost submit, 100000 in flight", Bound::Slower { than: "aiohost submit, 10 in flight", at_most: 1.3 }),
    goal("instantiate", name::POOLING, Bound::Micros { at_most: 10.0 }),
];

/// A goal whose row was measured.
pub(crate) struct Checked {
    /// What is to be reached.
    pub(crate) text: String,
    /// What was measured.
    pub(crate) measured: f64,
    pub(crate) met: bool,
}

/// The goals of the rows that were measured.
pub(crate) fn check(rows: &[Measured]) -> Vec<Checked> {
    GOALS.iter().filter_map(|goal| checked(goal, rows)).collect()
}

/// None if the row, or one of the two contenders, was left out.
fn checked(goal: &Goal, rows: &[Measured]) -> Option<Checked> {
    let row = rows.iter().find(|row| row.name == goal.row)?;
    let find = |name: &str| row.contenders.iter().find(|samples| samples.name == name);
    let contender: &Samples = find(goal.contender)?;
    let (bound, measured, met) = match goal.bound {
        Bound::Slower { than, at_most } => {
            let ratio = contender.ratio_to(find(than)?);
            (format!("at most {at_most:.2} times the time of {than}"), ratio, ratio <= at_most)
        }
        Bound::Faster { than, at_least } => {
            let ratio = find(than)?.ratio_to(contender);
            (format!("at least {at_least:.2} times as fast as {than}"), ratio, ratio >= at_least)
        }
        Bound::Micros { at_most } => {
            let micros = contender.median() / 1e3;
            (format!("at most {at_most:.2} µs"), micros, micros <= at_most)
        }
    };
    Some(Checked { text: format!("{}: {} {bound}", goal.row, goal.contender), measured, met })
}
