//! `aiohost run`: a plugin as a command, or one of its functions.

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::time::Duration;

use aiohost::{Gated, Guest, Host, Limits, Problem, Resolver};
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use rustix::process::{Resource, getrlimit, setrlimit};

use super::grants::Grants;
use super::load::{self, Note};
use super::{Verbosity, signals, stats, values};

/// Run a plugin
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// The plugin: a component or a core module for WASI preview 1, as .wasm, .wat or .cwasm
    #[arg(value_name = "PLUGIN")]
    pub(super) plugin: PathBuf,
    /// Arguments for the plugin; those that start with a dash go after `--`
    #[arg(value_name = "ARGS")]
    pub(super) arguments: Vec<String>,

    #[command(flatten)]
    pub(super) grants: Grants,
    /// Requests that are refused otherwise, since they reach beyond the plugin
    #[arg(long, value_name = "REQUESTS", value_enum, value_delimiter = ',', help_heading = "Rights")]
    pub(super) allow: Vec<AllowOption>,
    /// A variable for the plugin; without a value, the one it has here
    #[arg(long = "env", value_name = "NAME[=VALUE]", value_parser = values::variable, help_heading = "Rights")]
    pub(super) environment: Vec<(String, String)>,
    /// What the plugin sees as its own name
    #[arg(long, value_name = "NAME", help_heading = "Rights")]
    pub(super) argv0: Option<String>,

    /// Call a function instead of running the plugin, and print its result
    #[arg(long, value_name = "CALL", conflicts_with = "arguments")]
    pub(super) invoke: Option<String>,
    /// Print at the end how many requests there were and how long they took
    #[arg(long)]
    pub(super) stats: bool,
    /// Do not use or fill the cache of compiled code
    #[arg(long)]
    pub(super) no_cache: bool,

    #[command(flatten)]
    pub(super) limits: LimitOptions,
}

#[derive(Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitOptions {
    /// Stop the plugin after this time: 500ms, 2s, 1m30s [default: never]
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    timeout: Option<Duration>,
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

Exit status: the plugin's own; 1 if the host fails or a limit ends the plugin, 2 for a wrong command line, 124 after \
--timeout, 130 after Ctrl-C, 134 if the plugin traps.

Examples:
  aiohost run plugin.wasm --dir data                  run it with `data` to work in
  aiohost run plugin.wasm --dir data -- --verbose in  pass it the arguments `--verbose in`
  aiohost run --ro-dir songs --dir out::/out p.wasm   `songs` to read, and `out` to write as `/out`
  aiohost run calc.wasm --invoke 'add(1, 2)'          call a function, print its result
  aiohost run plugin.wasm --dir data --timeout 30s --max-memory 256MiB --stats";

/// How long requests that run may take to finish, when the guest is gone, before it is mentioned.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long they may take at all. A minute: a disk that takes longer is broken.
const SHUTDOWN: Duration = Duration::from_secs(60);

/// Runs the plugin and gives the exit status.
pub(super) fn run(options: &Options, verbosity: &Verbosity) -> anyhow::Result<u8> {
    raise_open_files();
    let host = host(options)?;
    let note = match (verbosity.quiet, options.no_cache) {
        (true, _) => Note::Silent,
        (false, true) => Note::EveryTime,
        (false, false) => Note::OnceOnly,
    };
    let plugin = load::load(&host, &options.plugin, note)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start an event loop")?;
    let signals = signals::watch().context("cannot listen for signals")?;
    let status = runtime.block_on(async {
        let mut guest = plugin.guest(&options.arguments)?;
        let ended = tokio::select! {
            biased;
            Ok(status) = signals => Ended::Interrupted(status),
            outcome = call(&mut guest, options.invoke.as_deref()) => Ended::ByItself(outcome),
        };
        let outcome = match ended {
            Ended::ByItself(outcome) => outcome.map_err(anyhow::Error::new),
            Ended::Interrupted(status) => Ok(status),
        };
        Ok::<_, anyhow::Error>(finish(&host, guest, outcome, options, verbosity))
    });
    // A thread that reads standard input cannot be stopped; it ends with the process.
    runtime.shutdown_background();
    status?
}

/// How a run came to its end.
enum Ended {
    ByItself(Result<u8, Problem>),
    Interrupted(u8),
}

fn host(options: &Options) -> Result<Host, Problem> {
    let limits = &options.limits;
    let defaults = Limits::default();
    let mut builder = Host::builder().inherit_stdio().resolver(limits.resolver.into()).limits(Limits {
        timeout: limits.timeout,
        memory_bytes_max: limits.max_memory.unwrap_or(defaults.memory_bytes_max),
        open_files_max: limits.max_open_files.unwrap_or(defaults.open_files_max),
        in_flight_max: limits.max_in_flight.unwrap_or(defaults.in_flight_max),
        entries_max: limits.max_entries.unwrap_or(defaults.entries_max),
        ..defaults
    });
    for grant in &options.grants.0 {
        builder = builder.dir(&grant.host, &grant.guest, grant.rights);
    }
    for option in &options.allow {
        builder = builder.allow((*option).into());
    }
    for (name, value) in &options.environment {
        builder = builder.env(name, value);
    }
    if let Some(argv0) = &options.argv0 {
        builder = builder.argv0(argv0);
    }
    if let Some(workers) = limits.workers {
        builder = builder.workers_max(workers);
    }
    if !options.no_cache {
        builder = builder.cache();
    }
    // A timeout must not have to wait for a file call of WASI that blocks.
    if limits.timeout.is_none() {
        builder = builder.blocking_wasi();
    }
    builder.build()
}

impl From<AllowOption> for Gated {
    fn from(option: AllowOption) -> Self {
        match option {
            AllowOption::Mkfifo => Self::Mkfifo,
            AllowOption::Syncfs => Self::Syncfs,
            AllowOption::Busy => Self::Busy,
        }
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

async fn call(guest: &mut Guest, invoke: Option<&str>) -> Result<u8, Problem> {
    let Some(call) = invoke else {
        // A status that no process can have is a failure.
        return Ok(u8::try_from(guest.run().await?).unwrap_or(1));
    };
    if let Some(result) = guest.invoke(call).await? {
        // Whoever does not read the result does not want it.
        let _ = writeln!(stdout(), "{result}");
    }
    Ok(0)
}

/// Ends the guest, waits for its requests that run, and prints what was asked for.
fn finish(
    host: &Host,
    guest: Guest,
    outcome: anyhow::Result<u8>,
    options: &Options,
    verbosity: &Verbosity,
) -> anyhow::Result<u8> {
    let (stats, counters) = (guest.stats(), guest.counters());
    drop(guest);
    let _ = stdout().flush();
    wait_for_requests(host, verbosity);
    // Before the error, which is what one looks for at the end.
    if options.stats {
        eprint!("{}", stats::table(&stats, counters));
    }
    outcome
}

fn wait_for_requests(host: &Host, verbosity: &Verbosity) {
    if host.shutdown(PATIENCE) {
        return;
    }
    if !verbosity.quiet {
        eprintln!("waiting for requests that still run; Ctrl-C ends the program at once…");
    }
    if !host.shutdown(SHUTDOWN) && !verbosity.quiet {
        eprintln!("warning: some requests still run; they are left to themselves");
    }
}

/// As many open files as the system allows: the limit that counts is --max-open-files.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "cannot raise the number of files that may be open");
    }
}
