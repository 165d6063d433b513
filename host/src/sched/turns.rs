//! Whose turn it is: guests with queued requests are served in a ring, by weight, and each has its share of the workers.
//!
//! A guest begins another request only while it runs fewer than its share, `(workers - 1) / guests that have something to do`,
//! and at least one; or, while nobody waits who has less, as long as one worker is left for whoever comes next. A guest that runs
//! nothing comes first, and may begin one even if all workers are taken: the pool has a thread more for each. So what a guest waits
//! for at most is its own requests.

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
    /// Whether it counts among those that are at work.
    at_work: bool,
}

/// The guests of one pool. `G` is what stands for a guest, `T` for a request of it.
pub(crate) struct Turns<G, T> {
    seats: Slab<Queue<G, T>>,
    ring: VecDeque<Seat>,
    number: u64,
    workers: usize,
    /// What is queued, of all guests.
    queued: usize,
    /// What `pop` gave and is not at an end, of all guests.
    running: usize,
    /// Guests that have something queued or running.
    at_work: usize,
}

impl<G: Clone, T> Turns<G, T> {
    /// For a pool of `workers`.
    pub(crate) fn new(workers: usize) -> Self {
        Self { seats: Slab::new(), ring: VecDeque::new(), number: 0, workers, queued: 0, running: 0, at_work: 0 }
    }

    /// A new guest. In its turn it gets `weight` requests done, and at least one.
    pub(crate) fn join(&mut self, guest: G, weight: u32) -> Seat {
        self.number += 1;
        let number = self.number;
        let (lanes, weight) = (Lanes::default(), weight.max(1));
        let queue = Queue { number, guest, weight, taken: 0, lanes, running: 0, waiting: false, left: false, at_work: false };
        Seat { number, index: self.seats.insert(queue) }
    }

    fn queue(&mut self, seat: Seat) -> Option<&mut Queue<G, T>> {
        self.seats.get_mut(seat.index).filter(|queue| queue.number == seat.number)
    }

    /// The guest is gone: what it has queued is given back, but for what `keep` wants to be run all the same. The seat stays until
    /// nothing of it is queued or running, and `is_over` says that nothing will come again; if it is freed now, the guest is given
    /// back with it.
    pub(crate) fn leave(&mut self, seat: Seat, keep: impl Fn(&T) -> bool, is_over: impl Fn(&G) -> bool) -> (Vec<T>, Option<G>) {
        let Some(queue) = self.queue(seat) else { return (Vec::new(), None) };
        queue.left = true;
        let dropped = self.remove(seat, |item| !keep(item));
        (dropped, self.free_if_done(seat, is_over))
    }

    /// Takes out of a guest's queue what is `unwanted` there.
    pub(crate) fn remove(&mut self, seat: Seat, unwanted: impl Fn(&T) -> bool) -> Vec<T> {
        let Some(queue) = self.queue(seat) else { return Vec::new() };
        let removed = queue.lanes.extract_if(unwanted);
        if queue.lanes.is_empty() && std::mem::take(&mut queue.waiting) {
            queue.taken = 0;
            self.ring.retain(|other| *other != seat);
        }
        self.queued -= removed.len();
        self.note(seat);
        removed
    }

    /// Queues something of a guest. Gives it back if the guest is gone, and nothing of it is left.
    pub(crate) fn push(&mut self, seat: Seat, priority: Priority, item: T) -> Option<T> {
        let Some(queue) = self.queue(seat) else { return Some(item) };
        queue.lanes.push(priority, item);
        let waits = std::mem::replace(&mut queue.waiting, true);
        self.queued += 1;
        if !waits {
            self.ring.push_back(seat);
        }
        self.note(seat);
        None
    }

    /// Notes whether a guest has something to do.
    fn note(&mut self, seat: Seat) {
        let Some(queue) = self.queue(seat) else { return };
        let now = queue.running > 0 || queue.waiting;
        match (std::mem::replace(&mut queue.at_work, now), now) {
            (false, true) => self.at_work += 1,
            (true, false) => self.at_work -= 1,
            _ => {}
        }
    }

    /// How many are queued, of all guests.
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// What `pop` gave and is not at an end, of all guests.
    pub(crate) fn running(&self) -> usize {
        self.running
    }

    /// The next request to run, of the first guest in the ring that may have another worker.
    pub(crate) fn pop(&mut self) -> Option<(Seat, G, T)> {
        let place = self.next()?;
        let seat = self.ring.remove(place)?;
        let queue = self.queue(seat)?;
        let item = queue.lanes.pop()?;
        queue.running += 1;
        queue.taken += 1;
        let turn_is_over = queue.taken >= queue.weight;
        queue.waiting = !queue.lanes.is_empty();
        if turn_is_over || !queue.waiting {
            queue.taken = 0;
        }
        let found = (seat, queue.guest.clone(), item);
        match (queue.waiting, turn_is_over) {
            (true, true) => self.ring.push_back(seat),
            (true, false) => self.ring.insert(place, seat),
            _ => {}
        }
        self.queued -= 1;
        self.running += 1;
        Some(found)
    }

    /// Where in the ring the guest stands whose turn it is.
    fn next(&self) -> Option<usize> {
        let (share, is_left) = (self.share(), self.is_left());
        let find = |may: &dyn Fn(&Queue<G, T>) -> bool| self.ring.iter().position(|seat| may(&self.seats[seat.index]));
        find(&|queue| queue.running == 0)
            .or_else(|| find(&|queue| queue.running < share))
            .or_else(|| if is_left { find(&|_| true) } else { None })
    }

    /// Whether a guest has something queued while nothing of it runs.
    pub(crate) fn has_starving(&self) -> bool {
        self.ring.iter().any(|seat| self.seats[seat.index].running == 0)
    }

    /// Whether a worker is left for whoever comes next when another request is begun.
    fn is_left(&self) -> bool {
        self.running + 1 < self.workers
    }

    /// Workers that one guest may hold while others wait. Once all are taken there is one more for each guest that has none.
    fn share(&self) -> usize {
        if self.running >= self.workers {
            return 1;
        }
        (self.workers.saturating_sub(1) / self.guests_at_work().max(1)).max(1)
    }

    /// How many guests have something queued or running.
    pub(crate) fn guests_at_work(&self) -> usize {
        self.at_work
    }

    /// How many guests there are, those that are gone and have something left among them.
    pub(crate) fn seats(&self) -> usize {
        self.seats.len()
    }

    /// Something that `pop` gave is at an end, or will come again. If that frees the seat of a guest that is gone, it is given back.
    pub(crate) fn done(&mut self, seat: Seat, is_over: impl Fn(&G) -> bool) -> Option<G> {
        if let Some(queue) = self.queue(seat) {
            queue.running -= 1;
            self.running -= 1;
        }
        self.note(seat);
        self.free_if_done(seat, is_over)
    }

    /// The guests that have a seat, those that are gone and have something left among them.
    pub(crate) fn guests(&self) -> impl Iterator<Item = &G> {
        self.seats.iter().map(|(_, queue)| &queue.guest)
    }

    /// Whether anything could run now if there were a worker.
    pub(crate) fn has_work(&self) -> bool {
        self.next().is_some()
    }

    /// The heads of the lanes of guests that could run something now.
    pub(crate) fn heads(&self) -> impl Iterator<Item = &T> {
        let (share, is_left) = (self.share(), self.is_left());
        let may_run = move |queue: &&Queue<G, T>| is_left || queue.running < share;
        self.ring.iter().map(|seat| &self.seats[seat.index]).filter(may_run).flat_map(|queue| queue.lanes.heads())
    }

    fn free_if_done(&mut self, seat: Seat, is_over: impl Fn(&G) -> bool) -> Option<G> {
        let is_done = |queue: &mut Queue<G, T>| queue.left && !queue.at_work && is_over(&queue.guest);
        self.queue(seat).is_some_and(is_done).then(|| self.seats.remove(seat.index).guest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed<G: Clone, T>(turns: &mut Turns<G, T>, seat: Seat, items: impl IntoIterator<Item = T>) {
        for item in items {
            assert!(turns.push(seat, Priority::default(), item).is_none());
        }
    }

    /// Nothing will come again.
    fn over(_guest: &&str) -> bool {
        true
    }

    fn order<T>(turns: &mut Turns<&'static str, T>) -> String {
        std::iter::from_fn(|| turns.pop()).map(|(_, guest, _)| guest).collect()
    }

    #[test]
    fn guests_take_turns_whatever_they_have_queued() {
        let mut turns = Turns::new(8);
        let (a, b) = (turns.join("a", 1), turns.join("b", 1));
        pushed(&mut turns, a, 0..100);
        pushed(&mut turns, b, [1000]);
        let order: Vec<_> = (0..3).filter_map(|_| turns.pop()).map(|(_, guest, item)| (guest, item)).collect();
        assert_eq!(order, [("a", 0), ("b", 1000), ("a", 1)]);
    }

    #[test]
    fn a_guest_of_more_weight_gets_more_done_in_its_turn() {
        let mut turns = Turns::new(100);
        let (a, b) = (turns.join("a", 1), turns.join("b", 3));
        pushed(&mut turns, a, 0..8);
        pushed(&mut turns, b, 0..8);
        assert_eq!(order(&mut turns), "abbbabbbabbaaaaa");
    }

    #[test]
    fn what_is_taken_out_of_a_queue_is_nobodys_turn() {
        let mut turns = Turns::new(8);
        let (a, b) = (turns.join("a", 3), turns.join("b", 1));
        pushed(&mut turns, a, 0..4);
        pushed(&mut turns, b, 0..2);
        assert_eq!(turns.pop().map(|(_, guest, _)| guest), Some("a"));
        assert_eq!((turns.remove(a, |item| *item < 3), turns.queued()), (vec![1, 2], 3));
        assert_eq!((turns.remove(a, |_| true), turns.queued(), turns.guests_at_work()), (vec![3], 2, 2));
        assert_eq!(turns.pop().map(|(_, guest, _)| guest), Some("b"));
        pushed(&mut turns, a, 0..4);
        assert_eq!(order(&mut turns), "baaaa");
    }

    #[test]
    fn what_comes_for_a_guest_that_is_gone_is_given_back() {
        let mut turns = Turns::new(2);
        let gone = turns.join("a", 1);
        assert_eq!(turns.leave(gone, |_| true, over), (vec![], Some("a")));
        let other = turns.join("b", 1);
        assert_eq!((gone.index, turns.push(gone, Priority::default(), 7)), (other.index, Some(7)));
        assert!(turns.pop().is_none());
    }

    #[test]
    fn what_has_begun_is_run_also_when_its_guest_is_gone() {
        let mut turns = Turns::new(2);
        let seat = turns.join("a", 1);
        pushed(&mut turns, seat, [1, 2, 3]);
        assert_eq!(turns.leave(seat, |item| *item == 2, over), (vec![1, 3], None));
        assert_eq!(turns.pop().map(|(_, _, item)| item), Some(2));
        assert!(turns.push(seat, Priority::default(), 4).is_none(), "it is parked and comes again");
        turns.done(seat, over);
        assert_eq!(turns.pop().map(|(_, _, item)| item), Some(4));
        assert_eq!(turns.done(seat, over), Some("a"), "nothing is left of it");
        assert_eq!(turns.push(seat, Priority::default(), 5), Some(5));
    }

    #[test]
    fn however_many_guests_there_are_a_worker_is_left_for_the_next() {
        for hogs in [1, 2, 3, 7] {
            let mut turns = Turns::new(8);
            for _ in 0..hogs {
                let seat = turns.join("h", 1);
                pushed(&mut turns, seat, 0..20);
            }
            assert_eq!(order(&mut turns).len(), 7, "{hogs} guests hold all but one");
            let next = turns.join("n", 1);
            pushed(&mut turns, next, [0]);
            assert!(turns.has_work() && turns.heads().count() == 1);
            assert_eq!(turns.pop().map(|(_, guest, _)| guest), Some("n"));
        }
    }

    #[test]
    fn a_guest_that_runs_nothing_begins_one_request_though_all_workers_are_taken() {
        let mut turns = Turns::new(2);
        for guest in ["a", "b", "c"] {
            let seat = turns.join(guest, 1);
            pushed(&mut turns, seat, 0..5);
        }
        assert_eq!(order(&mut turns), "abc");
        assert!(!turns.has_work() && turns.heads().count() == 0);
    }

    #[test]
    fn who_holds_less_than_a_share_goes_first() {
        let mut turns = Turns::new(9);
        let (a, b) = (turns.join("a", 1), turns.join("b", 1));
        pushed(&mut turns, a, 0..20);
        assert_eq!(order(&mut turns), "a".repeat(8));
        pushed(&mut turns, b, 0..20);
        assert_eq!(order(&mut turns), "b", "one was left");
        for _ in 0..3 {
            turns.done(a, over);
            assert_eq!(order(&mut turns), "b", "what comes free is for the one that has less");
        }
        turns.done(b, over);
        assert_eq!(order(&mut turns), "b", "four of nine is its share");
    }

    #[test]
    fn who_runs_nothing_comes_first() {
        let mut turns = Turns::new(100);
        let (a, b) = (turns.join("a", 8), turns.join("b", 1));
        pushed(&mut turns, a, 0..3);
        assert_eq!(turns.pop().map(|(_, guest, _)| guest), Some("a"));
        assert!(!turns.has_starving());
        pushed(&mut turns, b, 0..2);
        assert!(turns.has_starving());
        assert_eq!(order(&mut turns), "baab", "also in the middle of another guest's turn");
    }

    #[test]
    fn a_seat_is_freed_when_its_last_request_ends() {
        let mut turns = Turns::new(2);
        let a = turns.join("a", 1);
        pushed(&mut turns, a, [1, 2]);
        assert!(turns.pop().is_some());
        turns.leave(a, |_| false, over);
        assert!(turns.pop().is_none());
        turns.done(a, over);
        assert!(turns.seats.is_empty() && turns.ring.is_empty());
        assert_eq!((turns.queued, turns.running, turns.guests_at_work()), (0, 0, 0));
    }

    #[test]
    fn a_seat_stays_for_what_will_come_again() {
        let mut turns = Turns::new(2);
        let seat = turns.join("a", 1);
        pushed(&mut turns, seat, [1]);
        assert!(turns.pop().is_some());
        turns.done(seat, over);
        assert_eq!(turns.leave(seat, |_| true, |_| false), (vec![], None));
        assert!(turns.push(seat, Priority::default(), 1).is_none(), "it was parked");
        assert!(turns.pop().is_some());
        turns.done(seat, over);
        assert_eq!(turns.push(seat, Priority::default(), 2), Some(2));
    }
}
