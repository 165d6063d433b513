//! Workers that help with one request.
//!
//! Those who come late find the crew closed and leave; the request waits only for those who have begun, and so for nobody who
//! waits for a worker.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;

use super::sync::{Condvar, Mutex, MutexGuard};
use super::ticket::Ticket;
use crate::sandbox::SharedWork;

/// The helpers of one request.
pub(super) struct Crew {
    ticket: Ticket,
    work: SharedWork,
    state: Mutex<State>,
    left: Condvar,
}

#[derive(Default)]
struct State {
    closed: bool,
    at_work: usize,
    panicked: bool,
}

/// Closes the crew when it is dropped, and waits for those who are at work.
pub(super) struct Closing<'a>(&'a Crew);

impl Crew {
    pub(super) fn new(ticket: Ticket, work: SharedWork) -> Self {
        Self { ticket, work, state: Mutex::default(), left: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Work runs outside of the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker helps, if there is still something to help with.
    pub(super) fn help(&self) {
        {
            let mut state = self.state();
            if state.closed {
                return;
            }
            state.at_work += 1;
        }
        let panicked = catch_unwind(AssertUnwindSafe(|| (self.work)(&self.ticket))).is_err();
        if panicked {
            tracing::error!(id = self.ticket.id.value(), "a request panicked; please report this");
        }
        let mut state = self.state();
        state.at_work -= 1;
        state.panicked |= panicked;
        self.left.notify_all();
    }

    pub(super) fn closing(&self) -> Closing<'_> {
        Closing(self)
    }

    pub(super) fn has_panicked(&self) -> bool {
        self.state().panicked
    }
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.closed = true;
        while state.at_work > 0 {
            state = self.0.left.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
