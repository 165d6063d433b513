//! Locks on ranges of an open file, which hold off only those who lock as well.
//!
//! They belong to the open file description: see "Open file description locks" in `fcntl_locking(2)`. So they end with the handle,
//! and hold against other handles of the same guest.

use std::ffi::c_int;

use wasmtime::component::{ComponentType, Lift, Lower};

use super::file::OpenFile;
use super::sys;
use crate::error::{Error, Result};
use crate::limits::LOCKS_MAX;

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
    start: i64,
    length: i64,
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

/// The locks that a handle has, as the kernel keeps them: in order, apart from each other, and neighbours of one kind as one.
#[derive(Debug, Default)]
pub(super) struct Held(Vec<Piece>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    start: i64,
    last: i64,
    kind: LockKind,
}

impl Held {
    /// What is held when a range is locked, or is not any more.
    fn with(&self, range: Lock, kind: Option<LockKind>) -> Self {
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

impl OpenFile {
    /// Takes a lock, or gives `WOULD_BLOCK` if another handle has one that excludes it.
    pub(crate) fn try_lock(&self, kind: LockKind, range: Lock) -> Result<()> {
        let (allowed, system) = match kind {
            LockKind::Shared => (self.is_readable(), libc::F_RDLCK),
            LockKind::Exclusive => (self.is_writable(), libc::F_WRLCK),
        };
        if !allowed {
            return Err(Error::BAD_DESCRIPTOR);
        }
        self.set_lock(range, Some(kind), system)
    }

    pub(crate) fn unlock(&self, range: Lock) -> Result<()> {
        self.set_lock(range, None, libc::F_UNLCK)
    }

    /// The kernel knows no limit of its own. What it holds is known here too; the call under the lock does not wait.
    fn set_lock(&self, range: Lock, kind: Option<LockKind>, system: c_int) -> Result<()> {
        let mut held = self.locks();
        let next = held.with(range, kind);
        if next.0.len() > LOCKS_MAX {
            return Err(Error::NO_LOCK);
        }
        sys::set_lock_unchecked(self.as_file(), system, range.start, range.length)?;
        *held = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `with`, by offset and length, as text.
    fn with(held: &Held, (offset, length): (u64, u64), kind: Option<LockKind>) -> (Held, Vec<(i64, i64, LockKind)>) {
        let next = held.with(Lock::parse(offset, length).expect("a valid range"), kind);
        let pieces = next.0.iter().map(|piece| (piece.start, piece.last, piece.kind)).collect();
        (next, pieces)
    }

    #[test]
    fn locks_are_split_and_joined_as_the_kernel_does() {
        use LockKind::{Exclusive, Shared};
        let (held, pieces) = with(&Held::default(), (10, 10), Some(Shared));
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
    fn a_range_ends_where_a_file_can() {
        let ok = |offset, length| Lock::parse(offset, length).is_ok();
        let end = i64::MAX.unsigned_abs();
        assert!(ok(0, 0) && ok(0, end) && ok(end, 0) && ok(end, 1) && ok(1, end));
        assert!(!ok(end, 2) && !ok(2, end) && !ok(end + 1, 0) && !ok(0, end + 1) && !ok(u64::MAX, u64::MAX));
    }
}
