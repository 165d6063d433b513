//! The locks that a handle has, as the kernel keeps them, and how many a guest may have.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use smallvec::SmallVec;
use wasmtime::component::{ComponentType, Lift, Lower};

use crate::error::{Error, Result};
use crate::limits::{LOCKS_GUEST_MAX, LOCKS_MAX};

/// What a lock leaves to others: `aiohost:aio/types.lock-kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "only a guest makes one, and the tests make one of each")]
pub(crate) enum LockKind {
    #[component(name = "shared")]
    Shared,
    #[component(name = "exclusive")]
    Exclusive,
}

/// A range that can be locked. Length 0 is all that follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lock {
    pub(super) start: i64,
    pub(super) length: i64,
}

impl Lock {
    pub(crate) fn parse(offset: u64, length: u64) -> Result<Self> {
        let (Ok(start), Ok(length)) = (i64::try_from(offset), i64::try_from(length)) else { return Err(Error::INVALID) };
        // Its last byte must be one that a file can have.
        if length > 0 && start.checked_add(length - 1).is_none() {
            return Err(Error::INVALID);
        }
        Ok(Self { start, length })
    }

    fn last(self) -> i64 {
        if self.length == 0 { i64::MAX } else { self.start.saturating_add(self.length - 1) }
    }
}

/// How many locks a guest has, and may have, on all of its handles.
#[derive(Clone, Debug, Default)]
pub(super) struct LockQuota(Arc<AtomicUsize>);

impl LockQuota {
    fn take(&self, count: usize) -> Result<()> {
        if self.0.fetch_add(count, Ordering::Relaxed).saturating_add(count) > LOCKS_GUEST_MAX {
            self.give_back(count);
            return Err(Error::NO_LOCK);
        }
        Ok(())
    }

    fn give_back(&self, count: usize) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }
}

/// The locks that a handle has. Dropping it, once they have ended with the handle, gives their places back.
#[derive(Debug)]
pub(super) struct HeldLocks {
    pieces: LockRanges,
    quota: LockQuota,
    last: LockNumber,
}

/// Which lock of a handle: the first, the second and so on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LockNumber(u64);

/// What becomes of a range.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    /// It is locked, by a request whose answer is still to be taken.
    Lock(LockKind, LockNumber),
    /// It is locked, whoever takes the answer.
    LockForGood(LockKind),
    Unlock,
}

impl Change {
    fn for_good(self) -> Self {
        if let Self::Lock(kind, _) = self { Self::LockForGood(kind) } else { self }
    }

    pub(super) fn kind(self) -> Option<LockKind> {
        match self {
            Self::Lock(kind, _) | Self::LockForGood(kind) => Some(kind),
            Self::Unlock => None,
        }
    }
}

impl HeldLocks {
    pub(super) fn new(quota: &LockQuota) -> Self {
        Self { pieces: LockRanges::default(), quota: quota.clone(), last: LockNumber::default() }
    }

    pub(super) fn next_number(&mut self) -> LockNumber {
        self.last.0 += 1;
        self.last
    }

    /// Changes what is held, if the kernel does. It knows no limit of its own.
    pub(super) fn change(&mut self, range: Lock, change: Change, make: impl FnOnce() -> rustix::io::Result<()>) -> Result<()> {
        let before = self.pieces.places();
        let mut next = self.pieces.with(range, change);
        let mut taken = self.take_places(before, next.places());
        if taken.is_err() && matches!(change, Change::Lock(..)) {
            // Too many to know of each what was there before. Then a lock stays, should nobody take the answer: better one too
            // many than one too few.
            next = self.pieces.with(range, change.for_good());
            taken = self.take_places(before, next.places());
        }
        taken?;
        let after = next.places();
        if let Err(errno) = make() {
            self.quota.give_back(after.saturating_sub(before));
            return Err(errno.into());
        }
        self.quota.give_back(before.saturating_sub(after));
        self.pieces = next;
        Ok(())
    }

    fn take_places(&self, before: usize, after: usize) -> Result<()> {
        if after > LOCKS_MAX {
            return Err(Error::NO_LOCK);
        }
        self.quota.take(after.saturating_sub(before))
    }

    /// The answer of a lock was taken: what was there before it is gone.
    pub(super) fn keep(&mut self, number: LockNumber) {
        self.settle(number, |piece, at| piece.stack.keep(at));
    }

    /// Nobody takes the answer of a lock: it is gone as if it had never been, above and below others of which that is not known. The
    /// kernel is told where that makes a difference, and where it refuses the lock stays; the first refusal is returned.
    pub(super) fn give_back(
        &mut self,
        number: LockNumber,
        mut make: impl FnMut(Lock, Option<LockKind>) -> rustix::io::Result<()>,
    ) -> Result<()> {
        let mut outcome = Ok(());
        self.settle(number, |piece, at| {
            let next = piece.stack.without(at);
            let made = if next.kind() == piece.stack.kind() { Ok(()) } else { make(piece.range(), next.kind()) };
            match made {
                Ok(()) => piece.stack = next,
                Err(errno) => {
                    outcome = outcome.and_then(|()| Err(errno.into()));
                    piece.stack.keep(at);
                }
            }
        });
        outcome
    }

    /// Changes the pieces in which a lock stands, and where.
    fn settle(&mut self, number: LockNumber, mut change: impl FnMut(&mut Piece, usize)) {
        let before = self.pieces.places();
        for piece in &mut self.pieces.0 {
            if let Some(at) = piece.stack.layers.iter().position(|layer| layer.number == number) {
                change(piece, at);
            }
        }
        self.pieces.0.retain(|piece| piece.stack.kind().is_some());
        self.pieces.join();
        self.quota.give_back(before - self.pieces.places());
    }
}

impl Drop for HeldLocks {
    fn drop(&mut self) {
        self.quota.give_back(self.pieces.places());
    }
}

/// Locks as the kernel keeps them: in order, apart from each other, and neighbours that are alike as one.
#[derive(Debug, Default)]
pub(super) struct LockRanges(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    start: i64,
    last: i64,
    stack: Stack,
}

/// What is held in one place: what is held for good, and above it the locks whose answers are still to be taken, in their order. The
/// kernel knows the uppermost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Stack {
    base: Option<LockKind>,
    layers: SmallVec<[Layer; 1]>,
}

/// A lock whose answer is still to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layer {
    number: LockNumber,
    kind: LockKind,
}

impl Stack {
    fn kind(&self) -> Option<LockKind> {
        self.layers.last().map(|layer| layer.kind).or(self.base)
    }

    fn after(&self, change: Change) -> Self {
        match change {
            Change::Lock(kind, number) => {
                let mut next = self.clone();
                next.layers.push(Layer { number, kind });
                next
            }
            Change::LockForGood(kind) => Self { base: Some(kind), layers: SmallVec::new() },
            Change::Unlock => Self::default(),
        }
    }

    fn without(&self, at: usize) -> Self {
        let mut next = self.clone();
        next.layers.remove(at);
        next
    }

    /// A lock is there for good, and what was below it is gone.
    fn keep(&mut self, at: usize) {
        self.base = Some(self.layers[at].kind);
        self.layers.drain(..=at);
    }
}

impl Piece {
    fn range(&self) -> Lock {
        Lock { start: self.start, length: if self.last == i64::MAX { 0 } else { self.last - self.start + 1 } }
    }
}

impl LockRanges {
    /// What they count for: each lock that the kernel knows, and each that is to be known below one.
    fn places(&self) -> usize {
        self.0.iter().map(|piece| piece.stack.layers.len() + usize::from(piece.stack.base.is_some())).sum()
    }

    /// What is held after a change of a range.
    fn with(&self, range: Lock, change: Change) -> Self {
        let (start, last) = (range.start, range.last());
        let mut pieces = Vec::with_capacity(self.0.len() + 2);
        let nothing = Stack::default();
        // From where on it is not known yet what was there before.
        let mut from = Some(start);
        for piece in &self.0 {
            let (first, end) = (piece.start.max(start), piece.last.min(last));
            if first > end {
                pieces.push(piece.clone());
                continue;
            }
            if piece.start < first {
                pieces.push(Piece { last: first - 1, ..piece.clone() });
            }
            if let Some(from) = from.filter(|from| *from < first) {
                pieces.push(Piece { start: from, last: first - 1, stack: nothing.after(change) });
            }
            pieces.push(Piece { start: first, last: end, stack: piece.stack.after(change) });
            from = end.checked_add(1);
            if piece.last > end {
                pieces.push(Piece { start: end + 1, ..piece.clone() });
            }
        }
        if let Some(from) = from.filter(|from| *from <= last) {
            pieces.push(Piece { start: from, last, stack: nothing.after(change) });
        }
        pieces.retain(|piece| piece.stack.kind().is_some());
        pieces.sort_unstable_by_key(|piece| piece.start);
        let mut ranges = Self(pieces);
        ranges.join();
        ranges
    }

    fn join(&mut self) {
        self.0.dedup_by(|next, piece| {
            let joins = piece.stack == next.stack && piece.last.checked_add(1) == Some(next.start);
            if joins {
                piece.last = next.last;
            }
            joins
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `with`, by offset and length, as text.
    fn with(
        held: &LockRanges,
        (offset, length): (u64, u64),
        kind: Option<LockKind>,
    ) -> (LockRanges, Vec<(i64, i64, LockKind)>) {
        let change = kind.map_or(Change::Unlock, Change::LockForGood);
        let next = held.with(Lock::parse(offset, length).expect("a valid range"), change);
        let pieces = next.0.iter().filter_map(|piece| Some((piece.start, piece.last, piece.stack.kind()?))).collect();
        (next, pieces)
    }

    #[test]
    fn locks_are_split_and_joined_as_the_kernel_does() {
        use LockKind::{Exclusive, Shared};
        let (held, pieces) = with(&LockRanges::default(), (10, 10), Some(Shared));
        assert_eq!(pieces, [(10, 19, Shared)]);
        let (held, pieces) = with(&held, (20, 0), Some(Shared));
        assert_eq!(pieces, [(10, i64::MAX, Shared)]);
        let (held, pieces) = with(&held, (15, 5), Some(Exclusive));
        assert_eq!(pieces, [(10, 14, Shared), (15, 19, Exclusive), (20, i64::MAX, Shared)]);
        let (held, pieces) = with(&held, (17, 1), None);
        assert_eq!(pieces, [(10, 14, Shared), (15, 16, Exclusive), (18, 19, Exclusive), (20, i64::MAX, Shared)]);
        let (_, pieces) = with(&held, (15, 5), Some(Shared));
        assert_eq!(pieces, [(10, i64::MAX, Shared)]);
        let (held, pieces) = with(&held, (0, 0), Some(Exclusive));
        assert_eq!(pieces, [(0, i64::MAX, Exclusive)]);
        let (held, pieces) = with(&held, (i64::MAX.unsigned_abs(), 0), None);
        assert_eq!(pieces, [(0, i64::MAX - 1, Exclusive)]);
        assert_eq!(with(&held, (0, 0), None).1, []);
    }

    #[test]
    fn locks_of_many_handles_took_the_memory_of_the_kernel() {
        let quota = LockQuota::default();
        let held = || quota.0.load(Ordering::Relaxed);
        let mut handles: Vec<HeldLocks> = (0..10).map(|_| HeldLocks::new(&quota)).collect();
        let lock = |handle: &mut HeldLocks, number: u64, result| {
            let number = 2 * number;
            let range = Lock::parse(number, 1).expect("a valid range");
            handle.change(range, Change::LockForGood(LockKind::Exclusive), || result)
        };
        for handle in &mut handles[..9] {
            assert!((0..1024).all(|number| lock(handle, number, Ok(())) == Ok(())));
        }
        assert_eq!(lock(&mut handles[0], 1024, Ok(())), Err(Error::NO_LOCK), "over what a handle may have");
        let last = &mut handles[9];
        assert!((0..783).all(|number| lock(last, number, Ok(())) == Ok(())));
        assert_eq!(lock(last, 783, Err(rustix::io::Errno::AGAIN)), Err(Error::WOULD_BLOCK));
        assert_eq!(held(), 9 * 1024 + 783, "what was not locked is not held");
        assert_eq!(lock(last, 783, Ok(())), Ok(()));
        assert_eq!(lock(last, 784, Ok(())), Err(Error::NO_LOCK), "over what a guest may have");
        assert_eq!(last.change(Lock::parse(20, 0).expect("a valid range"), Change::Unlock, || Ok(())), Ok(()));
        assert_eq!(held(), 9 * 1024 + 10);
        handles.truncate(1);
        assert_eq!(held(), 1024, "locks end with their handle");
    }

    /// What a lock leaves behind of those before it, and what of it is left by those after it.
    #[test]
    fn a_lock_that_nobody_took_went_with_those_that_came_after_it() {
        use LockKind::{Exclusive, Shared};
        let quota = LockQuota::default();
        let mut held = HeldLocks::new(&quota);
        let range = |offset, length| Lock::parse(offset, length).expect("a valid range");
        let lock = |held: &mut HeldLocks, offset, length, kind| {
            let number = held.next_number();
            held.change(range(offset, length), Change::Lock(kind, number), || Ok(())).expect("there is room");
            number
        };
        let left = |held: &HeldLocks, number| -> Vec<(i64, i64, Option<LockKind>)> {
            let of_it = |piece: &&Piece| piece.stack.layers.last().is_some_and(|layer| layer.number == number);
            let before = |piece: &Piece| piece.stack.without(piece.stack.layers.len() - 1).kind();
            held.pieces.0.iter().filter(of_it).map(|piece| (piece.start, piece.range().length, before(piece))).collect()
        };
        let first = lock(&mut held, 10, 10, Shared);
        held.keep(first);
        assert_eq!(left(&held, first), [], "it was taken");
        let second = lock(&mut held, 0, 0, Exclusive);
        assert_eq!(left(&held, second), [(0, 10, None), (10, 10, Some(Shared)), (20, 0, None)]);
        held.change(range(5, 1), Change::Unlock, || Ok(())).expect("there is room");
        let third = lock(&mut held, 12, 2, Exclusive);
        held.keep(third);
        assert_eq!(
            left(&held, second),
            [(0, 5, None), (6, 4, None), (10, 2, Some(Shared)), (14, 6, Some(Shared)), (20, 0, None)]
        );
        held.keep(second);
        assert_eq!((held.pieces.0.len(), quota.0.load(Ordering::Relaxed)), (2, 2), "all but the gap are one");
        // Too many to be told apart: the lock is got all the same, and stays.
        held.change(range(0, 0), Change::Unlock, || Ok(())).expect("there is room");
        for number in 0..600 {
            held.change(range(2 * number, 1), Change::LockForGood(Shared), || Ok(())).expect("there is room");
        }
        let last = lock(&mut held, 0, 0, Exclusive);
        assert_eq!((left(&held, last), held.pieces.0.len()), (vec![], 1));
    }

    /// Several that nobody has taken in one place, in every order in which they are given up or taken.
    #[test]
    fn two_locks_that_nobody_took_left_one_that_was_nobodys() {
        use LockKind::{Exclusive, Shared};
        let whole = Lock::parse(0, 10).expect("a valid range");
        for before in [None, Some(Shared)] {
            for kinds in [[Shared, Exclusive, Shared], [Exclusive, Exclusive, Exclusive]] {
                for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
                    for taken in [None, Some(0), Some(1), Some(2)] {
                        let quota = LockQuota::default();
                        let mut held = HeldLocks::new(&quota);
                        if let Some(kind) = before {
                            held.change(whole, Change::LockForGood(kind), || Ok(())).expect("there is room");
                        }
                        let numbers = kinds.map(|kind| {
                            let number = held.next_number();
                            held.change(whole, Change::Lock(kind, number), || Ok(())).expect("there is room");
                            number
                        });
                        let mut kernel = Some(kinds[2]);
                        for at in order {
                            if taken == Some(at) {
                                held.keep(numbers[at]);
                            } else {
                                let made = |range: Lock, kind| {
                                    assert_eq!((range.start, range.length), (0, 10));
                                    kernel = kind;
                                    Ok(())
                                };
                                held.give_back(numbers[at], made).expect("the kernel refuses nothing");
                            }
                        }
                        let left = taken.map(|at| kinds[at]).or(before);
                        let case = (before, kinds, order, taken);
                        assert_eq!(kernel, left, "{case:?}");
                        let pieces: Vec<_> = held.pieces.0.iter().map(|piece| piece.stack.clone()).collect();
                        let expected = left.map(|kind| Stack { base: Some(kind), layers: SmallVec::new() });
                        assert_eq!(pieces, Vec::from_iter(expected), "{case:?}");
                        assert_eq!(quota.0.load(Ordering::Relaxed), usize::from(left.is_some()), "{case:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_lock_over_many_was_refused_for_want_of_places_that_the_kernel_does_not_need() {
        let quota = LockQuota::default();
        let mut others: Vec<HeldLocks> = (0..10).map(|_| HeldLocks::new(&quota)).collect();
        let mut held = HeldLocks::new(&quota);
        let lock = |held: &mut HeldLocks, number: u64| {
            let range = Lock::parse(2 * number, 1).expect("a valid range");
            held.change(range, Change::LockForGood(LockKind::Shared), || Ok(()))
        };
        // Below what a handle may have, also with what was there before each of them.
        assert!((0..300).all(|number| lock(&mut held, number).is_ok()));
        for other in &mut others {
            for number in 0..1000 {
                // The last ones are over what a guest may have.
                let _ = lock(other, number);
            }
        }
        assert_eq!(quota.0.load(Ordering::Relaxed), LOCKS_GUEST_MAX);
        let number = held.next_number();
        let whole = Lock::parse(0, 0).expect("a valid range");
        assert_eq!(held.change(whole, Change::Lock(LockKind::Exclusive, number), || Ok(())), Ok(()));
        assert_eq!(quota.0.load(Ordering::Relaxed), LOCKS_GUEST_MAX - 299);
    }

    #[test]
    fn what_the_kernel_does_not_give_back_is_still_known() {
        use LockKind::{Exclusive, Shared};
        let mut held = HeldLocks::new(&LockQuota::default());
        let whole = Lock::parse(0, 10).expect("a valid range");
        held.change(whole, Change::LockForGood(Exclusive), || Ok(())).expect("there is room");
        let number = held.next_number();
        held.change(whole, Change::Lock(Shared, number), || Ok(())).expect("there is room");
        // Another handle has a shared one by now.
        assert_eq!(held.give_back(number, |_, _| Err(rustix::io::Errno::AGAIN)), Err(Error::WOULD_BLOCK));
        assert_eq!(held.pieces.0[0].stack, Stack { base: Some(Shared), layers: SmallVec::new() });
    }

    #[test]
    fn a_range_ends_where_a_file_can() {
        let ok = |offset, length| Lock::parse(offset, length).is_ok();
        let end = i64::MAX.unsigned_abs();
        assert!(ok(0, 0) && ok(0, end) && ok(end, 0) && ok(end, 1) && ok(1, end));
        assert!(!ok(end, 2) && !ok(2, end) && !ok(end + 1, 0) && !ok(0, end + 1) && !ok(u64::MAX, u64::MAX));
    }
}
