//! The limits of a compilation, which is done by this command in a process of its own: as options, and the command that the
//! process runs.

use std::process::ExitCode;
use std::time::Duration;

use aiohost::plugin::CompileProcess;
use clap::Args;

use super::{images, values};

/// The command of that process. It is not for users, and not in the help.
pub(super) const COMMAND: &str = "__compile";

#[derive(Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct CompileLimits {
    /// Time for compiling the plugin, before it runs and --timeout begins; reading an image may take as long [default: 5m]
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    max_compile_time: Option<Duration>,
    /// Memory for compiling the plugin, which a process of its own does [default: 4GiB]
    #[arg(long, value_name = "SIZE", value_parser = values::size)]
    max_compile_memory: Option<usize>,
}

impl CompileLimits {
    /// How long it may take to read an image.
    pub(super) fn reading_time(&self) -> Duration {
        self.max_compile_time.unwrap_or(images::TIME_MAX)
    }

    /// A process that holds to them.
    pub(super) fn process(&self) -> CompileProcess {
        let mut process = CompileProcess::new([COMMAND]);
        if let Some(time) = self.max_compile_time {
            process = process.time_max(time);
        }
        if let Some(bytes) = self.max_compile_memory.and_then(|bytes| u64::try_from(bytes).ok()) {
            process = process.memory_bytes_max(bytes);
        }
        process
    }
}

/// What that process does.
pub(super) fn serve() -> ExitCode {
    CompileProcess::serve()
}
