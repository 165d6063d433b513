//! The guest's descriptors: the standard streams, the directories that it was granted, and what it has opened.

use std::collections::BTreeSet;

use super::errno::{Errno, Result};
use crate::ctx::AioCtx;
use crate::sandbox::{Cursor, OpenDir, OpenFile, Rights};
use crate::wasi::preopens::preopens;

/// A standard stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StandardFd {
    Input,
    Output,
    Error,
}

/// What a descriptor stands for.
#[derive(Debug)]
pub(super) enum Slot {
    Standard(StandardFd),
    File(FileSlot),
    Dir(DirSlot),
}

/// An open file, with what belongs to the descriptor and not to the file.
#[derive(Debug)]
pub(super) struct FileSlot {
    pub(super) file: OpenFile,
    /// What it was opened for.
    pub(super) reads: bool,
    pub(super) writes: bool,
    /// `fdflags`, of which `append` can be changed.
    pub(super) flags: u16,
}

#[derive(Debug)]
pub(super) struct DirSlot {
    pub(super) dir: OpenDir,
    /// The name of a directory that was granted.
    pub(super) preopen: Option<String>,
    /// The listing that is read.
    pub(super) listing: Option<Cursor>,
}

pub(super) const APPEND: u16 = 1;
pub(super) const DATA_SYNC: u16 = 1 << 1;
pub(super) const NONBLOCK: u16 = 1 << 2;
pub(super) const READ_SYNC: u16 = 1 << 3;
pub(super) const SYNC: u16 = 1 << 4;
/// What a file may be open with.
pub(super) const FDFLAGS: u16 = APPEND | DATA_SYNC | NONBLOCK | READ_SYNC | SYNC;

/// The descriptors by their numbers.
#[derive(Debug)]
pub(super) struct Descriptors {
    list: Vec<Option<Slot>>,
    free: BTreeSet<usize>,
}

fn index(fd: u32) -> usize {
    usize::try_from(fd).unwrap_or(usize::MAX)
}

impl Descriptors {
    /// The standard streams, then the directories in the order in which they were granted, and the first of them once more as
    /// `.`, which programs look relative paths up in.
    pub(super) fn new(ctx: &AioCtx) -> Self {
        let standard = [StandardFd::Input, StandardFd::Output, StandardFd::Error].map(Slot::Standard);
        let granted = |(dir, name): (OpenDir, String)| Slot::Dir(DirSlot { dir, preopen: Some(name), listing: None });
        let list = standard.into_iter().chain(preopens(ctx).into_iter().map(granted)).map(Some).collect();
        Self { list, free: BTreeSet::new() }
    }

    pub(super) fn get(&self, fd: u32) -> Result<&Slot> {
        Ok(self.list.get(index(fd)).and_then(Option::as_ref).ok_or(Errno::BADF)?)
    }

    pub(super) fn get_mut(&mut self, fd: u32) -> Result<&mut Slot> {
        Ok(self.list.get_mut(index(fd)).and_then(Option::as_mut).ok_or(Errno::BADF)?)
    }

    /// The open file. The numbers of other things are wrong for what only files can do.
    pub(super) fn file(&self, fd: u32) -> Result<&FileSlot> {
        match self.get(fd)? {
            Slot::File(file) => Ok(file),
            Slot::Standard(_) | Slot::Dir(_) => Err(Errno::BADF.into()),
        }
    }

    /// The open file of a call that moves its position.
    pub(super) fn seekable(&self, fd: u32) -> Result<&FileSlot> {
        match self.get(fd)? {
            Slot::Standard(_) => Err(Errno::SPIPE.into()),
            _ => self.file(fd),
        }
    }

    pub(super) fn dir(&self, fd: u32) -> Result<&DirSlot> {
        match self.get(fd)? {
            Slot::Dir(dir) => Ok(dir),
            Slot::File(_) | Slot::Standard(_) => Err(Errno::BADF.into()),
        }
    }

    pub(super) fn dir_mut(&mut self, fd: u32) -> Result<&mut DirSlot> {
        match self.get_mut(fd)? {
            Slot::Dir(dir) => Ok(dir),
            Slot::File(_) | Slot::Standard(_) => Err(Errno::BADF.into()),
        }
    }

    /// Gives something the lowest number that is free.
    pub(super) fn push(&mut self, descriptor: Slot) -> Result<u32> {
        let place = match self.free.pop_first() {
            Some(place) => place,
            None => {
                self.list.push(None);
                self.list.len() - 1
            }
        };
        self.list[place] = Some(descriptor);
        Ok(u32::try_from(place).map_err(|_| Errno::MFILE)?)
    }

    pub(super) fn remove(&mut self, fd: u32) -> Result<Slot> {
        let removed = self.list.get_mut(index(fd)).and_then(Option::take).ok_or(Errno::BADF)?;
        self.free.insert(index(fd));
        Ok(removed)
    }

    /// Gives what one number stands for another number, which has to be in use. Returns what that stood for.
    pub(super) fn renumber(&mut self, from: u32, to: u32) -> Result<Option<Slot>> {
        self.get(from)?;
        self.get(to)?;
        if from == to {
            return Ok(None);
        }
        let moved = self.remove(from)?;
        Ok(self.list[index(to)].replace(moved))
    }
}

impl DirSlot {
    /// A listing that was begun, or one that is made of `begin`.
    pub(super) fn set_listing(&mut self, listing: Cursor) -> Cursor {
        self.listing.insert(listing).clone()
    }

    pub(super) fn is_writable(&self) -> bool {
        self.dir.rights() == Rights::ReadWrite
    }
}
