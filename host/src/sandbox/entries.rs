//! Reading directories with `getdents64(2)`.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, FileType, RawDir};
use rustix::io::Errno;

use super::names;
use crate::error::{Error, Result};
use crate::output::Scan;

/// Bytes of one `getdents64` call. 64 KiB: some 2,000 entries; more gain nothing.
const BUFFER_BYTES: usize = 64 << 10;

/// Calls `each` with every entry but `.` and `..`.
fn for_each(dir: &OwnedFd, max: usize, mut each: impl FnMut(&[u8], FileType) -> Result<()>) -> Result<()> {
    let mut buffer: Vec<u8> = Vec::with_capacity(BUFFER_BYTES);
    let mut entries = RawDir::new(dir, buffer.spare_capacity_mut());
    let mut count = 0;
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        count += 1;
        if count > max {
            return Err(Error::OVERFLOW);
        }
        each(name, entry.file_type())?;
    }
    Ok(())
}

pub(super) fn names(dir: &OwnedFd, max: usize) -> Result<Vec<String>> {
    let mut list = Vec::new();
    for_each(dir, max, |name, _| {
        list.push(names::decode(name));
        Ok(())
    })?;
    Ok(list)
}

pub(super) fn scan(dir: &OwnedFd, max: usize) -> Result<Scan> {
    let mut scan = Scan { directories: Vec::new(), others: Vec::new() };
    for_each(dir, max, |name, kind| {
        let list = if is_directory_unchecked(dir, name, kind)? { &mut scan.directories } else { &mut scan.others };
        list.push(names::decode(name));
        Ok(())
    })?;
    Ok(scan)
}

/// Most file systems name the kind of an entry; the others are asked for its status.
fn is_directory_unchecked(dir: &OwnedFd, name: &[u8], kind: FileType) -> Result<bool> {
    if kind != FileType::Unknown {
        return Ok(kind.is_dir());
    }
    match rustix::fs::statat(dir, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(FileType::from_raw_mode(stat.st_mode).is_dir()),
        // Gone since: what it was is of no interest any more.
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}
