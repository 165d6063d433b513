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

/// A request that this worker is at.
pub(super) struct AtWork<'a, R: Outcome> {
    pub(super) pool: &'a Arc<Pool<R>>,
    pub(super) request: InHand<R>,
    /// When this worker began to run it.
    pub(super) since: Instant,
}

/// Which request it is, and whose.
pub(super) struct InHand<R: Outcome> {
    pub(super) account: Arc<Account<R>>,
    pub(super) seat: Seat,
    pub(super) id: RequestId,
    pub(super) priority: Priority,
    pub(super) steps: Arc<Steps>,
}

impl<R: Outcome> Clone for InHand<R> {
    fn clone(&self) -> Self {
        let (account, steps) = (Arc::clone(&self.account), Arc::clone(&self.steps));
        Self { account, steps, seat: self.seat, id: self.id, priority: self.priority }
    }
}

/// What wakes a request.
struct Alarm<R: Outcome> {
    pool: Arc<Pool<R>>,
    request: InHand<R>,
}

impl<R: Outcome> Running for AtWork<'_, R> {
    fn check(&self) -> Result<(), Refusal> {
        self.request.steps.check()
    }

    fn advance(&self, bytes: u64, names: u64) {
        self.request.steps.advance(bytes, names);
    }

    fn is_wanted(&self) -> bool {
        self.pool.has_queue() && self.since.elapsed() >= TIME_SLICE
    }

    fn reserve(&self, bytes: usize) -> Result<(), Refusal> {
        if self.request.steps.reserve(bytes) { Ok(()) } else { Err(Refusal::Full) }
    }

    fn memory(&self) -> Budget {
        self.request.account.budgets.memory.clone()
    }

    fn waker(&self) -> Waker {
        Arc::new(Alarm { pool: Arc::clone(self.pool), request: self.request.clone() }).into()
    }

    fn call(&self, help: Help) {
        self.pool.call_help(self.request.clone(), help);
    }
}

impl<R: Outcome> Wake for Alarm<R> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let InHand { account, seat, id, .. } = &self.request;
        self.pool.carry_out(*seat, account, account.resume(*id));
    }
}
