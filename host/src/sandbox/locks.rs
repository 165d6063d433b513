//! Locks on ranges of an open file, which hold off only those who lock as well.
//!
//! They belong to the open file description: see "Open file description locks" in `fcntl_locking(2)`. So they end with the handle,
//! and hold against other handles of the same guest.

use wasmtime::component::{ComponentType, Lift, Lower};

use super::file::OpenFile;
use super::sys;
use crate::error::{Error, Result};

/// What a lock leaves to others: `aiohost:aio/types.lock-kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "only a guest makes one")]
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
}

impl OpenFile {
    /// Takes a lock, or gives `WOULD_BLOCK` if another handle has one that excludes it.
    pub(crate) fn try_lock(&self, kind: LockKind, range: Lock) -> Result<()> {
        let (allowed, kind) = match kind {
            LockKind::Shared => (self.is_readable(), libc::F_RDLCK),
            LockKind::Exclusive => (self.is_writable(), libc::F_WRLCK),
        };
        if !allowed {
            return Err(Error::BAD_DESCRIPTOR);
        }
        match sys::set_lock_unchecked(self.as_file(), kind, range.start, range.length) {
            // Which of the two it is depends on the system.
            Err(rustix::io::Errno::ACCESS) => Err(Error::WOULD_BLOCK),
            result => Ok(result?),
        }
    }

    pub(crate) fn unlock(&self, range: Lock) -> Result<()> {
        Ok(sys::set_lock_unchecked(self.as_file(), libc::F_UNLCK, range.start, range.length)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_where_a_file_can() {
        let ok = |offset, length| Lock::parse(offset, length).is_ok();
        let end = i64::MAX.unsigned_abs();
        assert!(ok(0, 0) && ok(0, end) && ok(end, 0) && ok(end, 1) && ok(1, end));
        assert!(!ok(end, 2) && !ok(2, end) && !ok(end + 1, 0) && !ok(0, end + 1) && !ok(u64::MAX, u64::MAX));
    }
}
