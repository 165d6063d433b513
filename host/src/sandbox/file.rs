//! An open regular file, and the operations on it.

use std::fs::File;
use std::io::IoSliceMut;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use rustix::fs::{OFlags, SeekFrom};
use rustix::io::{Errno, ReadWriteFlags};
use wasmtime::component::{ComponentType, Lift, Lower};

use super::dir::Token;
use super::locks::Held;
use super::status::{self, IdentityKey};
use super::ticket::Ticket;
use super::{Rights, Wait, sys, transfer};
use crate::error::{Error, Result};
use crate::types::Status;

/// The guest's handle of a file: `aiohost:aio/types.file`. Requests on the file share it and keep it open.
#[derive(Clone, Debug)]
pub(crate) struct OpenFile(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: File,
    access: OFlags,
    /// What the directory was granted for that the file was opened in.
    rights: Rights,
    /// The file's position. Ours and not the kernel's: the kernel's lock on it would make an inline read wait for one on a
    /// worker.
    position: Mutex<u64>,
    locks: Mutex<Held>,
    nowait: AtomicU8,
    key: IdentityKey,
    _token: Token,
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
    pub(super) fn new(file: OwnedFd, access: OFlags, rights: Rights, key: IdentityKey, token: Token) -> Self {
        let nowait = AtomicU8::new(nowait::YES);
        Self(Arc::new(Inner {
            file: file.into(),
            access,
            rights,
            position: Mutex::new(0),
            locks: Mutex::default(),
            nowait,
            key,
            _token: token,
        }))
    }

    pub(super) fn as_file(&self) -> &File {
        &self.0.file
    }

    pub(super) fn locks(&self) -> MutexGuard<'_, Held> {
        self.0.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn rights(&self) -> Rights {
        self.0.rights
    }

    pub(crate) fn stat(&self) -> Result<Status> {
        status::of_fd(&self.0.file, &self.0.key)
    }

    /// Reads at `offset`, or at the position, which moves on. Allocates no more than `length` bytes.
    pub(crate) fn read(&self, offset: Option<u64>, length: usize, wait: Wait) -> Result<Vec<u8>> {
        // A read of nothing makes no system call that would say so.
        if !self.is_readable() {
            return Err(Error::BAD_DESCRIPTOR);
        }
        self.at(offset, wait, |at| {
            let mut data = Vec::new();
            data.try_reserve_exact(length).map_err(|_| Errno::NOMEM)?;
            match wait {
                Wait::Never => self.read_now(&mut data, length, at)?,
                Wait::May => self.read_waiting(&mut data, length, at)?,
            }
            let end = at.saturating_add(u64::try_from(data.len()).expect("a length fits"));
            Ok((data, end))
        })
    }

    /// Reads up to `length` bytes, and waits for the device where it must.
    fn read_waiting(&self, data: &mut Vec<u8>, length: usize, at: u64) -> Result<()> {
        loop {
            match sys::pread(&self.0.file, rustix::buffer::spare_capacity(data), at) {
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
        // The kernel takes the largest number for "at the position".
        let at = checked(at)?;
        self.without_waiting(|flags| sys::preadv2(&self.0.file, &mut [IoSliceMut::new(buffer)], at, flags))
    }

    /// Makes a call that gives `EAGAIN` where it would have to wait. See `RWF_NOWAIT` in `preadv2(2)`.
    fn without_waiting(&self, call: impl FnOnce(ReadWriteFlags) -> rustix::io::Result<usize>) -> Result<usize> {
        let flags = match self.0.nowait.load(Ordering::Relaxed) {
            nowait::YES => ReadWriteFlags::NOWAIT,
            nowait::NEEDLESS => ReadWriteFlags::empty(),
            _ => return Err(Error::WOULD_BLOCK),
        };
        match call(flags) {
            Ok(count) => Ok(count),
            Err(Errno::OPNOTSUPP) => {
                self.learn_nowait();
                Err(Error::WOULD_BLOCK)
            }
            Err(Errno::AGAIN | Errno::INTR) => Err(Error::WOULD_BLOCK),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The file system does not know `RWF_NOWAIT`. One that lives in memory has no need of it.
    fn learn_nowait(&self) {
        const TMPFS: i64 = 0x0102_1994;
        let in_memory = sys::fstatfs(&self.0.file).is_ok_and(|fs| fs.f_type == TMPFS);
        self.0.nowait.store(if in_memory { nowait::NEEDLESS } else { nowait::NO }, Ordering::Relaxed);
    }

    /// Writes at `offset`, or at the position, which moves on. In append mode the kernel writes at the end.
    pub(crate) fn write(&self, offset: Option<u64>, data: &[u8]) -> Result<u64> {
        self.at(offset, Wait::May, |at| {
            let count = loop {
                match sys::pwrite(&self.0.file, data, at) {
                    Err(Errno::INTR) => {}
                    result => break result?,
                }
            };
            let count = u64::try_from(count).expect("a count fits");
            Ok((count, self.after_writing(at, count)?))
        })
    }

    /// Where the position is after so many bytes were written. In append mode it is at the end of the file then; a write of
    /// nothing leaves it.
    fn after_writing(&self, at: u64, count: u64) -> Result<u64> {
        let appended = count > 0 && self.0.access.contains(OFlags::APPEND);
        if appended { self.size() } else { Ok(at.saturating_add(count)) }
    }

    /// Runs `io` with the offset, or with the position. It returns what the position is then.
    fn at<T>(&self, offset: Option<u64>, wait: Wait, io: impl FnOnce(u64) -> Result<(T, u64)>) -> Result<T> {
        if let Some(offset) = offset {
            return io(checked(offset)?).map(|(value, _)| value);
        }
        let mut position = self.position(wait)?;
        let (value, next) = io(*position)?;
        *position = next;
        Ok(value)
    }

    fn position(&self, wait: Wait) -> Result<MutexGuard<'_, u64>> {
        match wait {
            Wait::May => Ok(self.0.position.lock().unwrap_or_else(PoisonError::into_inner)),
            Wait::Never => match self.0.position.try_lock() {
                Ok(guard) => Ok(guard),
                Err(TryLockError::Poisoned(error)) => Ok(error.into_inner()),
                Err(TryLockError::WouldBlock) => Err(Error::WOULD_BLOCK),
            },
        }
    }

    /// Moves the position, and returns where it is then.
    pub(crate) fn seek(&self, offset: i64, from: Whence, wait: Wait) -> Result<u64> {
        let mut position = self.position(wait)?;
        let from_start = || u64::try_from(offset).map_err(|_| Error::INVALID);
        let next = match from {
            Whence::Start => from_start()?,
            Whence::Current => position.checked_add_signed(offset).ok_or(Error::INVALID)?,
            Whence::End => self.size()?.checked_add_signed(offset).ok_or(Error::INVALID)?,
            // The file system may have to read where its blocks are.
            Whence::Data | Whence::Hole if wait == Wait::Never => return Err(Error::WOULD_BLOCK),
            Whence::Data => sys::seek(&self.0.file, SeekFrom::Data(checked(from_start()?)?))?,
            Whence::Hole => sys::seek(&self.0.file, SeekFrom::Hole(checked(from_start()?)?))?,
        };
        *position = checked(next)?;
        Ok(*position)
    }

    pub(crate) fn truncate(&self, length: u64) -> Result<()> {
        if !self.is_writable() {
            return Err(Error::BAD_DESCRIPTOR);
        }
        sys::retry_on_intr(|| sys::ftruncate(&self.0.file, length))?;
        Ok(())
    }

    fn size(&self) -> Result<u64> {
        Ok(sys::fstat(&self.0.file)?.st_size.cast_unsigned())
    }

    pub(crate) fn readahead(&self, offset: u64, length: u64) -> Result<()> {
        if !self.is_readable() {
            return Err(Error::BAD_DESCRIPTOR);
        }
        let offset = checked(offset)?;
        // Beyond the largest offset there is nothing to read.
        let length = length.min(i64::MAX.unsigned_abs() - offset);
        let Some(length) = NonZeroU64::new(length) else { return Ok(()) };
        sys::fadvise(&self.0.file, offset, Some(length), rustix::fs::Advice::WillNeed)?;
        Ok(())
    }

    /// Copies up to `length` bytes of `input` into this file, and returns how many. Looks between steps whether to go on.
    pub(crate) fn sendfile(
        &self,
        offset: Option<u64>,
        input: &Self,
        input_offset: u64,
        length: u64,
        ticket: &dyn Ticket,
    ) -> Result<u64> {
        if !input.is_readable() || !self.is_writable() {
            return Err(Error::BAD_DESCRIPTOR);
        }
        let files = (&input.0.file, &self.0.file);
        self.at(offset, Wait::May, |at| {
            let copied = transfer::copy_range(files, (input_offset, at), length, ticket)?;
            Ok((copied, self.after_writing(at, copied)?))
        })
    }

    /// Closes the file if nothing else uses it any more, and says what the file system says.
    pub(crate) fn close(self) -> Result<()> {
        match Arc::into_inner(self.0) {
            Some(inner) => Ok(sys::close(inner.file.into())?),
            None => Ok(()),
        }
    }

    /// Whether closing the file may have to wait for what was written to it.
    pub(crate) fn close_may_wait(&self) -> bool {
        self.is_writable()
    }

    pub(super) fn is_readable(&self) -> bool {
        self.0.access & OFlags::ACCMODE != OFlags::WRONLY
    }

    pub(super) fn is_writable(&self) -> bool {
        self.0.access & OFlags::ACCMODE != OFlags::RDONLY
    }

    pub(crate) fn fsync(&self) -> Result<()> {
        Ok(sys::fsync(&self.0.file)?)
    }

    pub(crate) fn fdatasync(&self) -> Result<()> {
        Ok(sys::fdatasync(&self.0.file)?)
    }

    /// Brings all of the file system that the file is on to the device.
    pub(crate) fn syncfs(&self) -> Result<()> {
        Ok(sys::syncfs(&self.0.file)?)
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
