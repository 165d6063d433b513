//! Reading directories with `getdents64(2)`.

use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, FileType, RawDirEntry};
use rustix::io::Errno;

use super::ticket::{SharedWork, Ticket};
use super::{names, sys};
use crate::error::{Error, Result};
use crate::limits::{TREE_WIDTH, TREE_WIDTH_MAX};
use crate::types::Scan;

/// Bytes of one `getdents64` call. 64 KiB: some 2,000 entries; more gain nothing.
const BUFFER_BYTES: usize = 64 << 10;

/// Entries after which a directory that is read piece by piece is left, at the next end of a buffer. 512: fewer are soon
/// followed by the end of the directory, which is then not worth another turn.
const PIECE_ENTRIES: usize = 512;

/// Bytes that a growing result is put on the guest's books for at a time, at least and at most: as much again as it has, so that
/// thousands of short listings take no more than they need.
const RESERVE_BYTES: std::ops::RangeInclusive<usize> = 1 << 10..=1 << 20;

/// Memory that a growing result takes, put on the guest's books before it is allocated.
pub(super) struct Meter<'a> {
    ticket: &'a dyn Ticket,
    reserved: usize,
    left: usize,
}

impl<'a> Meter<'a> {
    pub(super) fn new(ticket: &'a dyn Ticket) -> Self {
        Self { ticket, reserved: 0, left: 0 }
    }

    /// So many bytes more. Looks from time to time whether to go on.
    pub(super) fn add(&mut self, bytes: usize) -> Result<()> {
        if bytes > self.left {
            self.ticket.check()?;
            let more = self.reserved.clamp(*RESERVE_BYTES.start(), *RESERVE_BYTES.end()).max(bytes - self.left);
            self.ticket.reserve(more)?;
            self.reserved += more;
            self.left += more;
        }
        self.left -= bytes;
        Ok(())
    }
}

/// Calls `each` with every entry but `.` and `..`, up to the end of the directory.
pub(super) fn for_each(
    dir: &OwnedFd,
    max: usize,
    ticket: &dyn Ticket,
    mut each: impl FnMut(&RawDirEntry<'_>) -> Result<()>,
) -> Result<()> {
    let mut count = 0;
    let mut told = 0;
    let mut counted = |entry: &RawDirEntry<'_>| {
        count += 1;
        if count > max {
            return Err(Error::OVERFLOW);
        }
        each(entry)?;
        if count - told >= PIECE_ENTRIES {
            ticket.advance(0, u64::try_from(count - told).expect("a count fits"));
            told = count;
        }
        Ok(())
    };
    while read_piece(dir, &mut counted)?.is_some() {}
    ticket.advance(0, u64::try_from(count - told).expect("a count fits"));
    Ok(())
}

/// Calls `each` with some entries of a directory, `.` and `..` left out, from its position on. Returns where to go on, and
/// nothing at the end. Once `each` fails, the position is anywhere.
pub(super) fn read_piece(dir: &OwnedFd, mut each: impl FnMut(&RawDirEntry<'_>) -> Result<()>) -> Result<Option<u64>> {
    let mut buffer: Vec<u8> = Vec::with_capacity(BUFFER_BYTES);
    let mut entries = sys::getdents(dir, buffer.spare_capacity_mut())?;
    let mut count = 0;
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let next = entry.next_entry_cookie();
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            each(&entry)?;
        }
        count += 1;
        if count >= PIECE_ENTRIES && entries.is_buffer_empty() {
            return Ok(Some(next));
        }
    }
    Ok(None)
}

/// Memory that a name takes in a list of them.
fn footprint(name: &str) -> usize {
    name.len() + size_of::<String>()
}

pub(super) fn names(dir: &OwnedFd, max: usize, ticket: &dyn Ticket) -> Result<Vec<String>> {
    let mut list = Vec::new();
    let mut meter = Meter::new(ticket);
    for_each(dir, max, ticket, |entry| {
        let name = names::decode(entry.file_name().to_bytes());
        meter.add(footprint(&name))?;
        list.push(name);
        Ok(())
    })?;
    Ok(list)
}

/// How many may work side by side, where the guest may say how many it wants and 0 leaves it to us.
pub(super) fn width(maxreq: u32) -> usize {
    match usize::try_from(maxreq).unwrap_or(usize::MAX) {
        0 => TREE_WIDTH,
        wanted => wanted.min(TREE_WIDTH_MAX),
    }
}

/// The names in a directory, told apart. Most file systems name the kind of an entry; where one does not, up to `width` of
/// them are asked for their status side by side.
pub(super) fn scan(dir: OwnedFd, max: usize, width: usize, ticket: &dyn Ticket) -> Result<Scan> {
    let mut scan = Scan { directories: Vec::new(), others: Vec::new() };
    let mut unknown = Vec::new();
    let mut meter = Meter::new(ticket);
    for_each(&dir, max, ticket, |entry| {
        if entry.file_type() == FileType::Unknown {
            meter.add(2 * footprint("") + entry.file_name().to_bytes().len())?;
            unknown.push(entry.file_name().to_owned());
            return Ok(());
        }
        let name = names::decode(entry.file_name().to_bytes());
        meter.add(footprint(&name))?;
        let list = if entry.file_type().is_dir() { &mut scan.directories } else { &mut scan.others };
        list.push(name);
        Ok(())
    })?;
    if !unknown.is_empty() {
        tell_apart(&mut scan, dir, unknown, width, ticket)?;
    }
    Ok(scan)
}

/// Names whose kinds are looked up by many.
struct Unknown {
    dir: OwnedFd,
    names: Vec<CString>,
    /// For each name whether it is a directory's: 0 or 1.
    kinds: Vec<AtomicU8>,
    next: AtomicUsize,
    failure: Mutex<Option<Error>>,
}

fn tell_apart(scan: &mut Scan, dir: OwnedFd, names: Vec<CString>, width: usize, ticket: &dyn Ticket) -> Result<()> {
    let kinds = names.iter().map(|_| AtomicU8::new(0)).collect();
    let unknown = Arc::new(Unknown { dir, names, kinds, next: AtomicUsize::new(0), failure: Mutex::new(None) });
    let shared = Arc::clone(&unknown);
    let work: SharedWork = Arc::new(move |ticket| shared.look_up(ticket));
    ticket.wide(width, &work)?;
    if let Some(error) = *unknown.failure.lock().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    for (name, kind) in std::iter::zip(&unknown.names, &unknown.kinds) {
        let list = if kind.load(Ordering::Relaxed) == 1 { &mut scan.directories } else { &mut scan.others };
        list.push(names::decode(name.to_bytes()));
    }
    Ok(())
}

impl Unknown {
    fn look_up(&self, ticket: &dyn Ticket) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(name) = self.names.get(index) else { return };
            match ticket.check().and_then(|()| is_directory_unchecked(&self.dir, name)) {
                Ok(directory) => self.kinds[index].store(u8::from(directory), Ordering::Relaxed),
                Err(error) => {
                    self.next.store(self.names.len(), Ordering::Relaxed);
                    self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            }
        }
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
