//! What a request is made of, from its submission to the report on how it went.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use wasmtime::component::{ComponentType, Lift, Lower};

use super::groups::GroupId;
use super::lanes::Priority;
use super::ticket::Ticket;
use crate::error::{Error, Result};
use crate::output::Output;

/// What a request does once a worker has it. It owns all that it needs.
pub(crate) type Work = Box<dyn FnMut(&Ticket) -> Flow<Output> + Send>;

/// How work goes on after a worker was at it.
#[derive(Debug)]
pub(crate) enum Flow<T> {
    /// It is at an end.
    Done(Result<T>),
    /// A worker is to try again, after this time.
    Again(Duration),
}

impl<T> From<Result<T>> for Flow<T> {
    fn from(result: Result<T>) -> Self {
        Self::Done(result)
    }
}

impl<T> Flow<T> {
    pub(crate) fn map<U>(self, map: impl FnOnce(T) -> U) -> Flow<U> {
        match self {
            Self::Done(result) => Flow::Done(result.map(map)),
            Self::Again(time) => Flow::Again(time),
        }
    }
}

/// The number of a request, which its guest sees too. Never 0, and never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RequestId(u64);

impl RequestId {
    pub(super) fn new(generation: u32, index: usize) -> Self {
        let index = u64::try_from(index).expect("an index of a bounded table fits");
        Self(u64::from(generation) << 32 | index)
    }

    pub(super) fn index(self) -> usize {
        usize::try_from(self.0 & u64::from(u32::MAX)).expect("32 bits fit")
    }

    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

/// Who asked for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A call that waits for it.
    Call,
    /// The guest, which holds a handle of it: `wait-any` tells of it.
    Handle,
    /// The host itself, to close a dropped file or to go on with a stream. Not in the counters, in no group, and with no deadline.
    Host,
}

/// What to do when as much is in flight as may be: `aiohost:aio/control.when-full`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum WhenFull {
    #[default]
    #[component(name = "wait")]
    Wait,
    #[component(name = "fail")]
    Fail,
}

/// In what manner a request is carried out: what `control.next` sets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    /// Without one, its group's, or else the guest's.
    pub(crate) priority: Option<Priority>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) group: Option<GroupId>,
    pub(crate) when_full: WhenFull,
}

/// What is known of a request when it is submitted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Submission {
    /// Its name in the WIT package.
    pub(crate) name: &'static str,
    pub(crate) origin: Origin,
    /// Bytes that it holds, or that its result will hold.
    pub(crate) bytes: usize,
    pub(crate) manner: Manner,
}

impl Submission {
    /// Something that the host does for a guest on its own account.
    pub(crate) fn host(name: &'static str, bytes: usize) -> Self {
        Self { name, origin: Origin::Host, bytes, manner: Manner::default() }
    }

    /// Whether it counts as a request of the guest.
    pub(super) fn is_counted(&self) -> bool {
        self.origin != Origin::Host
    }
}

/// How far a request has come: `aiohost:aio/types.progress`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Progress {
    pub(crate) bytes: u64,
    pub(crate) names: u64,
}

impl Progress {
    pub(super) fn add(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.names = self.names.saturating_add(other.names);
    }
}

/// What a request on a worker and those who watch it share: how far it has come, and whether it is to stop.
#[derive(Debug, Default)]
pub(super) struct Steps {
    bytes: AtomicU64,
    names: AtomicU64,
    stopped: AtomicU8,
}

/// Why a request is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Stop {
    Canceled = 1,
    TimedOut = 2,
}

impl Stop {
    pub(super) fn error(self) -> Error {
        match self {
            Self::Canceled => Error::CANCELED,
            Self::TimedOut => Error::TIMED_OUT,
        }
    }
}

impl Steps {
    pub(super) fn advance(&self, bytes: u64, names: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.names.fetch_add(names, Ordering::Relaxed);
    }

    pub(super) fn progress(&self) -> Progress {
        Progress { bytes: self.bytes.load(Ordering::Relaxed), names: self.names.load(Ordering::Relaxed) }
    }

    pub(super) fn stop(&self, why: Stop) {
        self.stopped.store(why as u8, Ordering::Relaxed);
    }

    pub(super) fn check(&self) -> Result<()> {
        match self.stopped.load(Ordering::Relaxed) {
            0 => Ok(()),
            why if why == Stop::TimedOut as u8 => Err(Error::TIMED_OUT),
            _ => Err(Error::CANCELED),
        }
    }
}

/// How a request went, for the statistics.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) name: &'static str,
    pub(crate) failed: bool,
    pub(crate) queued: Duration,
    pub(crate) ran: Duration,
    pub(crate) bytes: u64,
}

/// Wakers to wake and values to drop once the lock is released: neither may run under it.
#[derive(Default)]
#[must_use]
pub(crate) struct Afterwards {
    pub(super) wakers: Vec<Waker>,
    pub(super) work: Vec<Work>,
    pub(super) results: Vec<Result<Output>>,
}

impl Afterwards {
    pub(crate) fn carry_out(self) {
        drop((self.work, self.results));
        for waker in self.wakers {
            waker.wake();
        }
    }
}

/// Bytes that a request moved, as far as its result tells.
pub(crate) fn moved_bytes(result: &Result<Output>) -> u64 {
    match result {
        Ok(Output::Data(data)) => u64::try_from(data.len()).unwrap_or(u64::MAX),
        Ok(Output::Count(count)) => *count,
        _ => 0,
    }
}
