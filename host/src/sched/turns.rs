//! Whose turn it is: guests with queued requests are served in a ring, and none may hold every worker.

use std::collections::VecDeque;

use slab::Slab;

use super::lanes::{Lanes, Priority};

/// A guest's place in the ring. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Seat {
    number: u64,
    index: usize,
}

struct Queue<G, T> {
    number: u64,
    guest: G,
    /// Requests that are taken in one turn.
    weight: u32,
    /// Requests that were taken in this turn.
    taken: u32,
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
    number: u64,
    /// Workers that one guest may hold.
    share: usize,
}

impl<G: Clone, T> Turns<G, T> {
    /// For a pool of `workers` at most: one of them is kept from any single guest, if there is more than one.
    pub(crate) fn new(workers: usize) -> Self {
        Self { seats: Slab::new(), ring: VecDeque::new(), number: 0, share: workers.saturating_sub(1).max(1) }
    }

    /// A new guest. In its turn it gets `weight` requests done, and at least one.
    pub(crate) fn join(&mut self, guest: G, weight: u32) -> Seat {
        self.number += 1;
        let number = self.number;
        let (lanes, weight) = (Lanes::default(), weight.max(1));
        let queue = Queue { number, guest, weight, taken: 0, lanes, running: 0, waiting: false, left: false };
        Seat { number, index: self.seats.insert(queue) }
    }

    fn queue(&mut self, seat: Seat) -> Option<&mut Queue<G, T>> {
        self.seats.get_mut(seat.index).filter(|queue| queue.number == seat.number)
    }

    /// The guest is gone: what it has queued is dropped.
    pub(crate) fn leave(&mut self, seat: Seat) -> Lanes<T> {
        let Some(queue) = self.queue(seat) else { return Lanes::default() };
        queue.left = true;
        let lanes = std::mem::take(&mut queue.lanes);
        self.free_if_done(seat);
        lanes
    }

    /// Queues something of a guest. Gives it back if the guest is gone.
    pub(crate) fn push(&mut self, seat: Seat, priority: Priority, item: T) -> Option<T> {
        let Some(queue) = self.queue(seat).filter(|queue| !queue.left) else { return Some(item) };
        queue.lanes.push(priority, item);
        if !std::mem::replace(&mut queue.waiting, true) {
            self.ring.push_back(seat);
        }
        None
    }

    /// The next request to run, of the first guest in the ring that may have another worker.
    pub(crate) fn pop(&mut self) -> Option<(Seat, G, T)> {
        for _ in 0..self.ring.len() {
            let seat = self.ring.pop_front()?;
            let share = self.share;
            let Some(queue) = self.queue(seat) else { continue };
            if queue.running < share
                && let Some(item) = queue.lanes.pop()
            {
                queue.running += 1;
                queue.taken += 1;
                let turn_is_over = queue.taken >= queue.weight;
                if turn_is_over {
                    queue.taken = 0;
                }
                queue.waiting = !queue.lanes.is_empty();
                let found = (seat, queue.guest.clone(), item);
                match (found.0, queue.waiting, turn_is_over) {
                    (seat, true, true) => self.ring.push_back(seat),
                    (seat, true, false) => self.ring.push_front(seat),
                    _ => queue.taken = 0,
                }
                return Some(found);
            }
            queue.taken = 0;
            queue.waiting = !queue.lanes.is_empty();
            if queue.waiting {
                self.ring.push_back(seat);
            } else {
                self.free_if_done(seat);
            }
        }
        None
    }

    /// Something that `pop` gave is at an end.
    pub(crate) fn done(&mut self, seat: Seat) {
        if let Some(queue) = self.queue(seat) {
            queue.running -= 1;
        }
        self.free_if_done(seat);
    }

    /// The guests that are here.
    pub(crate) fn guests(&self) -> impl Iterator<Item = &G> {
        self.seats.iter().filter(|(_, queue)| !queue.left).map(|(_, queue)| &queue.guest)
    }

    /// Whether anything could run now if there were a worker.
    pub(crate) fn has_work(&self) -> bool {
        self.ring.iter().any(|seat| self.may_run(*seat))
    }

    /// The heads of all lanes that could run now.
    pub(crate) fn heads(&self) -> impl Iterator<Item = &T> {
        self.ring.iter().filter(|seat| self.may_run(**seat)).flat_map(|seat| self.seats[seat.index].lanes.heads())
    }

    fn may_run(&self, seat: Seat) -> bool {
        let queue = &self.seats[seat.index];
        queue.running < self.share && !queue.lanes.is_empty()
    }

    fn free_if_done(&mut self, seat: Seat) {
        if self.queue(seat).is_some_and(|queue| queue.left && queue.running == 0 && !queue.waiting) {
            self.seats.remove(seat.index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_take_turns_whatever_they_have_queued() {
        let mut turns = Turns::new(8);
        let (a, b) = (turns.join("a", 1), turns.join("b", 1));
        for item in 0..100 {
            assert!(turns.push(a, Priority::default(), item).is_none());
        }
        assert!(turns.push(b, Priority::default(), 1000).is_none());
        let order: Vec<_> = (0..3).filter_map(|_| turns.pop()).map(|(_, guest, item)| (guest, item)).collect();
        assert_eq!(order, [("a", 0), ("b", 1000), ("a", 1)]);
    }

    #[test]
    fn a_guest_of_more_weight_gets_more_done_in_its_turn() {
        let mut turns = Turns::new(100);
        let (a, b) = (turns.join("a", 1), turns.join("b", 3));
        for item in 0..8 {
            assert!(turns.push(a, Priority::default(), item).is_none() && turns.push(b, Priority::default(), item).is_none());
        }
        let order: String = std::iter::from_fn(|| turns.pop()).map(|(_, guest, _)| guest).collect();
        assert_eq!(order, "abbbabbbabbaaaaa");
    }

    #[test]
    fn what_comes_for_a_guest_that_is_gone_is_given_back() {
        let mut turns = Turns::new(2);
        let gone = turns.join("a", 1);
        drop(turns.leave(gone));
        let other = turns.join("b", 1);
        assert_eq!((gone.index, turns.push(gone, Priority::default(), 7)), (other.index, Some(7)));
        assert!(turns.pop().is_none());
    }

    #[test]
    fn no_guest_holds_every_worker() {
        let mut turns = Turns::new(3);
        let (a, b) = (turns.join("a", 1), turns.join("b", 1));
        for item in 0..5 {
            assert!(turns.push(a, Priority::default(), item).is_none());
        }
        assert!(turns.pop().is_some() && turns.pop().is_some());
        assert!(turns.pop().is_none() && !turns.has_work());
        assert!(turns.push(b, Priority::default(), 9).is_none());
        assert_eq!(turns.pop().map(|(_, guest, _)| guest), Some("b"));
        turns.done(a);
        assert_eq!(turns.pop().map(|(_, guest, item)| (guest, item)), Some(("a", 2)));
    }

    #[test]
    fn a_seat_is_freed_when_its_last_request_ends() {
        let mut turns = Turns::new(2);
        let a = turns.join("a", 1);
        assert!(turns.push(a, Priority::default(), 1).is_none());
        assert!(turns.push(a, Priority::default(), 2).is_none());
        assert!(turns.pop().is_some());
        turns.leave(a);
        assert!(turns.pop().is_none());
        turns.done(a);
        assert!(turns.seats.is_empty() && turns.ring.is_empty());
    }
}
