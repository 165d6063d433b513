//! Locks on ranges of an open file, which hold off only those who lock as well.
//!
//! They belong to the open file description: see "Open file description locks" in `fcntl_locking(2)`. So they end with the handle,
//! and hold against other handles of the same guest.

use std::ffi::c_int;

use super::file::OpenFile;
use super::lock_table::{Lock, LockKind};
use super::sys;
use crate::error::{Error, Result};

/// A lock that was got. If nobody takes that answer, it is given up.
#[derive(Debug)]
pub(crate) struct Locked {
    file: OpenFile,
    range: Lock,
}

impl Locked {
    pub(crate) fn new(file: OpenFile, range: Lock) -> Self {
        Self { file, range }
    }

    pub(crate) fn give_back(self) {
        if let Err(error) = self.file.unlock(self.range) {
            tracing::warn!(%error, "a lock that nobody waits for any more stays until its file is closed");
        }
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

    /// What the kernel holds is known here too; the call under the lock does not wait.
    fn set_lock(&self, range: Lock, kind: Option<LockKind>, system: c_int) -> Result<()> {
        let mut held = self.locks();
        let next = held.pieces.with(range, kind);
        held.change(next, || sys::set_lock_unchecked(self.as_file(), system, range.start, range.length))
    }
}
