//! A request that runs, as the work in it sees it: whether it is to go on, how far it has come, and help from other workers.

use std::sync::Arc;

use crate::error::Result;

/// What work in the sandbox may ask of whoever runs it.
pub(crate) trait Ticket: Sync {
    /// Fails if the request was canceled or its time is up: work that is made of steps asks between them, and ends with the
    /// error.
    fn check(&self) -> Result<()>;

    /// Tells those who watch how far it has come: by so many bytes and names more.
    fn advance(&self, bytes: u64, names: u64);

    /// Whether somebody waits for the worker that has had the request for long enough: then work that can be taken up again
    /// returns [`Flow::Again`](crate::sched::Flow) without a delay, between two of its steps.
    fn is_wanted(&self) -> bool;

    /// Puts memory that the result takes on the guest's books, before it is allocated. Fails with `WOULD_BLOCK` over the limit:
    /// work then gives up what it has, and returns that error. It may be run again, from its start.
    fn reserve(&self, bytes: usize) -> Result<()>;

    /// Does `work` on this worker and on up to `width - 1` others that come by before this one is done with it, and returns
    /// when all of them are. Fails with `IO` if another one panicked.
    fn wide(&self, width: usize, work: &SharedWork) -> Result<()>;
}

/// Work that several workers may do side by side.
pub(crate) type SharedWork = Arc<dyn Fn(&dyn Ticket) + Send + Sync>;
