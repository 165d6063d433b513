//! The account of one guest on the scheduler: its requests behind a lock, what it may take, and its statistics. It lives until
//! its last request has ended, also when the guest itself is long gone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, TryLockError};
use std::time::Instant;

use super::afterwards::Afterwards;
use super::counters::Counters;
use super::headcount::{ACTIVE, BEGUN, Headcount};
use super::ids::RequestId;
use super::outcome::Outcome;
use super::requests::{Budgets, Requests};
use super::statistics::{Report, Statistics, Stats};
use super::sync::{Mutex, MutexGuard};
use crate::budget::Budget;

/// Times that something of one guest is left to a worker to be dropped, and has not been. 256: whoever drops more does it itself.
const WASTE_MAX: usize = 256;

/// One guest.
pub(crate) struct Account<R: Outcome> {
    requests: Mutex<Requests<R>>,
    pub(super) budgets: Budgets,
    /// Places of requests that give back what others wait for: as many again as of others.
    pub(super) exits: Budget,
    pub(super) headcount: Headcount,
    /// What is left to a worker to be dropped.
    pub(super) waste: Budget,
    statistics: Statistics,
    /// Whether the guest's own thread is in a request that may wait.
    waits_here: AtomicBool,
    /// Whether the time of all its requests is limited, or it is to have none any more.
    pub(super) limited: AtomicBool,
    /// Whether its membership has ended.
    gone: AtomicBool,
}

impl<R: Outcome> Account<R> {
    pub(super) fn new(budgets: Budgets) -> Self {
        let requests = Requests::new(budgets.clone());
        let headcount = requests.headcount.clone();
        let (exits, waste) = (Budget::new(budgets.places.max()), Budget::new(WASTE_MAX));
        let (statistics, waits_here, limited, gone) = Default::default();
        Self { requests: Mutex::new(requests), budgets, exits, headcount, waste, statistics, waits_here, limited, gone }
    }

    pub(super) fn requests(&self) -> MutexGuard<'_, Requests<R>> {
        // Nothing that can panic runs under the lock; if it did, the counts would still add up.
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        #[cfg(any(test, feature = "model", debug_assertions))]
        requests.check();
        requests
    }

    /// The clock has come to the guest's alarm. Returns what is to be done, and the next alarm; none while somebody else has the
    /// lock, since the clock waits for nobody.
    pub(super) fn try_tick(&self) -> Option<(Afterwards, Option<Instant>)> {
        let mut requests = match self.requests.try_lock() {
            Ok(requests) => requests,
            Err(TryLockError::Poisoned(error)) => error.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some((requests.tick(Instant::now()), requests.alarm()))
    }

    /// A parked request is to go on.
    pub(super) fn resume(&self, id: RequestId) -> Afterwards {
        let mut after = Afterwards::default();
        self.requests().resume(id, &mut after);
        after
    }

    /// Something that was on its way is so no more.
    pub(super) fn look_after_the_hungry(&self) -> Afterwards {
        let mut after = Afterwards::default();
        if self.headcount.number::<ACTIVE>() == 0 {
            self.requests().look_after_the_hungry(&mut after);
        }
        after
    }

    /// Whether a request has begun that is not at its end: it may come again.
    pub(super) fn has_begun(&self) -> bool {
        self.headcount.number::<BEGUN>() > 0
    }

    /// Every request passes here when it is at its end.
    pub(super) fn report(&self, report: &Report) {
        self.statistics.add(report);
    }

    /// Does what may wait on the guest's own thread, which alone calls this.
    pub(crate) fn wait_here<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.waits_here.store(true, Ordering::Release);
        let result = wait();
        self.waits_here.store(false, Ordering::Release);
        result
    }

    /// Whether the guest's own thread is in such a thing. A panic in it leaves this so: then nobody knows what is half done.
    #[cfg(feature = "host")]
    pub(crate) fn waits_here(&self) -> bool {
        self.waits_here.load(Ordering::Acquire)
    }

    /// A request that was done on the guest's own thread, which alone calls this.
    pub(crate) fn report_inline(&self, report: &Report) {
        self.statistics.add(report);
        self.statistics.count_inline(report.failed);
    }

    /// A step of a stream that was done on the guest's own thread.
    pub(crate) fn report_step(&self, report: &Report) {
        self.statistics.add(report);
    }

    pub(crate) fn stats(&self) -> Stats {
        self.statistics.stats()
    }

    pub(crate) fn counters(&self) -> Counters {
        let mut counters = self.requests().counters();
        counters.add(self.statistics.inline_counters());
        counters
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    pub(super) fn set_gone(&self) {
        self.gone.store(true, Ordering::SeqCst);
    }
}
