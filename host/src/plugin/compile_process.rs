//! A process that compiles a plugin, within limits: this very program, started once more.
//!
//! Nothing can stop wasmtime while it compiles, nor hold it to an amount of memory, but the end of its process. What goes to the
//! process is a job on its standard input: the limits, and the plugin. It sets the limits for itself before it reads the
//! plugin, and answers on its standard output with the code or with what is wrong. It dies with whoever started it.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::panic;
use std::process::{self, Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, getppid, getrlimit, set_parent_process_death_signal, setrlimit};

use super::compile_wire::{Bounds, Job, read_answer, read_bounds, read_plugin, write_answer, write_job};
use super::machine::EngineKind;
use super::prepare::precompile;
use crate::problem::{Problem, ProblemKind, Result};

/// How long a compilation may take. 5 minutes: ten times what the largest program that is in use takes on a slow machine.
const TIME_MAX: Duration = Duration::from_secs(300);

/// Bytes that a compilation may have. 4 GiB: over twice what the largest program that is in use takes.
const MEMORY_BYTES_MAX: u64 = 4 << 30;

/// Bytes that are kept of what a process says on its way out.
const LAST_WORDS_BYTES_MAX: usize = 4 << 10;

/// Settings for compiling each plugin in a process of its own.
///
/// The process is this very program, started once more. It has to recognize by its arguments that it is to compile:
///
/// ```no_run
/// use std::process::ExitCode;
/// use std::time::Duration;
///
/// use aiohost::Host;
/// use aiohost::plugin::CompileProcess;
///
/// fn main() -> ExitCode {
///     if std::env::args().nth(1).as_deref() == Some("compile-a-plugin") {
///         return CompileProcess::serve();
///     }
///     let process = CompileProcess::new(["compile-a-plugin"]).time_max(Duration::from_secs(60)).memory_bytes_max(1 << 30);
///     let host = Host::builder().compile_in(process).build();
///     // ...
///     # drop(host);
///     ExitCode::SUCCESS
/// }
/// ```
#[derive(Clone, Debug)]
pub struct CompileProcess {
    arguments: Vec<OsString>,
    time_max: Duration,
    memory_bytes_max: u64,
}

impl CompileProcess {
    /// The process is this very program with these arguments. When it gets them it has to call [`CompileProcess::serve`] and do
    /// nothing else. A compilation may take 5 minutes and 4 GiB, unless set otherwise.
    pub fn new(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Self { arguments, time_max: TIME_MAX, memory_bytes_max: MEMORY_BYTES_MAX }
    }

    /// Sets how long a compilation may take, in wall-clock time; 5 minutes unless set. [`CompileProcess`] has an example.
    pub fn time_max(mut self, time: Duration) -> Self {
        self.time_max = time;
        self
    }

    /// Sets how many bytes of memory a compilation may have; 4 GiB unless set. The resulting code may take as much again.
    pub fn memory_bytes_max(mut self, bytes: u64) -> Self {
        self.memory_bytes_max = bytes;
        self
    }

    /// Does the work of the process: reads a job, compiles, answers, and returns the exit status for `main`.
    pub fn serve() -> ExitCode {
        // There is nothing to be saved: the sooner it is told the better.
        panic::set_hook(Box::new(|panic| {
            let _ = writeln!(io::stderr(), "{panic}");
            process::abort();
        }));
        let Err(error) = serve() else { return ExitCode::SUCCESS };
        let _ = writeln!(io::stderr(), "error: {error}");
        ExitCode::FAILURE
    }

    /// Compiles a plugin.
    pub(super) fn compile(&self, job: Job<'_>) -> Result<(EngineKind, Vec<u8>)> {
        let mut running = self.start().map_err(cannot_start)?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (running.0.stdin.take(), running.0.stdout.take(), running.0.stderr.take())
        else {
            return Err(cannot_start(io::ErrorKind::BrokenPipe.into()));
        };
        let name = job.name;
        let (bounds, code_bytes_max) = (self.bounds(), self.memory_bytes_max);
        thread::scope(|scope| {
            // It is ended when this returns, and with it its pipes, and so the threads.
            let mut running = running;
            let (sender, answer) = mpsc::channel();
            // One that is gone takes no more of its job; what became of it is asked elsewhere.
            start_thread(scope, move || drop(write_job(stdin, bounds, job)))?;
            let words = start_thread(scope, move || last_words(stderr))?;
            start_thread(scope, move || drop(sender.send(read_answer(stdout, code_bytes_max))))?;
            match answer.recv_timeout(self.time_max) {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => {
                    let status = running.end();
                    Err(self.without_answer(name, status, &words.join().unwrap_or_default()))
                }
                Err(_) => Err(self.took_too_long(name)),
            }
        })
    }

    fn start(&self) -> io::Result<Running> {
        let started = self.command(OsStr::new("/proc/self/exe")).spawn().or_else(|error| match error.kind() {
            // Without /proc the name that this program was started by has to do.
            io::ErrorKind::NotFound => self.command(OsStr::from_bytes(rustix::param::linux_execfn().to_bytes())).spawn(),
            _ => Err(error),
        });
        started.map(Running)
    }

    fn command(&self, program: &OsStr) -> Command {
        let mut command = Command::new(program);
        if let Some(name) = std::env::args_os().next() {
            command.arg0(name);
        }
        // A trace of the stack takes memory. Where there is none left, printing one has been seen to wait for itself for ever.
        command.args(&self.arguments).envs([("RUST_BACKTRACE", "0"), ("RUST_LIB_BACKTRACE", "0")]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C is for whoever started this one, and its end is the end of this one.
        command.process_group(0);
        command
    }

    fn bounds(&self) -> Bounds {
        // The clock on the wall decides as long as this process is there to look at it. Should it be stopped, then the time on
        // all processors together does, which comes later.
        let processors = thread::available_parallelism().map_or(1, |processors| u64::try_from(processors.get()).unwrap_or(1));
        let seconds = self.time_max.as_secs().saturating_add(1);
        Bounds {
            parent: u64::from(process::id()),
            memory_bytes_max: self.memory_bytes_max,
            cpu_seconds_max: seconds.saturating_mul(processors).saturating_add(1),
        }
    }

    fn took_too_long(&self, name: &str) -> Problem {
        Problem::new(ProblemKind::Limit, format!("{name} takes longer to compile than it may"))
            .because_text(format!("it was not done after {:?}", self.time_max))
            .help_for(
                "give it more with CompileProcess::time_max, if you trust who made it",
                "give it more time with --max-compile-time, as in --max-compile-time 10m, if you trust who made it",
            )
    }

    fn took_too_much(&self, name: &str) -> Problem {
        Problem::new(ProblemKind::Limit, format!("{name} takes more memory to compile than it may"))
            .because_text(format!("it needs more than {} MiB", self.memory_bytes_max >> 20))
            .help_for(
                "give it more with CompileProcess::memory_bytes_max, if you trust who made it",
                "give it more with --max-compile-memory, as in --max-compile-memory 8GiB, if you trust who made it",
            )
    }

    /// Why a process has ended without an answer.
    fn without_answer(&self, name: &str, status: io::Result<ExitStatus>, words: &str) -> Problem {
        let signal = status.as_ref().ok().and_then(ExitStatus::signal);
        if signal == Some(libc::SIGXCPU) {
            return self.took_too_long(name);
        }
        if OUT_OF_MEMORY.iter().any(|sign| words.contains(sign)) {
            return self.took_too_much(name);
        }
        if words.contains(NO_THREAD) {
            return Problem::new(ProblemKind::Limit, format!("{name} could not be compiled"))
                .because_text("the compiler could not start its threads")
                .help_for(
                    "give it more memory with CompileProcess::memory_bytes_max, or allow more processes, which `ulimit -u` shows",
                    "give it more memory with --max-compile-memory, or allow more processes, which `ulimit -u` shows",
                );
        }
        let how = match status {
            Ok(status) => format!("the process that compiles has ended with {status}\n{words}"),
            Err(error) => format!("the process that compiles is gone: {error}\n{words}"),
        };
        let help = match signal {
            Some(libc::SIGKILL) => "somebody ended it: perhaps the system, because it had no memory left",
            _ => "this is a mistake in the compiler, or a plugin that looks for one: do not trust it",
        };
        Problem::new(ProblemKind::Host, format!("{name} could not be compiled")).because_text(how).help_with(help)
    }
}

/// How the standard library and wasmtime say that there is no memory.
const OUT_OF_MEMORY: [&str; 3] = ["memory allocation of ", "Cannot allocate memory", "out of memory"];

/// How the threads of the compiler say that there is none for their stacks, or that they are too many.
const NO_THREAD: &str = "Resource temporarily unavailable";

/// A process, which is ended when this is dropped.
struct Running(Child);

impl Running {
    fn end(&mut self) -> io::Result<ExitStatus> {
        // Where it has ended already, this changes nothing.
        let _ = self.0.kill();
        self.0.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn start_thread<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    job: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>> {
    thread::Builder::new().name("aiohost-compile".to_owned()).spawn_scoped(scope, job).map_err(cannot_start)
}

/// It is refused, and not compiled here: then nothing would hold the plugin, and whoever sends it may be who is at fault.
fn cannot_start(error: io::Error) -> Problem {
    Problem::new(ProblemKind::Host, "cannot start the process that compiles plugins").because(error).help_for(
        "compile the plugin where processes can be started, and load what Plugin::compiled returned there; what is in the code \
         cache needs no process",
        "compile the plugin where processes can be started, with `aiohost compile`, and run what comes out; what is in the \
         code cache needs no process",
    )
}

/// The end of what a process says, all of which is taken from it.
fn last_words(mut stderr: impl Read) -> String {
    let (mut words, mut piece) = (Vec::new(), [0; 1024]);
    while let Ok(bytes @ 1..) = stderr.read(&mut piece) {
        words.extend_from_slice(&piece[..bytes]);
        words.drain(..words.len().saturating_sub(LAST_WORDS_BYTES_MAX));
    }
    String::from_utf8_lossy(&words).into_owned()
}

fn serve() -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut input = io::stdin().lock();
    let bounds = read_bounds(&mut input)?;
    // If it died before it could be named, there was no signal.
    let parent = getppid().and_then(|parent| u64::try_from(parent.as_raw_nonzero().get()).ok());
    if parent != Some(bounds.parent) {
        return Err(io::Error::other("whoever started this is gone"));
    }
    hold_to(bounds)?;
    let (how, name, plugin) = read_plugin(&mut input)?;
    let answer = precompile(&name, &plugin, how);
    if let Err(problem) = &answer
        && let Some(cause) = problem.source().map(root)
        && OUT_OF_MEMORY.iter().any(|sign| cause.starts_with(sign))
    {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    // Not by way of the buffer of the standard output, which looks for the ends of lines.
    write_answer(File::from(io::stdout().as_fd().try_clone_to_owned()?), &answer)
}

fn root(error: &(dyn Error + 'static)) -> String {
    let mut root = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    root.to_string()
}

/// What counts as memory is what is written to: what is only set aside, as stacks are, is bounded by the number of threads.
fn hold_to(bounds: Bounds) -> io::Result<()> {
    lower(Resource::Data, bounds.memory_bytes_max, bounds.memory_bytes_max)?;
    lower(Resource::Cpu, bounds.cpu_seconds_max, bounds.cpu_seconds_max.saturating_add(1))?;
    // Gigabytes of a process that has run out of memory help nobody.
    lower(Resource::Core, 0, 0)
}

/// A limit that is lower already stays as it is.
fn lower(resource: Resource, current: u64, maximum: u64) -> io::Result<()> {
    let old = getrlimit(resource);
    let lowest = |old: Option<u64>, new: u64| Some(old.map_or(new, |old| old.min(new)));
    let new = Rlimit { current: lowest(old.current, current), maximum: lowest(old.maximum, maximum) };
    Ok(setrlimit(resource, new)?)
}
