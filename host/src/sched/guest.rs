//! One guest on the scheduler: its requests behind a lock, its seat in the pool, and its statistics.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::counters::{Counters, InlineTotals};
use super::groups::{GroupId, GroupOutcome};
use super::lanes::Priority;
use super::pool::Pool;
use super::requests::{End, Requests, Started, Tick};
use super::sync::{Mutex, MutexGuard};
use super::turns::Seat;
use super::work::{Afterwards, Manner, Progress, Report, RequestId, Submission, Work};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::observe::Observations;
use crate::output::Output;

/// One guest. Lives until its last request has ended, also when the guest itself is long gone.
pub(crate) struct Guest {
    requests: Mutex<Requests>,
    observations: Mutex<Observations>,
    inline: InlineTotals,
    /// Whether the time of all its requests is limited.
    limited: AtomicBool,
    /// Whether its membership has ended.
    gone: AtomicBool,
}

/// A guest's membership of a pool; dropping it ends the guest's requests.
pub(crate) struct Membership {
    guest: Arc<Guest>,
    pool: Arc<Pool>,
    seat: Seat,
}

impl Guest {
    fn requests(&self) -> MutexGuard<'_, Requests> {
        // Nothing that can panic runs under the lock; if it did, the books would still be in order.
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker takes the request; none if it was stopped.
    pub(super) fn start(&self, id: RequestId) -> Option<Started> {
        let (started, after) = self.requests().start(id, Instant::now());
        after.carry_out();
        started
    }

    /// A worker is done with the request.
    pub(super) fn finish(&self, id: RequestId, result: Result<Output>) {
        let (after, report) = self.requests().finish(id, result, Instant::now());
        if let Some(report) = report {
            tracing::trace!(target: "aiohost::request", ?report, "done");
            self.observations().add(&report);
        }
        after.carry_out();
    }

    /// A worker is to try again after `delay`. Returns when the clock has to be set to, if it has.
    pub(super) fn park(&self, id: RequestId, work: Work, delay: Duration) -> Option<Instant> {
        let now = Instant::now();
        let (after, alarm) = {
            let mut requests = self.requests();
            (requests.park(id, work, now, now + delay), requests.alarm())
        };
        after.carry_out();
        alarm
    }

    /// The clock has come to the guest's alarm. Returns what is to be queued again, and the next alarm.
    pub(super) fn tick(&self) -> (Vec<(Priority, RequestId)>, Option<Instant>) {
        let (Tick { resumed, after }, alarm) = {
            let mut requests = self.requests();
            (requests.tick(Instant::now()), requests.alarm())
        };
        after.carry_out();
        (resumed, alarm)
    }

    pub(super) fn reserve(&self, id: RequestId, bytes: usize) -> Result<()> {
        self.requests().reserve(id, bytes)
    }

    /// Enters what was done without a worker and outside of a call.
    pub(crate) fn report_step(&self, name: &'static str, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.observations().add(&Report { name, failed: false, queued: Duration::ZERO, ran: Duration::ZERO, bytes });
    }

    pub(crate) fn observations(&self) -> MutexGuard<'_, Observations> {
        self.observations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    /// What was done on the guest's own thread.
    pub(crate) fn inline(&self) -> &InlineTotals {
        &self.inline
    }
}

impl Membership {
    /// A guest with a share of the workers that goes by `weight`.
    pub(crate) fn new(pool: &Arc<Pool>, limits: &Limits, weight: u32) -> Self {
        let requests = Requests::new(limits, Arc::clone(pool.tally()));
        let (observations, inline, limited, gone) = Default::default();
        let guest = Arc::new(Guest { requests: Mutex::new(requests), observations, inline, limited, gone });
        let seat = pool.join(Arc::clone(&guest), weight);
        Self { guest, pool: Arc::clone(pool), seat }
    }

    pub(crate) fn guest(&self) -> &Arc<Guest> {
        &self.guest
    }

    pub(crate) fn counters(&self) -> Counters {
        let mut counters = self.guest.requests().counters();
        counters.add(self.guest.inline.counters());
        counters
    }

    /// Changes something, and sets the clock if there is a new first timer.
    fn with<R>(&self, change: impl FnOnce(&mut Requests) -> R) -> R {
        let (result, alarm) = {
            let mut requests = self.guest.requests();
            (change(&mut requests), requests.alarm())
        };
        if let Some(at) = alarm {
            self.pool.set_alarm(self.seat, &self.guest, at);
        }
        result
    }

    fn carry_out(&self, change: impl FnOnce(&mut Requests) -> Afterwards) {
        self.with(change).carry_out();
    }

    /// Why a request cannot be carried out in this manner. Takes no lock for one in the usual manner.
    pub(crate) fn refusal(&self, manner: &Manner) -> Option<Error> {
        let is_free = manner.deadline.is_none() && manner.group.is_none() && !self.guest.limited.load(Ordering::Relaxed);
        if is_free { None } else { self.guest.requests().refusal(manner, Instant::now()) }
    }

    /// Ready when another request may be queued.
    pub(crate) fn poll_place(&self, manner: &Manner, cx: &Context<'_>) -> Poll<Result<()>> {
        self.with(|requests| requests.poll_place(manner, cx.waker(), Instant::now()))
    }

    /// Queues a request.
    pub(crate) fn submit(&self, submission: Submission, work: Work) -> Result<RequestId> {
        let now = Instant::now();
        let (id, priority) = self.with(|requests| requests.submit(submission, work, now))?;
        self.pool.push(self.seat, priority, id, now);
        Ok(id)
    }

    /// Enters a request that fails before it is queued, in all counters but those of its group.
    pub(crate) fn refuse(&self, submission: &Submission, error: Error) {
        self.guest.requests().refuse(submission, error);
    }

    /// Enters a request with a handle that is done already.
    pub(crate) fn submit_done(&self, submission: Submission, result: Result<Output>) -> RequestId {
        self.guest.requests().submit_done(submission, result, Instant::now())
    }

    /// Enters in a group a call that was done without being queued.
    pub(crate) fn settle<T>(&self, group: GroupId, result: &Result<T>) {
        self.guest.requests().settle(Some(group), 0, result.as_ref().err().copied());
    }

    pub(crate) fn poll_take(&self, id: RequestId, cx: &Context<'_>) -> Poll<Result<Output>> {
        self.guest.requests().poll_take(id, cx.waker())
    }

    pub(crate) fn poll_announce(&self, cx: &Context<'_>) -> Poll<Vec<u64>> {
        self.guest.requests().poll_announce(cx.waker())
    }

    pub(crate) fn announce(&self) -> Vec<u64> {
        self.guest.requests().announce()
    }

    pub(crate) fn poll_flush(&self, cx: &Context<'_>) -> Poll<()> {
        self.guest.requests().poll_flush(cx.waker())
    }

    pub(crate) fn cancel(&self, id: RequestId) {
        self.carry_out(|requests| requests.cancel(id));
    }

    pub(crate) fn disown(&self, id: RequestId) {
        self.carry_out(|requests| requests.disown(id));
    }

    pub(crate) fn progress(&self, id: RequestId) -> Progress {
        self.guest.requests().progress(id)
    }

    /// Sets the priority of requests without one of their own; returns the one before.
    pub(crate) fn set_priority(&self, priority: Priority) -> Priority {
        self.guest.requests().set_priority(priority)
    }

    pub(crate) fn priority(&self) -> Priority {
        self.guest.requests().priority()
    }

    pub(crate) fn set_deadline(&self, deadline: Option<Instant>) {
        self.guest.limited.store(deadline.is_some(), Ordering::Relaxed);
        self.with(|requests| requests.set_deadline(deadline));
    }
}

/// Groups.
impl Membership {
    pub(crate) fn create_group(&self) -> GroupId {
        self.guest.requests().groups.create()
    }

    pub(crate) fn drop_group(&self, group: GroupId) {
        self.guest.requests().groups.drop_handle(group);
    }

    pub(crate) fn add_to_group(&self, group: GroupId, id: RequestId) -> Result<()> {
        self.guest.requests().add_to_group(group, id)
    }

    pub(crate) fn add_group(&self, group: GroupId, child: GroupId) -> Result<()> {
        self.guest.requests().groups.add_group(group, child)
    }

    pub(crate) fn set_group_limit(&self, group: GroupId, limit: u32) {
        self.carry_out(|requests| {
            let mut after = Afterwards::default();
            requests.groups.set_limit(group, u64::from(limit), &mut after.wakers);
            after
        });
    }

    pub(crate) fn set_group_priority(&self, group: GroupId, priority: Priority) {
        self.guest.requests().groups.set_priority(group, priority);
    }

    pub(crate) fn set_group_deadline(&self, group: GroupId, deadline: Option<Instant>) {
        self.with(|requests| requests.set_group_deadline(group, deadline));
    }

    pub(crate) fn poll_outcome(&self, group: GroupId, cx: &Context<'_>) -> Poll<Result<GroupOutcome>> {
        self.guest.requests().groups.poll_outcome(group, cx.waker())
    }

    pub(crate) fn poll_below(&self, group: GroupId, below: u32, cx: &Context<'_>) -> Poll<u64> {
        self.guest.requests().groups.poll_below(group, u64::from(below.max(1)), cx.waker())
    }

    pub(crate) fn cancel_group(&self, group: GroupId, end: End) {
        self.carry_out(|requests| requests.cancel_group(group, end));
    }

    pub(crate) fn group_counters(&self, group: GroupId) -> Counters {
        self.guest.requests().groups.counters(group)
    }

    pub(crate) fn group_progress(&self, group: GroupId) -> Progress {
        self.guest.requests().group_progress(group)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let ended: Vec<Afterwards> = self.guest.requests().close();
        self.guest.gone.store(true, Ordering::SeqCst);
        self.pool.leave(self.seat, &self.guest);
        for after in ended {
            after.carry_out();
        }
    }
}
