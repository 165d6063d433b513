//! A request on its way over the workers: begun, parked, taken up again, and at its end.

use std::task::Waker;
use std::time::Instant;

use super::{Entry, Finished, Hunger, Pause, Phase, Requests, Started, Timer, ToQueue};
use crate::budget::Reservation;
use crate::sched::afterwards::{Afterwards, Waste};
use crate::sched::counters::Station;
use crate::sched::headcount::{ACTIVE, COMING};
use crate::sched::ids::RequestId;
use crate::sched::outcome::{Outcome, Work};
use crate::sched::statistics::Report;
use crate::sched::work::WhoWaits;

impl<R: Outcome> Requests<R> {
    /// A worker has the request. None if it was stopped before it began.
    pub(crate) fn start(&mut self, id: RequestId, now: Instant) -> (Option<Started<R>>, Afterwards) {
        let mut after = Afterwards::default();
        let headcount = self.headcount.clone();
        if let Some(entry) = self.entry(id)
            && matches!(entry.phase, Phase::Queued(_))
            && let Phase::Queued(work) = std::mem::replace(&mut entry.phase, Phase::Running)
        {
            entry.queued += now.saturating_duration_since(entry.since);
            entry.since = now;
            entry.woken = false;
            if entry.begun.is_none() {
                entry.begun = Some(headcount.count());
            }
            let (priority, steps) = (entry.priority, entry.steps.clone());
            let need = entry.hunger.take().map(|hunger| hunger.leave(&mut after));
            if entry.station == Station::Queued {
                self.count(id, None, Station::Running);
            }
            return (Some(Started { work, priority, steps, need }), after);
        }
        self.withdrawn.remove(&id);
        (None, after)
    }

    /// A worker has tried, and is to go on later. One that was woken meanwhile goes on at once, and so does one that was stopped
    /// and only lets time go by.
    pub(crate) fn park(&mut self, id: RequestId, work: Work<R>, pause: Pause, now: Instant) -> Afterwards {
        let mut after = Afterwards::default();
        let parked = self.budgets.parked.clone();
        let Some(entry) = self.entry(id) else {
            after.rest.waste.push(Waste::other(work, None, &self.headcount));
            return after;
        };
        entry.ran += now.saturating_duration_since(entry.since);
        entry.since = now;
        entry.phase = Phase::Parked(work);
        let is_due = matches!(pause, Pause::Until(at) if at <= now || entry.stopped.is_some());
        if is_due || entry.woken {
            self.resume(id, &mut after);
            return after;
        }
        // It gives its place to others, as long as not too many do so.
        if let Some(parked) = parked.try_take(1) {
            after.freed.extend(entry.place.replace(parked).map(Reservation::free));
        }
        after.rest.hope.active.extend(entry.active.take());
        if let Pause::Until(at) = pause {
            entry.resume_at = Some(at);
            self.timers.insert((at, Timer::Resume(id)));
        }
        after
    }

    /// The request ran short of memory and has given up what it had: it waits until there may be what it is short of, and then
    /// begins again. False if it would wait for nobody but itself.
    pub(crate) fn starve(&mut self, id: RequestId, short: usize, waker: &Waker) -> bool {
        let memory = self.budgets.memory.clone();
        // It is active itself.
        let (is_alone, is_coming) = (self.headcount.number::<ACTIVE>() <= 1, self.headcount.number::<COMING>() > 0);
        let (order, max) = (self.next_hungry, memory.max());
        let Some(entry) = self.entry(id).filter(|entry| entry.stopped.is_none()) else { return false };
        let held = entry.steps.bytes_held();
        let is_alone = is_alone && !(is_coming && entry.caller == WhoWaits::Task);
        if short > max || (is_alone && !memory.has_room(short.saturating_sub(held))) {
            return false;
        }
        // Twice as much, so that few attempts come to the size of a result that is not known before.
        let need = short.saturating_mul(2).min(max);
        let missing = need.saturating_sub(held);
        entry.hunger = Some(Hunger { order, need, waiter: memory.wait(missing, waker) });
        // What came back before it was in the queue woke nobody. And those with which it shared before are gone now if it is
        // alone.
        entry.woken |= is_alone || memory.has_room(missing);
        self.hungry.insert(order, id);
        self.next_hungry += 1;
        true
    }

    /// A parked request goes on. One that is about to be parked is told.
    pub(crate) fn resume(&mut self, id: RequestId, after: &mut Afterwards) {
        let headcount = self.headcount.clone();
        let Some(entry) = self.entry(id) else { return };
        match std::mem::replace(&mut entry.phase, Phase::Running) {
            Phase::Parked(work) => {
                entry.phase = Phase::Queued(work);
                // Before the one that it may have still is gone, so that there is always one.
                entry.active = Some(headcount.count());
                let timer = entry.resume_at.take().map(|at| (at, Timer::Resume(id)));
                let order = entry.hunger.as_ref().map(|hunger| hunger.order);
                after.resumed.push(ToQueue { id, priority: entry.priority, begun: true });
                timer.map(|timer| self.timers.remove(&timer));
                order.map(|order| self.hungry.remove(&order));
            }
            other => {
                entry.woken |= matches!(other, Phase::Running);
                entry.phase = other;
            }
        }
    }

    /// A worker is done with the request. A result that nobody wants comes back: the worker undoes it, and [`Requests::end_unwanted`]
    /// ends the request, so that what has ended has no effect any more.
    pub(crate) fn finish(&mut self, id: RequestId, result: R, now: Instant) -> Finished<R> {
        let headcount = self.headcount.clone();
        let mut after = Afterwards::default();
        let Some(entry) = self.entry(id) else { return Finished { after, report: None, unwanted: Some(result) } };
        let report = Some(entry.report(id, &result, now));
        if entry.stopped.is_some() || entry.unwanted {
            return Finished { after, report, unwanted: Some(result) };
        }
        entry.at_end(result.bytes_held(), &mut after);
        // One that holds nothing gives nothing back when it is taken.
        let holds = result.bytes_held() > 0;
        entry.coming = (entry.caller == WhoWaits::Task && holds).then(|| headcount.count());
        let failure = result.failure();
        entry.phase = Phase::Done(result);
        self.count_end(id, None, failure, &mut after);
        self.tell(id, &mut after);
        Finished { after, report, unwanted: None }
    }

    /// Ends a request whose result nobody wanted, and of which nothing is left; `failure` says why it failed, if it did. Those who wait
    /// for a request that was stopped were told when it was.
    pub(crate) fn end_unwanted(&mut self, id: RequestId, failure: Option<R::Failure>) -> Afterwards {
        let mut after = Afterwards::default();
        let Some(entry) = self.entry(id) else { return after };
        entry.at_end(0, &mut after);
        let (stopped, unwanted) = (entry.stopped, entry.unwanted);
        self.count_end(id, stopped, stopped.map(|stop| stop.refusal().into()).or(failure), &mut after);
        if let (Some(stop), Some(entry)) = (stopped, self.entry(id)) {
            entry.phase = Phase::Done(R::failed(stop.refusal().into()));
            entry.unfinished = None;
            after.wakers.extend(self.waiters.drain(..));
        }
        if unwanted {
            self.remove(id, &mut after);
        }
        after
    }

    /// If nothing of the guest is on its way any more that could give memory back, those who wait for it have to do without. Those
    /// that hold up no other call wait also for results that such calls will take.
    pub(crate) fn look_after_the_hungry(&mut self, after: &mut Afterwards) {
        if self.headcount.number::<ACTIVE>() > 0 {
            return;
        }
        let (calls, entries, is_coming) = (&self.calls, &self.entries, self.headcount.number::<COMING>() > 0);
        let may_wait = |caller| is_coming && caller == Some(WhoWaits::Task);
        let told = self.hungry_calls.extract_if(.., |id| !may_wait(calls.get(id).map(|call| call.caller)));
        after.wakers.extend(told.filter_map(|id| Some(calls.get(&id)?.waker.clone())));
        let caller = |id: &RequestId| entries.get(id.index()).map(|entry| entry.caller);
        if let Some(id) = self.hungry.values().find(|id| !may_wait(caller(id))) {
            self.resume(*id, after);
        }
    }
}

impl<R: Outcome> Entry<R> {
    /// It gives back what it had but for what its result holds. Before anybody can see that it is done, so that the next one is not refused
    /// for want of that.
    fn at_end(&mut self, bytes_held: usize, after: &mut Afterwards) {
        after.freed.extend(self.steps.settle(bytes_held).map(Reservation::free));
        after.freed.extend(self.place.take().map(Reservation::free));
        after.rest.hope.active.extend(self.active.take());
        after.wakers.extend(self.waker.take());
        self.begun = None;
    }

    pub(super) fn report(&self, id: RequestId, result: &R, now: Instant) -> Report {
        let ran = self.ran + now.saturating_duration_since(self.since);
        Report {
            kind: self.submission.kind,
            id: id.value(),
            failed: result.failure().is_some(),
            // Of some the result does not tell, such as `store`.
            bytes: result.bytes_moved().max(self.steps.progress().bytes),
            times: Some((self.queued, ran)),
        }
    }
}

impl Hunger {
    /// Leaves the queue, once the lock is free: the next one may be told then. Returns what it needs.
    fn leave(self, after: &mut Afterwards) -> usize {
        after.waiters.push(self.waiter);
        self.need
    }
}
