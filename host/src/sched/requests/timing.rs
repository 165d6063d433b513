//! What happens to requests when time goes by: deadlines, and parked requests that go on.

use std::time::Instant;

use super::{Entry, Phase, Requests, Timer};
use crate::sched::afterwards::Afterwards;
use crate::sched::ids::GroupId;
use crate::sched::ids::RequestId;
use crate::sched::outcome::Outcome;
use crate::sched::work::Stop;

/// Timers, and requests that they stop, in one turn of the clock. 256: some tens of microseconds, since other guests wait
/// for the same clock.
const TURN_MAX: usize = 256;

impl<R: Outcome> Requests<R> {
    /// When the clock has to look at the timers earlier than it was told before.
    pub(crate) fn alarm(&mut self) -> Option<Instant> {
        let first = self.timers.first().map(|(at, _)| *at)?;
        if self.alarm.is_some_and(|alarm| alarm <= first) {
            return None;
        }
        self.alarm = Some(first);
        self.alarm
    }

    /// The clock has come to the alarm. It does a part of what is due; the next alarm is at once if there is more.
    pub(crate) fn tick(&mut self, now: Instant) -> Afterwards {
        let mut after = Afterwards::default();
        self.alarm = None;
        let mut left = TURN_MAX;
        while left > 0
            && let Some((at, timer)) = self.timers.first().copied().filter(|(at, _)| *at <= now)
        {
            self.timers.remove(&(at, timer));
            left -= 1;
            let is_done = match timer {
                Timer::Resume(id) => {
                    self.resume(id, &mut after);
                    true
                }
                Timer::Request(id) => {
                    self.stop(id, Stop::TimedOut, &mut after);
                    true
                }
                Timer::Call(id) => {
                    after.wakers.extend(self.calls.get(&id).map(|call| call.waker.clone()));
                    true
                }
                Timer::Group(id) => self.expire_group(id, &mut left, &mut after),
                Timer::Guest => self.expire_guest(&mut left, &mut after),
            };
            if !is_done {
                self.timers.insert((at, timer));
            }
        }
        after
    }

    /// Stops as many members whose time is up as are left to this turn. True once there is none left.
    fn expire_group(&mut self, id: GroupId, left: &mut usize, after: &mut Afterwards) -> bool {
        if !self.groups.has_expired(id) {
            self.groups.expire(id, &mut after.wakers);
            self.tell_calls(after);
            after.wakers.extend(self.waiters.drain(..));
        }
        let ids: Vec<RequestId> = self.groups.members(id).filter(|id| self.can_stop(*id)).take(*left).collect();
        if !ids.is_empty() {
            self.groups.cut(id);
        }
        self.stop_each(&ids, left, after)
    }

    fn expire_guest(&mut self, left: &mut usize, after: &mut Afterwards) -> bool {
        let can_stop = |(index, entry): (usize, &Entry<R>)| entry.can_stop().then(|| RequestId::new(entry.generation, index));
        let ids: Vec<RequestId> = self.entries.iter().filter_map(can_stop).take(*left).collect();
        let is_done = self.stop_each(&ids, left, after);
        if is_done {
            self.tell_calls(after);
            after.wakers.extend(self.waiters.drain(..));
        }
        is_done
    }

    /// Stops them, and takes them off what is left to this turn. True if there were fewer.
    fn stop_each(&mut self, ids: &[RequestId], left: &mut usize, after: &mut Afterwards) -> bool {
        for id in ids {
            self.stop(*id, Stop::TimedOut, after);
        }
        *left -= ids.len();
        *left > 0
    }

    fn can_stop(&self, id: RequestId) -> bool {
        let entry = self.entries.get(id.index()).filter(|entry| RequestId::new(entry.generation, id.index()) == id);
        entry.is_some_and(Entry::can_stop)
    }

    /// Sets when the time of all requests of the guest is up.
    pub(crate) fn set_deadline(&mut self, deadline: Option<Instant>) {
        if let Some(before) = std::mem::replace(&mut self.deadline, deadline) {
            self.timers.remove(&(before, Timer::Guest));
        }
        self.timers.extend(deadline.map(|deadline| (deadline, Timer::Guest)));
    }

    pub(crate) fn set_group_deadline(&mut self, id: GroupId, deadline: Option<Instant>) {
        if let Some(before) = self.groups.set_deadline(id, deadline) {
            self.timers.remove(&(before, Timer::Group(id)));
        }
        self.timers.extend(deadline.map(|deadline| (deadline, Timer::Group(id))));
    }

    /// The guest has dropped its handle of a group.
    pub(crate) fn drop_group(&mut self, id: GroupId) {
        let lost = self.groups.drop_handle(id);
        self.remove_lost(lost);
    }
}

impl<R: Outcome> Entry<R> {
    /// Whether it is a request of the guest's own that goes on.
    fn can_stop(&self) -> bool {
        self.submission.is_counted() && self.stopped.is_none() && !matches!(self.phase, Phase::Done(_))
    }
}
