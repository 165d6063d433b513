//! Whose turn it is: guests with queued requests are served in a ring, and none may hold every worker.

use std::collections::VecDeque;

use slab::Slab;

use super::lanes::{Lanes, Priority};

/// A guest's place in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat(usize);

struct Queue<G, T> {
    guest: G,
    lanes: Lanes<T>,
    running: usize,
    /// Whether the seat stands in the ring.
    waiting: bool,
    /// Whether the guest is gone; the seat is freed when nothing of it is left.
    left: bool,
}

/// The guests of one pool. `G` is what stands for a guest, `T` for a request of it.
pub(crate) struct Turns<G, T> {
    seats: Slab<Queue<G, T>>,
    ring: VecDeque<Seat>,
    /// Workers that one guest may hold.
    share: usize,
}

impl<G: Clone, T> Turns<G, T> {
    /// For a pool of `workers` at most: one of them is kept from any single guest, if there is more than one.
    pub(crate) fn new(workers: usize) -> Self {
        Self { seats: Slab::new(), ring: VecDeque::new(), share: workers.saturating_sub(1).max(1) }
    }

    pub(crate) fn join(&mut self, guest: G) -> Seat {
        Seat(self.seats.insert(Queue { guest, lanes: Lanes::default(), running: 0, waiting: false, left: false }))
    }

    /// The guest is gone: what it has queued is dropped.
    pub(crate) fn leave(&mut self, seat: Seat) -> Lanes<T> {
        let queue = &mut self.seats[seat.0];
        queue.left = true;
        let lanes = std::mem::take(&mut queue.lanes);
        self.free_if_done(seat);
        lanes
    }

    pub(crate) fn push(&mut self, seat: Seat, priority: Priority, item: T) {
        let queue = &mut self.seats[seat.0];
        queue.lanes.push(priority, item);
        if !queue.waiting {
            queue.waiting = true;
            self.ring.push_back(seat);
        }
    }

    /// The next request to run, of the first guest in the ring that may have another worker.
    pub(crate) fn pop(&mut self) -> Option<(Seat, G, T)> {
        for _ in 0..self.ring.len() {
            let seat = self.ring.pop_front()?;
            let share = self.share;
            let queue = &mut self.seats[seat.0];
            if queue.running < share
                && let Some(item) = queue.lanes.pop()
            {
                queue.running += 1;
                queue.waiting = !queue.lanes.is_empty();
                if queue.waiting {
                    self.ring.push_back(seat);
                }
                return Some((seat, queue.guest.clone(), item));
            }
            queue.waiting = !queue.lanes.is_empty();
            if queue.waiting {
                self.ring.push_back(seat);
            } else {
                self.free_if_done(seat);
            }
        }
        None
    }

    /// A request that `pop` gave is at an end.
    pub(crate) fn done(&mut self, seat: Seat) {
        self.seats[seat.0].running -= 1;
        self.free_if_done(seat);
    }

    /// Whether anything could run now if there were a worker.
    pub(crate) fn has_work(&self) -> bool {
        self.ring.iter().any(|seat| self.may_run(*seat))
    }

    /// The heads of all lanes that could run now.
    pub(crate) fn heads(&self) -> impl Iterator<Item = &T> {
        self.ring.iter().filter(|seat| self.may_run(**seat)).flat_map(|seat| self.seats[seat.0].lanes.heads())
    }

    fn may_run(&self, seat: Seat) -> bool {
        let queue = &self.seats[seat.0];
        queue.running < self.share && !queue.lanes.is_empty()
    }

    fn free_if_done(&mut self, seat: Seat) {
        let queue = &self.seats[seat.0];
        if queue.left && queue.running == 0 && !queue.waiting {
            self.seats.remove(seat.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_take_turns_whatever_they_have_queued() {
        let mut turns = Turns::new(8);
        let (a, b) = (turns.join("a"), turns.join("b"));
        for item in 0..100 {
            turns.push(a, Priority::default(), item);
        }
        turns.push(b, Priority::default(), 1000);
        let order: Vec<_> = (0..3).filter_map(|_| turns.pop()).map(|(_, guest, item)| (guest, item)).collect();
        assert_eq!(order, [("a", 0), ("b", 1000), ("a", 1)]);
    }

    #[test]
    fn no_guest_holds_every_worker() {
        let mut turns = Turns::new(3);
        let (a, b) = (turns.join("a"), turns.join("b"));
        for item in 0..5 {
            turns.push(a, Priority::default(), item);
        }
        assert!(turns.pop().is_some() && turns.pop().is_some());
        assert!(turns.pop().is_none() && !turns.has_work());
        turns.push(b, Priority::default(), 9);
        assert_eq!(turns.pop().map(|(_, guest, _)| guest), Some("b"));
        turns.done(a);
        assert_eq!(turns.pop().map(|(_, guest, item)| (guest, item)), Some(("a", 2)));
    }

    #[test]
    fn a_seat_is_freed_when_its_last_request_ends() {
        let mut turns = Turns::new(2);
        let a = turns.join("a");
        turns.push(a, Priority::default(), 1);
        turns.push(a, Priority::default(), 2);
        assert!(turns.pop().is_some());
        turns.leave(a);
        assert!(turns.pop().is_none());
        turns.done(a);
        assert!(turns.seats.is_empty() && turns.ring.is_empty());
    }
}
