//! How requests end for their guest: they are taken, stopped, or given up.

use std::task::{Poll, Waker};

use super::{Entry, Phase, Requests, Timer};
use crate::budget::Reservation;
use crate::sched::afterwards::{Afterwards, Waste};
use crate::sched::groups::LostTimer;
use crate::sched::ids::RequestId;
use crate::sched::outcome::{Outcome, Refusal};
use crate::sched::work::Stop;

/// How many ids are left in the queue at least, before it is worth while to take them out. 64: then it is rare.
pub(super) const WITHDRAWN_MIN: usize = 64;

impl<R: Outcome> Requests<R> {
    /// Takes the request back. Nothing happens if it is done.
    pub(crate) fn cancel(&mut self, id: RequestId) -> Afterwards {
        let mut after = Afterwards::default();
        self.stop(id, Stop::Canceled, &mut after);
        after
    }

    /// Stops a request; tells whether it was stopped now. One that has begun goes on until it has cleared up.
    pub(super) fn stop(&mut self, id: RequestId, why: Stop, after: &mut Afterwards) -> bool {
        let headcount = self.headcount.clone();
        let Some(entry) = self.entry(id).filter(|entry| entry.stopped.is_none()) else { return false };
        if matches!(entry.phase, Phase::Done(_)) {
            return false;
        }
        entry.stopped = Some(why);
        entry.steps.stop(why);
        after.wakers.extend(entry.waker.take());
        if entry.begun.is_some() {
            // It is on a worker, or comes to one: there it finds out.
            self.resume(id, after);
            self.tell(id, after);
            return true;
        }
        let result = R::failed(why.refusal().into());
        // How long it waited last is not known here, where there is no clock.
        after.reports.push(entry.report(id, &result, entry.since));
        if let Phase::Queued(work) = std::mem::replace(&mut entry.phase, Phase::Done(result)) {
            after.rest.waste.push(Waste::work(work, entry.steps.settle(0), &headcount));
        }
        after.freed.extend(entry.place.take().map(Reservation::free));
        after.rest.hope.active.extend(entry.active.take());
        let unwanted = entry.unwanted;
        self.withdraw(id, after);
        self.count_end(id, Some(why), Some(why.refusal().into()), after);
        if unwanted {
            self.remove(id, after);
        } else {
            self.tell(id, after);
        }
        true
    }

    /// A request ended in the queue. Its id is left there, since to look for it takes as long as the queue is; but once there are more of
    /// these than requests, all of them go.
    fn withdraw(&mut self, id: RequestId, after: &mut Afterwards) {
        if self.closed {
            // Nothing comes any more, and so no more than is there now can be left.
            return;
        }
        self.withdrawn.insert(id);
        if self.withdrawn.len() > WITHDRAWN_MIN.max(self.entries.len()) {
            after.withdrawn.append(&mut self.withdrawn);
        }
    }

    /// The result, once it is there; `waker` is told when it is. A result is given once, and then [`Refusal::Taken`].
    pub(crate) fn poll_take(&mut self, id: RequestId, waker: &Waker) -> (Poll<R>, Afterwards) {
        let mut after = Afterwards::default();
        let taken = |refusal: Refusal| Poll::Ready(R::failed(refusal.into()));
        let Some(entry) = self.entry(id).filter(|entry| !entry.unwanted) else { return (taken(Refusal::Taken), after) };
        match (&entry.phase, entry.stopped) {
            (Phase::Done(_), _) => {}
            (_, Some(stop)) => {
                // It still runs; the entry goes when it ends.
                entry.unwanted = true;
                self.forget_announcement(id);
                return (taken(stop.refusal()), after);
            }
            _ => {
                after.stale.extend(entry.waker.replace(waker.clone()));
                return (Poll::Pending, after);
            }
        }
        let Some((Phase::Done(result), memory)) = self.take_out(id, &mut after) else { return (taken(Refusal::Taken), after) };
        after.freed.extend(memory.map(Reservation::free));
        (Poll::Ready(result), after)
    }

    /// Nobody will ask for the result any more. A request that is not done goes on.
    pub(crate) fn disown(&mut self, id: RequestId) -> Afterwards {
        let mut after = Afterwards::default();
        let Some(entry) = self.entry(id) else { return after };
        if matches!(entry.phase, Phase::Done(_)) {
            self.remove(id, &mut after);
            return after;
        }
        entry.unwanted = true;
        self.forget_announcement(id);
        after
    }

    /// Takes an entry out of the table; nobody wants its result.
    pub(super) fn remove(&mut self, id: RequestId, after: &mut Afterwards) {
        if let Some((Phase::Done(result), memory)) = self.take_out(id, after) {
            after.rest.waste.push(Waste::result(result, memory, &self.headcount));
            after.rest.hope.active.extend(Some(self.headcount.count()));
        }
    }

    /// Takes an entry out of the table, with everything that is its own. Returns what it came to, and the memory of that.
    fn take_out(&mut self, id: RequestId, after: &mut Afterwards) -> Option<(Phase<R>, Option<Reservation>)> {
        self.entry(id)?;
        self.forget_announcement(id);
        let entry = self.entries.try_remove(id.index())?;
        if let Some(deadline) = entry.submission.manner.deadline {
            self.timers.remove(&(deadline, Timer::Request(id)));
        }
        if let Some(at) = entry.resume_at {
            self.timers.remove(&(at, Timer::Resume(id)));
        }
        let group = entry.group();
        let Entry { phase, place, waker, coming, steps, unfinished, .. } = entry;
        if unfinished.is_some() {
            after.wakers.extend(self.waiters.drain(..));
        }
        after.freed.extend(place.map(Reservation::free));
        after.rest.hope.coming.extend(coming);
        after.stale.extend(waker);
        let lost = self.groups.release(group, id);
        self.remove_lost(lost);
        Some((phase, steps.settle(0)))
    }

    /// Groups are gone, and their timers with them.
    pub(super) fn remove_lost(&mut self, lost: Vec<LostTimer>) {
        for (deadline, group) in lost {
            self.timers.remove(&(deadline, Timer::Group(group)));
        }
    }

    /// The guest is gone, or is to end: what has not begun never runs, what has is stopped and clears up, no result is wanted, and what
    /// comes from here on is refused.
    pub(crate) fn close(&mut self) -> Afterwards {
        let mut after = Afterwards::default();
        self.closed = true;
        let ids: Vec<_> = self.entries.iter().map(|(index, entry)| RequestId::new(entry.generation, index)).collect();
        for id in ids {
            self.stop(id, Stop::Canceled, &mut after);
            after.append(self.disown(id));
        }
        self.timers.retain(|(_, timer)| matches!(timer, Timer::Resume(_)));
        self.tell_calls(&mut after);
        after.wakers.extend(self.waiters.drain(..));
        after
    }
}
