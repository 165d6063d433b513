//! `aiohost run`: a plugin as a command, or one of its functions.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use anyhow::Context as _;
use futures::channel::oneshot;
use rustix::process::{Resource, getrlimit, setrlimit};

use super::keeper::{self, Left};
use super::run_options::Options;
use super::watch::{Done, Event, Watch};
use super::work::Work;
use super::{Verbosity, exit, images, standard_input};

/// Stack of the thread that runs the plugin: as much as a program's first thread has. Compilation may need it.
const STACK_BYTES: usize = 8 << 20;

/// Runs the plugin, and ends the process.
pub(super) fn run(options: Box<Options>, verbosity: Verbosity) -> anyhow::Result<Infallible> {
    options.check()?;
    let keeper = keeper::split()?;
    raise_open_files();
    let (watcher, events) = mpsc::channel();
    keeper.listen(watcher.clone(), Event::Signal).context("cannot listen for signals")?;
    let (stop, stopped) = oneshot::channel();
    let watch = Watch {
        keeper,
        events,
        stop: Some(stop),
        name: plugin_name(&options.plugin),
        timeout: options.limits.timeout,
        is_quiet: verbosity.quiet,
        has_stats: options.stats,
    };
    let work = move || {
        let work = Work { options: &options, verbosity: &verbosity, watcher: &watcher };
        let run = AssertUnwindSafe(|| work.run(stopped));
        // The panic itself was told when it happened.
        let done = catch_unwind(run).unwrap_or(Done::ByItself { status: exit::FAILED, left: Left::Something });
        // The watcher is there as long as the process is.
        let _ = watcher.send(Event::Done(done));
    };
    let thread = thread::Builder::new().name("aiohost-plugin".to_owned()).stack_size(STACK_BYTES);
    thread.spawn(work).context("cannot start a thread for the plugin")?;
    watch.watch()
}

/// What a plugin is called in messages, as the library calls it.
fn plugin_name(path: &Path) -> String {
    if standard_input::is_meant_by(path) {
        return standard_input::NAME.to_owned();
    }
    if images::is_meant_by(path) {
        return images::name(path);
    }
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// As many open files as the system allows: the limit that counts is --max-open-files.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "cannot raise the number of files that may be open");
    }
}
