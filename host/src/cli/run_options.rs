//! What `aiohost run` is told on the command line, and the host that follows from it.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use aiohost::{Gated, Host, HostBuilder, Limits, Problem, RequestLimits, Resolver, shown};
use clap::{Args, ValueEnum};

use super::compile_limits::CompileLimits;
use super::grants::Grants;
use super::remedy::Usage;
use super::wasmtime_options::{Set, WasmtimeOptions};
use super::{standard_input, values};

/// Run a plugin
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// The plugin: a component or a core module for WASI preview 1, as .wasm, .wat or .cwasm; - for standard input;
    /// oci-layout:DIR, with :TAG or @DIGEST, for one in an OCI image layout; or docker://HOST/REPOSITORY, with the same, for one in a
    /// registry, if aiohost was built with the feature `registry`
    #[arg(value_name = "PLUGIN")]
    pub(super) plugin: PathBuf,
    /// Arguments for the plugin
    #[arg(value_name = "ARGS")]
    pub(super) arguments: Vec<String>,

    #[command(flatten)]
    pub(super) grants: Grants,
    /// What is refused otherwise, since it reaches beyond the plugin: requests, reading what procfs tells of the machine, and a
    /// directory that reaches the code cache or that of images
    #[arg(long, value_name = "WHAT", value_enum, value_delimiter = ',', help_heading = "Rights")]
    pub(super) allow: Vec<AllowOption>,
    /// A variable for the plugin; without a value, the one it has here
    #[arg(long = "env", value_name = "NAME[=VALUE]", value_parser = values::variable, help_heading = "Rights")]
    pub(super) environment: Vec<(String, String)>,
    /// What the plugin sees as its own name
    #[arg(long, value_name = "NAME", help_heading = "Rights")]
    pub(super) argv0: Option<String>,

    /// Call a function instead of running the plugin, and print its result: 'NAME(ARGUMENTS)', or NAME with ARGS behind PLUGIN
    #[arg(long, value_name = "CALL")]
    pub(super) invoke: Option<String>,
    /// Print at the end how many requests there were and how long they took
    #[arg(long)]
    pub(super) stats: bool,
    /// Do not use or fill the cache of compiled code, nor that of images
    #[arg(long)]
    pub(super) no_cache: bool,

    #[command(flatten)]
    pub(super) limits: LimitOptions,
    #[command(flatten)]
    pub(super) compile_limits: CompileLimits,
    #[command(flatten)]
    wasmtimes: WasmtimeOptions,
    /// What these have set.
    #[arg(skip)]
    set: Set,
    /// Variables of the environment that were to be inherited, and that no plugin can be given.
    #[arg(skip)]
    not_inherited: Vec<OsString>,
}

#[derive(Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitOptions {
    /// Stop the plugin after this time, loading it not counted: 500ms, 2s, 1m30s [default: never]
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub(super) timeout: Option<Duration>,
    /// Memory of the plugin, as 64MiB or 2GiB [default: 1GiB]
    #[arg(long, value_name = "SIZE", value_parser = values::size)]
    max_memory: Option<usize>,
    /// Files and directories open at a time [default: 1024]
    #[arg(long, value_name = "NUMBER")]
    max_open_files: Option<usize>,
    /// Requests under way at a time; the plugin waits then [default: 4096]
    #[arg(long, value_name = "NUMBER", value_parser = values::positive)]
    max_in_flight: Option<usize>,
    /// Entries that one answer lists [default: 1000000]
    #[arg(long, value_name = "NUMBER", value_parser = values::positive)]
    max_entries: Option<usize>,
    /// Threads that do the requests [default: 32]
    #[arg(long, value_name = "NUMBER", value_parser = values::positive)]
    workers: Option<usize>,
    /// What keeps paths inside: the kernel's openat2, or portable code [default: auto]
    #[arg(long, value_name = "HOW", value_enum, default_value = "auto", hide_default_value = true)]
    resolver: ResolverOption,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum AllowOption {
    Mkfifo,
    Syncfs,
    Busy,
    Procfs,
    CacheGrant,
}

#[derive(Clone, Copy, ValueEnum)]
enum ResolverOption {
    Auto,
    Openat2,
    Portable,
}

const EXAMPLES: &str = "\
Directories: the first of --dir and --ro-dir is where the plugin works; a relative path starts there. The others are \
reached by their names, as `--dir /srv/music::/music` by `/music`. Nothing else is within reach, and there is no network.

Limits: --timeout, --max-memory and the others hold the plugin while it runs; those for compiling hold what is done before, if it \
is not in the cache. The file of a plugin has 256 MiB at most, and text 8 MiB.

Arguments: if an option stands before PLUGIN, everything behind PLUGIN is the plugin's. If none does, long options may \
follow PLUGIN, up to the first word that is none, or `--`; but --help, --version and all short ones are the plugin's there. A \
script writes `--` before what it was given, which can grant the plugin nothing then; that one is not passed on.

Wasmtime: a command line of `wasmtime run` works unchanged for what both have, also without `run`: `aiohost --dir . p.wasm`. What \
is not offered here is refused with the reason. Its options stand before PLUGIN only.

Ends: --timeout counts from the start, but for loading and compiling the plugin, and until its last request is done. It and the \
signals INT, TERM, HUP and QUIT end the plugin and what it has under way. What does not end within two seconds, as a call to a \
file system that does not answer, is left to itself, and mentioned. A second signal waits for nothing. Requests of a plugin that \
has ended by itself are waited for a minute at most.

Exit status: the plugin's own, of which every system keeps the lowest eight bits; 1 if the host fails or a limit ends the plugin, 2 for a wrong command line, 124 after \
--timeout, 134 if the plugin traps; after a signal 128 and its number: 129 HUP, 130 INT (Ctrl-C), 131 QUIT, 143 TERM.

Examples:
  aiohost run plugin.wasm --dir data                  run it with `data` to work in
  aiohost run plugin.wasm --dir data -- --verbose in  pass it the arguments `--verbose in`
  aiohost run --ro-dir songs --dir out::/out p.wasm   `songs` to read, and `out` to write as `/out`
  aiohost run plugin.wasm --dir data -- \"$@\"          in a script: what it was given is the plugin's
  aiohost run calc.wasm --invoke 'add(1, 2)'          call a function, print its result
  aiohost run --invoke add calc.wasm 1 2              the same
  aiohost run oci-layout:images:hello --dir data      what a registry holds, in a directory
  aiohost run docker://ghcr.io/team/hello:1           out of the registry itself
  aiohost run plugin.wasm --dir data --timeout 30s --max-memory 256MiB --stats";

impl Options {
    /// Arguments are in one place.
    pub(super) fn check(&self) -> Result<(), Usage> {
        match &self.invoke {
            Some(call) if call.contains('(') && !self.arguments.is_empty() => Err(Usage(format!(
                "`--invoke {call}` has its arguments in it, and cannot be used with others behind the plugin"
            ))),
            _ => Ok(()),
        }
    }

    /// The call that is to be made, with its arguments.
    pub(super) fn call(&self) -> Option<Cow<'_, str>> {
        let call = self.invoke.as_deref()?;
        Some(match self.arguments.as_slice() {
            [] => Cow::Borrowed(call),
            arguments => Cow::Owned(format!("{call}({})", arguments.join(", "))),
        })
    }

    /// Enters what the options of wasmtime have set. Of two limits the lower one holds.
    pub(super) fn take_those_of_wasmtime(&mut self) {
        let set = self.wasmtimes.set();
        let limits = &mut self.limits;
        limits.timeout = limits.timeout.into_iter().chain(set.timeout).min();
        limits.max_memory = limits.max_memory.into_iter().chain(set.memory_bytes_max).min();
        self.no_cache |= set.cache == Some(false);
        if set.inherit_environment {
            let is_given = |name: &str| self.environment.iter().any(|(given, _)| given == name);
            let mut inherited = Vec::new();
            for (name, value) in std::env::vars_os() {
                match (name.to_str(), value.into_string()) {
                    (Some(given), _) if is_given(given) => {}
                    (Some(name), Ok(value)) => inherited.push((name.to_owned(), value)),
                    _ => self.not_inherited.push(name),
                }
            }
            self.environment.splice(0..0, inherited);
        }
        self.set = set;
    }

    /// What is told before the plugin runs.
    pub(super) fn warning(&self) -> Option<String> {
        let names = self.not_inherited.iter().map(|name| name.to_string_lossy());
        let names = (!self.not_inherited.is_empty()).then(|| shown::names(names))?;
        Some(format!("warning: not inherited, since a plugin can be given nothing but UTF-8: {names}\n"))
    }

    /// The host with everything that these options grant and limit, but for the time, which is the watcher's.
    pub(super) fn host(&self) -> Result<Host, Problem> {
        let limits = &self.limits;
        let defaults = Limits::default();
        // The plugin's thread has nothing else to do, and the process ends with it.
        let builder = Host::builder().compile_in(self.compile_limits.process()).epoch_interruption(false);
        let mut builder = builder.inherit_stdio().blocking_wasi().resolver(limits.resolver.into()).limits(Limits {
            memory_bytes_max: limits.max_memory.unwrap_or(defaults.memory_bytes_max),
            table_elements_max: self.set.table_elements_max.unwrap_or(defaults.table_elements_max),
            hostcall_bytes_max: self.set.hostcall_bytes_max.unwrap_or(defaults.hostcall_bytes_max),
            requests: RequestLimits {
                open_files_max: limits.max_open_files.unwrap_or(defaults.requests.open_files_max),
                in_flight_max: limits.max_in_flight.unwrap_or(defaults.requests.in_flight_max),
                entries_max: limits.max_entries.unwrap_or(defaults.requests.entries_max),
                ..defaults.requests
            },
            timeout: None,
        });
        for grant in &self.grants.0 {
            builder = builder.dir(&grant.host, &grant.guest, grant.rights);
        }
        for option in &self.allow {
            builder = option.allow(builder);
        }
        for (name, value) in &self.environment {
            builder = builder.env(name, value);
        }
        let argv0 = self.argv0.as_deref().or_else(|| standard_input::is_meant_by(&self.plugin).then_some("-"));
        if let Some(argv0) = argv0 {
            builder = builder.argv0(argv0);
        }
        if let Some(workers) = limits.workers {
            builder = builder.workers_max(workers);
        }
        if !self.no_cache {
            builder = builder.cache();
        }
        builder.build()
    }
}

impl AllowOption {
    fn allow(self, host: HostBuilder) -> HostBuilder {
        let gated = match self {
            Self::Mkfifo => Gated::Mkfifo,
            Self::Syncfs => Gated::Syncfs,
            Self::Busy => Gated::Busy,
            Self::Procfs => Gated::Procfs,
            Self::CacheGrant => return host.allow_cache_grant(),
        };
        host.allow(gated)
    }
}

impl From<ResolverOption> for Resolver {
    fn from(option: ResolverOption) -> Self {
        match option {
            ResolverOption::Auto => Self::Auto,
            ResolverOption::Openat2 => Self::Openat2,
            ResolverOption::Portable => Self::Portable,
        }
    }
}
