//! The locks that a handle has, as the kernel keeps them, and how many a guest may have.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
    /// It is locked as it was before.
    LockAgain(LockKind),
    Unlock,
}

impl Change {
    /// Back to what was held before.
    pub(super) fn to(kind: Option<LockKind>) -> Self {
        kind.map_or(Self::Unlock, Self::LockAgain)
    }

    pub(super) fn kind(self) -> Option<LockKind> {
        match self {
            Self::Lock(kind, _) | Self::LockAgain(kind) => Some(kind),
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
        let mut next = self.pieces.with(range, change);
        if next.0.len() > LOCKS_MAX {
            // Too many to know of each what was there before. Then a lock stays, should nobody take the answer: better one too
            // many than one too few.
            next = self.pieces.with(range, Change::to(change.kind()));
        }
        let (before, after) = (self.pieces.0.len(), next.0.len());
        if after > LOCKS_MAX {
            return Err(Error::NO_LOCK);
        }
        self.quota.take(after.saturating_sub(before))?;
        if let Err(errno) = make() {
            self.quota.give_back(after.saturating_sub(before));
            return Err(errno.into());
        }
        self.quota.give_back(before.saturating_sub(after));
        self.pieces = next;
        Ok(())
    }

    /// The answer of a lock was taken.
    pub(super) fn keep(&mut self, number: LockNumber) {
        let before = self.pieces.0.len();
        self.pieces.keep(number);
        self.quota.give_back(before - self.pieces.0.len());
    }

    /// Where a lock still stands whose answer nobody has taken, and what was held there before.
    pub(super) fn left_of(&self, number: LockNumber) -> Vec<(Lock, Option<LockKind>)> {
        let of_it = |piece: &Piece| piece.untaken.filter(|untaken| untaken.number == number).map(|untaken| untaken.before);
        self.pieces.0.iter().filter_map(|piece| Some((piece.range(), of_it(piece)?))).collect()
    }
}

impl Drop for HeldLocks {
    fn drop(&mut self) {
        self.quota.give_back(self.pieces.0.len());
    }
}

/// Locks as the kernel keeps them: in order, apart from each other, and neighbours of one kind as one. Only those whose answer is
/// still to be taken stand for themselves.
#[derive(Debug, Default)]
pub(super) struct LockRanges(Vec<Piece>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    start: i64,
    last: i64,
    kind: LockKind,
    untaken: Option<Untaken>,
}

/// A lock whose answer is still to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Untaken {
    number: LockNumber,
    /// What was held here before.
    before: Option<LockKind>,
}

impl Piece {
    fn range(&self) -> Lock {
        Lock { start: self.start, length: if self.last == i64::MAX { 0 } else { self.last - self.start + 1 } }
    }
}

impl LockRanges {
    /// What is held after a change of a range.
    pub(super) fn with(&self, range: Lock, change: Change) -> Self {
        let (start, last) = (range.start, range.last());
        let mut pieces = Vec::with_capacity(self.0.len() + 2);
        // From where on it is not known yet what was there before.
        let mut from = Some(start);
        let lock = |pieces: &mut Vec<Piece>, start, last, before| {
            if let Change::Lock(kind, number) = change {
                pieces.push(Piece { start, last, kind, untaken: Some(Untaken { number, before }) });
            }
        };
        for piece in &self.0 {
            if piece.start < start {
                pieces.push(Piece { last: piece.last.min(start - 1), ..*piece });
            }
            let (first, end) = (piece.start.max(start), piece.last.min(last));
            if let Some(next) = from.filter(|_| first <= end) {
                if next < first {
                    lock(&mut pieces, next, first - 1, None);
                }
                lock(&mut pieces, first, end, Some(piece.kind));
                from = end.checked_add(1);
            }
            if piece.last > last {
                pieces.push(Piece { start: piece.start.max(last + 1), ..*piece });
            }
        }
        if let Some(next) = from.filter(|next| *next <= last) {
            lock(&mut pieces, next, last, None);
        }
        if let Change::LockAgain(kind) = change {
            pieces.push(Piece { start, last, kind, untaken: None });
        }
        pieces.sort_unstable_by_key(|piece| piece.start);
        let mut ranges = Self(pieces);
        ranges.join();
        ranges
    }

    fn keep(&mut self, number: LockNumber) {
        for piece in &mut self.0 {
            piece.untaken = piece.untaken.filter(|untaken| untaken.number != number);
        }
        self.join();
    }

    fn join(&mut self) {
        self.0.dedup_by(|next, piece| {
            let joins =
                (piece.kind, piece.untaken) == (next.kind, next.untaken) && piece.last.checked_add(1) == Some(next.start);
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
        let next = held.with(Lock::parse(offset, length).expect("a valid range"), Change::to(kind));
        let pieces = next.0.iter().map(|piece| (piece.start, piece.last, piece.kind)).collect();
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
            handle.change(range, Change::LockAgain(LockKind::Exclusive), || result)
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
            held.left_of(number).into_iter().map(|(range, before)| (range.start, range.length, before)).collect()
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
            held.change(range(2 * number, 1), Change::LockAgain(Shared), || Ok(())).expect("there is room");
        }
        let last = lock(&mut held, 0, 0, Exclusive);
        assert_eq!((left(&held, last), held.pieces.0.len()), (vec![], 1));
    }

    #[test]
    fn a_range_ends_where_a_file_can() {
        let ok = |offset, length| Lock::parse(offset, length).is_ok();
        let end = i64::MAX.unsigned_abs();
        assert!(ok(0, 0) && ok(0, end) && ok(end, 0) && ok(end, 1) && ok(1, end));
        assert!(!ok(end, 2) && !ok(2, end) && !ok(end + 1, 0) && !ok(0, end + 1) && !ok(u64::MAX, u64::MAX));
    }
}
