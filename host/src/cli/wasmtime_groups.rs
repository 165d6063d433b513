//! The groups of options of `wasmtime run`, as `-W timeout=2s`: what each option means here, or why it is not offered

use std::fmt::Write as _;
use std::time::Duration;

use strsim::levenshtein;

use super::values;
use Meaning::{Free, Off, On, Only, Refused, Sets, UpTo};

/// A group: the options behind one letter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    letter: char,
    options: &'static [(&'static str, Meaning)],
}

/// What an option sets here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    Timeout(Duration),
    MemoryBytes(usize),
    TableElements(usize),
    HostcallBytes(usize),
    Cache(bool),
    InheritEnvironment(bool),
    /// It is so anyway.
    Nothing,
}

/// What an option means here.
#[derive(Clone, Copy, Debug)]
enum Meaning {
    /// It sets what the option that is named sets, or, where none is, what is named.
    Sets(&'static str, fn(Option<&str>) -> Result<Setting, String>),
    /// A switch that is on here, and stays so.
    On,
    /// A switch that is off here, and why it stays so.
    Off(&'static str),
    /// A number that is as high here, and no higher.
    UpTo(usize),
    /// It has this value here.
    Only(&'static str),
    /// It decides how something is done, and not what comes of it. The host does that its own way.
    Free,
    /// Not offered, and why.
    Refused(&'static str),
}

const NO_SOCKETS: &str = "sockets are denied to every plugin";
const NO_HTTP: &str = "HTTP is denied to every plugin";
const NO_FEATURE: &str = "this host's engines do not have it";
const ALL_MEMORY: &str = "--max-memory holds all memories of a plugin together, of which there are 64 at most";
const NOT_TO_DEBUG: &str = "a plugin cannot be debugged here";
const NO_SERVER: &str = "there is no HTTP server here; an application that embeds aiohost can be one";

pub(super) const WASM: Group = Group {
    letter: 'W',
    options: &[
        ("timeout", Sets("--timeout", |value| timeout(value).map(Setting::Timeout))),
        ("max-memory-size", Sets("--max-memory", |value| number(value).map(Setting::MemoryBytes))),
        ("max-table-elements", Sets("elements of all tables", |value| number(value).map(Setting::TableElements))),
        // What these are here, `plugin/machine.rs` says.
        ("max-wasm-stack", UpTo(1 << 20)),
        ("async-stack-size", UpTo(2 << 20)),
        ("async-stack-zeroing", Free),
        ("epoch-interruption", Free),
        ("concurrency-support", Free),
        ("gc-support", Free),
        ("unknown-exports-allow", On),
        ("unknown-imports-trap", Off("`aiohost inspect` tells what is missing")),
        ("unknown-imports-default", Off("`aiohost inspect` tells what is missing")),
        ("fuel", Refused("limit the time, with --timeout")),
        ("max-instances", Refused(ALL_MEMORY)),
        ("max-memories", Refused(ALL_MEMORY)),
        ("max-tables", Refused(ALL_MEMORY)),
        ("trap-on-grow-failure", Off("a plugin is told that there is no more memory")),
        ("nan-canonicalization", Off("NaN values are the machine's own")),
        ("relaxed-simd-deterministic", Off("relaxed SIMD is the machine's own")),
        ("wmemcheck", Off(NOT_TO_DEBUG)),
        ("all-proposals", Off("some are not offered; a plugin that uses one of these is told which")),
        ("bulk-memory", On),
        ("multi-memory", On),
        ("multi-value", On),
        ("reference-types", On),
        ("simd", On),
        ("relaxed-simd", On),
        ("tail-call", On),
        ("function-references", On),
        ("gc", On),
        ("memory64", On),
        ("extended-const", On),
        ("exceptions", On),
        ("component-model", On),
        ("component-model-async", On),
        // Instructions only: that of WASI is what starts one.
        ("threads", On),
        ("shared-memory", Off("a plugin has one thread")),
        ("shared-everything-threads", Off("a plugin has one thread")),
        ("component-model-async-builtins", Off(NO_FEATURE)),
        ("component-model-more-async-builtins", Off(NO_FEATURE)),
        ("component-model-async-stackful", Off(NO_FEATURE)),
        ("component-model-threading", Off(NO_FEATURE)),
        ("component-model-error-context", Off(NO_FEATURE)),
        ("component-model-gc", Off(NO_FEATURE)),
        ("component-model-map", Off(NO_FEATURE)),
        ("component-model-memory64", Off(NO_FEATURE)),
        ("component-model-implements", Off(NO_FEATURE)),
        ("component-model-fixed-length-lists", Off(NO_FEATURE)),
        ("stack-switching", Off(NO_FEATURE)),
        ("custom-page-sizes", Off(NO_FEATURE)),
        ("wide-arithmetic", Off(NO_FEATURE)),
        ("legacy-exceptions", Off(NO_FEATURE)),
    ],
};

pub(super) const WASI: Group = Group {
    letter: 'S',
    options: &[
        ("cli", On),
        ("common", On),
        ("cli-exit-with-code", On),
        ("inherit-stdio", On),
        ("preview1", On),
        ("preview2", Free),
        ("p2", On),
        ("p3", On),
        ("inherit-env", Sets("all variables of the environment", |value| switch(value).map(Setting::InheritEnvironment))),
        ("hostcall-fuel", Sets("bytes of one call", |value| number(value).map(Setting::HostcallBytes))),
        ("inherit-network", Off(NO_SOCKETS)),
        ("allow-ip-name-lookup", Off(NO_SOCKETS)),
        ("network-error-code", Off(NO_SOCKETS)),
        ("tcp", Off(NO_SOCKETS)),
        ("udp", Off(NO_SOCKETS)),
        ("listenfd", Off(NO_SOCKETS)),
        ("tcplisten", Refused(NO_SOCKETS)),
        ("tls", Off(NO_SOCKETS)),
        ("http", Off(NO_HTTP)),
        ("http-outgoing-body-buffer-chunks", Refused(NO_HTTP)),
        ("http-outgoing-body-chunk-size", Refused(NO_HTTP)),
        ("max-http-fields-size", Refused(NO_HTTP)),
        ("threads", Off("a plugin has one thread")),
        ("preview0", Off("only WASI preview 1 and later are here")),
        ("nn", Off("only wasi:cli is here, and what belongs to it")),
        ("nn-graph", Refused("only wasi:cli is here, and what belongs to it")),
        ("config", Off("give the plugin its settings with --env")),
        ("config-var", Refused("give the plugin its settings with --env")),
        ("keyvalue", Off("give the plugin a directory with --dir")),
        ("keyvalue-in-memory-data", Refused("give the plugin a directory with --dir")),
        ("max-resources", Refused("--max-open-files and --max-in-flight limit what a plugin holds")),
        ("max-random-size", Refused("what a plugin takes is limited by --max-memory")),
    ],
};

pub(super) const OPTIMIZE: Group = Group {
    letter: 'O',
    options: &[
        ("opt-level", Free),
        ("regalloc-algorithm", Free),
        ("memory-may-move", Free),
        ("memory-reservation", Free),
        ("memory-reservation-for-growth", Free),
        ("memory-guard-size", Free),
        ("guard-before-linear-memory", Free),
        ("table-lazy-init", Free),
        ("memory-init-cow", Free),
        ("memory-guaranteed-dense-image-size", Free),
        ("signals-based-traps", Free),
        ("pooling-allocator", Free),
        ("pooling-*", Free),
        ("dynamic-memory-guard-size", Free),
        ("dynamic-memory-reserved-for-growth", Free),
        ("static-memory-guard-size", Free),
        ("static-memory-forced", Free),
        ("static-memory-maximum-size", Free),
    ],
};

pub(super) const CODEGEN: Group = Group {
    letter: 'C',
    options: &[
        ("cache", Sets("=n is --no-cache", |value| switch(value).map(Setting::Cache))),
        ("cache-config", Refused("AIOHOST_CACHE says where compiled code is kept")),
        ("compiler", Only("cranelift")),
        ("collector", Free),
        ("cranelift-*", Free),
        ("inlining", Free),
        ("native-unwind-info", Free),
        ("parallel-compilation", Free),
        ("pcc", Free),
    ],
};

pub(super) const DEBUG: Group = Group {
    letter: 'D',
    options: &[
        ("address-map", Free),
        ("logging", Free),
        ("log-to-files", Off("what is logged goes to standard error, with --log")),
        ("debug-info", Off(NOT_TO_DEBUG)),
        ("guest-debug", Off(NOT_TO_DEBUG)),
        ("coredump", Refused("a trap tells where it was, and no more")),
    ],
};

const NO_RECORD: &str = "a run cannot be recorded here";

pub(super) const RECORD: Group = Group {
    letter: 'R',
    options: &[
        ("path", Refused(NO_RECORD)),
        ("validation-metadata", Refused(NO_RECORD)),
        ("event-window-size", Refused(NO_RECORD)),
    ],
};

/// Options of `wasmtime run` that stand for themselves and are not here, also some of older versions, and what to do instead.
pub(super) const OTHERS: [(&str, &str); 13] = [
    ("--mapdir", "write it the other way round: --dir HOST::GUEST"),
    ("--wasm-timeout", "it is --timeout here"),
    ("--disable-cache", "it is --no-cache here"),
    ("--config", "options stand on the command line only: see `aiohost run --help`"),
    ("--preload", "a plugin is one file: put the modules together when it is built"),
    ("--profile", "a plugin cannot be profiled here; --stats tells how long its requests took"),
    ("--target", "a plugin is compiled for this machine"),
    ("-g", NOT_TO_DEBUG),
    ("--gdb", NOT_TO_DEBUG),
    ("--serve", NO_SERVER),
    ("--addr", NO_SERVER),
    ("--tcplisten", NO_SOCKETS),
    ("--listenfd", NO_SOCKETS),
];

/// The same for its commands.
pub(super) const COMMANDS: [(&str, &str); 1] = [("serve", NO_SERVER)];

impl Group {
    /// The settings in `a=b,c`.
    pub(super) fn settings(self, text: &str) -> Result<Vec<Setting>, String> {
        text.split(',').map(|option| self.setting(option)).collect()
    }

    fn setting(self, option: &str) -> Result<Setting, String> {
        let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
        let known = self.options.iter().find(|(known, _)| fits(known, name));
        let (_, meaning) = known.ok_or_else(|| self.unknown(name))?;
        meaning.setting(value).map_err(|why| format!("`{name}` {why}"))
    }

    fn unknown(self, name: &str) -> String {
        let measured = self.options.iter().map(|(known, _)| (levenshtein(name, known), *known));
        let closest = measured.min_by_key(|(distance, _)| *distance).filter(|(distance, _)| *distance <= name.len() / 3);
        let letter = self.letter;
        match closest {
            Some((_, known)) => format!("neither aiohost nor wasmtime knows `{name}`: the closest is `{known}`"),
            None => format!("neither aiohost nor wasmtime knows `{name}`: `-{letter} help` lists what there is"),
        }
    }

    /// What `help` prints.
    pub(super) fn help(self) -> String {
        let mut text = format!("What -{} of `wasmtime run` comes to here:\n\n", self.letter);
        let width = self.options.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        for (name, meaning) in self.options {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {name:width$}  {}", meaning.help());
        }
        text
    }
}

/// Whether an option has this name. A star stands for the rest of one.
fn fits(known: &str, name: &str) -> bool {
    known.strip_suffix('*').map_or(known == name, |start| name.len() > start.len() && name.starts_with(start))
}

impl Meaning {
    /// What it sets with this value, or what is wrong with that, to be said behind its name.
    fn setting(self, value: Option<&str>) -> Result<Setting, String> {
        let refused = match self {
            Sets(_, parse) => return parse(value),
            On => (!switch(value)?).then(|| "cannot be switched off here".to_owned()),
            Off(why) => switch(value)?.then(|| format!("is not offered here: {why}")),
            UpTo(max) => (number(value)? > max).then(|| format!("is {max} here, and cannot be more")),
            Only(only) => (value != Some(only)).then(|| format!("is always {only} here")),
            Free => None,
            Refused(why) => Some(format!("is not offered here: {why}")),
        };
        refused.map_or(Ok(Setting::Nothing), Err)
    }

    fn help(self) -> String {
        match self {
            Sets(what, _) if what.starts_with("--") => format!("as {what}"),
            Sets(what, _) => what.to_owned(),
            On => "on".to_owned(),
            Off(why) => format!("off: {why}"),
            UpTo(max) => format!("{max}, and no more"),
            Only(only) => format!("always {only}"),
            Free => "taken, and changes nothing".to_owned(),
            Refused(why) => format!("not offered: {why}"),
        }
    }
}

/// As wasmtime reads a switch.
fn switch(value: Option<&str>) -> Result<bool, String> {
    match value {
        None | Some("y" | "yes" | "true") => Ok(true),
        Some("n" | "no" | "false") => Ok(false),
        Some(_) => Err("is a switch: y or n".to_owned()),
    }
}

/// As wasmtime reads a number: decimal, or hexadecimal behind `0x`.
fn number(value: Option<&str>) -> Result<usize, String> {
    let number = value.and_then(|value| match value.strip_prefix("0x") {
        Some(digits) => usize::from_str_radix(digits, 16).ok(),
        None => value.parse().ok(),
    });
    number.ok_or_else(|| "takes a number, without a unit".to_owned())
}

/// As wasmtime reads a time: without a unit it is seconds.
fn timeout(value: Option<&str>) -> Result<Duration, String> {
    let value = value.ok_or("takes a time, as 2s")?;
    let is_seconds = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let time = if is_seconds { values::duration(&format!("{value}s")) } else { values::duration(value) };
    time.map_err(|error| format!("is wrong: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Group; 6] = [WASM, WASI, OPTIMIZE, CODEGEN, DEBUG, RECORD];

    fn refusal(group: Group, text: &str) -> String {
        group.settings(text).expect_err(text)
    }

    #[test]
    fn what_both_have_is_set() {
        let settings = WASM.settings("timeout=2s,max-memory-size=65536,simd,bulk-memory=y,shared-memory=n");
        let expected = [Setting::Timeout(Duration::from_secs(2)), Setting::MemoryBytes(65536)];
        assert_eq!(settings.expect("known options"), [&expected[..], &[Setting::Nothing; 3]].concat());
        for (time, expected) in [("timeout=3", 3000), ("timeout=1500ms", 1500), ("timeout=1.5s", 1500)] {
            assert_eq!(WASM.settings(time), Ok(vec![Setting::Timeout(Duration::from_millis(expected))]));
        }
        assert_eq!(WASM.settings("max-memory-size=0x10000"), Ok(vec![Setting::MemoryBytes(65536)]));
        assert_eq!(WASM.settings("max-table-elements=7"), Ok(vec![Setting::TableElements(7)]));
        assert_eq!(WASI.settings("hostcall-fuel=8"), Ok(vec![Setting::HostcallBytes(8)]));
        assert_eq!(WASI.settings("inherit-env"), Ok(vec![Setting::InheritEnvironment(true)]));
        assert_eq!(WASI.settings("inherit-env=n"), Ok(vec![Setting::InheritEnvironment(false)]));
        assert_eq!(CODEGEN.settings("cache=n"), Ok(vec![Setting::Cache(false)]));
    }

    #[test]
    fn what_is_so_anyway_is_taken() {
        let cases = [
            (WASM, "component-model=yes,gc=true"),
            (WASM, "max-wasm-stack=1048576,async-stack-size=2097152"),
            (WASI, "cli,common=y,inherit-stdio,preview2=n,p3,http=n,tcp=no,inherit-network=false"),
            (OPTIMIZE, "opt-level=s,pooling-total-memories=3,memory-init-cow=n"),
            (CODEGEN, "compiler=cranelift,cranelift-has-avx2,cache"),
            (DEBUG, "logging=n,debug-info=n,address-map"),
        ];
        for (group, text) in cases {
            assert!(group.settings(text).expect(text).iter().all(|one| matches!(one, Setting::Nothing | Setting::Cache(true))));
        }
    }

    #[test]
    fn what_is_not_offered_is_refused_with_the_reason() {
        let cases = [
            (WASM, "timeout=1s,fuel=5", "`fuel` is not offered here: limit the time, with --timeout"),
            (WASM, "simd=n", "`simd` cannot be switched off here"),
            (WASM, "max-wasm-stack=1048577", "`max-wasm-stack` is 1048576 here, and cannot be more"),
            (WASI, "threads", "`threads` is not offered here: a plugin has one thread"),
            (WASI, "inherit-network", "`inherit-network` is not offered here: sockets are denied to every plugin"),
            (WASI, "tcp=y", "`tcp` is not offered here: sockets are denied to every plugin"),
            (WASI, "http", "`http` is not offered here: HTTP is denied to every plugin"),
            (CODEGEN, "compiler=winch", "`compiler` is always cranelift here"),
            (DEBUG, "coredump=f", "`coredump` is not offered here: a trap tells where it was, and no more"),
            (RECORD, "path=f", "`path` is not offered here: a run cannot be recorded here"),
        ];
        for (group, text, why) in cases {
            assert_eq!(refusal(group, text), why);
        }
    }

    #[test]
    fn what_nobody_knows_is_refused_with_the_closest() {
        assert_eq!(refusal(WASM, "timeot=1s"), "neither aiohost nor wasmtime knows `timeot`: the closest is `timeout`");
        assert_eq!(refusal(WASM, "magic"), "neither aiohost nor wasmtime knows `magic`: `-W help` lists what there is");
        assert_eq!(refusal(WASM, ""), "neither aiohost nor wasmtime knows ``: `-W help` lists what there is");
        assert!(refusal(OPTIMIZE, "pooling-").starts_with("neither"));
        assert!(refusal(WASM, "simd,").starts_with("neither"));
    }

    #[test]
    fn a_value_that_is_wrong_is_refused() {
        let wrong =
            ["timeout", "timeout=0", "timeout=5x", "timeout=", "max-memory-size=64MiB", "max-memory-size", "simd=maybe"];
        for text in wrong {
            let name = text.split('=').next().expect("a first part");
            assert!(refusal(WASM, text).starts_with(&format!("`{name}` ")), "{text}");
        }
    }

    #[test]
    fn each_option_is_there_once_and_told_of() {
        for group in ALL {
            let help = group.help();
            assert_eq!(help.lines().count(), group.options.len() + 2);
            for (name, _) in group.options {
                assert_eq!(group.options.iter().filter(|(other, _)| other == name).count(), 1, "{name}");
            }
        }
    }
}
