//! Options of `wasmtime run`: those that mean the same here are taken, so that its command lines work

use std::ffi::OsStr;
use std::time::Duration;

use clap::builder::{StyledStr, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Args, Command};

use super::wasmtime_groups::{CODEGEN, COMMANDS, DEBUG, Group, OPTIMIZE, OTHERS, RECORD, Setting, WASI, WASM};

#[derive(Args)]
#[command(next_help_heading = "As for wasmtime run, before PLUGIN; -W help and so on list what is known here")]
pub(super) struct WasmtimeOptions {
    /// Limits and features, as in -W timeout=2s,max-memory-size=67108864
    #[arg(short = 'W', long, value_name = OPTION, value_parser = Parser(WASM))]
    wasm: Vec<Settings>,
    /// WASI, as in -S inherit-env
    #[arg(short = 'S', long, value_name = OPTION, value_parser = Parser(WASI))]
    wasi: Vec<Settings>,
    /// Code, as in -C cache=n
    #[arg(short = 'C', long, value_name = OPTION, value_parser = Parser(CODEGEN))]
    codegen: Vec<Settings>,
    /// Speed: the host does its best anyway
    #[arg(short = 'O', long, value_name = OPTION, value_parser = Parser(OPTIMIZE))]
    optimize: Vec<Settings>,
    /// Debugging
    #[arg(short = 'D', long, value_name = OPTION, value_parser = Parser(DEBUG))]
    debug: Vec<Settings>,
    /// Recording: it is not offered
    #[arg(short = 'R', long, value_name = OPTION, value_parser = Parser(RECORD), hide = true)]
    record: Vec<Settings>,
    /// A .cwasm file is run anyway
    #[arg(long)]
    allow_precompiled: bool,
}

const OPTION: &str = "NAME[=VALUE],..";

/// The long names of these options, which are the plugin's own where they stand behind it.
pub(super) const LONG_NAMES: [&str; 7] = ["wasm", "wasi", "codegen", "optimize", "debug", "record", "allow-precompiled"];

/// What the options of one word set.
#[derive(Clone)]
struct Settings(Vec<Setting>);

/// What is set by all of them together: of two that set the same, by the last.
#[derive(Default)]
pub(super) struct Set {
    pub(super) timeout: Option<Duration>,
    pub(super) memory_bytes_max: Option<usize>,
    pub(super) table_elements_max: Option<usize>,
    pub(super) hostcall_bytes_max: Option<usize>,
    pub(super) cache: Option<bool>,
    pub(super) inherit_environment: bool,
}

impl WasmtimeOptions {
    pub(super) fn set(&self) -> Set {
        let mut set = Set::default();
        let groups = [&self.wasm, &self.wasi, &self.codegen, &self.optimize, &self.debug, &self.record];
        for setting in groups.into_iter().flatten().flat_map(|settings| &settings.0) {
            match *setting {
                Setting::Timeout(time) => set.timeout = Some(time),
                Setting::MemoryBytes(bytes) => set.memory_bytes_max = Some(bytes),
                Setting::TableElements(elements) => set.table_elements_max = Some(elements),
                Setting::HostcallBytes(bytes) => set.hostcall_bytes_max = Some(bytes),
                Setting::Cache(is_used) => set.cache = Some(is_used),
                Setting::InheritEnvironment(is_inherited) => set.inherit_environment = is_inherited,
                Setting::Nothing => {}
            }
        }
        set
    }
}

/// What to do instead of an option of `wasmtime run` that is not here.
pub(super) fn instead_of(option: &str) -> Option<&'static str> {
    let name = option.split([' ', '=']).next();
    OTHERS.iter().find(|(known, _)| Some(*known) == name).map(|(_, instead)| *instead)
}

/// The same for a command of wasmtime.
pub(super) fn instead_of_command(name: &str) -> Option<&'static str> {
    COMMANDS.iter().find(|(known, _)| *known == name).map(|(_, instead)| *instead)
}

/// Reads the options of a group, and prints them all for `help`.
#[derive(Clone)]
struct Parser(Group);

impl TypedValueParser for Parser {
    type Value = Settings;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Settings, clap::Error> {
        let group = self.0;
        if value == "help" || value == "help-long" {
            let mut help = clap::Error::new(ErrorKind::DisplayHelp).with_cmd(command);
            help.insert(ContextKind::Custom, ContextValue::StyledStr(StyledStr::from(group.help())));
            return Err(help);
        }
        let parse = move |text: &str| group.settings(text).map(Settings);
        parse.parse_ref(command, arg, value)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn what_comes_last_counts() {
        let command = WasmtimeOptions::augment_args(Command::new("x"));
        let line =
            "x -W timeout=1s -Wtimeout=2s,max-memory-size=5 -Ccache=n -C cache --wasi inherit-env,p3 --allow-precompiled";
        let matches = command.try_get_matches_from(line.split(' ')).expect("known options");
        let options = <WasmtimeOptions as clap::FromArgMatches>::from_arg_matches(&matches).expect("known options");
        let set = options.set();
        assert_eq!((set.timeout, set.memory_bytes_max), (Some(Duration::from_secs(2)), Some(5)));
        assert_eq!((set.cache, set.inherit_environment, set.table_elements_max), (Some(true), true, None));
    }

    #[test]
    fn their_long_names_are_known() {
        let command = WasmtimeOptions::augment_args(Command::new("x"));
        let names: Vec<&str> = command.get_arguments().filter_map(Arg::get_long).collect();
        assert_eq!(names, LONG_NAMES);
    }

    #[test]
    fn what_is_said_to_be_missing_is_not_there() {
        let command = Cli::command();
        let run = command.find_subcommand("run").expect("a command");
        for (option, _) in OTHERS {
            assert!(run.get_arguments().all(|arg| arg.get_long().map(|name| format!("--{name}")) != Some(option.to_owned())));
            assert!(run.get_arguments().all(|arg| arg.get_short().map(|name| format!("-{name}")) != Some(option.to_owned())));
        }
        for (name, _) in COMMANDS {
            assert!(command.find_subcommand(name).is_none());
        }
        assert_eq!(instead_of("--mapdir <X>"), Some("write it the other way round: --dir HOST::GUEST"));
        assert_eq!(instead_of("--dir"), None);
    }
}
