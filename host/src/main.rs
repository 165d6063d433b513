//! The command line of aiohost.

use std::process::ExitCode;

mod cli;

fn main() -> ExitCode {
    cli::main()
}
