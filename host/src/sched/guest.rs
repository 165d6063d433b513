//! One guest on the scheduler: its requests behind a lock, its seat in the pool, and its statistics.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::lanes::Priority;
use super::pool::Pool;
use super::requests::{Afterwards, Counters, Report, RequestId, Requests, Submission, Work};
use super::turns::Seat;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::observe::Observations;
use crate::output::Output;

/// One guest. Lives until its last request has ended, also when the guest itself is long gone.
pub(crate) struct Guest {
    requests: Mutex<Requests>,
    observations: Mutex<Observations>,
}

/// A guest's membership of a pool; dropping it ends the guest's requests.
pub(crate) struct Membership {
    guest: Arc<Guest>,
    pool: Arc<Pool>,
    seat: Seat,
}

/// A request while it runs.
pub(crate) struct Ticket {
    guest: Arc<Guest>,
    id: RequestId,
}

impl Ticket {
    pub(crate) fn new(guest: Arc<Guest>, id: RequestId) -> Self {
        Self { guest, id }
    }

    /// Fails if the request was canceled or its time is up: work that is made of steps asks between them, and ends with the
    /// error.
    pub(crate) fn check(&self) -> Result<()> {
        if self.guest.requests().is_canceled(self.id) { Err(Error::CANCELED) } else { Ok(()) }
    }

    /// Tells those who watch how far it has come: by so many bytes and names more.
    pub(crate) fn advance(&self, _bytes: u64, _names: u64) {}

    /// Puts memory that the result takes on the guest's books, before it is allocated. Fails with `WOULD_BLOCK` over the limit.
    pub(crate) fn reserve(&self, _bytes: usize) -> Result<()> {
        Ok(())
    }

    /// Does `work` on this worker and on up to `width - 1` others that are free before this one is done with it, and returns
    /// when all of them are. Fails with `IO` if another one panicked.
    pub(crate) fn wide(&self, _width: usize, work: &Arc<dyn Fn(&Self) + Send + Sync>) -> Result<()> {
        work(self);
        Ok(())
    }
}

impl Guest {
    fn requests(&self) -> MutexGuard<'_, Requests> {
        // Nothing that can panic runs under the lock; if it did, the books would still be in order.
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker takes the request; none if it was canceled.
    pub(super) fn start(&self, id: RequestId) -> Option<Work> {
        let (work, after) = self.requests().start(id, Instant::now());
        after.carry_out();
        work
    }

    /// A worker is done with the request.
    pub(super) fn finish(&self, id: RequestId, result: Result<Output>) {
        let (after, report) = self.requests().finish(id, result, Instant::now());
        if let Some(report) = report {
            tracing::trace!(target: "aiohost::request", ?report, "done");
            self.observations().add(&report);
        }
        after.carry_out();
    }

    /// Enters what was done without a worker and outside of a call.
    pub(crate) fn report_step(&self, name: &'static str, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.observations().add(&Report { name, failed: false, queued: Duration::ZERO, ran: Duration::ZERO, bytes });
    }

    pub(crate) fn observations(&self) -> MutexGuard<'_, Observations> {
        self.observations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Membership {
    pub(crate) fn new(pool: &Arc<Pool>, limits: &Limits) -> Self {
        let requests = Requests::new(limits.in_flight_max, limits.bytes_in_flight_max);
        let guest = Arc::new(Guest { requests: Mutex::new(requests), observations: Mutex::default() });
        let seat = pool.join(Arc::clone(&guest));
        Self { guest, pool: Arc::clone(pool), seat }
    }

    pub(crate) fn guest(&self) -> &Arc<Guest> {
        &self.guest
    }

    pub(crate) fn counters(&self) -> Counters {
        self.guest.requests().counters()
    }

    /// Ready when another request may be queued.
    pub(crate) fn poll_place(&self, cx: &Context<'_>) -> Poll<()> {
        self.guest.requests().poll_place(cx.waker())
    }

    /// Queues a request.
    pub(crate) fn submit(&self, submission: Submission, priority: Priority, work: Work) -> Result<RequestId> {
        let now = Instant::now();
        let id = self.guest.requests().submit(submission, work, now)?;
        self.pool.push(self.seat, priority, id, now);
        Ok(id)
    }

    /// Enters a request with a handle that is done already.
    pub(crate) fn submit_done(&self, submission: Submission, result: Result<Output>) -> RequestId {
        self.guest.requests().submit_done(submission, result, Instant::now())
    }

    pub(crate) fn poll_take(&self, id: RequestId, cx: &Context<'_>) -> Poll<Result<Output>> {
        self.guest.requests().poll_take(id, cx.waker())
    }

    pub(crate) fn poll_announce(&self, cx: &Context<'_>) -> Poll<Vec<u64>> {
        self.guest.requests().poll_announce(cx.waker())
    }

    pub(crate) fn announce(&self) -> Vec<u64> {
        self.guest.requests().announce()
    }

    pub(crate) fn poll_flush(&self, cx: &Context<'_>) -> Poll<()> {
        self.guest.requests().poll_flush(cx.waker())
    }

    pub(crate) fn cancel(&self, id: RequestId) {
        let after = self.guest.requests().cancel(id);
        after.carry_out();
    }

    pub(crate) fn disown(&self, id: RequestId) {
        let after = self.guest.requests().disown(id);
        after.carry_out();
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let ended: Vec<Afterwards> = self.guest.requests().close();
        self.pool.leave(self.seat);
        for after in ended {
            after.carry_out();
        }
    }
}
