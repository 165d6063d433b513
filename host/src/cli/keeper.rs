//! Two processes for a run or a benchmark: the one that was started keeps the one that does the work, and has nothing to do with any file.
//!
//! The system ends no thread within a call that cannot be interrupted, as one for a file whose server does not answer, not even by
//! `SIGKILL`; and as long as there is such a thread its process is not gone for whoever waits for it. So the one that is waited for
//! makes no such call. It passes signals on, and ends with the exit status that it is told. What is left of the other process is
//! killed with it.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, WaitStatus, getpid, getppid, set_parent_process_death_signal, setrlimit,
    waitpid,
};

use super::signals::{self, Signals};
use super::{exit, streams};

/// How long after a signal the other process may take to tell how it ends. It takes 2 s at most, unless it is stopped or broken.
const PATIENCE: Duration = Duration::from_millis(2500);

/// The same after the second signal.
const PATIENCE_AT_ONCE: Duration = Duration::from_millis(100);

/// The same until it is gone, once it has told that something of it is left, which may never end.
const PATIENCE_WITH_LEFT: Duration = Duration::from_millis(50);

/// How long after a signal the same one is still the same: `timeout` sends it to its program, and then to all of its group. 100 ms: faster
/// than anybody presses a key twice.
const SAME_SIGNAL: Duration = Duration::from_millis(100);

/// How long it may take to let go of a file that is its standard output: that may wait for a server.
const PATIENCE_FOR_STREAMS: Duration = Duration::from_millis(50);

/// Whether anything of a run still runs or waits when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Something,
    Nothing,
}

/// What the process that does the work knows of its keeper.
pub(super) struct Keeper {
    orders: Arc<PipeReader>,
    reports: PipeWriter,
}

/// Splits this process in two, which must not have another thread yet. It returns in the one that is to do the work.
pub(super) fn split() -> anyhow::Result<Keeper> {
    let fail = |error| anyhow::Error::new(error).context("cannot start the process that does the work");
    let signals = Signals::take().map_err(fail)?;
    let (orders, order) = io::pipe().map_err(fail)?;
    let (report, reports) = io::pipe().map_err(fail)?;
    let keeper = getpid();
    // SAFETY: there is no other thread, so nothing is locked or half done in the new process.
    let child = unsafe { libc::fork() };
    if child < 0 {
        return Err(fail(io::Error::last_os_error()));
    }
    if let Some(child) = Pid::from_raw(child) {
        drop((orders, reports));
        keep(child, &signals, order, report);
    }
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| fail(error.into()))?;
    // It may have ended before that was set.
    if getppid() != Some(keeper) {
        exit::at_once(exit::FAILED);
    }
    Ok(Keeper { orders: Arc::new(orders), reports })
}

impl Keeper {
    /// Tells of each signal that comes.
    pub(super) fn listen<T: Send + 'static>(&self, events: mpsc::Sender<T>, event: fn(u8) -> T) -> io::Result<()> {
        let orders = Arc::clone(&self.orders);
        let listen = move || {
            let mut signal = [0];
            // Without a keeper this process is killed.
            while (&*orders).read_exact(&mut signal).is_ok() {
                if events.send(event(signal[0])).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("aiohost-signals".to_owned()).spawn(listen).map(|_| ())
    }

    /// Ends both processes, now, with this exit status. Nothing is flushed or waited for.
    pub(super) fn leave(&self, status: u8, left: Left) -> ! {
        // What is left would hold them as long as it is there, and whoever reads the other end of a pipe would wait for that.
        streams::let_go(PATIENCE_FOR_STREAMS, &self.orders);
        // If the keeper is gone this process is killed.
        let _ = (&self.reports).write_all(&[status, u8::from(left == Left::Something)]);
        exit::at_once(status)
    }
}

/// The keeper's life.
fn keep(child: Pid, signals: &Signals, mut order: PipeWriter, report: PipeReader) -> ! {
    // To close a file may wait for its server, and closing its files is the last thing that a process does.
    streams::let_go_of_files(&report);
    let mut report = Some(report);
    let mut told = None;
    let mut end: Option<(Instant, u8)> = None;
    let mut last: Option<(u8, Instant)> = None;
    loop {
        let is_told = wait(signals, report.as_ref(), end.map(|(at, _)| at));
        if let Ok(Some((_, status))) = waitpid(Some(child), WaitOptions::NOHANG) {
            end_like(status);
        }
        for signal in signals.come() {
            if last.is_some_and(|(before, at)| before == signal && at.elapsed() < SAME_SIGNAL) {
                continue;
            }
            last = Some((signal, Instant::now()));
            // If nobody reads it the other process ends already.
            let _ = order.write_all(&[signal]);
            let patience = if end.is_some() { PATIENCE_AT_ONCE } else { PATIENCE };
            end = Some((Instant::now() + patience, told.unwrap_or_else(|| signals::status(signal))));
        }
        if is_told && let Some(report) = report.take() {
            let mut bytes = [0; 2];
            // Nothing is told by a process that was killed, of which the system will tell.
            if (&report).read_exact(&mut bytes).is_ok() {
                let [status, something_left] = bytes;
                let patience = if something_left == 0 { PATIENCE } else { PATIENCE_WITH_LEFT };
                told = Some(status);
                end = Some((Instant::now() + patience, status));
            }
        }
        if let Some((at, status)) = end
            && Instant::now() >= at
        {
            exit::at_once(status);
        }
    }
}

/// Waits until something has come, or the time is up; tells whether there is a report.
fn wait(signals: &Signals, report: Option<&PipeReader>, until: Option<Instant>) -> bool {
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    let left = left.and_then(|left| Timespec::try_from(left).ok());
    let mut waited = vec![PollFd::from_borrowed_fd(signals.descriptor(), PollFlags::IN)];
    waited.extend(report.map(|report| PollFd::new(report, PollFlags::IN)));
    // Where it fails, everything is looked at all the same.
    let _ = poll(&mut waited, left.as_ref());
    waited.get(1).is_some_and(|report| !report.revents().is_empty())
}

/// Ends this process as the other one has ended.
fn end_like(status: WaitStatus) -> ! {
    if let Some(status) = status.exit_status() {
        exit::at_once(u8::try_from(status).unwrap_or(exit::FAILED));
    }
    let signal = status.terminating_signal().unwrap_or(libc::SIGKILL);
    streams::say(&format!("error: the process that did the work was ended by signal {signal}\n"));
    // One image of the memory is enough.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    signals::die_by(signal);
    exit::at_once(u8::try_from(signal).map_or(exit::FAILED, signals::status))
}
