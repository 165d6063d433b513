//! What a worker does with what it has taken: it runs a request, helps with one, or drops what nobody wants.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::running::{AtWork, InHand};
use super::{Pool, Task};
use crate::budget::Reservation;
use crate::sched::account::Account;
use crate::sched::afterwards::Waste;
use crate::sched::ids::RequestId;
use crate::sched::outcome::{Flow, Help, Outcome, Refusal, Running as _, Work};
use crate::sched::requests::{Pause, Started};
use crate::sched::turns::Seat;

impl<R: Outcome> Pool<R> {
    /// Does what is next for a guest.
    pub(super) fn perform(self: &Arc<Self>, seat: Seat, account: Arc<Account<R>>, task: Task<R>) {
        match task {
            Task::Request { id, place, .. } => self.run(seat, account, id, place),
            Task::Help(request, help, active) => {
                self.help(request, help);
                self.give_up(seat, &account, active.into_iter().collect());
            }
            Task::Clear(rest, left) => {
                self.clear(seat, &account, rest);
                drop(left);
            }
        }
    }

    /// Runs one request. A panic is that request's error, and the worker lives on.
    fn run(self: &Arc<Self>, seat: Seat, account: Arc<Account<R>>, id: RequestId, place: Option<Reservation>) {
        let (started, after) = account.requests().start(id, place, Instant::now());
        if let Some(Started { steps, need: Some(need), .. }) = &started {
            // Before its place among those who wait for memory goes to the next.
            steps.prepare(*need);
        }
        self.carry_out_here(seat, &account, after);
        let Some(Started { mut work, priority, steps, .. }) = started else { return };
        let request = InHand { account, pool: Arc::clone(self), seat, id, priority, steps };
        let running = AtWork::new(Arc::new(request));
        let flow = catch_unwind(AssertUnwindSafe(|| work(&running))).unwrap_or_else(|_| {
            tracing::error!(id = id.value(), "a request panicked; please report this");
            Flow::Done(R::failed(Refusal::Panicked.into()))
        });
        let pause = match flow {
            Flow::Done(result) if self.starved(&running, &result) => Pause::Woken,
            Flow::Done(result) => {
                // What it holds is given back before anybody is told that it is done.
                drop(Waste::other(work));
                return self.finish(&running, result);
            }
            Flow::Again(delay) => Pause::Until(Instant::now() + delay),
            Flow::Parked => Pause::Woken,
        };
        self.park(&running, work, pause);
    }

    fn park(self: &Arc<Self>, running: &AtWork<R>, work: Work<R>, pause: Pause) {
        let InHand { account, seat, id, .. } = &*running.request;
        let (after, alarm) = {
            let mut requests = account.requests();
            (requests.park(*id, work, pause, Instant::now()), requests.alarm())
        };
        self.carry_out_here(*seat, account, after);
        if let Some(at) = alarm {
            self.set_alarm(*seat, account, at);
        }
    }

    /// Whether a request failed for want of memory that it may yet get: then it is begun again.
    fn starved(&self, running: &AtWork<R>, result: &R) -> bool {
        let request = &running.request;
        let Some(short) = request.steps.take_short() else { return false };
        if result.failure() != Some(Refusal::Full.into()) {
            return false;
        }
        request.steps.give_up();
        request.account.requests().starve(request.id, short, &running.waker())
    }

    fn finish(self: &Arc<Self>, running: &AtWork<R>, result: R) {
        let InHand { account, seat, id, .. } = &*running.request;
        let (after, report) = account.requests().finish(*id, result, Instant::now());
        if let Some(report) = report {
            account.report(&report);
        }
        self.carry_out_here(*seat, account, after);
    }

    /// Helps with a request. Whoever called sees to it that a panic is noticed.
    fn help(self: &Arc<Self>, request: Arc<InHand<R>>, mut help: Help) {
        let running = AtWork::new(request);
        let flow = catch_unwind(AssertUnwindSafe(|| help(&running)));
        match flow {
            Ok(Flow::Again(_)) => return self.call_help(running.request, help),
            Ok(Flow::Done(()) | Flow::Parked) => {}
            Err(_) => tracing::error!(id = running.request.id.value(), "a request panicked; please report this"),
        }
        drop(Waste::other(help));
    }
}
