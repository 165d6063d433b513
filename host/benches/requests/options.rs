//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Time requests natively, through wasmtime-wasi and through aiohost, in turn.
#[derive(Parser)]
#[command(name = "requests")]
pub(crate) struct Options {
    /// Only rows with one of these in their names.
    filters: Vec<String>,

    /// How often each contender is timed. Fewer than five are no measurement.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,

    /// How long a contender runs in a round, if it can be divided.
    #[arg(long, default_value_t = 200)]
    batch_ms: u64,

    /// Write everything, each round too, to a file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// See whether everything runs, in short batches and one round. The numbers mean nothing.
    #[arg(long)]
    pub(crate) quick: bool,

    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    pub(crate) fn wants(&self, row: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| row.contains(filter.as_str()))
    }

    pub(crate) fn rounds(&self) -> u32 {
        if self.quick { 1 } else { self.rounds }
    }

    pub(crate) fn batch(&self) -> Duration {
        if self.quick { Duration::from_millis(2) } else { Duration::from_millis(self.batch_ms) }
    }
}
