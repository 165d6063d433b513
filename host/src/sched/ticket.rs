//! A request while a worker is at it: whether it is to go on, how far it has come, and help from other workers.

use std::sync::Arc;

use super::crew::Crew;
use super::guest::Guest;
use super::lanes::Priority;
use super::pool::Pool;
use super::turns::Seat;
use super::work::{RequestId, Steps};
use crate::error::{Error, Result};
use crate::sandbox::{self, SharedWork};

/// A request while it runs.
#[derive(Clone)]
pub(crate) struct Ticket {
    pub(super) guest: Arc<Guest>,
    pub(super) pool: Arc<Pool>,
    pub(super) seat: Seat,
    pub(super) id: RequestId,
    pub(super) priority: Priority,
    pub(super) steps: Arc<Steps>,
}

impl sandbox::Ticket for Ticket {
    /// Fails if the request was canceled or its time is up: work that is made of steps asks between them, and ends with the
    /// error.
    fn check(&self) -> Result<()> {
        self.steps.check()
    }

    /// Tells those who watch how far it has come: by so many bytes and names more.
    fn advance(&self, bytes: u64, names: u64) {
        self.steps.advance(bytes, names);
    }

    fn is_wanted(&self) -> bool {
        false
    }

    /// Puts memory that the result takes on the guest's books, before it is allocated. Fails with `WOULD_BLOCK` over the limit.
    fn reserve(&self, bytes: usize) -> Result<()> {
        self.guest.reserve(self.id, bytes)
    }

    /// Does `work` on this worker and on up to `width - 1` others that come by before this one is done with it, and returns
    /// when all of them are. Fails with `IO` if another one panicked.
    fn wide(&self, width: usize, work: &SharedWork) -> Result<()> {
        let helpers = width.saturating_sub(1);
        if helpers == 0 {
            work(self);
            return Ok(());
        }
        let crew = Arc::new(Crew::new(self.clone(), Arc::clone(work)));
        self.pool.call_crew(self.seat, self.priority, &crew, helpers);
        // Also when `work` panics, no helper is left behind.
        let closing = crew.closing();
        work(self);
        drop(closing);
        if crew.has_panicked() { Err(Error::IO) } else { Ok(()) }
    }
}
