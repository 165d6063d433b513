//! Regular files and directories, and nothing else: to open a FIFO or a device would be noticed by others.

use std::fs::File;
use std::os::fd::AsFd;

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;

use super::mount::open_child_unchecked;
use super::{Wait, procfs, sys};
use crate::error::{Error, Result};

/// Fails if an open object is no regular file.
pub(super) fn check_regular(fd: impl AsFd) -> Result<()> {
    match FileType::from_raw_mode(sys::fstat(fd)?.st_mode) {
        FileType::RegularFile => Ok(()),
        FileType::Directory => Err(Error::IS_DIRECTORY),
        FileType::Symlink => Err(Errno::LOOP.into()),
        _ => Err(Error::UNSUPPORTED),
    }
}

/// The same of a directory.
pub(super) fn check_directory(fd: impl AsFd) -> Result<()> {
    match FileType::from_raw_mode(sys::fstat(fd)?.st_mode) {
        FileType::Directory => Ok(()),
        FileType::Symlink => Err(Errno::LOOP.into()),
        _ => Err(Error::NOT_DIRECTORY),
    }
}

/// Opens the regular file of a single name in a directory, and not what a symbolic link leads to. Nothing else is opened: even
/// that would be noticed at the other end of a FIFO.
pub(super) fn open_regular_unchecked(dir: impl AsFd, name: impl sys::PathName) -> Result<File> {
    let object = open_child_unchecked(dir, name, OFlags::PATH)?;
    check_regular(&object)?;
    Ok(procfs::reopen(&object, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, Wait::May)?.into())
}
