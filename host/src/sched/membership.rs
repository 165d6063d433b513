//! A guest's membership of a pool: the way in for its requests. Dropping it ends them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::account::Account;
use super::afterwards::{Afterwards, Hope, Waste, drop_whole};
use super::counters::Counters;
use super::groups::GroupOutcome;
use super::headcount::{ACTIVE, Leaving};
use super::ids::{CallId, GroupId, RequestId};
use super::lanes::Priority;
use super::outcome::{Outcome, Refusal, Work};
use super::pool::Pool;
use super::requests::{Budgets, End, Requests};
use super::statistics::Report;
use super::turns::Seat;
use super::work::{Admission, Manner, Progress, Submission, WhoWaits};
use crate::budget::{Budget, Reservation};

/// A guest on the scheduler.
pub(crate) struct Membership<R: Outcome> {
    account: Arc<Account<R>>,
    pool: Arc<Pool<R>>,
    seat: Seat,
}

impl<R: Outcome> Membership<R> {
    /// A guest with a share of the workers that goes by `weight`.
    pub(crate) fn new(pool: &Arc<Pool<R>>, budgets: Budgets, weight: u32) -> Self {
        let account = Arc::new(Account::new(budgets));
        let seat = pool.join(Arc::clone(&account), weight);
        Self { account, pool: Arc::clone(pool), seat }
    }

    pub(crate) fn account(&self) -> &Arc<Account<R>> {
        &self.account
    }

    pub(crate) fn counters(&self) -> Counters {
        self.account.counters()
    }

    /// Whether nothing of it is queued or runs.
    pub(crate) fn is_idle(&self) -> bool {
        self.account.headcount.number::<ACTIVE>() == 0
    }

    /// What of it has ended and is not dropped.
    pub(crate) fn leaving(&self) -> Leaving {
        Leaving::new(&self.account.headcount)
    }

    /// Ends all of its requests: what has not begun never runs, what has is stopped and clears up, and no result is wanted. Those that
    /// come later are refused.
    pub(crate) fn close(&self) {
        let after = {
            let mut requests = self.account.requests();
            let after = requests.close();
            self.account.limited.store(requests.is_limited(), Ordering::Relaxed);
            after
        };
        self.pool.carry_out(self.seat, &self.account, after);
    }

    /// What its requests and their results may hold.
    pub(crate) fn memory(&self) -> &Budget {
        &self.account.budgets.memory
    }

    /// Changes something, and sets the clock if there is a new first timer.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut Requests<R>) -> T) -> T {
        let (result, alarm) = {
            let mut requests = self.account.requests();
            (change(&mut requests), requests.alarm())
        };
        if let Some(at) = alarm {
            self.pool.set_alarm(self.seat, &self.account, at);
        }
        result
    }

    pub(super) fn carry_out(&self, change: impl FnOnce(&mut Requests<R>) -> Afterwards) {
        self.pool.carry_out(self.seat, &self.account, self.with(change));
    }

    /// Why a request cannot be carried out in this manner. Takes no lock for one in the usual manner.
    pub(crate) fn refusal(&self, manner: &Manner) -> Option<Refusal> {
        let is_free = manner.deadline.is_none() && manner.group.is_none() && !self.account.limited.load(Ordering::Relaxed);
        if is_free { None } else { self.account.requests().refusal(manner, Instant::now()) }
    }

    /// Queues a request that was admitted. Gives everything back if it cannot be carried out, or has to wait again.
    pub(crate) fn submit(
        &self,
        submission: Submission,
        admission: Admission,
        work: Work<R>,
    ) -> Result<RequestId, (Refusal, Admission, Work<R>)> {
        let now = Instant::now();
        let queued = self.with(|requests| requests.submit(submission, admission, work, now))?;
        let id = queued.id;
        self.pool.push(self.seat, [queued], now);
        Ok(id)
    }

    /// Enters a request that fails before it is queued, in all counters but those of its group.
    pub(crate) fn refuse(&self, submission: &Submission, refusal: Refusal) {
        self.account.requests().refuse(submission, refusal);
        let report = Report { kind: submission.kind, id: 0, failed: true, bytes: 0, times: Some(Default::default()) };
        self.account.report(&report);
    }

    /// Leaves something that may take time to drop to a worker, with the memory that it holds. If that is not on the books it is
    /// dropped here: else any amount of it could wait for a worker.
    pub(crate) fn discard(&self, waste: impl Send + 'static, memory: Option<Reservation>) {
        let Some(memory) = memory else { return drop_whole(waste) };
        let mut after = Afterwards::default();
        after.rest.waste.push(Waste::other(waste, Some(memory), &self.account.headcount));
        after.rest.hope = Hope::from(self.account.headcount.count());
        self.pool.carry_out(self.seat, &self.account, after);
    }

    /// Enters a request with a handle that is done already.
    pub(crate) fn submit_done(&self, submission: Submission, memory: Reservation, result: R) -> RequestId {
        self.account.requests().submit_done(submission, memory, result, Instant::now())
    }

    /// Enters in a group a call that was done without being queued.
    pub(crate) fn settle(&self, group: GroupId, failure: Option<R::Failure>) {
        self.account.requests().settle(Some(group), 0, failure);
    }

    pub(crate) fn poll_take(&self, id: RequestId, cx: &Context<'_>) -> Poll<R> {
        let (poll, after) = self.account.requests().poll_take(id, cx.waker());
        self.pool.carry_out(self.seat, &self.account, after);
        poll
    }

    pub(crate) fn poll_announce(&self, cx: &Context<'_>) -> Poll<Vec<u64>> {
        self.account.requests().poll_announce(cx.waker())
    }

    pub(crate) fn announce(&self) -> Vec<u64> {
        self.account.requests().announce()
    }

    pub(crate) fn poll_flush(&self, cx: &Context<'_>) -> Poll<()> {
        self.account.requests().poll_flush(cx.waker())
    }

    pub(crate) fn cancel(&self, id: RequestId) {
        self.carry_out(|requests| requests.cancel(id));
    }

    pub(crate) fn disown(&self, id: RequestId) {
        self.carry_out(|requests| requests.disown(id));
    }

    pub(crate) fn progress(&self, id: RequestId) -> Progress {
        self.account.requests().progress(id)
    }

    /// Sets the priority of requests without one of their own; returns the one before.
    pub(crate) fn set_priority(&self, priority: Priority) -> Priority {
        self.account.requests().set_priority(priority)
    }

    pub(crate) fn priority(&self) -> Priority {
        self.account.requests().priority()
    }

    pub(crate) fn set_deadline(&self, deadline: Option<Instant>) {
        self.with(|requests| {
            requests.set_deadline(deadline);
            self.account.limited.store(requests.is_limited(), Ordering::Relaxed);
        });
    }
}

/// Groups.
impl<R: Outcome> Membership<R> {
    /// A new group, unless there are `max` already.
    pub(crate) fn create_group(&self, max: usize) -> Option<GroupId> {
        let groups = &mut self.account.requests().groups;
        (groups.len() < max).then(|| groups.create())
    }

    pub(crate) fn drop_group(&self, group: GroupId) {
        self.account.requests().drop_group(group);
    }

    pub(crate) fn add_to_group(&self, group: GroupId, id: RequestId) -> Result<(), Refusal> {
        self.account.requests().add_to_group(group, id)
    }

    pub(crate) fn add_group(&self, group: GroupId, child: GroupId) -> Result<(), Refusal> {
        self.account.requests().groups.add_group(group, child)
    }

    pub(crate) fn set_group_limit(&self, group: GroupId, limit: u32) {
        self.carry_out(|requests| {
            let mut after = Afterwards::default();
            requests.groups.set_limit(group, u64::from(limit), &mut after.wakers);
            after
        });
    }

    pub(crate) fn set_group_priority(&self, group: GroupId, priority: Priority) {
        self.account.requests().groups.set_priority(group, priority);
    }

    pub(crate) fn set_group_deadline(&self, group: GroupId, deadline: Option<Instant>) {
        self.with(|requests| requests.set_group_deadline(group, deadline));
    }

    pub(crate) fn poll_outcome(&self, group: GroupId, cx: &Context<'_>) -> Poll<Result<GroupOutcome<R::Failure>, Refusal>> {
        self.account.requests().groups.poll_outcome(group, cx.waker())
    }

    pub(crate) fn poll_below(&self, group: GroupId, below: u32, cx: &Context<'_>) -> Poll<u64> {
        self.account.requests().groups.poll_below(group, u64::from(below.max(1)), cx.waker())
    }

    pub(crate) fn cancel_group(&self, group: GroupId, end: End) {
        self.carry_out(|requests| requests.cancel_group(group, end));
    }

    pub(crate) fn group_counters(&self, group: GroupId) -> Counters {
        self.account.requests().groups.counters(group)
    }

    pub(crate) fn group_progress(&self, group: GroupId) -> Progress {
        self.account.requests().group_progress(group)
    }
}

/// A wait for any request, until its time is up. Dropping it leaves nothing of it: no timer, and no waker.
pub(crate) struct TimedWait<'a, R: Outcome> {
    membership: &'a Membership<R>,
    until: Instant,
    waiting: Option<(CallId, Waker)>,
}

impl<'a, R: Outcome> TimedWait<'a, R> {
    pub(crate) fn new(membership: &'a Membership<R>, until: Instant) -> Self {
        Self { membership, until, waiting: None }
    }

    /// The ids of all requests that are done; none if there is none to wait for, or the time is up.
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Poll<Vec<u64>> {
        if self.until <= Instant::now() {
            return Poll::Ready(self.membership.announce());
        }
        if self.waiting.as_ref().is_none_or(|(_, waker)| !waker.will_wake(cx.waker())) {
            self.leave();
            let manner = Manner { deadline: Some(self.until), ..Manner::default() };
            let call = self.membership.with(|requests| requests.open_call(&manner, WhoWaits::Guest, cx.waker()));
            self.waiting = Some((call, cx.waker().clone()));
        }
        self.membership.poll_announce(cx)
    }

    fn leave(&mut self) {
        let Some((call, waker)) = self.waiting.take() else { return };
        self.membership.carry_out(|requests| {
            let mut after = requests.close_call(call, None);
            after.append(requests.wait_no_more(&waker));
            after
        });
    }
}

impl<R: Outcome> Drop for TimedWait<'_, R> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<R: Outcome> Drop for Membership<R> {
    fn drop(&mut self) {
        // What has begun is queued again before its seat is given up.
        self.close();
        self.account.set_gone();
        self.pool.leave(self.seat);
    }
}
