//! Reading directories with `getdents64(2)`.

use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, RawDirEntry, SeekFrom};
use rustix::io::Errno;

use super::sys;
use super::ticket::Ticket;
use crate::error::{Error, Result};
use crate::limits::{TREE_WIDTH, TREE_WIDTH_MAX};
use crate::sched::Flow;

/// Bytes of one `getdents64` call. 64 KiB: some 2,000 entries; more gain nothing.
const BUFFER_BYTES: usize = 64 << 10;

/// Entries after which a directory that is read piece by piece is left, at the next end of a buffer. 512: fewer are soon
/// followed by the end of the directory, which is then not worth another turn.
const PIECE_ENTRIES: usize = 512;

/// Bytes by which the reservation of a growing result grows at a time, at least and at most: as much again as it has, so that
/// thousands of short listings take no more than they need.
const RESERVE_BYTES: std::ops::RangeInclusive<usize> = 1 << 10..=1 << 20;

/// Memory that a growing result takes, counted for the guest before it is allocated.
#[derive(Debug, Default)]
pub(super) struct Meter {
    reserved: usize,
    left: usize,
}

impl Meter {
    /// So many bytes more. Looks from time to time whether to go on.
    pub(super) fn add(&mut self, bytes: usize, ticket: &dyn Ticket) -> Result<()> {
        if bytes > self.left {
            ticket.check()?;
            let more = self.reserved.clamp(*RESERVE_BYTES.start(), *RESERVE_BYTES.end()).max(bytes - self.left);
            ticket.reserve(more)?;
            self.reserved += more;
            self.left += more;
        }
        self.left -= bytes;
        Ok(())
    }
}

/// A pass over a directory from its start to its end, in as many turns on workers as it takes.
#[derive(Debug)]
pub(super) struct Pass {
    pub(super) dir: OwnedFd,
    count: usize,
    pub(super) meter: Meter,
}

impl Pass {
    pub(super) fn new(dir: OwnedFd) -> Self {
        Self { dir, count: 0, meter: Meter::default() }
    }

    /// Calls `each` with every entry but `.` and `..`; fails over `max` of them.
    pub(super) fn go_on(
        &mut self,
        max: usize,
        ticket: &dyn Ticket,
        mut each: impl FnMut(&RawDirEntry<'_>, &mut Meter) -> Result<()>,
    ) -> Flow<Result<()>> {
        loop {
            let before = self.count;
            let piece = ticket.check().and_then(|()| {
                read_piece(&self.dir, |entry| {
                    self.count += 1;
                    if self.count > max {
                        return Err(Error::OVERFLOW);
                    }
                    each(entry, &mut self.meter)?;
                    Ok(Seen::Taken)
                })
            });
            ticket.advance(0, u64::try_from(self.count - before).expect("a count fits"));
            match piece {
                Ok(None) => return Flow::Done(Ok(())),
                Ok(Some(_)) if ticket.is_wanted() => return Flow::Again(Duration::ZERO),
                Ok(Some(_)) => {}
                Err(error) => return Flow::Done(Err(error)),
            }
        }
    }
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It was taken, and the next one is to come.
    Taken,
    /// It was taken, and that is enough for now.
    Last,
    /// It is to come again later.
    Later,
}

/// Calls `each` with some entries of a directory, `.` and `..` left out, from its position on. Returns where to go on, and
/// nothing at the end. Once `each` fails, the position is anywhere.
pub(super) fn read_piece(dir: &OwnedFd, mut each: impl FnMut(&RawDirEntry<'_>) -> Result<Seen>) -> Result<Option<u64>> {
    let mut here = sys::seek(dir, SeekFrom::Current(0))?;
    let mut buffer: Vec<u8> = Vec::with_capacity(BUFFER_BYTES);
    let mut entries = sys::getdents(dir, buffer.spare_capacity_mut())?;
    let mut count = 0;
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let next = entry.next_entry_cookie();
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            match each(&entry)? {
                Seen::Taken => {}
                Seen::Last => return Ok(Some(next)),
                Seen::Later => return Ok(Some(here)),
            }
        }
        here = next;
        count += 1;
        if count >= PIECE_ENTRIES && entries.is_buffer_empty() {
            return Ok(Some(next));
        }
    }
    Ok(None)
}

/// Memory that a name takes in a list of them: the allocator gives 16 bytes at least and rounds up, and the list may have room for
/// as many again.
pub(super) fn footprint(name: &str) -> usize {
    2 * size_of::<String>() + name.len().next_multiple_of(16) + 16
}

/// How many may work side by side, where the guest may say how many it wants and 0 leaves it to us.
pub(super) fn width(maxreq: u32) -> usize {
    match usize::try_from(maxreq).unwrap_or(usize::MAX) {
        0 => TREE_WIDTH,
        wanted => wanted.min(TREE_WIDTH_MAX),
    }
}

/// Whether a single name in a directory is that of a directory.
pub(super) fn is_directory_unchecked(dir: &OwnedFd, name: &CStr) -> Result<bool> {
    match sys::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(FileType::from_raw_mode(stat.st_mode).is_dir()),
        // Gone since: what it was is of no interest any more.
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}
