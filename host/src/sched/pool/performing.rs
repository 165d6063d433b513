//! What a worker does with what it has taken: it runs a request, helps with one, or drops what nobody wants.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::running::{AtWork, InHand};
use super::{Pool, Task};
use crate::sched::account::Account;
use crate::sched::afterwards::{Unwanted, drop_whole};
use crate::sched::ids::RequestId;
use crate::sched::outcome::{Flow, Help, Outcome, Refusal, Running as _, Work};
use crate::sched::requests::{Finished, Pause, Started};
use crate::sched::turns::Seat;

impl<R: Outcome> Pool<R> {
    /// Does what is next for a guest. Tells how long that ran, if it was a request.
    pub(super) fn perform(self: &Arc<Self>, seat: Seat, account: Arc<Account<R>>, task: Task<R>) -> Option<Duration> {
        match task {
            Task::Request { id, .. } => return self.run(seat, account, id),
            Task::Help(request, help, active) => {
                self.help(*request, help);
                self.give_up(seat, &account, active.into());
            }
            Task::Clear(rest, left) => {
                self.clear(seat, &account, rest);
                drop(left);
            }
        }
        None
    }

    /// Runs one request, and tells how long it ran. A panic is that request's error, and the worker lives on.
    fn run(self: &Arc<Self>, seat: Seat, account: Arc<Account<R>>, id: RequestId) -> Option<Duration> {
        let since = Instant::now();
        let (started, after) = account.requests().start(id, since);
        if let Some(Started { steps, need: Some(need), .. }) = &started {
            // Before its place among those who wait for memory goes to the next.
            steps.prepare(*need);
        }
        self.carry_out_here(seat, &account, after);
        let Started { mut work, priority, steps, .. } = started?;
        let running = AtWork { pool: self, request: InHand { account, seat, id, priority, steps }, since };
        let flow = catch_unwind(AssertUnwindSafe(|| work(&running))).unwrap_or_else(|_| {
            tracing::error!(id = id.value(), "a request panicked; please report this");
            Flow::Done(R::failed(Refusal::Panicked.into()))
        });
        let now = Instant::now();
        let pause = match flow {
            Flow::Done(result) if self.starved(&running, &result) => Pause::Woken,
            Flow::Done(result) => {
                // What it holds is given back before anybody is told that it is done.
                drop_whole(work);
                self.finish(&running, result, now);
                return Some(now - since);
            }
            Flow::Again(delay) => Pause::Until(now + delay),
            Flow::Parked => Pause::Woken,
        };
        self.park(&running, work, pause, now);
        Some(now - since)
    }

    fn park(self: &Arc<Self>, running: &AtWork<'_, R>, work: Work<R>, pause: Pause, now: Instant) {
        let InHand { account, seat, id, .. } = &running.request;
        let (after, alarm) = {
            let mut requests = account.requests();
            (requests.park(*id, work, pause, now), requests.alarm())
        };
        self.carry_out_here(*seat, account, after);
        if let Some(at) = alarm {
            self.set_alarm(*seat, account, at);
        }
    }

    /// Whether a request failed for want of memory that it may yet get: then it is begun again.
    fn starved(&self, running: &AtWork<'_, R>, result: &R) -> bool {
        let request = &running.request;
        let Some(short) = request.steps.take_short() else { return false };
        if result.failure() != Some(Refusal::Full.into()) {
            return false;
        }
        request.steps.give_up();
        request.account.requests().starve(request.id, short, &running.waker())
    }

    fn finish(self: &Arc<Self>, running: &AtWork<'_, R>, result: R, now: Instant) {
        let InHand { account, seat, id, .. } = &running.request;
        let Finished { mut after, report, unwanted } = account.requests().finish(*id, result, now);
        if let Some(report) = report {
            account.report(&report);
        }
        if let Some(result) = unwanted {
            let failure = result.failure();
            drop_whole(Unwanted::new(result));
            after.append(account.requests().end_unwanted(*id, failure));
        }
        self.carry_out_here(*seat, account, after);
    }

    /// Helps with a request. Whoever called sees to it that a panic is noticed.
    fn help(self: &Arc<Self>, request: InHand<R>, mut help: Help) {
        let running = AtWork { pool: self, request, since: Instant::now() };
        let flow = catch_unwind(AssertUnwindSafe(|| help(&running)));
        match flow {
            Ok(Flow::Again(_)) => return self.call_help(running.request, help),
            Ok(Flow::Done(()) | Flow::Parked) => {}
            Err(_) => tracing::error!(id = running.request.id.value(), "a request panicked; please report this"),
        }
        drop_whole(help);
    }
}
