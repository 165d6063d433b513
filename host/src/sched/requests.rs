//! The requests of one guest, from submission to the end: a state machine without threads and without a clock.
//!
//! ```text
//!             ┌── parked ◄─┐
//!             ▼            │
//! submit → queued ────► running → done → taken
//!             └────────────┴── stopped ──┘
//! ```
//!
//! A request is answered exactly once: its entry leaves the table with its result, and an id is never used twice. It is stopped
//! when it is canceled or when its time is up.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use slab::Slab;

use super::counters::{Counters, Station, Tally};
use super::groups::{Event, Failure, GroupId, Groups};
use super::lanes::Priority;
use super::work::{
    Afterwards, Manner, Origin, Progress, Report, RequestId, Steps, Stop, Submission, WhenFull, Work, moved_bytes,
};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::output::Output;

enum Phase {
    Queued(Work),
    Running,
    /// A worker was at it and will be again.
    Parked(Work),
    Done(Result<Output>),
}

struct Entry {
    generation: u32,
    submission: Submission,
    priority: Priority,
    phase: Phase,
    /// Where it stands in the counters.
    station: Station,
    stopped: Option<Stop>,
    /// Nobody will take the result: its handle was dropped, or it was given its error already.
    unwanted: bool,
    /// `wait-any` or `poll` has given the id.
    announced: bool,
    waker: Option<Waker>,
    steps: Arc<Steps>,
    /// When it came to where it is.
    since: Instant,
    queued: Duration,
    ran: Duration,
}

impl Entry {
    fn has_handle(&self) -> bool {
        self.submission.origin == Origin::Handle
    }

    fn group(&self) -> Option<GroupId> {
        self.submission.manner.group
    }
}

/// Something that is to happen at a certain time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// A parked request goes on.
    Resume(RequestId),
    /// The time of a request is up.
    Request(RequestId),
    /// The time of a group is up.
    Group(GroupId),
    /// The time of all requests is up.
    Guest,
    /// The time of a request is up that waits for a place.
    Place,
}

/// A request that a worker has taken.
pub(crate) struct Started {
    pub(crate) work: Work,
    pub(crate) priority: Priority,
    pub(super) steps: Arc<Steps>,
}

/// What has come of the time that went by.
#[derive(Default)]
pub(crate) struct Tick {
    /// Requests to be queued again.
    pub(crate) resumed: Vec<(Priority, RequestId)>,
    pub(crate) after: Afterwards,
}

/// All requests of one guest.
pub(crate) struct Requests {
    entries: Slab<Entry>,
    pub(super) groups: Groups,
    generation: u32,
    counters: Counters,
    tally: Arc<Tally>,
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
    timers: BTreeSet<(Instant, Timer)>,
    /// When the time of the first of those is up who wait for a place.
    place_deadline: Option<Instant>,
    /// When the clock will look at the timers.
    alarm: Option<Instant>,
    deadline: Option<Instant>,
    priority: Priority,
}

impl Requests {
    pub(super) fn new(limits: &Limits, tally: Arc<Tally>) -> Self {
        Self {
            entries: Slab::new(),
            groups: Groups::default(),
            generation: 0,
            counters: Counters::default(),
            tally,
            finished: VecDeque::new(),
            unannounced: 0,
            unfinished: 0,
            in_flight: 0,
            in_flight_max: limits.in_flight_max,
            bytes: 0,
            bytes_max: limits.bytes_in_flight_max,
            waiters: Vec::new(),
            timers: BTreeSet::new(),
            place_deadline: None,
            alarm: None,
            deadline: None,
            priority: Priority::default(),
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether another request may be queued; if not, `waker` is told when one may. Fails if it is not to wait for that, or if
    /// its time is up.
    pub(crate) fn poll_place(&mut self, manner: &Manner, waker: &Waker, now: Instant) -> Poll<Result<()>> {
        if let Some(error) = self.refusal(manner, now) {
            return Poll::Ready(Err(error));
        }
        if self.in_flight < self.in_flight_max && self.groups.poll_place(manner.group, waker).is_ready() {
            return Poll::Ready(Ok(()));
        }
        if manner.when_full == WhenFull::Fail {
            return Poll::Ready(Err(Error::WOULD_BLOCK));
        }
        // One timer for all who wait: they look again when it comes, and then it is the next one's.
        let deadline = self.deadline_of(manner);
        if let Some(deadline) = deadline.filter(|deadline| self.place_deadline.is_none_or(|first| *deadline < first)) {
            if let Some(first) = self.place_deadline.replace(deadline) {
                self.timers.remove(&(first, Timer::Place));
            }
            self.timers.insert((deadline, Timer::Place));
        }
        self.wait(waker)
    }

    fn deadline_of(&self, manner: &Manner) -> Option<Instant> {
        [manner.deadline, self.groups.deadline(manner.group), self.deadline].into_iter().flatten().min()
    }

    /// Queues a request. Its bytes count until its result is taken; over the limit it fails, unless it is the only one.
    pub(crate) fn submit(&mut self, submission: Submission, work: Work, now: Instant) -> Result<(RequestId, Priority)> {
        let manner = submission.manner;
        let bytes = self.bytes.saturating_add(submission.bytes);
        let is_over = bytes > self.bytes_max && self.bytes > 0;
        let refusal = if submission.is_counted() { self.refusal(&manner, now) } else { None };
        if let Some(error) = refusal.or_else(|| is_over.then_some(Error::WOULD_BLOCK)) {
            self.refuse(&submission, error);
            return Err(error);
        }
        self.bytes = bytes;
        self.in_flight += 1;
        if submission.origin == Origin::Handle {
            self.unannounced += 1;
            self.unfinished += 1;
        }
        let priority = manner.priority.or_else(|| self.groups.priority(manner.group)).unwrap_or(self.priority);
        let id = self.insert(submission, Phase::Queued(work), Station::Queued, now);
        self.count(id, None, Station::Queued, &mut Vec::new());
        if let Some(entry) = self.entry(id) {
            entry.priority = priority;
        }
        if let Some(deadline) = manner.deadline {
            self.timers.insert((deadline, Timer::Request(id)));
        }
        Ok((id, priority))
    }

    /// Why a request cannot be carried out in this manner: its group was canceled, or its time is up.
    pub(crate) fn refusal(&self, manner: &Manner, now: Instant) -> Option<Error> {
        let is_late = || self.deadline_of(manner).is_some_and(|deadline| deadline <= now);
        self.groups.end(manner.group).or_else(|| is_late().then_some(Stop::TimedOut)).map(Stop::error)
    }

    /// Enters a request that fails before it is queued, in all counters but those of its group.
    pub(crate) fn refuse(&mut self, submission: &Submission, error: Error) {
        if submission.is_counted() {
            let station = if error == Error::CANCELED { Station::Canceled } else { Station::Failed };
            self.counters.shift(None, station);
            self.tally.shift(None, station);
        }
    }

    /// A request of a group is done that was never queued. Nobody can wait for the group meanwhile.
    pub(crate) fn settle(&mut self, group: Option<GroupId>, id: u64, error: Option<Error>) {
        let to = match error {
            None => Station::Done,
            Some(Error::CANCELED) => Station::Canceled,
            Some(_) => Station::Failed,
        };
        let failure = error.filter(|_| to == Station::Failed).map(|error| Failure { id, error });
        self.groups.enter(group, Event { from: None, to, failure, progress: Progress::default() }, &mut Vec::new());
    }

    /// Enters a request with a handle that is done, and counted, already. Its bytes are those of its result.
    pub(crate) fn submit_done(&mut self, submission: Submission, result: Result<Output>, now: Instant) -> RequestId {
        self.bytes = self.bytes.saturating_add(submission.bytes);
        self.unannounced += 1;
        let error = result.as_ref().err().copied();
        let station = Station::end(None, error.is_some());
        let id = self.insert(submission, Phase::Done(result), station, now);
        self.settle(submission.manner.group, id.value(), error);
        self.finished.push_back(id);
        id
    }

    fn insert(&mut self, submission: Submission, phase: Phase, station: Station, now: Instant) -> RequestId {
        // Generations start at 1, so that no id is 0.
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        let generation = self.generation;
        self.groups.refer(submission.manner.group);
        let index = self.entries.insert(Entry {
            generation,
            submission,
            priority: Priority::default(),
            phase,
            station,
            stopped: None,
            unwanted: false,
            announced: false,
            waker: None,
            steps: Arc::default(),
            since: now,
            queued: Duration::ZERO,
            ran: Duration::ZERO,
        });
        RequestId::new(generation, index)
    }

    fn entry(&mut self, id: RequestId) -> Option<&mut Entry> {
        self.entries.get_mut(id.index()).filter(|entry| RequestId::new(entry.generation, id.index()) == id)
    }

    /// Enters in all counters where a request is now.
    fn count(&mut self, id: RequestId, failure: Option<Error>, to: Station, wakers: &mut Vec<Waker>) {
        let Some(entry) = self.entry(id) else { return };
        let from = if entry.station == to { None } else { Some(entry.station) };
        entry.station = to;
        if !entry.submission.is_counted() {
            return;
        }
        let at_end = !matches!(to, Station::Queued | Station::Running);
        let progress = if at_end { entry.steps.progress() } else { Progress::default() };
        let number = if entry.has_handle() { id.value() } else { 0 };
        let failure = failure.filter(|_| to == Station::Failed).map(|error| Failure { id: number, error });
        let group = entry.group();
        self.counters.shift(from, to);
        self.tally.shift(from, to);
        self.groups.enter(group, Event { from, to, failure, progress }, wakers);
    }

    /// A worker has the request. None if it was stopped: then its place is free.
    pub(crate) fn start(&mut self, id: RequestId, now: Instant) -> (Option<Started>, Afterwards) {
        let mut after = Afterwards::default();
        if let Some(entry) = self.entry(id)
            && matches!(entry.phase, Phase::Queued(_))
            && let Phase::Queued(work) = std::mem::replace(&mut entry.phase, Phase::Running)
        {
            entry.queued += now.saturating_duration_since(entry.since);
            entry.since = now;
            let started = Started { work, priority: entry.priority, steps: Arc::clone(&entry.steps) };
            if entry.station == Station::Queued {
                self.count(id, None, Station::Running, &mut after.wakers);
            }
            return (Some(started), after);
        }
        self.free_place(&mut after);
        (None, after)
    }

    /// A worker has tried, and is to try again at `at`. The work is dropped if the request was stopped meanwhile.
    pub(crate) fn park(&mut self, id: RequestId, work: Work, now: Instant, at: Instant) -> Afterwards {
        let stopped = self.entry(id).is_none_or(|entry| entry.stopped.is_some());
        if stopped {
            let (mut after, _) = self.finish(id, Err(Error::CANCELED), now);
            after.work.push(work);
            return after;
        }
        if let Some(entry) = self.entry(id) {
            entry.ran += now.saturating_duration_since(entry.since);
            entry.since = now;
            entry.phase = Phase::Parked(work);
            self.timers.insert((at, Timer::Resume(id)));
        }
        Afterwards::default()
    }

    /// A worker is done with the request. The result is dropped if nobody wants it.
    pub(crate) fn finish(&mut self, id: RequestId, result: Result<Output>, now: Instant) -> (Afterwards, Option<Report>) {
        let mut after = Afterwards::default();
        self.free_place(&mut after);
        let Some(entry) = self.entry(id) else { return (after, None) };
        let report = Report {
            name: entry.submission.name,
            failed: result.is_err(),
            queued: entry.queued,
            ran: entry.ran + now.saturating_duration_since(entry.since),
            bytes: moved_bytes(&result),
        };
        let (stopped, unwanted) = (entry.stopped, entry.unwanted);
        after.wakers.extend(entry.waker.take());
        let error = stopped.map(Stop::error).or_else(|| result.as_ref().err().copied());
        self.count(id, error, Station::end(stopped, result.is_err()), &mut after.wakers);
        match stopped {
            None if !unwanted => {
                if let Some(entry) = self.entry(id) {
                    entry.phase = Phase::Done(result);
                }
                self.tell(id, &mut after);
            }
            _ => {
                after.results.push(result);
                if unwanted {
                    after.results.extend(self.remove(id));
                } else if let (Some(stop), Some(entry)) = (stopped, self.entry(id)) {
                    // Those who wait for it were told when it was stopped.
                    entry.phase = Phase::Done(Err(stop.error()));
                }
            }
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
        self.stop(id, Stop::Canceled, &mut after);
        after
    }

    /// Whether it was stopped now.
    fn stop(&mut self, id: RequestId, why: Stop, after: &mut Afterwards) -> bool {
        let Some(entry) = self.entry(id).filter(|entry| entry.stopped.is_none()) else { return false };
        match std::mem::replace(&mut entry.phase, Phase::Running) {
            Phase::Running => {
                entry.stopped = Some(why);
                entry.steps.stop(why);
                after.wakers.extend(entry.waker.take());
            }
            done @ Phase::Done(_) => {
                entry.phase = done;
                return false;
            }
            waiting @ (Phase::Queued(_) | Phase::Parked(_)) => {
                entry.phase = Phase::Done(Err(why.error()));
                entry.stopped = Some(why);
                after.wakers.extend(entry.waker.take());
                let unwanted = entry.unwanted;
                self.count(id, Some(why.error()), Station::end(Some(why), true), &mut after.wakers);
                match waiting {
                    // It stands in no queue; one that does keeps its place until a worker comes by it.
                    Phase::Parked(work) => {
                        after.work.push(work);
                        self.free_place(after);
                    }
                    Phase::Queued(work) => after.work.push(work),
                    Phase::Running | Phase::Done(_) => {}
                }
                if unwanted {
                    after.results.extend(self.remove(id));
                    return true;
                }
            }
        }
        self.tell(id, after);
        true
    }

    /// Stops every request of the guest's own that `which` names.
    fn stop_all(&mut self, why: Stop, which: impl Fn(&Entry, &Groups) -> bool, after: &mut Afterwards) -> usize {
        let wanted = |(index, entry): (usize, &Entry)| {
            let is_meant = entry.submission.is_counted() && which(entry, &self.groups);
            is_meant.then(|| RequestId::new(entry.generation, index))
        };
        let ids: Vec<RequestId> = self.entries.iter().filter_map(wanted).collect();
        ids.into_iter().filter(|id| self.stop(*id, why, after)).count()
    }

    /// The result, once it is there; `waker` is told when it is. A result is given once, and then `already`.
    pub(crate) fn poll_take(&mut self, id: RequestId, waker: &Waker) -> Poll<Result<Output>> {
        let Some(entry) = self.entry(id).filter(|entry| !entry.unwanted) else { return Poll::Ready(Err(Error::ALREADY)) };
        match (&entry.phase, entry.stopped) {
            (Phase::Done(_), _) => {}
            (Phase::Running, Some(stop)) => {
                // It still runs; the entry goes when it ends.
                entry.unwanted = true;
                self.settle_announcement(id);
                return Poll::Ready(Err(stop.error()));
            }
            _ => {
                entry.waker = Some(waker.clone());
                return Poll::Pending;
            }
        }
        Poll::Ready(self.remove(id).unwrap_or(Err(Error::ALREADY)))
    }

    /// Nobody will ask for the result any more. A request that is not done goes on.
    pub(crate) fn disown(&mut self, id: RequestId) -> Afterwards {
        let mut after = Afterwards::default();
        let Some(entry) = self.entry(id) else { return after };
        if matches!(entry.phase, Phase::Done(_)) {
            after.results.extend(self.remove(id));
            return after;
        }
        let unfinished = entry.has_handle() && entry.stopped.is_none() && !entry.unwanted;
        entry.unwanted = true;
        self.settle_announcement(id);
        if unfinished {
            self.unfinished -= 1;
        }
        after
    }

    /// Takes an entry out of the table, and what it holds off the books. Returns its result.
    fn remove(&mut self, id: RequestId) -> Option<Result<Output>> {
        self.entry(id)?;
        self.settle_announcement(id);
        let entry = self.entries.try_remove(id.index())?;
        self.bytes -= entry.submission.bytes;
        if let Some(deadline) = entry.submission.manner.deadline {
            self.timers.remove(&(deadline, Timer::Request(id)));
        }
        self.groups.release(entry.group());
        if let Phase::Done(result) = entry.phase { Some(result) } else { None }
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

    fn free_place(&mut self, after: &mut Afterwards) {
        let full = self.in_flight == self.in_flight_max;
        self.in_flight -= 1;
        if full {
            after.wakers.append(&mut self.waiters);
        }
    }

    /// Puts bytes that a running request is about to hold on the books; they go with its entry.
    pub(crate) fn reserve(&mut self, id: RequestId, bytes: usize) -> Result<()> {
        let total = self.bytes.saturating_add(bytes);
        if total > self.bytes_max {
            return Err(Error::WOULD_BLOCK);
        }
        if let Some(entry) = self.entry(id) {
            entry.submission.bytes += bytes;
            self.bytes = total;
        }
        Ok(())
    }

    /// How far a request has come.
    pub(crate) fn progress(&mut self, id: RequestId) -> Progress {
        self.entry(id).map_or_else(Progress::default, |entry| entry.steps.progress())
    }

    /// Sets the priority of requests that have none of their own, nor one of their group; returns the one before.
    pub(crate) fn set_priority(&mut self, priority: Priority) -> Priority {
        std::mem::replace(&mut self.priority, priority)
    }

    pub(crate) fn priority(&self) -> Priority {
        self.priority
    }

    /// The guest is gone: queued requests never run, and no result is wanted.
    pub(crate) fn close(&mut self) -> Vec<Afterwards> {
        let ids: Vec<_> = self.entries.iter().map(|(index, entry)| RequestId::new(entry.generation, index)).collect();
        let after = ids.into_iter().flat_map(|id| [self.cancel(id), self.disown(id)]).collect();
        self.timers.clear();
        after
    }
}

mod grouping;
mod timing;

pub(crate) use grouping::End;

#[cfg(test)]
mod group_tests;
#[cfg(test)]
mod tests;
