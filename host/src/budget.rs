//! How much of something may be taken at a time: bytes, places, descriptors. What was taken is given back when it is dropped.
//!
//! A budget may stand below another one, as that of a guest below that of its engine. Then it holds at most a share of what is
//! left above, see [`share`]: so however many guests take all that they can get, something is left for one that comes later.
//!
//! Who waits stands in the queue of one budget, in its turn, and is told when there is room for it there and above. A budget above
//! knows which of those below are waited for: so no guest stands in the way of another one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
#[cfg(not(feature = "model"))]
use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use std::task::Waker;

#[cfg(feature = "model")]
use shuttle::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// How many times what is left above one budget below may hold. 8: a lone guest gets five sixths of all.
const SHARE: usize = 8;

/// The part of all that is kept from those below that hold much: one in 16.
const KEPT: usize = 16;

/// The part of what is left that one below may hold in any case: one in 16. After 32 guests that take all that they can get an eighth
/// of what is kept is left.
const SMALL: usize = 16;

/// Of those who wait, how many are looked at when something is given back. 64: those behind have their turn when these have had
/// theirs.
const LOOK_MAX: usize = 64;

/// How much one budget below may hold, of `max` in all, if so much is left.
fn share(max: usize, left: usize) -> usize {
    left.saturating_sub(max / KEPT).saturating_mul(SHARE).max(left / SMALL)
}

/// A ceiling, and what is taken of it. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    taken: AtomicUsize,
    max: usize,
    above: Option<Budget>,
    /// Whether anybody waits for it, or for one below: looked at without the lock.
    waited_for: AtomicBool,
    queue: Mutex<Queue>,
}

/// Those who wait, in the order in which they came, and how much each needs. The lock of one below is taken first.
#[derive(Debug, Default)]
struct Queue {
    next: u64,
    waiting: BTreeMap<u64, (usize, Waker)>,
    /// Those among them that hold up the others: see [`Budget::wait_alone`].
    alone: BTreeSet<u64>,
    /// Budgets below that are waited for, by their addresses.
    below: BTreeMap<usize, Budget>,
}

/// What was taken of a budget. Dropping it gives it back, and wakes those who wait for it: so it is not dropped under a lock that
/// they may need.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Budget,
    amount: usize,
}

/// What was given back, and of which those who wait for it have not been told. Dropping it tells them.
#[derive(Debug)]
pub(crate) struct Freed(Reservation);

/// A place among those who wait for a budget. Dropping it gives the place up.
#[derive(Debug)]
pub(crate) struct Waiter {
    budget: Budget,
    key: u64,
}

impl Budget {
    pub(crate) fn new(max: usize) -> Self {
        Self::with(max, None)
    }

    /// A budget whose reservations count here, too.
    pub(crate) fn below(&self, max: usize) -> Self {
        Self::with(max, Some(self.clone()))
    }

    fn with(max: usize, above: Option<Self>) -> Self {
        let (taken, waited_for) = (AtomicUsize::new(0), AtomicBool::new(false));
        Self(Arc::new(Inner { taken, max, above, waited_for, queue: Mutex::default() }))
    }

    pub(crate) fn max(&self) -> usize {
        self.0.max
    }

    pub(crate) fn taken(&self) -> usize {
        self.0.taken.load(Ordering::SeqCst)
    }

    /// Takes so much, if there is as much. Nothing is always there.
    pub(crate) fn try_take(&self, amount: usize) -> Option<Reservation> {
        self.take(amount).then(|| Reservation { budget: self.clone(), amount })
    }

    /// A reservation of nothing, which can grow.
    pub(crate) fn nothing(&self) -> Reservation {
        Reservation { budget: self.clone(), amount: 0 }
    }

    /// Whether so much is there now, here and above.
    pub(crate) fn has_room(&self, amount: usize) -> bool {
        let (mut next, mut below) = (Some(self), 0);
        while let Some(budget) = next {
            let Some(total) = budget.total(budget.taken(), amount, below) else { return false };
            (next, below) = (budget.0.above.as_ref(), total);
        }
        true
    }

    /// What is taken once `amount` is, unless that is too much. `below` is what one below would then have of it.
    fn total(&self, taken: usize, amount: usize, below: usize) -> Option<usize> {
        let total = taken.checked_add(amount)?;
        let left = self.0.max.checked_sub(total)?;
        (below == 0 || below <= share(self.0.max, left)).then_some(total)
    }

    fn take(&self, amount: usize) -> bool {
        // An attempt that fails touches nothing, so that it need not tell those who wait.
        amount == 0 || (self.has_room(amount) && self.take_for(amount, 0))
    }

    /// Takes so much for a budget below, which then has `below`.
    fn take_for(&self, amount: usize, below: usize) -> bool {
        let add = |taken| self.total(taken, amount, below);
        let Ok(before) = self.0.taken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add) else { return false };
        let Some(above) = &self.0.above else { return true };
        if above.take_for(amount, before + amount) {
            return true;
        }
        // It is gone since `take` looked. Somebody may have missed meanwhile what comes back here.
        self.0.taken.fetch_sub(amount, Ordering::SeqCst);
        self.tell();
        false
    }

    /// Gives so much back, here and above, and tells nobody.
    fn give_back(&self, amount: usize) {
        let mut next = Some(self);
        while let Some(budget) = next {
            budget.0.taken.fetch_sub(amount, Ordering::SeqCst);
            next = budget.0.above.as_ref();
        }
    }

    /// Tells those who wait of what was given back here. What is waited for below is waited for in the topmost one.
    fn tell_all(&self) {
        let mut topmost = self;
        while let Some(above) = &topmost.0.above {
            topmost = above;
        }
        topmost.tell();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the queue: `waker` is told when so much is there. Try to take it again after this, and after being told.
    pub(crate) fn wait(&self, amount: usize, waker: &Waker) -> Waiter {
        let mut queue = self.queue();
        let key = queue.next;
        queue.next += 1;
        queue.waiting.insert(key, (amount, waker.clone()));
        self.note(&queue);
        Waiter { budget: self.clone(), key }
    }

    /// The same for one that holds up the others: what they are told of they do not take before it has gone on. So it is told of that,
    /// too, wherever it stands.
    pub(crate) fn wait_alone(&self, amount: usize, waker: &Waker) -> Waiter {
        let waiter = self.wait(amount, waker);
        self.queue().alone.insert(waiter.key);
        waiter
    }

    /// Notes whether anybody waits, here and above.
    fn note(&self, queue: &Queue) {
        let is_waited_for = !queue.waiting.is_empty() || !queue.below.is_empty();
        if self.0.waited_for.swap(is_waited_for, Ordering::SeqCst) == is_waited_for {
            return;
        }
        let Some(above) = &self.0.above else { return };
        let mut queue = above.queue();
        if is_waited_for {
            queue.below.insert(self.address(), self.clone());
        } else {
            queue.below.remove(&self.address());
        }
        above.note(&queue);
    }

    fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Tells those who wait of what is there.
    fn tell(&self) {
        // Whoever waits sets this first and looks at what is taken then: one of the two sees the other.
        if !self.0.waited_for.load(Ordering::SeqCst) {
            return;
        }
        let mut queue = self.queue();
        let (mut promised, mut told) = (0, Vec::new());
        // Who waits for much is passed over: those behind it would wait for it, while who comes later takes what is there.
        for (key, (amount, _)) in queue.waiting.iter().take(LOOK_MAX) {
            let wanted = amount.saturating_add(promised);
            if self.has_room(wanted) {
                promised = wanted;
                told.push(*key);
            }
        }
        told.extend(queue.alone.iter().filter(|key| {
            let amount = queue.waiting.get(key).map(|(amount, _)| *amount);
            amount.is_some_and(|amount| self.has_room(amount))
        }));
        let wakers: Vec<Waker> = told.iter().filter_map(|key| queue.waiting.remove(key)).map(|(_, waker)| waker).collect();
        self.note(&queue);
        let below: Vec<Self> = queue.below.values().cloned().collect();
        drop(queue);
        wakers.into_iter().for_each(Waker::wake);
        below.iter().for_each(Self::tell);
    }
}

impl Reservation {
    /// One of nothing, of the same budget.
    pub(crate) fn same(&self) -> Self {
        self.budget.nothing()
    }

    pub(crate) fn amount(&self) -> usize {
        self.amount
    }

    /// Takes so much more, if there is as much. May wake others who wait for the same.
    pub(crate) fn grow(&mut self, more: usize) -> bool {
        let grown = self.budget.take(more);
        if grown {
            self.amount += more;
        }
        grown
    }

    /// Counts what is there already, over the limit if need be: who comes next has to wait for it.
    pub(crate) fn count(&mut self, more: usize) {
        let mut budget = Some(&self.budget);
        while let Some(counted) = budget {
            counted.0.taken.fetch_add(more, Ordering::SeqCst);
            budget = counted.0.above.as_ref();
        }
        self.amount += more;
    }

    /// Takes over what another one of the same budget has.
    pub(crate) fn join(&mut self, mut other: Self) {
        debug_assert!(Arc::ptr_eq(&self.budget.0, &other.budget.0), "they are of one budget");
        self.amount += std::mem::take(&mut other.amount);
    }

    /// Gives it back at once, so that whoever comes next finds it, and leaves it for later to tell those who wait. This may be done
    /// under a lock that they may need.
    pub(crate) fn free(self) -> Freed {
        self.budget.give_back(self.amount);
        Freed(self)
    }

    /// Gives back what is over `amount`.
    pub(crate) fn shrink_to(&mut self, amount: usize) {
        let over = self.split_off(amount);
        drop(over);
    }

    /// Takes off what is over `amount`, if anything is.
    pub(crate) fn split_off(&mut self, amount: usize) -> Option<Self> {
        let over = self.amount.checked_sub(amount).filter(|over| *over > 0)?;
        self.amount = amount;
        Some(Self { budget: self.budget.clone(), amount: over })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.amount > 0 {
            self.budget.give_back(self.amount);
            self.budget.tell_all();
        }
    }
}

impl Drop for Freed {
    fn drop(&mut self) {
        if std::mem::take(&mut self.0.amount) > 0 {
            self.0.budget.tell_all();
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let left = {
            let mut queue = self.budget.queue();
            let left = queue.waiting.remove(&self.key);
            queue.alone.remove(&self.key);
            self.budget.note(&queue);
            left
        };
        drop(left);
        // It may have been told of what it has not taken; or those behind it come into view.
        self.budget.tell();
    }
}

#[cfg(all(test, not(feature = "model")))]
mod tests {
    use std::task::Wake;

    use super::*;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn waker() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        (Arc::clone(&count), count.into())
    }

    fn woken(count: &Count) -> usize {
        count.0.load(Ordering::SeqCst)
    }

    #[test]
    fn what_was_taken_comes_back_and_nothing_is_always_there() {
        let budget = Budget::new(10);
        let mut first = budget.try_take(6).expect("there is room");
        assert!(budget.try_take(5).is_none() && budget.try_take(0).is_some() && budget.try_take(usize::MAX).is_none());
        assert!(first.grow(4) && !first.grow(1));
        first.shrink_to(3);
        assert_eq!((first.amount(), budget.taken()), (3, 3));
        let rest = first.split_off(1).expect("two are over");
        assert_eq!((first.amount(), rest.amount(), budget.taken()), (1, 2, 3));
        assert!(first.split_off(1).is_none() && first.split_off(2).is_none());
        drop((first, rest));
        assert_eq!(budget.taken(), 0);
    }

    #[test]
    fn what_is_free_can_be_taken_before_anybody_is_told() {
        let engine = Budget::new(8);
        let budget = engine.below(4);
        let held = budget.try_take(4).expect("there is room");
        let (count, waker) = waker();
        let waits = budget.wait(1, &waker);
        let freed = held.free();
        assert_eq!((budget.taken(), engine.taken(), woken(&count)), (0, 0, 0));
        drop(freed);
        assert_eq!((budget.taken(), engine.taken(), woken(&count)), (0, 0, 1));
        drop(waits);
    }

    #[test]
    fn one_that_holds_up_the_others_is_told_of_what_they_were_told_of() {
        let budget = Budget::new(1);
        let taken = budget.try_take(1).expect("there is room");
        let ((task, task_waker), (other, other_waker), (alone, alone_waker)) = (waker(), waker(), waker());
        let first = budget.wait(1, &task_waker);
        let _second = budget.wait(1, &other_waker);
        let waits = budget.wait_alone(1, &alone_waker);
        drop(taken);
        assert_eq!((woken(&task), woken(&other), woken(&alone)), (1, 0, 1));
        drop(waits);
        assert!(budget.queue().alone.is_empty());
        // What the first one was told of and leaves is for the second.
        drop(first);
        assert_eq!(woken(&other), 1);
    }

    #[test]
    fn what_is_there_already_counts_also_over_the_limit() {
        let above = Budget::new(10);
        let mut held = above.below(5).nothing();
        held.count(12);
        assert_eq!(above.taken(), 12);
        assert!(above.below(5).try_take(1).is_none());
        drop(held);
        assert_eq!(above.taken(), 0);
    }

    #[test]
    fn guests_that_take_all_they_can_get_leave_something_for_the_next() {
        let engine = Budget::new(1000);
        let mut hogs = Vec::new();
        for _ in 0..32 {
            let mut held = engine.below(1000).nothing();
            while held.grow(1) {}
            hogs.push(held);
        }
        assert!(hogs[0].amount() > 800, "a lone one gets nearly all: {}", hogs[0].amount());
        assert!(engine.below(1000).try_take(1).is_some(), "one that comes later gets something");
        let left = 1000 - engine.taken();
        assert!(hogs.iter().all(|held| held.amount() > 0), "{left}");
    }

    #[test]
    fn those_who_wait_are_told_in_turn_as_far_as_there_is_room() {
        let budget = Budget::new(10);
        let held = budget.try_take(10).expect("there is room");
        let ((first, first_waker), (second, second_waker), (third, third_waker)) = (waker(), waker(), waker());
        let _first = budget.wait(4, &first_waker);
        let _second = budget.wait(4, &second_waker);
        let _third = budget.wait(4, &third_waker);
        drop(held);
        assert_eq!((woken(&first), woken(&second), woken(&third)), (1, 1, 0));
    }

    #[test]
    fn who_leaves_without_taking_passes_the_word_on() {
        let budget = Budget::new(1);
        let held = budget.try_take(1).expect("there is room");
        let ((gone, gone_waker), (next, next_waker)) = (waker(), waker());
        let gives_up = budget.wait(1, &gone_waker);
        let _waits = budget.wait(1, &next_waker);
        drop(held);
        assert_eq!((woken(&gone), woken(&next)), (1, 0));
        drop(gives_up);
        assert_eq!(woken(&next), 1);
    }

    #[test]
    fn who_waits_for_much_holds_up_nobody_behind_it() {
        let budget = Budget::new(10);
        let (most, rest) = (budget.try_take(8).expect("there is room"), budget.try_take(2).expect("there is room"));
        let ((large, large_waker), (small, small_waker)) = (waker(), waker());
        let _large = budget.wait(9, &large_waker);
        let _small = budget.wait(1, &small_waker);
        drop(rest);
        assert_eq!((woken(&large), woken(&small)), (0, 1));
        drop(most);
        assert_eq!((woken(&large), woken(&small)), (1, 1));
    }

    #[test]
    fn who_leaves_the_queue_lets_those_behind_come_into_view() {
        let budget = Budget::new(10);
        let (most, rest) = (budget.try_take(8).expect("there is room"), budget.try_take(2).expect("there is room"));
        let ((large, large_waker), (small, small_waker)) = (waker(), waker());
        let mut waiting: Vec<Waiter> = (0..LOOK_MAX).map(|_| budget.wait(9, &large_waker)).collect();
        let _small = budget.wait(1, &small_waker);
        drop(rest);
        assert_eq!((woken(&large), woken(&small)), (0, 0));
        waiting.pop();
        assert_eq!((woken(&large), woken(&small)), (0, 1));
        drop(most);
        assert_eq!(woken(&large), 1);
    }

    #[test]
    fn who_waits_below_is_told_of_what_is_given_back_beside_it() {
        let engine = Budget::new(90);
        let (one, other) = (engine.below(90), engine.below(90));
        let held = one.try_take(70).expect("it is alone");
        assert!(other.try_take(40).is_none());
        let (count, waker) = waker();
        let _waits = other.wait(40, &waker);
        drop(held);
        assert_eq!(woken(&count), 1);
        assert!(other.try_take(40).is_some());
    }

    #[test]
    fn nobody_is_told_of_room_that_is_no_use_to_it() {
        let engine = Budget::new(1000);
        let (hog, other) = (engine.below(1000), engine.below(1000));
        let mut held = hog.nothing();
        while held.grow(10) {}
        let small = engine.below(1000).try_take(10).expect("something is left");
        // There is room in its own budget, and above it too, but not for one that has so much.
        let (count, waker) = waker();
        let mut waits = hog.wait(20, &waker);
        assert!(hog.try_take(20).is_none(), "an attempt that fails tells nobody");
        drop(small);
        assert_eq!(woken(&count), 0);
        for _ in 0..3 {
            waits = hog.wait(20, &waker);
        }
        assert_eq!(woken(&count), 0, "who stands in the queue anew tells nobody either");
        held.shrink_to(held.amount() - 20);
        assert_eq!(woken(&count), 1);
        drop((waits, other));
    }

    #[test]
    fn one_guest_that_waits_for_much_holds_up_no_other() {
        let engine = Budget::new(1000);
        let (large, small) = (engine.below(500), engine.below(500));
        let _own = large.try_take(400).expect("there is room");
        let mut beside = engine.below(500).try_take(400).expect("there is room");
        let ((large_count, large_waker), (small_count, small_waker)) = (waker(), waker());
        let _first = large.wait(450, &large_waker);
        assert!(small.try_take(200).is_none());
        let _second = small.wait(200, &small_waker);
        beside.shrink_to(100);
        assert_eq!((woken(&large_count), woken(&small_count)), (0, 1));
    }

    /// When it is dropped as a waker it gives back what it has.
    struct Holds {
        _held: Reservation,
    }

    impl Wake for Holds {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn a_waker_is_dropped_when_no_lock_is_held() {
        let (sender, done) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let budget = Budget::new(2);
            let holds = Arc::new(Holds { _held: budget.try_take(1).expect("there is room") });
            let (count, other_waker) = waker();
            let holding: Waker = holds.into();
            let waits = budget.wait(2, &holding);
            let other = budget.wait(2, &other_waker);
            drop(holding);
            drop(waits);
            assert_eq!((budget.taken(), woken(&count)), (0, 1));
            drop(other);
            sender.send(()).expect("the test waits for it");
        });
        done.recv_timeout(std::time::Duration::from_secs(60)).expect("nothing waits for itself");
    }
}
