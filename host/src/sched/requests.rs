//! The requests of one guest, from submission to the end: a state machine without threads and without a clock.
//!
//! ```text
//! submit → queued → running → done → taken
//!             └───────┴── canceled ──┘
//! ```
//!
//! A request is answered exactly once: its entry leaves the table with its result, and an id is never used twice.

use std::collections::VecDeque;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use slab::Slab;
use wasmtime::component::{ComponentType, Lift, Lower};

use super::guest::Ticket;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RequestId(u64);

impl RequestId {
    fn new(generation: u32, index: usize) -> Self {
        let index = u64::try_from(index).expect("an index of a bounded table fits");
        Self(u64::from(generation) << 32 | index)
    }

    fn index(self) -> usize {
        usize::try_from(self.0 & u64::from(u32::MAX)).expect("32 bits fit")
    }

    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

/// How many requests are where: `aiohost:aio/control.counters`. Exact at any time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Counters {
    /// Requests that wait for a worker.
    pub queued: u64,
    /// Requests on a worker.
    pub running: u64,
    /// Requests that ended well.
    pub done: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Requests that were canceled.
    pub canceled: u64,
}

/// Who asked for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A call that waits for it.
    Call,
    /// The guest, which holds a handle of it: `wait-any` tells of it.
    Handle,
    /// The host itself, to close a dropped file or to go on with a stream. Not in the counters.
    Host,
}

/// What is known of a request when it is submitted.
pub(crate) struct Submission {
    /// Its name in the WIT package.
    pub(crate) name: &'static str,
    pub(crate) origin: Origin,
    /// Bytes that it holds, or that its result will hold.
    pub(crate) bytes: usize,
}

enum Phase {
    Queued(Work),
    Running,
    Done(Result<Output>),
}

struct Entry {
    generation: u32,
    submission: Submission,
    phase: Phase,
    canceled: bool,
    /// Nobody will take the result: its handle was dropped, or it was given `canceled` already.
    unwanted: bool,
    /// `wait-any` or `poll` has given the id.
    announced: bool,
    waker: Option<Waker>,
    submitted: Instant,
    started: Instant,
}

impl Entry {
    /// What it adds to a counter.
    fn counted(&self) -> u64 {
        u64::from(self.submission.origin != Origin::Host)
    }

    fn has_handle(&self) -> bool {
        self.submission.origin == Origin::Handle
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
    wakers: Vec<Waker>,
    work: Option<Work>,
    result: Option<Result<Output>>,
}

impl Afterwards {
    pub(crate) fn carry_out(self) {
        drop((self.work, self.result));
        for waker in self.wakers {
            waker.wake();
        }
    }
}

/// All requests of one guest.
pub(crate) struct Requests {
    entries: Slab<Entry>,
    generation: u32,
    counters: Counters,
    /// Ids that `wait-any` has to give, in the order in which they were done. May hold ids that are gone.
    finished: VecDeque<RequestId>,
    /// Requests with a handle whose id `wait-any` can still give.
    unannounced: usize,
    /// Requests with a handle that are not done.
    unfinished: usize,
    /// Places in the queue and on workers that are taken.
    in_flight: usize,
    in_flight_max: usize,
    bytes: usize,
    bytes_max: usize,
    /// Those who wait for any request to be done, or for a place.
    waiters: Vec<Waker>,
}

impl Requests {
    pub(crate) fn new(in_flight_max: usize, bytes_max: usize) -> Self {
        Self {
            entries: Slab::new(),
            generation: 0,
            counters: Counters::default(),
            finished: VecDeque::new(),
            unannounced: 0,
            unfinished: 0,
            in_flight: 0,
            in_flight_max,
            bytes: 0,
            bytes_max,
            waiters: Vec::new(),
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether another request may be queued; if not, `waker` is told when one may.
    pub(crate) fn poll_place(&mut self, waker: &Waker) -> Poll<()> {
        if self.in_flight < self.in_flight_max {
            return Poll::Ready(());
        }
        self.wait(waker)
    }

    /// Queues a request. Its bytes count until its result is taken; over the limit it fails, unless it is the only one.
    pub(crate) fn submit(&mut self, submission: Submission, work: Work, now: Instant) -> Result<RequestId> {
        let bytes = self.bytes.saturating_add(submission.bytes);
        let counted = u64::from(submission.origin != Origin::Host);
        if bytes > self.bytes_max && self.bytes > 0 {
            self.counters.failed += counted;
            return Err(Error::WOULD_BLOCK);
        }
        self.bytes = bytes;
        self.counters.queued += counted;
        self.in_flight += 1;
        if submission.origin == Origin::Handle {
            self.unannounced += 1;
            self.unfinished += 1;
        }
        Ok(self.insert(submission, Phase::Queued(work), now))
    }

    /// Enters a request with a handle that is done, and counted, already. Its bytes are those of its result.
    pub(crate) fn submit_done(&mut self, submission: Submission, result: Result<Output>, now: Instant) -> RequestId {
        self.bytes = self.bytes.saturating_add(submission.bytes);
        self.unannounced += 1;
        let id = self.insert(submission, Phase::Done(result), now);
        self.finished.push_back(id);
        id
    }

    fn insert(&mut self, submission: Submission, phase: Phase, now: Instant) -> RequestId {
        // Generations start at 1, so that no id is 0.
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        let generation = self.generation;
        let index = self.entries.insert(Entry {
            generation,
            submission,
            phase,
            canceled: false,
            unwanted: false,
            announced: false,
            waker: None,
            submitted: now,
            started: now,
        });
        RequestId::new(generation, index)
    }

    fn entry(&mut self, id: RequestId) -> Option<&mut Entry> {
        self.entries.get_mut(id.index()).filter(|entry| RequestId::new(entry.generation, id.index()) == id)
    }

    /// A worker has the request. None if it was canceled: then its place is free.
    pub(crate) fn start(&mut self, id: RequestId, now: Instant) -> (Option<Work>, Afterwards) {
        if let Some(entry) = self.entry(id)
            && matches!(entry.phase, Phase::Queued(_))
            && let Phase::Queued(work) = std::mem::replace(&mut entry.phase, Phase::Running)
        {
            entry.started = now;
            let counted = entry.counted();
            self.counters.queued -= counted;
            self.counters.running += counted;
            return (Some(work), Afterwards::default());
        }
        (None, self.free_place())
    }

    /// A worker is done with the request. The result is dropped if nobody wants it.
    pub(crate) fn finish(&mut self, id: RequestId, result: Result<Output>, now: Instant) -> (Afterwards, Option<Report>) {
        let mut after = self.free_place();
        let Some(entry) = self.entry(id) else { return (after, None) };
        let report = Report {
            name: entry.submission.name,
            failed: result.is_err(),
            queued: entry.started.saturating_duration_since(entry.submitted),
            ran: now.saturating_duration_since(entry.started),
            bytes: moved_bytes(&result),
        };
        let (canceled, unwanted, counted) = (entry.canceled, entry.unwanted, entry.counted());
        after.wakers.extend(entry.waker.take());
        let counter = match (canceled, result.is_ok()) {
            (true, _) => &mut self.counters.canceled,
            (false, true) => &mut self.counters.done,
            (false, false) => &mut self.counters.failed,
        };
        *counter += counted;
        self.counters.running -= counted;
        if canceled || unwanted {
            after.result = Some(result);
        } else if let Some(entry) = self.entry(id) {
            entry.phase = Phase::Done(result);
        }
        if unwanted {
            self.remove(id);
        } else if canceled {
            // The cancellation has told its waiters already.
            if let Some(entry) = self.entry(id) {
                entry.phase = Phase::Done(Err(Error::CANCELED));
            }
        } else {
            self.tell(id, &mut after);
        }
        (after, Some(report))
    }

    /// The request has an answer: those who wait for any are told. A request whose handle is gone is off these books already.
    fn tell(&mut self, id: RequestId, after: &mut Afterwards) {
        if self.entry(id).is_some_and(|entry| entry.has_handle() && !entry.unwanted) {
            self.unfinished -= 1;
            self.finished.push_back(id);
            after.wakers.append(&mut self.waiters);
        }
    }

    /// Takes the request back. Nothing happens if it is done.
    pub(crate) fn cancel(&mut self, id: RequestId) -> Afterwards {
        let mut after = Afterwards::default();
        let Some(entry) = self.entry(id).filter(|entry| !entry.canceled) else { return after };
        match std::mem::replace(&mut entry.phase, Phase::Running) {
            Phase::Queued(work) => {
                after.work = Some(work);
                entry.phase = Phase::Done(Err(Error::CANCELED));
                entry.canceled = true;
                after.wakers.extend(entry.waker.take());
                let counted = entry.counted();
                self.counters.queued -= counted;
                self.counters.canceled += counted;
            }
            Phase::Running => {
                entry.canceled = true;
                after.wakers.extend(entry.waker.take());
            }
            done @ Phase::Done(_) => {
                entry.phase = done;
                return after;
            }
        }
        self.tell(id, &mut after);
        after
    }

    /// Whether the request was canceled: asked by work that is made of steps.
    pub(crate) fn is_canceled(&mut self, id: RequestId) -> bool {
        self.entry(id).is_none_or(|entry| entry.canceled)
    }

    /// The result, once it is there; `waker` is told when it is. A result is given once, and then `already`.
    pub(crate) fn poll_take(&mut self, id: RequestId, waker: &Waker) -> Poll<Result<Output>> {
        let Some(entry) = self.entry(id).filter(|entry| !entry.unwanted) else { return Poll::Ready(Err(Error::ALREADY)) };
        match &entry.phase {
            Phase::Done(_) => {}
            Phase::Running if entry.canceled => {
                // It still runs; the entry goes when it ends.
                entry.unwanted = true;
                self.settle_announcement(id);
                return Poll::Ready(Err(Error::CANCELED));
            }
            Phase::Queued(_) | Phase::Running => {
                entry.waker = Some(waker.clone());
                return Poll::Pending;
            }
        }
        match self.remove(id).map(|entry| entry.phase) {
            Some(Phase::Done(result)) => Poll::Ready(result),
            _ => Poll::Ready(Err(Error::ALREADY)),
        }
    }

    /// Nobody will ask for the result any more. A request that is not done goes on.
    pub(crate) fn disown(&mut self, id: RequestId) -> Afterwards {
        let mut after = Afterwards::default();
        let Some(entry) = self.entry(id) else { return after };
        if matches!(entry.phase, Phase::Done(_)) {
            if let Some(Phase::Done(result)) = self.remove(id).map(|entry| entry.phase) {
                after.result = Some(result);
            }
            return after;
        }
        let unfinished = entry.has_handle() && !entry.canceled;
        entry.unwanted = true;
        self.settle_announcement(id);
        if unfinished {
            self.unfinished -= 1;
        }
        after
    }

    /// Takes an entry out of the table, and what it holds off the books.
    fn remove(&mut self, id: RequestId) -> Option<Entry> {
        self.entry(id)?;
        self.settle_announcement(id);
        let entry = self.entries.try_remove(id.index())?;
        self.bytes -= entry.submission.bytes;
        Some(entry)
    }

    /// From here on `wait-any` does not give the id.
    fn settle_announcement(&mut self, id: RequestId) {
        let Some(entry) = self.entry(id) else { return };
        if entry.has_handle() && !entry.announced {
            entry.announced = true;
            self.unannounced -= 1;
        }
    }

    /// The ids of all requests that are done and that were not given before.
    pub(crate) fn announce(&mut self) -> Vec<u64> {
        let mut ids = Vec::with_capacity(self.finished.len());
        while let Some(id) = self.finished.pop_front() {
            if self.entry(id).is_some_and(|entry| !entry.announced) {
                self.settle_announcement(id);
                ids.push(id.value());
            }
        }
        ids
    }

    /// The same, once there is one, or nothing if there is none to wait for.
    pub(crate) fn poll_announce(&mut self, waker: &Waker) -> Poll<Vec<u64>> {
        let ids = self.announce();
        if !ids.is_empty() || self.unannounced == 0 {
            return Poll::Ready(ids);
        }
        self.wait(waker)
    }

    /// Whether every request with a handle is done.
    pub(crate) fn poll_flush(&mut self, waker: &Waker) -> Poll<()> {
        if self.unfinished == 0 {
            return Poll::Ready(());
        }
        self.wait(waker)
    }

    fn wait<R>(&mut self, waker: &Waker) -> Poll<R> {
        if !self.waiters.iter().any(|other| other.will_wake(waker)) {
            self.waiters.push(waker.clone());
        }
        Poll::Pending
    }

    fn free_place(&mut self) -> Afterwards {
        let full = self.in_flight == self.in_flight_max;
        self.in_flight -= 1;
        let wakers = if full { std::mem::take(&mut self.waiters) } else { Vec::new() };
        Afterwards { wakers, ..Afterwards::default() }
    }

    /// The guest is gone: queued requests never run, and no result is wanted.
    pub(crate) fn close(&mut self) -> Vec<Afterwards> {
        let ids: Vec<_> = self.entries.iter().map(|(index, entry)| RequestId::new(entry.generation, index)).collect();
        ids.into_iter().flat_map(|id| [self.cancel(id), self.disown(id)]).collect()
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

#[cfg(test)]
mod tests;
