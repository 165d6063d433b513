//! A request that runs, as the work in it sees it: whether it is to go on, how far it has come, and help from other workers.

use std::task::Waker;

use crate::budget::Budget;
use crate::error::Result;
use crate::sched::Flow;

/// What work in the sandbox may ask of whoever runs it.
pub(crate) trait Ticket: Sync {
    /// Fails if the request was canceled or its time is up: work that is made of steps asks between them, and ends with the
    /// error.
    fn check(&self) -> Result<()>;

    /// Tells those who watch how far it has come: by so many bytes and names more.
    fn advance(&self, bytes: u64, names: u64);

    /// Whether somebody waits for the worker that has had the request for long enough: then work that can be taken up again
    /// returns [`Flow::Again`] without a delay, between two of its steps.
    fn is_wanted(&self) -> bool;

    /// Counts memory that the result takes for the guest, before it is allocated. Fails with `WOULD_BLOCK` over the limit: work
    /// then gives up what it has, and returns that error. It may be run again, from its start.
    fn reserve(&self, bytes: usize) -> Result<()>;

    /// What the guest may hold: for what outlives the request.
    fn memory(&self) -> Budget;

    /// Wakes the request after it returned [`Flow::Parked`], or while it is about to.
    fn waker(&self) -> Waker;

    /// Calls another worker to help with the request, if one comes by.
    fn call(&self, help: HelperWork);
}

/// What another worker does for a request; [`Flow::Again`] if there is more to be taken up.
pub(crate) type HelperWork = Box<dyn FnMut(&dyn Ticket) -> Flow<()> + Send>;

/// Tickets without a scheduler, for tests.
#[cfg(test)]
pub(super) mod fake {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};
    use std::time::Duration;

    use super::{HelperWork, Ticket};
    use crate::budget::Budget;
    use crate::error::{Error, Result};
    use crate::sched::Flow;

    /// Who is called to help comes on a thread of its own.
    pub(in crate::sandbox) struct FakeTicket {
        /// How often it says that the work may go on; after that it is canceled.
        pub(in crate::sandbox) checks: AtomicUsize,
        /// Bytes that may be reserved.
        pub(in crate::sandbox) room: AtomicUsize,
        /// How often the worker was wanted: after each step.
        pub(in crate::sandbox) wanted: AtomicUsize,
        pub(in crate::sandbox) bell: Arc<Bell>,
    }

    /// Counts how often the request was woken.
    #[derive(Default)]
    pub(in crate::sandbox) struct Bell(pub(in crate::sandbox) AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Default for FakeTicket {
        fn default() -> Self {
            Self {
                checks: AtomicUsize::new(usize::MAX),
                room: AtomicUsize::new(usize::MAX),
                wanted: AtomicUsize::new(0),
                bell: Arc::default(),
            }
        }
    }

    fn take(from: &AtomicUsize, count: usize) -> Option<()> {
        from.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(count)).ok().map(drop)
    }

    impl Ticket for FakeTicket {
        fn check(&self) -> Result<()> {
            take(&self.checks, 1).ok_or(Error::CANCELED)
        }

        fn advance(&self, _bytes: u64, _names: u64) {}

        fn is_wanted(&self) -> bool {
            self.wanted.fetch_add(1, Ordering::Relaxed);
            true
        }

        fn reserve(&self, bytes: usize) -> Result<()> {
            take(&self.room, bytes).ok_or(Error::WOULD_BLOCK)
        }

        fn memory(&self) -> Budget {
            Budget::new(usize::MAX)
        }

        fn waker(&self) -> Waker {
            Arc::clone(&self.bell).into()
        }

        fn call(&self, mut help: HelperWork) {
            std::thread::spawn(move || while matches!(help(&Self::default()), Flow::Again(_)) {});
        }
    }

    /// Calls work until it is done. A long pause is cut short: nobody else needs it here.
    pub(in crate::sandbox) fn finish<T>(mut go_on: impl FnMut() -> Flow<T>) -> T {
        loop {
            match go_on() {
                Flow::Done(result) => return result,
                // The work has asked for a pause, which a worker would spend with others.
                Flow::Again(time) => std::thread::sleep(time.min(Duration::from_millis(5))),
                Flow::Parked => std::thread::yield_now(),
            }
        }
    }
}
