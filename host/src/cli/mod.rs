//! The commands, and what they have in common: options, logging, and how a failure is told.

mod arguments;
mod bench;
mod closed_output;
mod compile;
mod compile_limits;
mod completions;
mod componentize;
mod exit;
mod grants;
mod images;
mod inspect;
mod keeper;
mod load;
mod log;
mod man;
mod new;
mod oci;
mod oci_layout;
mod output_file;
mod output_files;
mod output_folder;
mod plugin_name;
#[cfg(feature = "registry")]
mod registry;
#[cfg(not(feature = "registry"))]
#[path = "registry/absent.rs"]
mod registry;
mod remedy;
mod replacement;
mod run;
mod run_options;
mod signals;
mod standard_input;
mod stats;
mod streams;
mod templates;
mod values;
mod wasmtime_groups;
mod wasmtime_options;
mod watch;
mod wit;
mod work;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, Parser, Subcommand};

/// What the program is called.
const NAME: &str = "aiohost";

/// Runs WebAssembly plugins that work on files: in the directories you grant, and nowhere else.
#[derive(Parser)]
#[command(name = NAME, version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    verbosity: Verbosity,
}

#[derive(Subcommand)]
enum Command {
    New(new::Options),
    Run(Box<run_options::Options>),
    Inspect(inspect::Options),
    Compile(compile::Options),
    Componentize(componentize::Options),
    Wit(wit::Options),
    Bench(bench::Options),
    Completions(completions::Options),
    Man(man::Options),
    Oci(oci::Options),
    #[command(name = compile_limits::COMMAND, hide = true)]
    CompileProcess,
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
  aiohost --dir data plugin.wasm in out             `run` may be left out, as with wasmtime
  aiohost inspect plugin.wasm                       what a plugin needs, before you run it
  aiohost new rust my-plugin                        a plugin of your own, ready to build
  aiohost wit --out wit/deps/aiohost-aio            the WIT package to build a plugin with

`aiohost help COMMAND` says more about a command.";

/// The whole program.
pub(crate) fn main() -> ExitCode {
    signals::ignore_file_size_limit();
    closed_output::let_writes_fail();
    let cli = match parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return exit::clap(&error),
    };
    if let Err(error) = log::start(&cli.verbosity) {
        return exit::fail(&error);
    }
    let outcome = match cli.command {
        Command::New(options) => new::new(&options).map(|()| 0),
        Command::Run(options) => run::run(options, cli.verbosity).map(|never| match never {}),
        Command::Inspect(options) => inspect::inspect(&options).map(|()| 0),
        Command::Compile(options) => compile::compile(&options, &cli.verbosity).map(|()| 0),
        Command::Componentize(options) => componentize::componentize(&options).map(|()| 0),
        Command::Wit(options) => wit::wit(&options).map(|()| 0),
        Command::Bench(options) => bench::bench(options, &cli.verbosity).map(|never| match never {}),
        Command::Completions(options) => completions::completions(&options, &public()).map(|()| 0),
        Command::Man(options) => man::man(&options, public()).map(|()| 0),
        Command::Oci(options) => oci::oci(&options).map(|never| match never {}),
        Command::CompileProcess => return compile_limits::serve(),
    };
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(error) => exit::fail(&error),
    }
}

fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let words = arguments::in_order(&Cli::command(), words);
    let mut cli = Cli::try_parse_from(words).map_err(with_tip)?;
    if let Command::Run(options) = &mut cli.command {
        options.take_those_of_wasmtime();
    }
    Ok(cli)
}

/// The definition of the command line without what is the command's own business. clap's generators show hidden commands.
fn public() -> clap::Command {
    let all = Cli::command();
    let commands = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let without = clap::Command::new(NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .about(all.get_about().cloned().unwrap_or_default())
        .after_help(all.get_after_help().cloned().unwrap_or_default())
        .args(all.get_arguments().cloned())
        .subcommand_required(true);
    commands.fold(without, clap::Command::subcommand)
}

/// Tells of an option, or a command, that is not here what to do instead.
fn with_tip(mut error: clap::Error) -> clap::Error {
    let text = |error: &clap::Error, kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let tip = match error.kind() {
        ErrorKind::UnknownArgument => {
            let instead = wasmtime_options::instead_of(&text(&error, ContextKind::InvalidArg));
            // Whatever the program is called.
            let is_of_run = text(&error, ContextKind::Usage).contains(" run ");
            if instead.is_some() || (is_of_run && is_hidden(&text(&error, ContextKind::SuggestedArg))) {
                forget_what_is_similar(&mut error, is_of_run);
            }
            match instead {
                Some(instead) => format!("that is an option of wasmtime: {instead}"),
                None if is_of_run => {
                    "options for the plugin itself go behind it, as in: aiohost run plugin.wasm -- --option".to_owned()
                }
                None => return error,
            }
        }
        ErrorKind::InvalidSubcommand => {
            match wasmtime_options::instead_of_command(&text(&error, ContextKind::InvalidSubcommand)) {
                Some(instead) => format!("that is a command of wasmtime: {instead}"),
                None => return error,
            }
        }
        _ => return error,
    };
    // In the place of clap's own tip, which takes the option for a value.
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    error
}

/// Takes out an option whose name is similar, also of the usage.
fn forget_what_is_similar(error: &mut clap::Error, is_of_run: bool) {
    if error.remove(ContextKind::SuggestedArg).is_some() && is_of_run {
        let mut all = Cli::command();
        all.build();
        if let Some(run) = all.find_subcommand_mut("run") {
            error.insert(ContextKind::Usage, ContextValue::StyledStr(run.render_usage()));
        }
    }
}

/// Whether it is an option of `run` that is there only to be refused.
fn is_hidden(option: &str) -> bool {
    let all = Cli::command();
    let mut arguments = all.find_subcommand("run").into_iter().flat_map(clap::Command::get_arguments);
    arguments.any(|arg| arg.is_hide_set() && arg.get_long() == option.strip_prefix("--"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_public_is_all_but_what_is_hidden() {
        let names = |command: &clap::Command| -> Vec<String> {
            let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
            shown.map(|command| command.get_name().to_owned()).collect()
        };
        assert_eq!(names(&public()), names(&Cli::command()));
        assert_eq!(public().render_usage().to_string(), Cli::command().render_usage().to_string());
        public().debug_assert();
    }

    fn run_options(line: &str) -> Box<run_options::Options> {
        let arguments = line.split_whitespace().map(OsString::from);
        match parse(arguments).map(|cli| cli.command) {
            Ok(Command::Run(options)) => options,
            Ok(_) => panic!("another command"),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn an_argument_of_the_plugin_is_no_option_of_the_host() {
        let options = run_options("aiohost run p.wasm --stats a --dir d -- --dir -x --");
        assert_eq!(options.arguments, ["a", "--dir", "d", "--", "--dir", "-x", "--"]);
        assert!(options.stats && options.grants.0.is_empty());
        let options = run_options("aiohost run --dir d p.wasm --dir e");
        assert_eq!((options.arguments.len(), options.grants.0.len()), (2, 1));
    }

    #[test]
    fn an_unknown_option_is_refused_with_the_way_to_pass_it() {
        let arguments = ["aiohost", "run", "--fast", "p.wasm"].map(OsString::from);
        let error = parse(arguments).err().expect("an unknown option");
        assert!(error.to_string().contains("options for the plugin itself go behind it"), "{error}");
    }
}
