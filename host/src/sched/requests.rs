//! The requests of one guest, from submission to the end: a state machine without threads and without a clock.
//!
//! ```text
//!             ┌── parked ◄─┐
//!             ▼            │
//! submit → queued ────► running → done → taken
//!             └────────────┴── stopped ──┘
//! ```
//!
//! A request is answered exactly once: its entry leaves the table with its result, and no other one has its id. It is stopped when
//! it is canceled or when its time is up. What has begun is always run to its end, so that it can clear up; what has not is
//! dropped.
//!
//! Whatever a request takes - a place, memory, a timer, its id in the list of those to be announced - belongs to its entry and
//! goes with it. A method that may wake or free something returns [`Afterwards`], which is carried out once the lock is free; and
//! after any that may set a timer, [`Requests::alarm`] tells whether the clock has to come earlier.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use slab::Slab;

use super::afterwards::Afterwards;
use super::counters::{Counters, Station};
use super::groups::{Event, Failed, Groups};
use super::headcount::{ACTIVE, BEGUN, COMING, Counted, Headcount, UNANNOUNCED, UNFINISHED};
use super::ids::CallId;
use super::ids::GroupId;
use super::ids::RequestId;
use super::lanes::Priority;
use super::outcome::{Outcome, Refusal, Work};
use super::statistics::Report;
use super::work::{Admission, Manner, Origin, Progress, Steps, Stop, Submission, ToQueue, WhoWaits};
use crate::budget::{Budget, Reservation, Waiter};

enum Phase<R: Outcome> {
    Queued(Work<R>),
    Running,
    /// A worker has run it and will run it again.
    Parked(Work<R>),
    Done(R),
}

struct Entry<R: Outcome> {
    generation: u32,
    submission: Submission,
    priority: Priority,
    phase: Phase<R>,
    /// Where it stands in the counters.
    station: Station,
    stopped: Option<Stop>,
    /// A worker has been at it, and it is not at its end.
    begun: Option<Counted<BEGUN>>,
    /// It was woken while it could not go on at once.
    woken: bool,
    /// Nobody will take the result: its handle was dropped, or it was given its error already.
    unwanted: bool,
    /// The id can still be given by `wait-any` or `poll`.
    unannounced: Option<Counted<UNANNOUNCED>>,
    /// It has a handle and is not done.
    unfinished: Option<Counted<UNFINISHED>>,
    /// Where it stands among those that are done and were not announced.
    finished: Option<u64>,
    /// What it takes of the queue and the workers, until it ends. One that is parked takes none.
    place: Option<Reservation>,
    /// It is queued or on a worker, and not parked. Given up after what it gives back.
    active: Option<Counted<ACTIVE>>,
    caller: WhoWaits,
    /// It is done, and its result will be taken.
    coming: Option<Counted<COMING>>,
    /// It ran short of memory, and waits until there may be as much as it needs.
    hunger: Option<Hunger>,
    resume_at: Option<Instant>,
    waker: Option<Waker>,
    steps: Arc<Steps>,
    /// When it came to where it is.
    since: Instant,
    queued: Duration,
    ran: Duration,
}

impl<R: Outcome> Entry<R> {
    fn has_handle(&self) -> bool {
        self.submission.origin == Origin::Handle
    }

    fn group(&self) -> Option<GroupId> {
        self.submission.manner.group
    }
}

/// A request that waits for memory.
struct Hunger {
    /// Its place among those of the guest that wait for it.
    order: u64,
    /// Bytes that it needs in all.
    need: usize,
    waiter: Waiter,
}

/// A call that waits to be admitted.
struct Call {
    waker: Waker,
    manner: Manner,
    caller: WhoWaits,
}

/// Something that is to happen at a certain time. It is removed with what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// A parked request goes on.
    Resume(RequestId),
    /// The time of a request is up.
    Request(RequestId),
    /// The time of a call that waits to be admitted is up.
    Call(CallId),
    /// The time of a group is up.
    Group(GroupId),
    /// The time of all requests is up.
    Guest,
}

/// A request that a worker has taken.
pub(crate) struct Started<R: Outcome> {
    pub(crate) work: Work<R>,
    pub(crate) priority: Priority,
    pub(super) steps: Arc<Steps>,
    /// Bytes that it needs in all, if it ran short of memory before.
    pub(super) need: Option<usize>,
}

/// What becomes of a request that a worker is done with.
pub(crate) struct Finished<R> {
    pub(crate) after: Afterwards,
    pub(crate) report: Option<Report>,
    /// The result that nobody wants. It is to be undone before the request ends, by [`Requests::end_unwanted`].
    pub(crate) unwanted: Option<R>,
}

/// How a request is parked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pause {
    /// It goes on at this time.
    Until(Instant),
    /// It goes on when it is woken.
    Woken,
}

/// What the requests of one guest may take.
#[derive(Clone, Debug)]
pub(crate) struct Budgets {
    /// Places in the queue and on workers.
    pub(crate) places: Budget,
    /// Bytes that requests and their results hold.
    pub(crate) memory: Budget,
    /// Calls that wait to be admitted.
    pub(crate) calls: Budget,
    /// Requests that are parked, and so take no place.
    pub(crate) parked: Budget,
}

/// All requests of one guest.
pub(crate) struct Requests<R: Outcome> {
    entries: Slab<Entry<R>>,
    pub(super) groups: Groups<R::Failure>,
    generation: u32,
    counters: Counters,
    budgets: Budgets,
    pub(super) headcount: Headcount,
    /// Requests that `wait-any` has to give, in the order in which they were done.
    finished: BTreeMap<u64, RequestId>,
    next_finished: u64,
    calls: BTreeMap<CallId, Call>,
    next_call: u64,
    /// Calls that wait for memory.
    hungry_calls: BTreeSet<CallId>,
    /// Requests that wait for memory, in their order.
    hungry: BTreeMap<u64, RequestId>,
    /// Those that ended in the queue, where their ids still stand.
    withdrawn: BTreeSet<RequestId>,
    next_hungry: u64,
    /// Those who wait for any request to be done.
    waiters: Vec<Waker>,
    timers: BTreeSet<(Instant, Timer)>,
    /// When the clock will look at the timers.
    alarm: Option<Instant>,
    deadline: Option<Instant>,
    priority: Priority,
    /// The guest is gone, or was told to end: nothing is begun any more.
    pub(super) closed: bool,
}

impl<R: Outcome> Requests<R> {
    pub(super) fn new(budgets: Budgets) -> Self {
        Self {
            entries: Slab::new(),
            groups: Groups::default(),
            generation: 0,
            counters: Counters::default(),
            budgets,
            headcount: Headcount::default(),
            finished: BTreeMap::new(),
            next_finished: 0,
            calls: BTreeMap::new(),
            next_call: 0,
            hungry_calls: BTreeSet::new(),
            hungry: BTreeMap::new(),
            withdrawn: BTreeSet::new(),
            next_hungry: 0,
            waiters: Vec::new(),
            timers: BTreeSet::new(),
            alarm: None,
            deadline: None,
            priority: Priority::default(),
            closed: false,
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether every request may be refused, in whatever manner it is to be carried out.
    pub(crate) fn is_limited(&self) -> bool {
        self.closed || self.deadline.is_some()
    }

    fn deadline_of(&self, manner: &Manner) -> Option<Instant> {
        [manner.deadline, self.groups.deadline(manner.group), self.deadline].into_iter().flatten().min()
    }

    /// Queues a request that was admitted. Gives everything back if it cannot be carried out in its manner, or if its group is
    /// full: then it is to wait again.
    pub(crate) fn submit(
        &mut self,
        submission: Submission,
        admission: Admission,
        work: Work<R>,
        now: Instant,
    ) -> Result<ToQueue, (Refusal, Admission, Work<R>)> {
        let manner = submission.manner;
        if self.closed {
            return Err((Refusal::Canceled, admission, work));
        }
        if submission.is_counted() {
            let refusal = self.refusal(&manner, now);
            let is_full = || self.groups.full(manner.group).map(|_| Refusal::Full);
            if let Some(refusal) = refusal.or_else(is_full) {
                return Err((refusal, admission, work));
            }
        }
        let priority = manner.priority.or_else(|| self.groups.priority(manner.group)).unwrap_or(self.priority);
        let Admission { place, memory, caller } = admission;
        let id = self.insert(submission, Phase::Queued(work), Station::Queued, memory, now);
        self.count(id, None, Station::Queued);
        let unfinished = (submission.origin == Origin::Handle).then(|| self.headcount.count());
        let active = Some(self.headcount.count());
        if let Some(entry) = self.entry(id) {
            (entry.priority, entry.active, entry.unfinished, entry.caller) = (priority, active, unfinished, caller);
            entry.place = Some(place);
        }
        if let Some(deadline) = manner.deadline {
            self.timers.insert((deadline, Timer::Request(id)));
        }
        Ok(ToQueue { id, priority, begun: false })
    }

    /// Why a request cannot be carried out in this manner: its guest is to end, its group was canceled, or its time is up.
    pub(crate) fn refusal(&mut self, manner: &Manner, now: Instant) -> Option<Refusal> {
        if self.closed {
            return Some(Refusal::Canceled);
        }
        let is_late = || self.deadline_of(manner).is_some_and(|deadline| deadline <= now);
        let stop = self.groups.end(manner.group).or_else(|| is_late().then_some(Stop::TimedOut))?;
        if stop == Stop::TimedOut {
            self.groups.cut_late(manner.group, now);
        }
        Some(stop.refusal())
    }

    /// Enters a request that fails before it is queued, in all counters but those of its group.
    pub(crate) fn refuse(&mut self, submission: &Submission, refusal: Refusal) {
        if submission.is_counted() {
            let station = if refusal == Refusal::Canceled { Station::Canceled } else { Station::Failed };
            self.counters.shift(None, station);
        }
    }

    /// A member of a group was completed without being queued. Nobody can be waiting for the group at this point.
    pub(crate) fn settle(&mut self, group: Option<GroupId>, id: u64, failure: Option<R::Failure>) {
        let to = match failure {
            None => Station::Done,
            Some(failure) if failure == Refusal::Canceled.into() => Station::Canceled,
            Some(_) => Station::Failed,
        };
        let failure = failure.filter(|_| to == Station::Failed).map(|failure| Failed { id, failure });
        self.groups.enter(group, Event { from: None, to, failure, progress: Progress::default() });
    }

    /// Enters a request with a handle that is done, and counted, already. `memory` is what its result holds.
    pub(crate) fn submit_done(&mut self, submission: Submission, memory: Reservation, result: R, now: Instant) -> RequestId {
        let failure = result.failure();
        let station = Station::end(None, failure.is_some());
        let id = self.insert(submission, Phase::Done(result), station, memory, now);
        self.settle(submission.manner.group, id.value(), failure);
        self.finish_announced_later(id);
        id
    }

    fn insert(
        &mut self,
        submission: Submission,
        phase: Phase<R>,
        station: Station,
        memory: Reservation,
        now: Instant,
    ) -> RequestId {
        // Generations start at 1, so that no id is 0.
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        let generation = self.generation;
        let unannounced = (submission.origin == Origin::Handle).then(|| self.headcount.count());
        let index = self.entries.insert(Entry {
            generation,
            submission,
            priority: Priority::default(),
            phase,
            station,
            stopped: None,
            begun: None,
            woken: false,
            unwanted: false,
            unannounced,
            unfinished: None,
            finished: None,
            place: None,
            active: None,
            caller: WhoWaits::Guest,
            coming: None,
            hunger: None,
            resume_at: None,
            waker: None,
            steps: Steps::new(memory),
            since: now,
            queued: Duration::ZERO,
            ran: Duration::ZERO,
        });
        let id = RequestId::new(generation, index);
        self.groups.refer(submission.manner.group, id);
        id
    }

    fn entry(&mut self, id: RequestId) -> Option<&mut Entry<R>> {
        self.entries.get_mut(id.index()).filter(|entry| RequestId::new(entry.generation, id.index()) == id)
    }

    /// Enters in all counters where a request is now.
    fn count(&mut self, id: RequestId, failure: Option<R::Failure>, to: Station) {
        let Some(entry) = self.entry(id) else { return };
        let from = if entry.station == to { None } else { Some(entry.station) };
        entry.station = to;
        if !entry.submission.is_counted() {
            return;
        }
        let progress = if to.is_end() { entry.steps.progress() } else { Progress::default() };
        let number = if entry.has_handle() { id.value() } else { 0 };
        let failure = failure.filter(|_| to == Station::Failed).map(|failure| Failed { id: number, failure });
        let group = entry.group();
        self.counters.shift(from, to);
        self.groups.enter(group, Event { from, to, failure, progress });
    }

    /// The same for one that is at its end, with those who wait for that in its group.
    fn count_end(&mut self, id: RequestId, stopped: Option<Stop>, failure: Option<R::Failure>, after: &mut Afterwards) {
        self.count(id, failure, Station::end(stopped, failure.is_some()));
        let group = self.entry(id).and_then(|entry| entry.group());
        self.groups.tell(group, &mut after.wakers);
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
}

mod admitting;
mod announcing;
#[cfg(any(test, feature = "model", debug_assertions))]
mod check;
mod ending;
mod grouping;
mod running;
mod timing;

pub(crate) use grouping::End;

#[cfg(all(test, not(feature = "model")))]
mod tests;
