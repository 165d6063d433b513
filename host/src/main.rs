//! The command line of aiohost.

use std::process::ExitCode;

mod cli;

/// That of musl has one lock for all threads: requests in flight take two to three times as long with it.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
