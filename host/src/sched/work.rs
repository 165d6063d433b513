//! What is known of a request from its submission to its end.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::ids::{GroupId, RequestId};
use super::lanes::Priority;
use super::outcome::Refusal;
use super::sync::{Mutex, MutexGuard};
use crate::budget::Reservation;

/// Who asked for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A call that waits for it.
    Call,
    /// The guest, which holds a handle of it: `wait-any` tells of it.
    Handle,
    /// The host itself, to go on with a stream. Not in the counters, in no group, and with no deadline.
    Host,
}

/// What to do when as much is in flight as may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum WhenFull {
    #[default]
    Wait,
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

/// A kind of request: its name in the WIT package, and a number that stands for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) number: usize,
}

/// What is known of a request when it is submitted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Submission {
    pub(crate) kind: Kind,
    pub(crate) origin: Origin,
    pub(crate) manner: Manner,
}

impl Submission {
    /// Something that the host does for a guest on its own account.
    pub(crate) fn host(kind: Kind) -> Self {
        Self { kind, origin: Origin::Host, manner: Manner::default() }
    }

    /// A call of the guest's in the usual manner.
    pub(crate) fn call(kind: Kind) -> Self {
        Self { kind, origin: Origin::Call, manner: Manner::default() }
    }

    /// Whether it counts as a request of the guest.
    pub(crate) fn is_counted(&self) -> bool {
        self.origin != Origin::Host
    }
}

/// What a request was admitted with, taken before anything is built or waited for. It gives itself back when it is dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(super) place: Reservation,
    /// Bytes of its arguments, and of its result as far as they are known.
    pub(super) memory: Reservation,
    pub(super) caller: WhoWaits,
}

impl Admission {
    /// Gives up the place.
    pub(crate) fn into_memory(self) -> Reservation {
        self.memory
    }
}

/// Who waits while a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhoWaits {
    /// The guest: none of its other calls goes on.
    Guest,
    /// One of its tasks. The others go on, and so the results that they wait for are taken when they are there.
    Task,
}

/// A request that is to be queued.
#[derive(Debug)]
pub(crate) struct ToQueue {
    pub(crate) id: RequestId,
    pub(crate) priority: Priority,
    /// A worker has run it before.
    pub(crate) begun: bool,
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

/// What a request on a worker and those who watch it share: how far it has come, whether it is to stop, and what it holds.
#[derive(Debug)]
pub(super) struct Steps {
    bytes: AtomicU64,
    names: AtomicU64,
    stopped: AtomicU8,
    memory: Mutex<Memory>,
    /// Bytes that it would need in all, if it could not get what it asked for last; else 0.
    short: AtomicUsize,
}

/// The bytes of a request.
#[derive(Debug)]
struct Memory {
    held: Reservation,
    /// What it holds from its start to its end.
    base: usize,
    /// What it has asked for in this run, `base` included. It may hold more than that.
    claimed: usize,
}

/// Why a request is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Stop {
    Canceled = 1,
    TimedOut = 2,
}

impl Stop {
    pub(super) fn refusal(self) -> Refusal {
        match self {
            Self::Canceled => Refusal::Canceled,
            Self::TimedOut => Refusal::TimedOut,
        }
    }
}

impl Steps {
    pub(super) fn new(held: Reservation) -> Arc<Self> {
        let base = held.amount();
        let (bytes, names, stopped, short) = Default::default();
        Arc::new(Self { bytes, names, stopped, memory: Mutex::new(Memory { held, base, claimed: base }), short })
    }

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

    pub(super) fn check(&self) -> Result<(), Refusal> {
        match self.stopped.load(Ordering::Relaxed) {
            0 => Ok(()),
            why if why == Stop::TimedOut as u8 => Err(Refusal::TimedOut),
            _ => Err(Refusal::Canceled),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes memory that the request is about to use. False over the limit.
    pub(super) fn reserve(&self, bytes: usize) -> bool {
        let (mut grown, more, claimed) = {
            let mut memory = self.memory();
            let spare = memory.held.amount().saturating_sub(memory.claimed);
            let Some(claimed) = memory.claimed.checked_add(bytes) else {
                self.short.store(usize::MAX, Ordering::Relaxed);
                return false;
            };
            memory.claimed = claimed;
            (memory.held.same(), bytes.saturating_sub(spare), claimed)
        };
        // Not under the lock: it may wake others.
        let is_there = grown.grow(more);
        let mut memory = self.memory();
        if is_there {
            memory.held.join(grown);
        } else {
            memory.claimed = memory.claimed.saturating_sub(bytes);
            self.short.store(claimed, Ordering::Relaxed);
        }
        is_there
    }

    /// What it would need in all if it ran short of memory since this was asked last.
    pub(super) fn take_short(&self) -> Option<usize> {
        Some(self.short.swap(0, Ordering::Relaxed)).filter(|bytes| *bytes > 0)
    }

    /// It is to begin again, and has given up what it had meanwhile.
    pub(super) fn give_up(&self) {
        let over = {
            let mut memory = self.memory();
            memory.claimed = memory.base;
            let base = memory.base;
            memory.held.split_off(base)
        };
        drop(over);
    }

    /// Takes what it needs in all before it begins again, if that is there. Else the work finds out by itself.
    pub(super) fn prepare(&self, bytes: usize) {
        let (mut grown, held) = {
            let memory = self.memory();
            (memory.held.same(), memory.held.amount())
        };
        if grown.grow(bytes.saturating_sub(held)) {
            self.memory().held.join(grown);
        }
    }

    /// It is at its end: from here on it holds what its result holds. Returns what that leaves over, if anything.
    pub(super) fn settle(&self, bytes: usize) -> Option<Reservation> {
        let mut memory = self.memory();
        (memory.base, memory.claimed) = (bytes, bytes);
        let over = memory.held.split_off(bytes);
        let missing = bytes - memory.held.amount();
        // It is there already, so it counts whatever the limit says.
        memory.held.count(missing);
        over
    }

    pub(super) fn bytes_held(&self) -> usize {
        self.memory().held.amount()
    }
}
