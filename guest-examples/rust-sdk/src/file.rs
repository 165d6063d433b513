//! An open file.

use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::types::{self, LockKind, Status, Whence};
use crate::{OpenOptions, blocking};

/// How many bytes `read_to_end` reads at a time, and `write` writes at most.
const PIECE: u32 = 128 * 1024;

/// An open file, like `File` of `std`: its calls return when the work is done. [`submit`](crate::submit) has the same requests
/// for many in flight. Dropping it closes the file and ignores errors; [`close`](Self::close) returns them. Offsets and lengths
/// are in bytes.
///
/// # Examples
///
/// ```no_run
#[doc = include_str!("../examples/files.rs")]
/// ```
///
/// Locks:
///
/// ```no_run
#[doc = include_str!("../examples/locks.rs")]
/// ```
#[derive(Debug)]
pub struct File {
    handle: types::File,
}

impl File {
    /// Open a file for reading.
    ///
    /// # Errors
    ///
    /// Those of [`submit::open`](crate::submit::open).
    pub fn open(path: &str) -> io::Result<Self> {
        OpenOptions::new().read(true).open(path)
    }

    /// Open a file for writing; create it if it is not there, and truncate it if it is.
    ///
    /// # Errors
    ///
    /// Those of [`submit::open`](crate::submit::open).
    pub fn create(path: &str) -> io::Result<Self> {
        OpenOptions::new().write(true).create(true).truncate(true).open(path)
    }

    /// Options to open a file in another way: see [`OpenOptions`].
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Close it, and return an error if the file system could not keep what was written to it.
    ///
    /// # Errors
    ///
    /// Those of [`submit::close`](crate::submit::close).
    pub fn close(self) -> io::Result<()> {
        Ok(blocking::close(self.handle)?)
    }

    /// Read from an offset, and return how many bytes were read; the position is neither used nor changed. 0 bytes mean the end
    /// of the file, unless the buffer is empty.
    ///
    /// # Errors
    ///
    /// Those of [`submit::read`](crate::submit::read).
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_from(buffer, Some(offset))
    }

    /// Write at an offset, and return how many bytes were written: fewer than given if the device is full. The position is
    /// neither used nor changed. A file that was opened with [`append`](OpenOptions::append) is written at its end regardless
    /// of the offset.
    ///
    /// # Errors
    ///
    /// Those of [`submit::write`](crate::submit::write).
    pub fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        let written = blocking::write(&self.handle, Some(offset), data)?;
        Ok(usize::try_from(written).unwrap_or(data.len()))
    }

    /// Its status.
    ///
    /// # Errors
    ///
    /// Those of [`submit::fstat`](crate::submit::fstat).
    pub fn metadata(&self) -> io::Result<Status> {
        Ok(blocking::fstat(&self.handle)?)
    }

    /// Set its length: the file is cut, or extended with zeroes.
    ///
    /// # Errors
    ///
    /// Those of [`submit::ftruncate`](crate::submit::ftruncate).
    pub fn set_len(&self, length: u64) -> io::Result<()> {
        Ok(blocking::ftruncate(&self.handle, length)?)
    }

    /// Set its permission bits, at most `0o777`.
    ///
    /// # Errors
    ///
    /// Those of [`submit::fchmod`](crate::submit::fchmod).
    pub fn set_permissions(&self, mode: u16) -> io::Result<()> {
        Ok(blocking::fchmod(&self.handle, mode)?)
    }

    /// Bring its data and its status to the device.
    ///
    /// # Errors
    ///
    /// Those of [`submit::fsync`](crate::submit::fsync).
    pub fn sync_all(&self) -> io::Result<()> {
        Ok(blocking::fsync(&self.handle)?)
    }

    /// Bring its data to the device.
    ///
    /// # Errors
    ///
    /// Those of [`submit::fdatasync`](crate::submit::fdatasync).
    pub fn sync_data(&self) -> io::Result<()> {
        Ok(blocking::fdatasync(&self.handle)?)
    }

    /// Lock all of it, and wait for the lock as long as another handle has one. To limit the wait, use
    /// [`submit::lock`](crate::submit::lock) with a deadline.
    ///
    /// # Errors
    ///
    /// Those of [`submit::lock`](crate::submit::lock) with `wait`.
    pub fn lock(&self) -> io::Result<()> {
        Ok(blocking::lock(&self.handle, LockKind::Exclusive, 0, 0, true)?)
    }

    /// Lock all of it with a shared lock, which other handles can have at the same time, and wait for that as
    /// [`lock`](Self::lock) does.
    ///
    /// # Errors
    ///
    /// Those of [`submit::lock`](crate::submit::lock) with `wait`.
    pub fn lock_shared(&self) -> io::Result<()> {
        Ok(blocking::lock(&self.handle, LockKind::Shared, 0, 0, true)?)
    }

    /// Lock all of it, or fail with [`WouldBlock`](io::ErrorKind::WouldBlock).
    ///
    /// # Errors
    ///
    /// Those of [`submit::lock`](crate::submit::lock).
    pub fn try_lock(&self) -> io::Result<()> {
        Ok(blocking::lock(&self.handle, LockKind::Exclusive, 0, 0, false)?)
    }

    /// Release its locks.
    ///
    /// # Errors
    ///
    /// Those of [`submit::unlock`](crate::submit::unlock).
    pub fn unlock(&self) -> io::Result<()> {
        Ok(blocking::unlock(&self.handle, 0, 0)?)
    }

    /// The handle, for functions of the bindings.
    pub fn handle(&self) -> &types::File {
        &self.handle
    }

    pub(crate) fn into_handle(self) -> types::File {
        self.handle
    }

    fn read_from(&self, buffer: &mut [u8], offset: Option<u64>) -> io::Result<usize> {
        let length = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let data = blocking::read(&self.handle, offset, length)?;
        buffer[..data.len()].copy_from_slice(&data);
        Ok(data.len())
    }
}

impl From<types::File> for File {
    fn from(handle: types::File) -> Self {
        Self { handle }
    }
}

impl Read for File {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_from(buffer, None)
    }

    fn read_to_end(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let start = buffer.len();
        loop {
            let piece = blocking::read(&self.handle, None, PIECE)?;
            if piece.is_empty() {
                return Ok(buffer.len() - start);
            }
            buffer.extend_from_slice(&piece);
        }
    }
}

impl Write for File {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        // The host copies the data, and limits how much.
        let piece = &data[..data.len().min(PIECE as usize)];
        let written = blocking::write(&self.handle, None, piece)?;
        Ok(usize::try_from(written).unwrap_or(piece.len()))
    }

    /// There is no buffer, so this does nothing: use [`sync_data`](File::sync_data) to bring data to the device.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for File {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        let (whence, offset) = match position {
            SeekFrom::Start(offset) => (Whence::Start, i64::try_from(offset).map_err(io::Error::other)?),
            SeekFrom::Current(offset) => (Whence::Current, offset),
            SeekFrom::End(offset) => (Whence::End, offset),
        };
        Ok(blocking::seek(&self.handle, offset, whence)?)
    }
}
