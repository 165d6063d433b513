//! Locks and threads: those of the standard library, or with the feature `model` those of shuttle, which tries out in what order
//! threads may come to what they do.

#[cfg(feature = "model")]
pub(super) use shuttle::{
    sync::{
        Condvar, Mutex, MutexGuard, WaitTimeoutResult,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};
#[cfg(not(feature = "model"))]
pub(super) use std::{
    sync::{
        Condvar, Mutex, MutexGuard, WaitTimeoutResult,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use crate::spin::Spin;

/// Looks for a moment whether something has come. With shuttle others have a turn meanwhile, whether or not it would pay.
pub(super) fn look(spin: &Spin, has_come: impl FnMut() -> bool) {
    #[cfg(not(feature = "model"))]
    spin.look(has_come);
    #[cfg(feature = "model")]
    {
        let _ = (spin, has_come);
        thread::yield_now();
    }
}

/// Whether a thread has ended. Shuttle does not tell.
pub(super) fn has_ended(thread: &JoinHandle<()>) -> bool {
    #[cfg(not(feature = "model"))]
    return thread.is_finished();
    #[cfg(feature = "model")]
    {
        let _ = thread;
        false
    }
}
