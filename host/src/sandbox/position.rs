//! The position of an open file: one request has it at a time, and requests that wait for it hold no worker.
//!
//! It is ours and not the kernel's, whose lock on it would make a read on the guest's own thread wait for one on a worker.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::budget::Budget;

/// Where a file is read and written next.
#[derive(Debug)]
pub(super) struct FilePosition {
    pub(super) turn: Budget,
    at: Mutex<u64>,
}

impl Default for FilePosition {
    fn default() -> Self {
        Self { turn: Budget::new(1), at: Mutex::new(0) }
    }
}

impl FilePosition {
    pub(super) fn at(&self) -> MutexGuard<'_, u64> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
