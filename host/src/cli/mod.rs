//! The commands, and what they have in common: options, logging, and how a failure is told.

mod compile;
mod componentize;
mod exit;
mod grants;
mod inspect;
mod load;
mod log;
mod new;
mod run;
mod signals;
mod stats;
mod templates;
mod values;
mod wit;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::error::{ContextKind, ErrorKind};
use clap::{Args, Parser, Subcommand};

/// Runs WebAssembly plugins that work on files: in the directories you grant, and nowhere else.
#[derive(Parser)]
#[command(name = "aiohost", version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    verbosity: Verbosity,
}

#[derive(Subcommand)]
enum Command {
    New(new::Options),
    Run(Box<run::Options>),
    Inspect(inspect::Options),
    Compile(compile::Options),
    Componentize(componentize::Options),
    Wit(wit::Options),
}

/// How much is said on standard error.
#[derive(Args)]
struct Verbosity {
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Messages")]
    quiet: bool,
    /// Say more; twice for much more
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Messages")]
    verbose: u8,
    /// What to log: `debug`, or `aiohost=trace,wasmtime=info`; also AIOHOST_LOG
    #[arg(long, global = true, value_name = "FILTER", help_heading = "Messages")]
    log: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  aiohost run plugin.wasm --dir data                a plugin, and a directory for it to work in
  aiohost run plugin.wasm --ro-dir songs -- --fast  `songs` to read only, and the argument `--fast`
  aiohost inspect plugin.wasm                       what a plugin needs, before you run it
  aiohost new rust my-plugin                        a plugin of your own, ready to build
  aiohost wit --out wit/deps/aiohost-aio            the WIT package to build a plugin with

`aiohost help COMMAND` says more about a command.";

/// The whole program.
pub(crate) fn main() -> ExitCode {
    let cli = match parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    if let Err(error) = log::start(&cli.verbosity) {
        return exit::fail(&error);
    }
    let outcome = match cli.command {
        Command::New(options) => new::new(&options).map(|()| 0),
        Command::Run(options) => run::run(&options, &cli.verbosity),
        Command::Inspect(options) => inspect::inspect(&options).map(|()| 0),
        Command::Compile(options) => compile::compile(&options, &cli.verbosity).map(|()| 0),
        Command::Componentize(options) => componentize::componentize(&options).map(|()| 0),
        Command::Wit(options) => wit::wit(&options).map(|()| 0),
    };
    // Guests write to this process's buffered output.
    let _ = std::io::stdout().flush();
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(error) => exit::fail(&error),
    }
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(arguments).map_err(|mut error| {
        if error.kind() == ErrorKind::UnknownArgument {
            // clap's own tip takes the option for a value.
            error.remove(ContextKind::Suggested);
            let tip = "options for the plugin itself go after `--`, as in: aiohost run plugin.wasm -- --option".to_owned();
            error.insert(ContextKind::Suggested, clap::error::ContextValue::StyledStrs(vec![tip.into()]));
        }
        error
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    fn run_options(line: &str) -> Box<run::Options> {
        let arguments = line.split_whitespace().map(OsString::from);
        match parse(arguments).map(|cli| cli.command) {
            Ok(Command::Run(options)) => options,
            Ok(_) => panic!("another command"),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn options_may_stand_before_and_after_the_plugin() {
        for line in ["aiohost run --dir d --stats p.wasm a b", "aiohost run p.wasm --dir d a --stats b"] {
            let options = run_options(line);
            assert_eq!(options.arguments, ["a", "b"], "{line}");
            assert!(options.stats);
        }
    }

    #[test]
    fn what_follows_two_dashes_is_for_the_plugin() {
        let options = run_options("aiohost run p.wasm a --dir d -- --dir -x --");
        assert_eq!(options.arguments, ["a", "--dir", "-x", "--"]);
        let options = run_options("aiohost run --dir d -- p.wasm --dir");
        assert_eq!(options.arguments, ["--dir"]);
    }

    #[test]
    fn an_unknown_option_is_refused_with_the_way_to_pass_it() {
        let arguments = ["aiohost", "run", "p.wasm", "--fast"].map(OsString::from);
        let error = parse(arguments).err().expect("an unknown option");
        assert!(error.to_string().contains("options for the plugin itself go after `--`"), "{error}");
    }
}
