//! How many requests of one guest are on their way, begun, to be taken, to be announced, or to be dropped. Unlike for what a budget
//! gives, nobody waits for these numbers, so they may be lowered under a lock.
//!
//! All numbers of a guest lie together: its own thread and the workers change them in turn, and each place in memory that goes to
//! and fro between processors costs more than the change.

use std::sync::Arc;

use super::sync::{AtomicUsize, Ordering};

/// What is on its way and may give memory back: requests that are queued or on a worker, helpers, and what is being dropped.
pub(super) const ACTIVE: usize = 0;
/// Requests that have begun and are not at their end.
pub(super) const BEGUN: usize = 1;
/// Results that are there and will be taken, unless the guest is held up by what waits for memory.
pub(super) const COMING: usize = 2;
/// Requests with a handle whose id `wait-any` can still give.
pub(super) const UNANNOUNCED: usize = 3;
/// Requests with a handle that are not done.
pub(super) const UNFINISHED: usize = 4;
/// Work and results that nobody wants, and that have not been dropped.
pub(super) const LEAVING: usize = 5;

/// The numbers of one guest.
#[derive(Clone, Debug, Default)]
pub(super) struct Headcount(Arc<[AtomicUsize; 6]>);

/// One that is counted, until it is dropped.
#[derive(Debug)]
pub(super) struct Counted<const OF: usize>(Headcount);

impl Headcount {
    pub(super) fn count<const OF: usize>(&self) -> Counted<OF> {
        self.0[OF].fetch_add(1, Ordering::SeqCst);
        Counted(self.clone())
    }

    pub(super) fn number<const OF: usize>(&self) -> usize {
        self.0[OF].load(Ordering::SeqCst)
    }
}

/// What of one guest has ended and is not dropped: what that has is as good as given back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leaving(Headcount);

impl Leaving {
    pub(super) fn new(headcount: &Headcount) -> Self {
        Self(headcount.clone())
    }

    pub(crate) fn is_any(&self) -> bool {
        self.0.number::<LEAVING>() > 0
    }
}

#[cfg(test)]
impl Leaving {
    /// One that leaves until it is dropped.
    pub(crate) fn begin(&self) -> impl Sized + use<> {
        self.0.count::<LEAVING>()
    }
}

#[cfg(test)]
impl Headcount {
    /// All of them, in the order of their places.
    pub(super) fn numbers(&self) -> [usize; 6] {
        self.0.each_ref().map(|number| number.load(Ordering::SeqCst))
    }
}

impl<const OF: usize> Drop for Counted<OF> {
    fn drop(&mut self) {
        self.0.0[OF].fetch_sub(1, Ordering::SeqCst);
    }
}
