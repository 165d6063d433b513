//! A listing of a directory that is read piece by piece, and goes on from any entry that it has given.
//!
//! What tells where to go on is the file system's own, so that entries that are removed meanwhile shift nothing, and no entry is
//! read twice while the reader goes straight ahead.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{FileType as SystemType, RawDirEntry, SeekFrom};
use rustix::io::Errno;

use super::descriptor::CountedFd;
use super::dir::OpenDir;
use super::status::{IdentityKey, file_type};
use super::{names, sys};
use crate::budget::Reservation;
use crate::error::Result;
use crate::types::FileType;

/// Bytes of one `getdents64` call. 16 KiB: some 500 entries.
const BUFFER_BYTES: usize = 16 << 10;

/// An entry of a directory, `.` and `..` among them.
#[derive(Clone, Debug)]
pub(crate) struct CursorEntry {
    /// In the guest's characters.
    pub(crate) name: String,
    pub(crate) kind: FileType,
    pub(crate) inode: u64,
    /// Where it was found: the `next` of the one before.
    at: u64,
    /// Where the next one is.
    pub(crate) next: u64,
}

/// A listing. Copies are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Cursor(Arc<Mutex<Listing>>);

#[derive(Debug)]
struct Listing {
    dir: Arc<CountedFd>,
    key: IdentityKey,
    entries: VecDeque<CursorEntry>,
    /// Where the directory ends, once that is known.
    end: Option<u64>,
    _memory: Reservation,
}

impl Cursor {
    /// Bytes of memory that a listing holds.
    pub(crate) const BYTES: usize = 4 * BUFFER_BYTES;

    /// `dir` is for this listing alone, and `memory` is for what it holds.
    pub(crate) fn new(dir: OpenDir, key: IdentityKey, memory: Reservation) -> Self {
        let dir = dir.base.file;
        Self(Arc::new(Mutex::new(Listing { dir, key, entries: VecDeque::new(), end: None, _memory: memory })))
    }

    /// Entries from a place on, 0 for the start, as long as `each` takes them. Tells whether there may be more that were not read
    /// yet: then [`fill`](Self::fill) reads them.
    pub(crate) fn visit(&self, from: u64, mut each: impl FnMut(&CursorEntry) -> bool) -> Visited {
        let mut listing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listing.skip_to(from);
        let mut at = from;
        for entry in &listing.entries {
            if !each(entry) {
                return Visited::Enough;
            }
            at = entry.next;
        }
        if listing.end == Some(at) { Visited::End } else { Visited::More(at) }
    }

    /// Reads some entries from a place on.
    pub(crate) fn fill(&self, from: u64) -> Result<()> {
        let mut listing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listing.fill(from)
    }
}

/// How far a visit has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visited {
    Enough,
    /// To be read from here on.
    More(u64),
    End,
}

impl Listing {
    /// Forgets what is before a place. If that is not among what was read, nothing is left.
    fn skip_to(&mut self, from: u64) {
        match self.entries.iter().position(|entry| entry.at == from) {
            Some(place) => drop(self.entries.drain(..place)),
            None => self.entries.clear(),
        }
    }

    fn fill(&mut self, from: u64) -> Result<()> {
        self.entries.clear();
        self.end = None;
        let dir: &File = &self.dir;
        let status = sys::fstat(dir)?;
        sys::seek(dir, SeekFrom::Start(from))?;
        let mut buffer: Vec<u8> = Vec::with_capacity(BUFFER_BYTES);
        let (mut at, mut is_end) = (from, true);
        let mut entries = sys::getdents(dir, buffer.spare_capacity_mut())?;
        while let Some(entry) = entries.next() {
            let entry = match entry {
                // The directory itself is gone, and nothing is in it.
                Err(Errno::NOENT) => break,
                entry => entry?,
            };
            let next = entry.next_entry_cookie();
            self.entries.push_back(known(&entry, at, (status.st_dev, status.st_ino), &self.key));
            (at, is_end) = (next, false);
            if entries.is_buffer_empty() {
                break;
            }
        }
        if is_end {
            self.end = Some(from);
        }
        Ok(())
    }
}

/// `dir` is the device and the inode of the directory.
fn known(entry: &RawDirEntry<'_>, at: u64, dir: (u64, u64), key: &IdentityKey) -> CursorEntry {
    let (device, own) = dir;
    let name = entry.file_name().to_bytes();
    // What lies above a directory is none of the guest's business.
    let inode = if matches!(name, b"." | b"..") { own } else { entry.ino() };
    let kind = match entry.file_type() {
        SystemType::Unknown => FileType::Unknown,
        kind => file_type(kind),
    };
    CursorEntry { name: names::decode(name), kind, inode: key.inode(device, inode), at, next: entry.next_entry_cookie() }
}
