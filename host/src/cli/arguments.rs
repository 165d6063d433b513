//! Which words of the command line are the host's, and which are the plugin's.
//!
//! A word that is meant for the plugin must never grant it anything. So clap does not decide: it would take any option for the
//! host's, wherever it stands.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use clap::{Arg, Command};

use super::{images, oci, standard_input, wasmtime_options};

/// Options that every program has.
const EVERY_PROGRAMS: [&str; 2] = ["help", "version"];

/// The last parts of names by which a program is known though there is no such file.
const PROGRAMS: [&str; 3] = ["wasm", "wat", "cwasm"];

/// The words of a command line in an order in which clap takes each for what it is: those of `run` with the plugin behind the
/// host's options and `--`, and those of `oci` behind `--`, since they are another program's. Those of other commands are as they were.
///
/// * An option of the host, or `--`, before PLUGIN: everything behind PLUGIN is the plugin's.
/// * Otherwise long options of the host may follow PLUGIN. The first word that is none ends them, and with it everything is the
///   plugin's.
/// * A `--` that ends the options of the host is not the plugin's.
/// * Where a program stands in place of a command it is run.
pub(super) fn in_order(command: &Command, words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = words.into_iter().collect();
    if words.first().is_some_and(|word| Path::new(word).file_name() == Some(OsStr::new(oci::PROGRAM))) {
        words.insert(1, "oci".into());
    }
    if let Some(place) = place_of_runtimes_words(command, &words) {
        words.insert(place, "--".into());
        return words;
    }
    if let Some(place) = place_of_run(command, &words) {
        words.insert(place, "run".into());
    }
    let Some(split) = Split::find(command, &words) else { return words };
    let (before, rest) = words.split_at(split.plugin);
    let (plugin, rest) = rest.split_at(1);
    let (options, rest) = rest.split_at(split.options);
    let arguments = if split.is_open && rest.first().is_some_and(|word| word == "--") { &rest[1..] } else { rest };
    let before = if before.last().is_some_and(|word| word == "--") { &before[..before.len() - 1] } else { before };
    [before, options, &[OsString::from("--")], plugin, arguments].concat()
}

/// Where the words begin that are for an OCI runtime, if they are not a question about this one.
fn place_of_runtimes_words(command: &Command, words: &[OsString]) -> Option<usize> {
    let name = Options(vec![command]).skip_known(words, 1);
    let first = words.get(name).filter(|word| *word == "oci").and_then(|_| words.get(name + 1))?;
    (!["-h", "--help", "help"].iter().any(|question| first == *question)).then_some(name + 1)
}

/// Where `run` is to be put before a program that stands in place of a command.
fn place_of_run(command: &Command, words: &[OsString]) -> Option<usize> {
    let general = Options(vec![command]);
    // What `run` alone has may stand before the program, but is no option of the whole.
    let place = general.skip_known(words, 1);
    if is_command(command, words.get(place)?) {
        return None;
    }
    let all = Options(vec![command, command.find_subcommand("run")?]);
    let word = words.get(all.skip(words, place))?;
    (!is_command(command, word) && is_program(word)).then_some(place)
}

fn is_command(command: &Command, word: &OsStr) -> bool {
    word == "help" || command.find_subcommand(word).is_some()
}

/// Whether a word in place of a command is meant to be a program, and is no command with a mistake in it.
fn is_program(word: &OsStr) -> bool {
    let path = Path::new(word);
    let has_name_of_one = path.extension().is_some_and(|extension| PROGRAMS.iter().any(|known| extension == *known));
    has_name_of_one || standard_input::is_meant_by(path) || images::is_meant_by(path) || path.is_file()
}

/// Whether an option is the plugin's own wherever it stands behind it: one that every program has, or one of wasmtime, which takes
/// none there.
fn is_always_the_plugins(name: &OsStr) -> bool {
    EVERY_PROGRAMS.iter().chain(&wasmtime_options::LONG_NAMES).any(|own| name == *own)
}

/// Where the parts of a command line are.
struct Split {
    /// The place of PLUGIN.
    plugin: usize,
    /// How many words behind it are still the host's.
    options: usize,
    /// Whether the host's options have not been ended before PLUGIN.
    is_open: bool,
}

impl Split {
    /// None if it is no command line of `run`, or has no PLUGIN.
    fn find(command: &Command, words: &[OsString]) -> Option<Self> {
        let run = command.find_subcommand("run")?;
        let general = Options(vec![command]);
        let all = Options(vec![command, run]);
        let name = general.skip_known(words, 1);
        if words.get(name)? != "run" {
            return None;
        }
        let plugin = all.skip(words, name + 1);
        let (plugin, is_open) = if words.get(plugin)? == "--" { (plugin + 1, false) } else { (plugin, true) };
        words.get(plugin)?;
        let has_options = name > 1 || plugin > name + 1;
        let options = if has_options { 0 } else { all.count_long(&words[plugin + 1..]) };
        Some(Self { plugin, options, is_open })
    }
}

/// The options of some commands.
struct Options<'a>(Vec<&'a Command>);

impl Options<'_> {
    /// The place of the first word from `start` on that is neither an option nor the value of one. `--` is none of these.
    fn skip(&self, words: &[OsString], start: usize) -> usize {
        let mut place = start;
        while let Some(length) = words.get(place).and_then(|word| self.length(word)) {
            place += length;
        }
        place.min(words.len())
    }

    /// The same, but no further than to the first option that nobody here knows.
    fn skip_known(&self, words: &[OsString], start: usize) -> usize {
        let mut place = start;
        while let Some(word) = words.get(place).filter(|word| self.knows(word)) {
            place += self.length(word).unwrap_or(1);
        }
        place.min(words.len())
    }

    /// Whether it is an option of these commands, or several in one word.
    fn knows(&self, word: &OsStr) -> bool {
        if let Some(name) = long_name(word) {
            return self.long(name).is_some() || EVERY_PROGRAMS.iter().any(|known| name == *known);
        }
        let first = word.as_bytes().strip_prefix(b"-").and_then(|letters| letters.first());
        first.is_some_and(|letter| self.short(*letter).is_some() || b"hV".contains(letter))
    }

    /// How many words at the start are long options of the host with their values.
    fn count_long(&self, words: &[OsString]) -> usize {
        let mut count = 0;
        while let Some(word) = words.get(count) {
            let Some(name) = long_name(word) else { break };
            let is_the_hosts = self.long(name).is_some() && !is_always_the_plugins(name);
            let Some(length) = self.length(word).filter(|_| is_the_hosts) else { break };
            count += length;
        }
        count.min(words.len())
    }

    /// How many words an option takes: itself, and its value if that is another one. None if the word is no option.
    fn length(&self, word: &OsStr) -> Option<usize> {
        if let Some(name) = long_name(word) {
            // What nobody knows is refused later.
            let takes_next = self.long(name).is_some_and(takes_value) && !word.as_bytes().contains(&b'=');
            return Some(1 + usize::from(takes_next));
        }
        let letters = word.as_bytes().strip_prefix(b"-").filter(|letters| !letters.is_empty() && word != "--")?;
        // Of several options in a word the first that takes a value has the rest of the word, or the next word.
        let with_value = letters.iter().position(|letter| self.short(*letter).is_some_and(takes_value));
        Some(1 + usize::from(with_value == Some(letters.len() - 1)))
    }

    fn long(&self, name: &OsStr) -> Option<&Arg> {
        self.all().find(|arg| arg.get_long_and_visible_aliases().is_some_and(|names| names.iter().any(|known| name == *known)))
    }

    fn short(&self, letter: u8) -> Option<&Arg> {
        self.all().find(|arg| arg.get_short() == Some(char::from(letter)))
    }

    fn all(&self) -> impl Iterator<Item = &Arg> {
        self.0.iter().flat_map(|command| command.get_arguments())
    }
}

/// The name in `--name` and `--name=value`.
fn long_name(word: &OsStr) -> Option<&OsStr> {
    let name = word.as_bytes().strip_prefix(b"--").filter(|name| !name.is_empty())?;
    name.split(|byte| *byte == b'=').next().map(OsStr::from_bytes)
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn in_order(line: &str) -> String {
        let words = super::in_order(&Cli::command(), line.split(' ').map(OsString::from));
        words.join(OsStr::new(" ")).into_string().expect("the words are UTF-8")
    }

    #[test]
    fn behind_the_plugin_everything_is_its_own_where_an_option_stands_before_it() {
        let cases = [
            ("x run --dir d p --dir e", "x run --dir d -- p --dir e"),
            ("x run --dir=d p --ro-dir=e a", "x run --dir=d -- p --ro-dir=e a"),
            ("x run --stats p --stats", "x run --stats -- p --stats"),
            ("x run -q p --timeout 1s", "x run -q -- p --timeout 1s"),
            ("x run -vv p --help -- a", "x run -vv -- p --help -- a"),
            ("x -q run p --dir d", "x -q run -- p --dir d"),
            ("x --log debug run p --dir d", "x --log debug run -- p --dir d"),
            ("x --log=debug run p -h", "x --log=debug run -- p -h"),
            ("x run --argv0 run p --dir d", "x run --argv0 run -- p --dir d"),
            ("x run --unknown p --dir d", "x run --unknown -- p --dir d"),
            ("x run -z p --dir d", "x run -z -- p --dir d"),
            ("x run -- p --dir d", "x run -- p --dir d"),
            ("x run -- p -- --dir d", "x run -- p -- --dir d"),
            ("x run --stats -- p -- a", "x run --stats -- p -- a"),
        ];
        for (typed, meant) in cases {
            assert_eq!(in_order(typed), meant, "{typed}");
        }
    }

    #[test]
    fn long_options_may_follow_the_plugin_up_to_the_first_word_that_is_none() {
        let cases = [
            ("x run p", "x run -- p"),
            ("x run p --dir d", "x run --dir d -- p"),
            ("x run p --dir d --stats a --dir e", "x run --dir d --stats -- p a --dir e"),
            ("x run p --dir=d --unknown --dir e", "x run --dir=d -- p --unknown --dir e"),
            ("x run p a --dir d", "x run -- p a --dir d"),
            ("x run p --dir d -- --dir e", "x run --dir d -- p --dir e"),
            ("x run p --dir d -- -- a", "x run --dir d -- p -- a"),
            ("x run p a -- b", "x run -- p a -- b"),
            ("x run p --quiet --log debug a", "x run --quiet --log debug -- p a"),
            ("x run p - --dir d", "x run -- p - --dir d"),
            ("x run - --dir d", "x run --dir d -- -"),
            ("x run run --dir d", "x run --dir d -- run"),
            ("x run p --stat --dir d", "x run -- p --stat --dir d"),
        ];
        for (typed, meant) in cases {
            assert_eq!(in_order(typed), meant, "{typed}");
        }
    }

    #[test]
    fn what_every_program_has_is_the_plugins() {
        for own in ["-h", "-v", "-q", "-V", "-x", "--help", "--version", "--help=x"] {
            assert_eq!(in_order(&format!("x run p {own} --dir d")), format!("x run -- p {own} --dir d"));
            assert_eq!(in_order(&format!("x run p --dir d {own} --dir e")), format!("x run --dir d -- p {own} --dir e"));
        }
    }

    #[test]
    fn an_option_of_wasmtime_behind_the_plugin_is_the_plugins() {
        for own in ["--debug", "--wasi inherit-env", "--wasm=simd", "--allow-precompiled", "-S inherit-env", "-Wsimd"] {
            assert_eq!(in_order(&format!("x run p {own} --dir d")), format!("x run -- p {own} --dir d"));
        }
        for taken in ["--debug logging", "--wasi inherit-env", "--wasm=simd", "--allow-precompiled", "-S inherit-env", "-Wsimd"]
        {
            assert_eq!(in_order(&format!("x run {taken} p --dir d")), format!("x run {taken} -- p --dir d"));
        }
        assert_eq!(in_order("x run -Wsimd -W timeout=1s p -W x"), "x run -Wsimd -W timeout=1s -- p -W x");
    }

    #[test]
    fn a_program_in_place_of_a_command_is_run() {
        let cases = [
            ("x p.wasm", "x run -- p.wasm"),
            ("x p.wasm -l a --dir d", "x run -- p.wasm -l a --dir d"),
            ("x p.wat --dir d a", "x run --dir d -- p.wat a"),
            ("x - a", "x run -- - a"),
            ("x oci-layout:d:1 a", "x run -- oci-layout:d:1 a"),
            ("x docker://h.io/p:1 a", "x run -- docker://h.io/p:1 a"),
            ("x --dir d p.cwasm --dir e", "x run --dir d -- p.cwasm --dir e"),
            ("x -q p.wasm --dir d", "x -q run -- p.wasm --dir d"),
            ("x -W timeout=1s -qSp3 --argv0 run.wasm p.wasm run", "x run -W timeout=1s -qSp3 --argv0 run.wasm -- p.wasm run"),
            ("x --log debug --dir run p.wasm a", "x --log debug run --dir run -- p.wasm a"),
            ("x --unknown p.wasm", "x run --unknown -- p.wasm"),
            ("x --version p.wasm", "x --version run -- p.wasm"),
            ("x Cargo.toml a", "x run -- Cargo.toml a"),
        ];
        for (typed, meant) in cases {
            assert_eq!(in_order(typed), meant, "{typed}");
        }
        for no_program in ["x rum p.wasm", "x src", "x none", "x p.wasm.txt", "x help p.wasm", "x --dir p.wasm", "x -- p.wasm"]
        {
            assert_eq!(in_order(no_program), no_program);
        }
    }

    #[test]
    fn a_value_that_is_missing_is_missed_by_clap() {
        for line in ["x run p --dir", "x run p --stats --timeout", "x run --dir -- p", "x run p --dir -- a"] {
            let error = Cli::command().try_get_matches_from(in_order(line).split(' ')).expect_err("a value is missing");
            assert_eq!(error.kind(), clap::error::ErrorKind::InvalidValue, "{line}");
        }
    }

    #[test]
    fn what_is_said_to_an_oci_runtime_is_not_looked_at() {
        let cases = [
            ("x oci create --bundle b c", "x oci -- create --bundle b c"),
            ("x oci --log l --log-format json run c", "x oci -- --log l --log-format json run c"),
            ("x -q oci --version", "x -q oci -- --version"),
            ("x oci -- a", "x oci -- -- a"),
            ("/bin/aiohost-oci --root r state c", "/bin/aiohost-oci oci -- --root r state c"),
            ("aiohost-oci run p.wasm", "aiohost-oci oci -- run p.wasm"),
            ("x oci --help", "x oci --help"),
            ("aiohost-oci -h", "aiohost-oci oci -h"),
            ("aiohost-oci", "aiohost-oci oci"),
        ];
        for (typed, meant) in cases {
            assert_eq!(in_order(typed), meant, "{typed}");
        }
    }

    #[test]
    fn other_commands_are_as_they_were() {
        for line in
            ["x", "x run", "x run --dir d", "x run --help", "x inspect p --json", "x help run", "x -- run p", "x --dir run p"]
        {
            assert_eq!(in_order(line), line);
        }
    }
}
