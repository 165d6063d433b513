//! How the numbers are shown: as a table, and as JSON.

use std::path::PathBuf;
use std::thread::available_parallelism;

use serde_json::{Value, json};

use super::jobs::{IN_FLIGHT, Job, WORKERS};
use super::measure::{Measured, Pace};
use super::scene::Scene;

/// Columns of the table: the first to the left, the others to the right.
const FIRST: usize = 44;
const OTHERS: usize = 10;

/// A number of workers is as good as the best if it takes no more than a tenth longer.
const AS_GOOD: f64 = 1.1;

/// Everything that was measured.
pub(super) struct Report {
    dir: PathBuf,
    is_in_memory: bool,
    rounds: usize,
    pub(super) rows: Vec<Row>,
    pub(super) by_workers: Vec<ByWorkers>,
}

/// A job, natively and by plugins.
pub(super) struct Row {
    pub(super) job: Job,
    pub(super) in_flight: u32,
    pub(super) measured: Vec<Measured>,
}

/// A job by plugins, for each number of workers.
pub(super) struct ByWorkers {
    pub(super) job: Job,
    pub(super) measured: Vec<Measured>,
}

impl Report {
    pub(super) fn new(scene: &Scene, pace: &Pace) -> Self {
        let dir = scene.dir.parent().unwrap_or(&scene.dir).to_owned();
        Self { dir, is_in_memory: scene.is_in_memory(), rounds: pace.rounds, rows: Vec::new(), by_workers: Vec::new() }
    }

    pub(super) fn head(&self) -> String {
        let memory = if self.is_in_memory { "; it is in memory, so nothing comes from a disk" } else { "" };
        let s = if self.rounds == 1 { "" } else { "s" };
        format!("{}, {} processors, {} round{s}, medians{memory}", self.dir.display(), processors(), self.rounds)
    }

    /// The smallest number of workers that is as good as the best, for each job.
    pub(super) fn advice(&self) -> String {
        let each = self.by_workers.iter().map(|row| format!("{} for {}", row.enough(), row.what()));
        let words: Vec<String> = each.collect();
        format!("\nworkers that are enough: {}; `run` and `Host` have 32 at most unless told otherwise", words.join(", "))
    }

    pub(super) fn as_json(&self) -> Value {
        let workers = |row: &ByWorkers| {
            json!({
                "name": row.job.name(),
                "in-flight": IN_FLIGHT,
                "enough": row.enough(),
                "workers": row.measured.iter().map(as_json).collect::<Vec<_>>(),
            })
        };
        let row = |row: &Row| {
            json!({
                "name": row.job.name(),
                "in-flight": row.in_flight,
                "ratio": row.ratio(),
                "contenders": row.measured.iter().map(as_json).collect::<Vec<_>>(),
            })
        };
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "directory": self.dir.to_string_lossy(),
            "in-memory": self.is_in_memory,
            "processors": processors(),
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
            "by-workers": self.by_workers.iter().map(workers).collect::<Vec<_>>(),
        })
    }
}

fn processors() -> usize {
    available_parallelism().map_or(1, usize::from)
}

fn as_json(measured: &Measured) -> Value {
    json!({ "name": measured.name, "seconds": measured.median(), "rounds": measured.rounds })
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        let [native, aiohost] = self.measured.as_slice() else { return None };
        Some(aiohost.ratio_to(native))
    }

    pub(super) fn line(&self) -> String {
        let title = match self.in_flight {
            1 => self.job.title().to_owned(),
            many => format!("{}, {many}", self.job.title()),
        };
        let times = self.measured.iter().map(|measured| time(measured.median()));
        let ratio = self.ratio().map(|ratio| format!("{ratio:.2}x"));
        laid_out(&title, times.chain(ratio))
    }
}

impl ByWorkers {
    fn enough(&self) -> usize {
        let medians: Vec<f64> = self.measured.iter().map(Measured::median).collect();
        let best = medians.iter().copied().fold(f64::INFINITY, f64::min);
        let enough = std::iter::zip(WORKERS, medians).find(|(_, median)| *median <= best * AS_GOOD);
        enough.map_or(WORKERS[0], |(workers, _)| workers)
    }

    fn what(&self) -> &'static str {
        if self.job == Job::ReadFromDisk { "reads from the disk" } else { "`store`" }
    }

    pub(super) fn line(&self) -> String {
        laid_out(self.job.title(), self.measured.iter().map(|measured| time(measured.median())))
    }
}

/// The line above rows of two contenders.
pub(super) fn titles(what: &str, native: &str) -> String {
    format!("\n{}", laid_out(what, [native, "aiohost", "ratio"].map(str::to_owned)))
}

/// The line above the rows by workers.
pub(super) fn workers_titles() -> String {
    format!("\n{}", laid_out(&format!("{IN_FLIGHT} in flight, by --workers"), WORKERS.map(|workers| workers.to_string())))
}

fn laid_out(first: &str, others: impl IntoIterator<Item = String>) -> String {
    let others: String = others.into_iter().map(|cell| format!("{cell:>OTHERS$}")).collect();
    format!("{first:<FIRST$}{others}")
}

/// A time in three digits.
fn time(seconds: f64) -> String {
    let (value, unit) = match seconds {
        _ if seconds < 1e-6 => (seconds * 1e9, "ns"),
        _ if seconds < 1e-3 => (seconds * 1e6, "µs"),
        _ if seconds < 1.0 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_workers(medians: [f64; 6]) -> ByWorkers {
        let measured = |median| Measured { name: String::new(), rounds: vec![median] };
        ByWorkers { job: Job::ReadFromDisk, measured: medians.map(measured).into() }
    }

    #[test]
    fn the_smallest_number_of_workers_is_advised_that_is_as_good_as_the_best() {
        assert_eq!(by_workers([9.0, 5.0, 3.0, 2.1, 2.0, 2.0]).enough(), 8);
        assert_eq!(by_workers([1.0; 6]).enough(), 1);
        assert_eq!(by_workers([6.0, 5.0, 4.0, 3.0, 2.0, 1.0]).enough(), 32);
    }

    #[test]
    fn times_have_three_digits() {
        let cases = [(1.234e-7, "123 ns"), (1.234e-6, "1.23 µs"), (1.234e-5, "12.3 µs"), (0.01234, "12.3 ms"), (2.5, "2.50 s")];
        for (seconds, shown) in cases {
            assert_eq!(time(seconds), shown);
        }
    }
}
