//! An open regular file, and the operations on it.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::fs::{OFlags, SeekFrom};
use rustix::io::{Errno, ReadWriteFlags};
use wasmtime::component::{ComponentType, Lift, Lower};

use super::descriptor::CountedFd;
use super::lock_table::{HeldLocks, LockQuota};
use super::position::FilePosition;
use super::status::{self, IdentityKey};
use super::storage::{Storage, is_swapped};
use super::{Rights, Wait, sys};
use crate::error::{Error, Result};
use crate::types::Status;

/// The guest's handle of a file: `aiohost:aio/types.file`. Requests on the file share it and keep it open.
#[derive(Clone, Debug)]
pub struct OpenFile(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: CountedFd,
    access: OFlags,
    storage: Storage,
    /// What the directory was granted for that the file was opened in.
    rights: Rights,
    position: FilePosition,
    locks: Mutex<HeldLocks>,
    nowait: AtomicU8,
    key: IdentityKey,
}

/// A file that a result may go back to. It does not keep it open: locks end with the handle, whoever has yet to take his result.
#[derive(Clone, Debug)]
pub(super) struct FileLeft(Weak<Inner>);

impl FileLeft {
    /// The file, if it is still open.
    pub(super) fn get(&self) -> Option<OpenFile> {
        self.0.upgrade().map(OpenFile)
    }
}

/// What is known of reads that do not wait: see [`OpenFile::without_waiting`].
mod nowait {
    /// They work.
    pub(super) const YES: u8 = 0;
    /// The file system keeps everything in memory: no read waits.
    pub(super) const NEEDLESS: u8 = 1;
    /// The file system cannot do it.
    pub(super) const NO: u8 = 2;
}

impl OpenFile {
    pub(super) fn new(
        file: CountedFd,
        storage: Storage,
        access: OFlags,
        rights: Rights,
        locks: &LockQuota,
        key: IdentityKey,
    ) -> Self {
        Self(Arc::new(Inner {
            file,
            access,
            storage,
            rights,
            position: FilePosition::default(),
            locks: Mutex::new(HeldLocks::new(locks)),
            nowait: AtomicU8::new(nowait::YES),
            key,
        }))
    }

    pub(super) fn as_left(&self) -> FileLeft {
        FileLeft(Arc::downgrade(&self.0))
    }

    /// Whether what is in the kernel's memory is told without waiting. Where it is not, nothing at all is done on the guest's
    /// own thread.
    pub(crate) fn is_local(&self) -> bool {
        self.0.storage.is_local()
    }

    fn check_wait(&self, wait: Wait) -> Result<()> {
        if wait == Wait::Never && !self.is_local() { Err(Error::WOULD_BLOCK) } else { Ok(()) }
    }

    /// Whether files that the guest has closed or dropped, or results that it has, are still to be closed and dropped.
    pub(super) fn is_any_closing(&self) -> bool {
        self.0.file.quota().is_closing()
    }

    pub(super) fn as_file(&self) -> &File {
        &self.0.file
    }

    pub(super) fn locks(&self) -> MutexGuard<'_, HeldLocks> {
        self.0.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn rights(&self) -> Rights {
        self.0.rights
    }

    pub(crate) fn stat(&self, wait: Wait) -> Result<Status> {
        self.check_wait(wait)?;
        status::of_fd(&*self.0.file, &self.0.key, wait)
    }

    pub(super) fn position(&self) -> &FilePosition {
        &self.0.position
    }

    /// Reads at an offset. Allocates no more than `length` bytes.
    pub(crate) fn read(&self, at: u64, length: usize, wait: Wait) -> Result<Vec<u8>> {
        // A read of nothing makes no system call that would say so.
        if !self.is_readable() {
            return Err(Error::BAD_DESCRIPTOR);
        }
        self.check_wait(wait)?;
        let at = checked(at)?;
        let mut data = Vec::new();
        data.try_reserve_exact(length).map_err(|_| Errno::NOMEM)?;
        match wait {
            Wait::Never => self.read_now(&mut data, length, at)?,
            Wait::May => self.read_waiting(&mut data, length, at)?,
        }
        Ok(data)
    }

    /// Reads up to `length` bytes, and waits for the device where it must.
    fn read_waiting(&self, data: &mut Vec<u8>, length: usize, at: u64) -> Result<()> {
        loop {
            match sys::pread(&*self.0.file, rustix::buffer::spare_capacity(data), at) {
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        // The allocator may have given more than was asked for.
        data.truncate(length);
        Ok(())
    }

    /// Reads what is in the page cache, if all of it is.
    fn read_now(&self, data: &mut Vec<u8>, length: usize, at: u64) -> Result<()> {
        while data.len() < length {
            let from = at.saturating_add(u64::try_from(data.len()).expect("a length fits"));
            let left = length - data.len();
            let read = |flags| sys::read_at_unchecked(&self.0.file, data, left, from, flags);
            // A short count means that a part is not cached; only nothing at all is the end of the file.
            if self.without_waiting(read)? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Reads what is in the page cache from `at` on: a part of it perhaps, nothing at the end of the file, and `WOULD_BLOCK` if
    /// nothing is there.
    pub(crate) fn read_cached(&self, buffer: &mut [u8], at: u64) -> Result<usize> {
        self.check_wait(Wait::Never)?;
        // The kernel takes the largest number for "at the position".
        let at = checked(at)?;
        self.without_waiting(|flags| sys::preadv2(&*self.0.file, &mut [IoSliceMut::new(buffer)], at, flags))
    }

    /// Fills a buffer from an offset on, up to the end of the file.
    pub(super) fn read_at(&self, at: u64, buffer: &mut [u8], wait: Wait) -> Result<usize> {
        if !self.is_readable() {
            return Err(Error::BAD_DESCRIPTOR);
        }
        self.check_wait(wait)?;
        let at = checked(at)?;
        if wait == Wait::May {
            return Ok(sys::retry_on_intr(|| sys::pread(&*self.0.file, &mut *buffer, at))?);
        }
        let mut filled = 0;
        while filled < buffer.len() {
            // A short count means that a part is not cached; only nothing at all is the end of the file.
            match self.read_cached(&mut buffer[filled..], at + u64::try_from(filled).expect("a length fits"))? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(filled)
    }

    /// Writes pieces at the end of the file, as one. Returns how much was written.
    pub(super) fn append(&self, pieces: &[IoSlice<'_>]) -> Result<u64> {
        let count = match sys::append(&*self.0.file, pieces) {
            // A file system that cannot do it in one step.
            Err(Errno::OPNOTSUPP) => sys::pwrite(&*self.0.file, pieces.first().map_or(&[], |first| &**first), self.size()?),
            result => result,
        };
        Ok(u64::try_from(count?).expect("a count fits"))
    }

    /// Makes a call that gives `EAGAIN` where it would have to wait. See `RWF_NOWAIT` in `preadv2(2)`.
    fn without_waiting(&self, mut call: impl FnMut(ReadWriteFlags) -> rustix::io::Result<usize>) -> Result<usize> {
        loop {
            let flags = match self.0.nowait.load(Ordering::Relaxed) {
                nowait::YES => ReadWriteFlags::NOWAIT,
                nowait::NEEDLESS => ReadWriteFlags::empty(),
                _ => return Err(Error::WOULD_BLOCK),
            };
            match call(flags) {
                Ok(count) => return Ok(count),
                Err(Errno::OPNOTSUPP) if flags == ReadWriteFlags::NOWAIT => self.learn_nowait(),
                Err(Errno::AGAIN | Errno::INTR) => return Err(Error::WOULD_BLOCK),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// The file system does not know `RWF_NOWAIT`. One that lives in memory has no need of it, unless that may be swapped out.
    fn learn_nowait(&self) {
        let needless = self.0.storage == Storage::Memory && !is_swapped();
        self.0.nowait.store(if needless { nowait::NEEDLESS } else { nowait::NO }, Ordering::Relaxed);
    }

    /// Writes at an offset. In append mode the kernel writes at the end.
    pub(crate) fn write(&self, at: u64, data: &[u8]) -> Result<u64> {
        let at = checked(at)?;
        let count = sys::retry_on_intr(|| sys::pwrite(&*self.0.file, data, at))?;
        Ok(u64::try_from(count).expect("a count fits"))
    }

    /// Where the position is after so many bytes were written. In append mode it is at the end of the file then; a write of
    /// nothing leaves it.
    pub(super) fn after_writing(&self, at: u64, count: u64) -> Result<u64> {
        if count == 0 { Ok(at) } else { self.written_at(at.saturating_add(count)) }
    }

    /// Where a write at an offset goes: in append mode to the end.
    pub(super) fn written_at(&self, offset: u64) -> Result<u64> {
        if self.0.access.contains(OFlags::APPEND) { self.size() } else { Ok(offset) }
    }

    /// Where the position comes to from where it is.
    pub(super) fn seek(&self, position: u64, offset: i64, from: Whence, wait: Wait) -> Result<u64> {
        self.check_wait(wait)?;
        let from_start = || u64::try_from(offset).map_err(|_| Error::INVALID);
        let next = match from {
            Whence::Start => from_start()?,
            Whence::Current => position.checked_add_signed(offset).ok_or(Error::INVALID)?,
            Whence::End => self.size()?.checked_add_signed(offset).ok_or(Error::INVALID)?,
            // The file system may have to read where its blocks are.
            Whence::Data | Whence::Hole if wait == Wait::Never => return Err(Error::WOULD_BLOCK),
            Whence::Data => sys::seek(&*self.0.file, SeekFrom::Data(checked(from_start()?)?))?,
            Whence::Hole => sys::seek(&*self.0.file, SeekFrom::Hole(checked(from_start()?)?))?,
        };
        checked(next)
    }

    pub(crate) fn truncate(&self, length: u64) -> Result<()> {
        if !self.is_writable() {
            return Err(Error::BAD_DESCRIPTOR);
        }
        sys::retry_on_intr(|| sys::ftruncate(&*self.0.file, length))?;
        Ok(())
    }

    pub(super) fn size(&self) -> Result<u64> {
        Ok(sys::fstat(&*self.0.file)?.st_size.cast_unsigned())
    }

    pub(crate) fn readahead(&self, offset: u64, length: u64) -> Result<()> {
        if !self.is_readable() {
            return Err(Error::BAD_DESCRIPTOR);
        }
        let offset = checked(offset)?;
        // Beyond the largest offset there is nothing to read.
        let length = length.min(i64::MAX.unsigned_abs() - offset);
        let Some(length) = NonZeroU64::new(length) else { return Ok(()) };
        sys::fadvise(&*self.0.file, offset, Some(length), rustix::fs::Advice::WillNeed)?;
        Ok(())
    }

    /// Closes the file if nothing else uses it any more, and says what the file system says.
    pub(crate) fn close(self) -> Result<()> {
        match Arc::into_inner(self.0) {
            Some(inner) => {
                let (fd, _token) = inner.file.into_parts();
                Ok(sys::close(fd)?)
            }
            None => Ok(()),
        }
    }

    /// Whether closing the file may have to wait for what was written to it, or for somebody else.
    pub(crate) fn close_may_wait(&self) -> bool {
        self.is_writable() || !self.is_local()
    }

    pub(super) fn is_readable(&self) -> bool {
        self.0.access & OFlags::ACCMODE != OFlags::WRONLY
    }

    pub(super) fn is_writable(&self) -> bool {
        self.0.access & OFlags::ACCMODE != OFlags::RDONLY
    }

    pub(crate) fn fsync(&self) -> Result<()> {
        Ok(sys::fsync(&*self.0.file)?)
    }

    pub(crate) fn fdatasync(&self) -> Result<()> {
        Ok(sys::fdatasync(&*self.0.file)?)
    }

    /// Brings all of the file system that the file is on to the device.
    pub(crate) fn syncfs(&self) -> Result<()> {
        Ok(sys::syncfs(&*self.0.file)?)
    }
}

/// Where `seek` counts from: `aiohost:aio/types.whence`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "only a guest makes one")]
pub(crate) enum Whence {
    #[component(name = "start")]
    Start,
    #[component(name = "current")]
    Current,
    #[component(name = "end")]
    End,
    #[component(name = "data")]
    Data,
    #[component(name = "hole")]
    Hole,
}

/// An offset as the kernel takes it: not negative.
pub(super) fn checked(offset: u64) -> Result<u64> {
    if i64::try_from(offset).is_ok() { Ok(offset) } else { Err(Error::INVALID) }
}
