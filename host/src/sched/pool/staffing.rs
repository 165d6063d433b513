//! How many threads serve: which of them is woken when something comes, and when another one is started.

use std::sync::Arc;

use super::{BRIEF_RUN, Pool, Staff, Standby};
use crate::limits::{QUEUE_DELAY, THREADS_MAX, WORKERS_START};
use crate::sched::outcome::Outcome;

impl<R: Outcome> Pool<R> {
    /// Threads that there may be now: one for each guest that has something to do, beyond the workers.
    fn threads_max(&self, staff: &Staff<R>) -> usize {
        self.workers_max.saturating_add(staff.turns.guests_at_work()).min(THREADS_MAX.max(self.workers_max))
    }

    /// Sees to it that somebody will serve what is queued.
    pub(super) fn call_workers(self: &Arc<Self>, staff: &mut Staff<R>) {
        if staff.woken > 0 || staff.is_looked || staff.standby == Standby::Called {
            // One is on its way, or looks out; it calls the next one if there is more to do. So a burst costs one wake-up, not one each.
            return;
        }
        let is_urgent = staff.turns.has_starving();
        if !is_urgent && staff.brief >= BRIEF_RUN && self.call_standby(staff, Standby::Watching) {
            // A worker is at a request of this guest, and will be back sooner than another one could be here.
            return;
        }
        let free = if is_urgent || staff.turns.seats() < 2 { staff.idle } else { staff.idle.saturating_sub(1) };
        if free > 0 {
            self.wake(staff);
        } else if staff.workers < WORKERS_START.min(self.workers_max) {
            self.start_worker(staff, Self::serve);
        } else if !self.call_standby(staff, if is_urgent { Standby::Called } else { Standby::Watching }) && staff.idle > 0 {
            self.wake(staff);
        }
    }

    fn wake(&self, staff: &mut Staff<R>) {
        staff.idle -= 1;
        staff.woken += 1;
        if let Some(since) = staff.asleep_since.take() {
            self.spin.slept(since.elapsed());
        }
        staff.calls.worker = true;
    }

    /// Tells the standby what to do; tells whether there is one.
    fn call_standby(self: &Arc<Self>, staff: &mut Staff<R>, order: Standby) -> bool {
        let before = std::mem::replace(&mut staff.standby, order);
        if before == Standby::None {
            let started = staff.workers < self.threads_max(staff) && self.start_worker(staff, Self::stand_by);
            if !started {
                staff.standby = Standby::None;
            }
            return started;
        }
        if before != order {
            staff.calls.standby = true;
        }
        true
    }

    fn start_worker(self: &Arc<Self>, staff: &mut Staff<R>, run: fn(&Arc<Self>)) -> bool {
        let started = self.start_thread(staff, "aiohost-worker", run);
        staff.workers += usize::from(started);
        started
    }

    /// The standby's life: watch the queue, and become a worker when a request has waited too long.
    pub(super) fn stand_by(self: &Arc<Self>) {
        let mut staff = self.staff();
        loop {
            if staff.closing || staff.standby == Standby::Called {
                staff.standby = Standby::None;
                break;
            }
            let oldest = staff.turns.heads().map(|(_, submitted)| *submitted).min();
            let wait = match oldest {
                Some(submitted) => {
                    let age = submitted.elapsed();
                    if age < QUEUE_DELAY {
                        staff.standby = Standby::Watching;
                        QUEUE_DELAY - age
                    } else if std::mem::take(&mut staff.brief) >= BRIEF_RUN && staff.idle > 0 && staff.woken == 0 {
                        // What was taken for brief is not, and so nobody was woken for those behind it.
                        staff.standby = Standby::Watching;
                        self.wake(&mut staff);
                        QUEUE_DELAY
                    } else {
                        staff.standby = Standby::None;
                        break;
                    }
                }
                None => {
                    staff.standby = Standby::Asleep;
                    self.idle_timeout
                }
            };
            let is_over;
            (staff, is_over) = staff.wait(&self.watch, wait);
            if is_over && staff.standby == Standby::Asleep && !staff.turns.has_work() {
                staff.standby = Standby::None;
                return self.end(staff);
            }
        }
        drop(staff);
        self.serve();
    }
}
