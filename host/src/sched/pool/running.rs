//! A request that runs: whether it is to go on, how far it has come, what it holds, and help from other workers.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use super::Pool;
use crate::budget::Budget;
use crate::sched::account::Account;
use crate::sched::ids::RequestId;
use crate::sched::lanes::Priority;
use crate::sched::outcome::{Help, Outcome, Refusal, Running};
use crate::sched::turns::Seat;
use crate::sched::work::Steps;

/// How long work keeps its worker while others wait for one. 20 ms: a thousand times what it costs to give it to another.
pub(in crate::sched) const TIME_SLICE: Duration = Duration::from_millis(20);

/// A running request.
pub(super) struct AtWork<R: Outcome> {
    pub(super) request: Arc<InHand<R>>,
    /// Since when this worker is at it.
    pub(super) since: Instant,
}

/// What all workers share that are at one request, and those that wake it.
pub(super) struct InHand<R: Outcome> {
    pub(super) account: Arc<Account<R>>,
    pub(super) pool: Arc<Pool<R>>,
    pub(super) seat: Seat,
    pub(super) id: RequestId,
    pub(super) priority: Priority,
    pub(super) steps: Arc<Steps>,
}

impl<R: Outcome> AtWork<R> {
    pub(super) fn new(request: Arc<InHand<R>>) -> Self {
        Self { request, since: Instant::now() }
    }
}

impl<R: Outcome> Running for AtWork<R> {
    fn check(&self) -> Result<(), Refusal> {
        self.request.steps.check()
    }

    fn advance(&self, bytes: u64, names: u64) {
        self.request.steps.advance(bytes, names);
    }

    fn is_wanted(&self) -> bool {
        self.request.pool.has_queue() && self.since.elapsed() >= TIME_SLICE
    }

    fn reserve(&self, bytes: usize) -> Result<(), Refusal> {
        if self.request.steps.reserve(bytes) { Ok(()) } else { Err(Refusal::Full) }
    }

    fn memory(&self) -> Budget {
        self.request.account.budgets.memory.clone()
    }

    fn waker(&self) -> Waker {
        Arc::clone(&self.request).into()
    }

    fn call(&self, help: Help) {
        let request = &self.request;
        request.pool.call_help(Arc::clone(request), help);
    }
}

impl<R: Outcome> Wake for InHand<R> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let after = self.account.resume(self.id);
        self.pool.carry_out(self.seat, &self.account, after);
    }
}
