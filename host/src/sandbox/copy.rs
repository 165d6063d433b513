//! A file that is copied, or moved, by its name.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Statx, StatxFlags, StatxTimestamp, Timespec, Timestamps};
use rustix::io::Errno;

use super::node::Id;
use super::place::{Entry, Place};
use super::replace::Replacement;
use super::ticket::Ticket;
use super::transfer;
use super::whole::check_regular;
use super::{Read, Write, sys};
use crate::error::{Error, Result};

impl Place<Read> {
    /// Copies a regular file, with its permission bits and times. Returns how many bytes it has.
    pub(crate) fn copy(&self, to: &Place<Write>, ticket: &dyn Ticket) -> Result<u64> {
        let input = self.open_regular()?;
        let to = target(to, &input)?;
        replace(&input, &to, ticket)
    }
}

impl Place<Write> {
    /// Renames, or copies a regular file to another file system and then removes it.
    pub(crate) fn move_to(&self, to: &Self, ticket: &dyn Ticket) -> Result<()> {
        match self.rename(to) {
            Err(Error::CROSS_DEVICE) => {}
            result => return result,
        }
        let from = self.entry(Error::INVALID)?;
        let input = open_entry(&from)?;
        let to = target(to, &input)?;
        let new = Replacement::begin(&to.dir, ON_THE_WAY)?;
        fill(&input, new.file(), ticket)?;
        // What has the name is kept until the old name is gone: it would be there twice, and in the place of something else.
        new.arrive_if(to.name, || Ok(sys::unlinkat(&from.dir, from.name, AtFlags::empty())?))
    }
}

/// Where a copy goes, if it may go there at all: an early answer to what would otherwise be found out when all is copied.
fn target<'a>(place: &'a Place<Write>, input: &File) -> Result<Entry<'a>> {
    let to = place.entry(Error::IS_DIRECTORY)?;
    to.check_slash()?;
    match sys::statat(&to.dir, to.name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode).is_dir() => Err(Error::IS_DIRECTORY),
        Ok(stat) if Id::of_stat(&stat) == Id::of(input)? => Err(Error::INVALID),
        Ok(_) | Err(Errno::NOENT) => Ok(to),
        Err(errno) => Err(errno.into()),
    }
}

/// Opens what is to be moved to another file system: a regular file, and not what a symbolic link leads to.
fn open_entry(from: &Entry<'_>) -> Result<File> {
    let stat = sys::statat(&from.dir, from.name, AtFlags::SYMLINK_NOFOLLOW)?;
    if !FileType::from_raw_mode(stat.st_mode).is_file() {
        return Err(Error::CROSS_DEVICE);
    }
    open_regular_unchecked(&from.dir, from.name)
}

/// Opens the regular file of a single name in a directory. Whoever calls this has seen that it is one.
pub(super) fn open_regular_unchecked(dir: impl AsFd, name: impl rustix::path::Arg) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = sys::openat(dir, name, flags, Mode::empty())?;
    check_regular(&fd)?;
    Ok(fd.into())
}

/// For the time of copying: only its owner may look at what is not whole.
const ON_THE_WAY: Mode = Mode::from_raw_mode(0o600);

fn replace(input: &File, to: &Entry<'_>, ticket: &dyn Ticket) -> Result<u64> {
    let new = Replacement::begin(&to.dir, ON_THE_WAY)?;
    let bytes = fill(input, new.file(), ticket)?;
    new.arrive(to.name)?;
    Ok(bytes)
}

/// Makes a file of this name, which must be new, with the content of another one.
pub(super) fn copy_new(input: &File, dir: &OwnedFd, name: &OsStr, ticket: &dyn Ticket) -> Result<u64> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let output = File::from(sys::openat(dir, name, flags, ON_THE_WAY)?);
    fill(input, &output, ticket)
}

fn fill(input: &File, output: &File, ticket: &dyn Ticket) -> Result<u64> {
    // Before the file is read, which may change when it was last read.
    let status = status(input)?;
    let bytes = transfer::copy_file(input, output, ticket)?;
    sys::fchmod(output, permissions(&status))?;
    sys::futimens(output, &times(&status))?;
    Ok(bytes)
}

pub(super) fn status(fd: impl AsFd) -> Result<Statx> {
    Ok(sys::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?)
}

/// The permission bits that a copy gets: never set-user-id, set-group-id or sticky.
pub(super) fn permissions(status: &Statx) -> Mode {
    Mode::from_bits_truncate(u32::from(status.stx_mode) & 0o777)
}

/// When it was last read and changed, as it is to be set.
pub(super) fn times(status: &Statx) -> Timestamps {
    let time = |time: &StatxTimestamp| Timespec { tv_sec: time.tv_sec, tv_nsec: time.tv_nsec.into() };
    Timestamps { last_access: time(&status.stx_atime), last_modification: time(&status.stx_mtime) }
}
