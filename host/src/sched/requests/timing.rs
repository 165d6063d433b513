//! What happens to requests when time goes by: deadlines, and parked requests that go on.

use std::time::Instant;

use super::{Phase, Requests, Tick, Timer};
use crate::sched::groups::GroupId;
use crate::sched::work::{Afterwards, Stop};

impl Requests {
    /// When the clock has to look at the timers earlier than it was told before.
    pub(crate) fn alarm(&mut self) -> Option<Instant> {
        let first = self.timers.first().map(|(at, _)| *at)?;
        if self.alarm.is_some_and(|alarm| alarm <= first) {
            return None;
        }
        self.alarm = Some(first);
        self.alarm
    }

    /// The clock has come to the alarm.
    pub(crate) fn tick(&mut self, now: Instant) -> Tick {
        let (mut resumed, mut after) = (Vec::new(), Afterwards::default());
        self.alarm = None;
        while let Some((at, timer)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, timer));
            match timer {
                Timer::Resume(id) => {
                    if let Some(entry) = self.entry(id)
                        && matches!(entry.phase, Phase::Parked(_))
                        && let Phase::Parked(work) = std::mem::replace(&mut entry.phase, Phase::Running)
                    {
                        entry.phase = Phase::Queued(work);
                        entry.since = now;
                        resumed.push((entry.priority, id));
                    }
                }
                Timer::Request(id) => {
                    self.stop(id, Stop::TimedOut, &mut after);
                }
                Timer::Group(id) => self.expire_group(id, &mut after),
                Timer::Guest => {
                    self.stop_all(Stop::TimedOut, |_, _| true, &mut after);
                    after.wakers.append(&mut self.waiters);
                }
                Timer::Place => {
                    self.place_deadline = None;
                    after.wakers.append(&mut self.waiters);
                }
            }
        }
        Tick { resumed, after }
    }

    fn expire_group(&mut self, id: GroupId, after: &mut Afterwards) {
        if self.stop_all(Stop::TimedOut, |entry, groups| groups.is_in(entry.group(), id), after) > 0 {
            self.groups.cut(id);
        }
        self.groups.expire(id, &mut after.wakers);
        after.wakers.append(&mut self.waiters);
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
}
