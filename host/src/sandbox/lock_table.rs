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
    pub(super) pieces: LockRanges,
    quota: LockQuota,
}

impl HeldLocks {
    pub(super) fn new(quota: &LockQuota) -> Self {
        Self { pieces: LockRanges::default(), quota: quota.clone() }
    }

    /// Changes what is held, if the kernel does. It knows no limit of its own.
    pub(super) fn change(&mut self, next: LockRanges, change: impl FnOnce() -> rustix::io::Result<()>) -> Result<()> {
        let (before, after) = (self.pieces.0.len(), next.0.len());
        if after > LOCKS_MAX {
            return Err(Error::NO_LOCK);
        }
        self.quota.take(after.saturating_sub(before))?;
        if let Err(errno) = change() {
            self.quota.give_back(after.saturating_sub(before));
            return Err(errno.into());
        }
        self.quota.give_back(before.saturating_sub(after));
        self.pieces = next;
        Ok(())
    }
}

impl Drop for HeldLocks {
    fn drop(&mut self) {
        self.quota.give_back(self.pieces.0.len());
    }
}

/// Locks as the kernel keeps them: in order, apart from each other, and neighbours of one kind as one.
#[derive(Debug, Default)]
pub(super) struct LockRanges(Vec<Piece>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    start: i64,
    last: i64,
    kind: LockKind,
}

impl LockRanges {
    /// What is held when a range is locked, or is not any more.
    pub(super) fn with(&self, range: Lock, kind: Option<LockKind>) -> Self {
        let (start, last) = (range.start, range.last());
        let mut pieces = Vec::with_capacity(self.0.len() + 2);
        for piece in &self.0 {
            if piece.start < start {
                pieces.push(Piece { last: piece.last.min(start - 1), ..*piece });
            }
            if piece.last > last {
                pieces.push(Piece { start: piece.start.max(last + 1), ..*piece });
            }
        }
        pieces.extend(kind.map(|kind| Piece { start, last, kind }));
        pieces.sort_unstable_by_key(|piece| piece.start);
        pieces.dedup_by(|next, piece| {
            let joins = piece.kind == next.kind && piece.last.checked_add(1) == Some(next.start);
            if joins {
                piece.last = next.last;
            }
            joins
        });
        Self(pieces)
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
        let next = held.with(Lock::parse(offset, length).expect("a valid range"), kind);
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
        let full = |count: u64| {
            (0..count).fold(LockRanges::default(), |pieces, number| {
                pieces.with(Lock::parse(2 * number, 1).expect("a valid range"), Some(LockKind::Exclusive))
            })
        };
        let mut handles: Vec<HeldLocks> = (0..10).map(|_| HeldLocks::new(&quota)).collect();
        for handle in &mut handles[..9] {
            assert_eq!(handle.change(full(1024), || Ok(())), Ok(()));
        }
        let last = &mut handles[9];
        assert_eq!(last.change(full(785), || Ok(())), Err(Error::NO_LOCK), "over what a guest may have");
        assert_eq!(last.change(full(784), || Err(rustix::io::Errno::AGAIN)), Err(Error::WOULD_BLOCK));
        assert_eq!(held(), 9 * 1024, "what was not locked is not held");
        assert_eq!(last.change(full(784), || Ok(())), Ok(()));
        assert_eq!(last.change(full(785), || Ok(())), Err(Error::NO_LOCK));
        assert_eq!(last.change(full(10), || Ok(())), Ok(()));
        assert_eq!(held(), 9 * 1024 + 10);
        handles.truncate(1);
        assert_eq!(held(), 1024, "locks end with their handle");
        assert_eq!(handles[0].change(full(1025), || Ok(())), Err(Error::NO_LOCK), "over what a handle may have");
    }

    #[test]
    fn a_range_ends_where_a_file_can() {
        let ok = |offset, length| Lock::parse(offset, length).is_ok();
        let end = i64::MAX.unsigned_abs();
        assert!(ok(0, 0) && ok(0, end) && ok(end, 0) && ok(end, 1) && ok(1, end));
        assert!(!ok(end, 2) && !ok(2, end) && !ok(end + 1, 0) && !ok(0, end + 1) && !ok(u64::MAX, u64::MAX));
    }
}
