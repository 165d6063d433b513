//! Locks on ranges of an open file, which hold off only those who lock as well.
//!
//! They belong to the open file description: see "Open file description locks" in `fcntl_locking(2)`. So they end with the handle,
//! and hold against other handles of the same guest.

use super::file::{FileLeft, OpenFile};
use super::lock_table::{Change, HeldLocks, Lock, LockKind, LockNumber};
use super::sys;
use crate::error::{Error, Result};

/// A lock that was got. If nobody takes that answer, it is given up, and what it changed is as it was.
#[derive(Debug)]
pub(crate) struct Locked {
    file: FileLeft,
    number: LockNumber,
}

impl Locked {
    /// Somebody has taken the answer: the lock stays.
    pub(crate) fn keep(self) {
        if let Some(file) = self.file.get() {
            file.locks().keep(self.number);
        }
    }

    pub(crate) fn give_back(self) {
        let Some(file) = self.file.get() else { return };
        if let Err(error) = file.locks().give_back(self.number, |range, kind| file.set_in_kernel(range, kind)) {
            tracing::warn!(%error, "a lock that nobody waits for any more stays until its file is closed");
        }
    }
}

impl OpenFile {
    /// Takes a lock, or gives `WOULD_BLOCK` if another handle has one that excludes it; or `NOT_YET` while that may be one that the guest
    /// has closed or dropped.
    pub(crate) fn try_lock(&self, kind: LockKind, range: Lock) -> Result<Locked> {
        let is_allowed = match kind {
            LockKind::Shared => self.is_readable(),
            LockKind::Exclusive => self.is_writable(),
        };
        if !is_allowed {
            return Err(Error::BAD_DESCRIPTOR);
        }
        // Looked at first: what is closed meanwhile gives its locks back before it is not counted any more.
        let is_closing = self.is_any_closing();
        let mut held = self.locks();
        let number = held.next_number();
        match self.set_lock(&mut held, range, Change::Lock(kind, number)) {
            Ok(()) => Ok(Locked { file: self.as_left(), number }),
            Err(Error::WOULD_BLOCK) if is_closing => Err(Error::NOT_YET),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn unlock(&self, range: Lock) -> Result<()> {
        self.set_lock(&mut self.locks(), range, Change::Unlock)
    }

    /// What the kernel holds is known here too; the call under the lock does not wait.
    fn set_lock(&self, held: &mut HeldLocks, range: Lock, change: Change) -> Result<()> {
        held.change(range, change, || self.set_in_kernel(range, change.kind()))
    }

    fn set_in_kernel(&self, range: Lock, kind: Option<LockKind>) -> rustix::io::Result<()> {
        let system = match kind {
            Some(LockKind::Shared) => libc::F_RDLCK,
            Some(LockKind::Exclusive) => libc::F_WRLCK,
            None => libc::F_UNLCK,
        };
        sys::set_lock_unchecked(self.as_file(), system, range.start, range.length)
    }
}
