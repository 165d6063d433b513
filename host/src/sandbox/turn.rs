//! Something that one request has at a time, as the position of a file: those that wait for it hold no worker.

use super::ticket::Ticket;
use crate::budget::{Budget, Reservation, Waiter};

/// What a request has of it: its turn, or a place among those that wait. Dropping it gives up either.
#[derive(Debug, Default)]
pub(super) struct Turn {
    taken: Option<Reservation>,
    waiter: Option<Waiter>,
}

impl Turn {
    /// Takes the turn, if nobody has it. `of` is a budget of one.
    pub(super) fn take(&mut self, of: &Budget) -> bool {
        if self.taken.is_none() {
            self.taken = of.try_take(1);
        }
        self.is_taken()
    }

    /// The same; if somebody has it, the request is woken when it may have its turn.
    pub(super) fn take_or_wait(&mut self, of: &Budget, ticket: &dyn Ticket) -> bool {
        if !self.take(of) {
            self.waiter = Some(of.wait(1, &ticket.waker()));
            // It may have come back before this was in the queue.
            self.take(of);
        }
        if self.is_taken() {
            self.waiter = None;
        }
        self.is_taken()
    }

    pub(super) fn is_taken(&self) -> bool {
        self.taken.is_some()
    }
}
