//! Watching a run: its time and the signals, on a thread that waits for nothing else.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use aiohost::Host;
use aiohost::plugin::GuestHandle;
use futures::channel::oneshot;

use super::exit;
use super::keeper::{Keeper, Left};
use super::remedy::Remedied;
use super::{signals, stats, streams};

/// How long a run that is ended may take to clean up. With the last words it stays below two seconds.
pub(super) const CLEANING: Duration = Duration::from_millis(1700);

/// How long it may take to say the last words: whoever reads standard error may have stopped to.
const WORDS: Duration = Duration::from_millis(150);

/// How long a plugin is given to come back after it was told to stop, before it is looked at whether its own code runs, which
/// nothing can interrupt. 10 ms: a call of the host's that is under way takes less, or is seen to be one.
const COMING_BACK: Duration = Duration::from_millis(10);

/// How often that is looked at before a plugin is left to itself that is neither in its own code nor in a request: it may be on its
/// way back. With the last words the run ends within 50 ms.
const LOOKS: u32 = 2;

/// What the watcher is told.
pub(super) enum Event {
    /// The run has come to its next part.
    Begins(Part),
    /// The plugin is about to run.
    Enters(GuestHandle),
    /// What there is to print of its requests, now that it has ended.
    Stats(String),
    /// The run is over.
    Done(Done),
    /// A signal has come.
    Signal(u8),
}

/// The parts of a run.
pub(super) enum Part {
    /// What it is granted is opened.
    Opening,
    /// The plugin is read and compiled. This takes no time of the run's: compilation has limits of its own.
    Loading(Host),
    /// It runs.
    Running,
    /// It has ended with this exit status. Its requests may still run.
    Ending(u8),
}

/// How a run came to its end.
pub(super) enum Done {
    /// By itself. All that there was to say has been said.
    ByItself { status: u8, left: Left },
    /// Because it was told to.
    Stopped { left: Left },
}

/// Why a run is ended.
#[derive(Clone, Copy)]
enum Cause {
    Time,
    Signal(u8),
}

/// The time of a run. It stands still while the plugin is loaded.
struct Clock {
    left: Option<Duration>,
    since: Option<Instant>,
}

/// A run that is watched.
pub(super) struct Watch {
    pub(super) keeper: Keeper,
    pub(super) events: Receiver<Event>,
    /// Tells the run to end.
    pub(super) stop: Option<oneshot::Sender<()>>,
    /// What the plugin is called.
    pub(super) name: String,
    /// How long it may take.
    pub(super) timeout: Option<Duration>,
    /// Whether what is left is mentioned.
    pub(super) is_quiet: bool,
    /// Whether its requests are told of at the end.
    pub(super) has_stats: bool,
}

/// What is known of a run.
struct State {
    part: Part,
    host: Option<Host>,
    guest: Option<GuestHandle>,
    stats: Option<String>,
}

impl Clock {
    fn left(&self) -> Option<Duration> {
        let spent = self.since.map_or(Duration::ZERO, |since| since.elapsed());
        self.left.map(|left| left.saturating_sub(spent))
    }

    fn stop(&mut self) {
        self.left = self.left();
        self.since = None;
    }

    fn go_on(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }
}

impl Watch {
    /// Watches until the end, and ends the process.
    pub(super) fn watch(self) -> ! {
        let mut clock = Clock { left: self.timeout, since: Some(Instant::now()) };
        let mut state = State { part: Part::Opening, host: None, guest: None, stats: None };
        loop {
            let event = match clock.left().filter(|_| clock.since.is_some()) {
                Some(left) => self.events.recv_timeout(left),
                None => self.events.recv().map_err(RecvTimeoutError::from),
            };
            match event {
                Ok(Event::Begins(Part::Loading(host))) => {
                    clock.stop();
                    state.host = Some(host.clone());
                    state.part = Part::Loading(host);
                }
                Ok(Event::Begins(part)) => {
                    clock.go_on();
                    state.part = part;
                }
                Ok(Event::Enters(guest)) => state.guest = Some(guest),
                Ok(Event::Stats(stats)) => state.stats = Some(stats),
                Ok(Event::Done(Done::ByItself { status, left })) => self.keeper.leave(status, left),
                Ok(Event::Signal(signal)) => self.end(Cause::Signal(signal), state),
                Err(RecvTimeoutError::Timeout) => self.end(Cause::Time, state),
                // Nobody has told it to stop, and while it runs somebody can tell something.
                Ok(Event::Done(Done::Stopped { .. })) | Err(RecvTimeoutError::Disconnected) => {
                    self.keeper.leave(exit::FAILED, Left::Something)
                }
            }
        }
    }

    /// Ends the run, cleanly if that can be done in a short time, and the process.
    fn end(mut self, cause: Cause, mut state: State) -> ! {
        let done = match state.part {
            // There is nothing yet that could be ended.
            Part::Opening | Part::Loading(_) => None,
            Part::Running | Part::Ending(_) => self.stop_run(&mut state),
        };
        let left = match done {
            Some(Done::ByItself { left, .. } | Done::Stopped { left }) => left,
            None => Left::Something,
        };
        let mut words = String::new();
        // A run that has ended by itself meanwhile has said it.
        if self.has_stats && !matches!(done, Some(Done::ByItself { .. })) {
            words.push_str(&state.stats());
        }
        if left == Left::Something && !self.is_quiet {
            words.push_str(&state.left());
        }
        let status = match cause {
            Cause::Time => {
                words.push_str(&self.out_of_time(&state.part));
                exit::TIMED_OUT
            }
            Cause::Signal(signal) => signals::status(signal),
        };
        streams::say_within(WORDS, words);
        // Nobody waits any more, for what the process itself has to close neither.
        self.keeper.leave(status, Left::Something)
    }

    /// Tells the run to end, and waits for that a while. A signal meanwhile ends the process at once.
    fn stop_run(&mut self, state: &mut State) -> Option<Done> {
        if let Some(stop) = self.stop.take() {
            // If nobody listens it is about to end.
            let _ = stop.send(());
        }
        if let Some(guest) = &state.guest {
            guest.stop();
        }
        let until = Instant::now() + CLEANING;
        let mut looks = 0;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left.min(COMING_BACK)) {
                Ok(Event::Done(done)) => return Some(done),
                Ok(Event::Signal(signal)) => self.keeper.leave(signals::status(signal), Left::Something),
                Ok(Event::Stats(stats)) => state.stats = Some(stats),
                Ok(Event::Begins(part)) => state.part = part,
                Ok(Event::Enters(guest)) => {
                    guest.stop();
                    state.guest = Some(guest);
                }
                Err(RecvTimeoutError::Timeout) if left > COMING_BACK => {
                    looks += 1;
                    if state.computes() || looks >= LOOKS && state.is_between() {
                        return Some(state.without_plugin(until));
                    }
                }
                Err(_) => return None,
            }
        }
    }

    fn out_of_time(&self, part: &Part) -> String {
        let timeout = self.timeout.unwrap_or_default();
        let what = format!("{} was stopped: it took longer than {timeout:?}", self.name);
        let help = "give it more time with --timeout, or none to wait as long as it takes".to_owned();
        let remedied = Remedied { what, help };
        let error = match part {
            Part::Opening => anyhow::anyhow!("its file, or a directory that it is granted, could not be opened in that time")
                .context(remedied),
            Part::Ending(status) => {
                anyhow::anyhow!("it had ended with exit status {status}, but not its requests").context(remedied)
            }
            Part::Loading(_) | Part::Running => remedied.into(),
        };
        exit::report(&error)
    }
}

impl State {
    /// Whether it is the plugin's own code that runs.
    fn computes(&self) -> bool {
        matches!(self.part, Part::Running) && self.guest.as_ref().is_some_and(GuestHandle::computes)
    }

    /// Whether its thread is in wasmtime, which does not let go of it, or in the host where nothing is half done, as while a result
    /// is printed. One whose requests were counted is back.
    fn is_between(&self) -> bool {
        matches!(self.part, Part::Running)
            && self.stats.is_none()
            && self.guest.as_ref().is_some_and(|guest| !guest.is_in_request())
    }

    /// Ends the run around a plugin that computes for ever: its thread ends with the process.
    fn without_plugin(&mut self, until: Instant) -> Done {
        if let Some(guest) = &self.guest
            && let (Some(stats), Some(counters)) = (guest.stats(), guest.counters())
        {
            self.stats = Some(stats::table(&stats, counters));
        }
        let time = until.saturating_duration_since(Instant::now());
        let is_over = self.host.as_ref().is_none_or(|host| host.shutdown(time));
        Done::Stopped { left: if is_over { Left::Nothing } else { Left::Something } }
    }

    /// What is printed for `--stats`.
    fn stats(&self) -> String {
        match (&self.stats, &self.part) {
            (Some(stats), _) => stats.clone(),
            (None, Part::Opening | Part::Loading(_)) => "no requests\n".to_owned(),
            (None, Part::Running | Part::Ending(_)) => "requests unknown: the plugin does not come back\n".to_owned(),
        }
    }

    /// What is told of that which did not end.
    fn left(&self) -> String {
        let mut words = String::new();
        if matches!(self.part, Part::Running) && self.stats.is_none() {
            words.push_str("warning: the plugin is in a system call that does not return, and is left to itself\n");
        }
        if let Some(host) = self.host.as_ref().filter(|_| !matches!(self.part, Part::Loading(_))) {
            words.push_str(&calls_left(host, words.is_empty()));
        }
        words
    }
}

/// What is told of calls that did not end: requests, or else those that nobody counts, if something must be told.
pub(super) fn calls_left(host: &Host, something: bool) -> String {
    let counters = host.counters();
    match counters.queued + counters.running {
        0 if something => "warning: calls to a file system still run, and are left to themselves\n".to_owned(),
        0 => String::new(),
        1 => "warning: 1 request still runs, and is left to itself\n".to_owned(),
        number => format!("warning: {number} requests still run, and are left to themselves\n"),
    }
}
