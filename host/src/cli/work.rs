//! What a run does, on a thread of its own: whatever may wait for a file system, a reader or the plugin itself.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use aiohost::{Guest, Host, Plugin};
use anyhow::Context as _;
use futures::channel::oneshot;
use tokio::runtime::Runtime;
use tokio::task::unconstrained;

use super::images::{self, Keep};
use super::keeper::Left;
use super::load::Note;
use super::run_options::Options;
use super::watch::{CLEANING, Done, Event, Part, calls_left};
use super::{Verbosity, exit, standard_input, stats, streams};

/// How long requests that run may take to finish, when the plugin has ended, before it is mentioned.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long they may take at all. A minute: a disk that takes longer is broken.
const SHUTDOWN: Duration = Duration::from_secs(60);

/// A run.
pub(super) struct Work<'a> {
    pub(super) options: &'a Options,
    pub(super) verbosity: &'a Verbosity,
    /// Who watches the run.
    pub(super) watcher: &'a Sender<Event>,
}

impl Work<'_> {
    /// Runs the plugin, or ends it once `stop` says so.
    pub(super) fn run(&self, stop: oneshot::Receiver<()>) -> Done {
        match self.load().and_then(|(host, plugin)| self.run_plugin(&host, &plugin, stop)) {
            Ok(done) => done,
            Err(error) => Done::ByItself { status: exit::tell(&error), left: Left::Nothing },
        }
    }

    fn tell(&self, event: Event) {
        // The watcher is there as long as the process is.
        let _ = self.watcher.send(event);
    }

    fn load(&self) -> anyhow::Result<(Host, Plugin)> {
        if let Some(warning) = self.options.warning().filter(|_| !self.verbosity.quiet) {
            streams::say(&warning);
        }
        let host = self.options.host()?;
        look_at(&self.options.plugin);
        self.tell(Event::Begins(Part::Loading(host.clone())));
        let note = match (self.verbosity.quiet, self.options.no_cache) {
            (true, _) => Note::Silent,
            (false, true) => Note::EveryTime,
            (false, false) if host.has_cache() => Note::OnceOnly,
            // What is wrong with the cache has been said.
            (false, false) => Note::Plain,
        };
        let path = &self.options.plugin;
        let plugin = if images::is_meant_by(path) {
            let keep = if self.options.no_cache { Keep::Nothing } else { Keep::Fetched };
            images::load(&host, path, self.options.compile_limits.reading_time(), keep)?
        } else {
            standard_input::load(&host, path, note)?
        };
        Ok((host, plugin))
    }

    fn run_plugin(&self, host: &Host, plugin: &Plugin, mut stop: oneshot::Receiver<()>) -> anyhow::Result<Done> {
        self.tell(Event::Begins(Part::Running));
        let runtime = runtime().context("cannot start an event loop")?;
        let mut guest = plugin.guest().args(&self.options.arguments).build()?;
        self.tell(Event::Enters(guest.handle()));
        let invoked = self.options.call();
        let run = async {
            tokio::select! {
                biased;
                _ = &mut stop => None,
                outcome = call(&mut guest, invoked.as_deref()) => Some(outcome),
            }
        };
        // A plugin that never waits is polled once, however long it looks at what it could wait for: tokio would tell it that nothing
        // is ready any more.
        let outcome = match runtime.block_on(unconstrained(run)) {
            // It was ended by that, and not by what it did.
            Some(Err(_)) if matches!(stop.try_recv(), Ok(Some(()))) => None,
            outcome => outcome,
        };
        let stats = stats::table(&guest.stats(), guest.counters());
        self.tell(Event::Stats(stats.clone()));
        let Some(outcome) = outcome else {
            drop(guest);
            return Ok(Done::Stopped { left: Rest::new(host, runtime).wait(CLEANING) });
        };
        self.tell(Event::Begins(Part::Ending(outcome.as_ref().map_or_else(exit::status, |status| *status))));
        drop(guest);
        let left = self.wait_for(&Rest::new(host, runtime), &mut stop);
        // Before the error, which is what one looks for at the end.
        if self.options.stats {
            streams::say(&stats);
        }
        Ok(Done::ByItself { status: outcome.unwrap_or_else(|error| exit::tell(&error)), left })
    }

    fn wait_for(&self, rest: &Rest<'_>, stop: &mut oneshot::Receiver<()>) -> Left {
        if rest.wait(PATIENCE) == Left::Nothing {
            return Left::Nothing;
        }
        let say = |words: &str| {
            if !self.verbosity.quiet {
                streams::say(words)
            }
        };
        // Whoever has ended the run does not wait.
        if matches!(stop.try_recv(), Ok(None)) {
            say("waiting for requests that still run; Ctrl-C ends the program…\n");
        }
        if rest.wait(SHUTDOWN) == Left::Nothing {
            return Left::Nothing;
        }
        say(&calls_left(rest.host, true));
        Left::Something
    }
}

/// An event loop with a thread of its own, so that time goes on for a plugin that does not let go of its own.
fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("aiohost-events").enable_all().build()
}

/// What may still run when a plugin has ended: its requests, and calls of WASI, which some threads of the event loop make.
struct Rest<'a> {
    host: &'a Host,
    wasi_gone: Receiver<()>,
}

impl<'a> Rest<'a> {
    fn new(host: &'a Host, runtime: Runtime) -> Self {
        let (sender, wasi_gone) = mpsc::channel();
        let end = move || {
            // It waits for all of them. A thread that reads standard input is none: it cannot be stopped, and ends with the process.
            drop(runtime);
            // Nobody listens any more if it took too long.
            let _ = sender.send(());
        };
        // Without a thread there is none of the event loop's either.
        let _ = thread::Builder::new().name("aiohost-rest".to_owned()).spawn(end);
        Self { host, wasi_gone }
    }

    /// Waits for a while.
    fn wait(&self, time: Duration) -> Left {
        let until = Instant::now() + time;
        // If the other end is gone, so is what it waited for.
        let wasi_runs = self.wasi_gone.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
        let requests_run = !self.host.shutdown(until.saturating_duration_since(Instant::now()));
        if wasi_runs || requests_run { Left::Something } else { Left::Nothing }
    }
}

/// Waits for the file system of the plugin's file, if it is one that does not answer. From then on the time does not count.
fn look_at(path: &Path) {
    // Whatever is wrong with it is told when it is loaded. A pipe can be opened once only.
    if fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        let _ = File::open(path).and_then(|file| file.read_at(&mut [0], 0));
    }
}

async fn call(guest: &mut Guest, invoke: Option<&str>) -> anyhow::Result<u8> {
    let Some(call) = invoke else {
        // Of a status a process has the lowest eight bits, whoever ends it.
        let [status, ..] = guest.run().await?.to_le_bytes();
        return Ok(status);
    };
    if let Some(mut result) = guest.invoke(call).await? {
        result.push('\n');
        streams::print(&result)?;
    }
    Ok(0)
}
