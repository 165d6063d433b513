//! Whole files: read, or replaced, in one request.

use std::fs::File;
use std::os::fd::AsFd;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::{Errno, ReadWriteFlags};

use super::entries::Meter;
use super::place::{Place, permissions};
use super::replace::Replacement;
use super::ticket::Ticket;
use super::{Read, Wait, Write, sys};
use crate::error::{Error, Result};
use crate::limits::STEP_BYTES;

/// Bytes by which the room for a file that does not tell its size grows first. 4 KiB: most files in `/proc` have less.
const ROOM_BYTES: usize = 4 << 10;

impl<R> Place<R> {
    /// Opens a regular file for reading. What else there is is not opened at all: even that would be noticed at the other end
    /// of a FIFO.
    pub(super) fn open_regular(&self) -> Result<File> {
        check_regular(self.open(OFlags::PATH, Mode::empty(), Wait::May)?)?;
        let fd = self.open(OFlags::RDONLY | OFlags::NOCTTY | OFlags::NONBLOCK, Mode::empty(), Wait::May)?;
        // It may be another one by now.
        check_regular(&fd)?;
        Ok(fd.into())
    }
}

pub(super) fn check_regular(fd: impl AsFd) -> Result<()> {
    match FileType::from_raw_mode(sys::fstat(fd)?.st_mode) {
        FileType::RegularFile => Ok(()),
        FileType::Directory => Err(Error::IS_DIRECTORY),
        FileType::Symlink => Err(Errno::LOOP.into()),
        _ => Err(Error::UNSUPPORTED),
    }
}

impl Place<Read> {
    /// All of a file.
    pub(crate) fn load(&self, ticket: &dyn Ticket) -> Result<Vec<u8>> {
        let max = self.shared.read_bytes_max;
        // One byte more tells a file that is too large from one that just fits.
        let data = read_up_to(&self.open_regular()?, 0, max.saturating_add(1), ticket)?;
        if data.len() > max { Err(Error::FILE_TOO_LARGE) } else { Ok(data) }
    }

    /// A part of a file: up to `length` bytes from `offset` on, which counts from the end if it is negative.
    pub(crate) fn slurp(&self, offset: i64, length: Option<u32>, ticket: &dyn Ticket) -> Result<Vec<u8>> {
        let file = self.open_regular()?;
        let start = match u64::try_from(offset) {
            Ok(start) => start,
            Err(_) => {
                let size = sys::fstat(&file)?.st_size.cast_unsigned();
                size.checked_sub(offset.unsigned_abs()).ok_or(Error::INVALID)?
            }
        };
        let max = self.shared.read_bytes_max;
        let length = length.map_or(max, |length| usize::try_from(length).unwrap_or(usize::MAX).min(max));
        read_up_to(&file, start, length, ticket)
    }
}

/// Reads `length` bytes from `start` on, or up to the end of the file. What the file says of its size is only a hint: files in
/// `/proc` say 0, and others grow.
fn read_up_to(file: &File, start: u64, length: usize, ticket: &dyn Ticket) -> Result<Vec<u8>> {
    let size = sys::fstat(file)?.st_size.cast_unsigned();
    let expected = usize::try_from(size.saturating_sub(start)).unwrap_or(usize::MAX);
    let mut meter = Meter::new(ticket);
    let mut data = Vec::new();
    // One byte more, so that the end is seen without growing.
    let mut room = expected.saturating_add(1).min(length);
    let step = usize::try_from(STEP_BYTES).expect("a step fits");
    while data.len() < length {
        ticket.check()?;
        if data.len() == data.capacity() {
            let more = room.max(ROOM_BYTES).min(length - data.len());
            meter.add(more)?;
            data.try_reserve_exact(more).map_err(|_| Errno::NOMEM)?;
            room = data.len();
        }
        let at = start.saturating_add(u64::try_from(data.len()).expect("a length fits"));
        // Beyond the largest offset there is nothing to read.
        let addressable = usize::try_from(i64::MAX.unsigned_abs().saturating_sub(at)).unwrap_or(usize::MAX);
        let most = step.min(length - data.len()).min(data.capacity() - data.len()).min(addressable);
        let flags = ReadWriteFlags::empty();
        let count = sys::retry_on_intr(|| sys::read_at_unchecked(file, &mut data, most, at, flags))?;
        if count == 0 {
            break;
        }
        ticket.advance(u64::try_from(count).expect("a count fits"), 0);
    }
    Ok(data)
}

impl Place<Write> {
    /// Replaces a file by one with this content, and brings that to the device.
    pub(crate) fn store(&self, data: &[u8], mode: u16, ticket: &dyn Ticket) -> Result<()> {
        let entry = self.entry(Error::IS_DIRECTORY)?;
        entry.check_slash()?;
        if entry.slash {
            return Err(Error::IS_DIRECTORY);
        }
        // Opened first: a directory that cannot be brought to the device is found out before anything is changed.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = sys::openat(&entry.dir, c".", flags, Mode::empty())?;
        let new = Replacement::begin(&dir, permissions(mode))?;
        for piece in data.chunks(usize::try_from(STEP_BYTES).expect("a step fits")) {
            ticket.check()?;
            write_all(&new, piece)?;
            ticket.advance(u64::try_from(piece.len()).expect("a length fits"), 0);
        }
        sys::fsync(new.file())?;
        ticket.check()?;
        new.arrive(entry.name)?;
        Ok(sys::fsync(&dir)?)
    }
}

fn write_all(new: &Replacement, mut data: &[u8]) -> Result<()> {
    while !data.is_empty() {
        match sys::retry_on_intr(|| sys::write(new.file(), data))? {
            0 => return Err(Error::IO),
            count => data = &data[count..],
        }
    }
    Ok(())
}
