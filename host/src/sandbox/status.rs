//! From `statx(2)` to the status that a guest sees.

use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, Statx, StatxAttributes, StatxFlags, StatxTimestamp};

use super::{Wait, sys};
use crate::error::Result;
use crate::types::{FileType, Identity, Status, Timestamp};

/// Hides device and inode numbers: a keyed hash, with a key of its own for each guest.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdentityKey(RandomState);

impl IdentityKey {
    /// The inode of an object, as `identity` shows it. `device` is as `stat(2)` has it.
    pub(super) fn inode(&self, device: u64, inode: u64) -> u64 {
        self.0.hash_one(((rustix::fs::major(device), rustix::fs::minor(device)), inode))
    }
}

/// What a guest may know of an object: everything of `statx(2)` but who owns it and where it lies.
const WANTED: StatxFlags = StatxFlags::BASIC_STATS.union(StatxFlags::BTIME);

/// The status of an open object. One that may not wait is what is known without asking anybody.
pub(super) fn of_fd(fd: impl AsFd, key: &IdentityKey, wait: Wait) -> Result<Status> {
    let sync = match wait {
        Wait::May => AtFlags::empty(),
        Wait::Never => AtFlags::STATX_DONT_SYNC,
    };
    let statx = sys::statx(fd, c"", AtFlags::EMPTY_PATH | sync, WANTED)?;
    Ok(status(&statx, key))
}

/// The status of a single name in an open directory. A symbolic link is not followed. There is none of a name that something is
/// mounted on, which has to be opened and looked at.
pub(super) fn of_name_unchecked(dir: impl AsFd, name: &OsStr, key: &IdentityKey) -> Result<Option<Status>> {
    let statx = sys::statx(dir, name, AtFlags::SYMLINK_NOFOLLOW, WANTED)?;
    Ok((!statx.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)).then(|| status(&statx, key)))
}

/// The kind of object a mode tells of.
pub(super) fn file_type(kind: rustix::fs::FileType) -> FileType {
    match kind {
        rustix::fs::FileType::RegularFile => FileType::RegularFile,
        rustix::fs::FileType::Directory => FileType::Directory,
        rustix::fs::FileType::Symlink => FileType::SymbolicLink,
        rustix::fs::FileType::Fifo => FileType::Fifo,
        rustix::fs::FileType::Socket => FileType::Socket,
        rustix::fs::FileType::CharacterDevice => FileType::CharacterDevice,
        rustix::fs::FileType::BlockDevice => FileType::BlockDevice,
        rustix::fs::FileType::Unknown => FileType::Unknown,
    }
}

fn status(statx: &Statx, key: &IdentityKey) -> Status {
    let device = (statx.stx_dev_major, statx.stx_dev_minor);
    let mode = u32::from(statx.stx_mode);
    let has_btime = statx.stx_mask & StatxFlags::BTIME.bits() != 0;
    // A mount point's root may share its inode number with another file system's, so the inode is hashed with the device.
    Status {
        kind: file_type(rustix::fs::FileType::from_raw_mode(mode)),
        mode: statx.stx_mode & 0o7777,
        size: statx.stx_size,
        blocks: statx.stx_blocks,
        block_size: statx.stx_blksize,
        links: u64::from(statx.stx_nlink),
        accessed: timestamp(&statx.stx_atime),
        modified: timestamp(&statx.stx_mtime),
        changed: timestamp(&statx.stx_ctime),
        created: has_btime.then(|| timestamp(&statx.stx_btime)),
        identity: Identity { device: key.0.hash_one(device), inode: key.0.hash_one((device, statx.stx_ino)) },
    }
}

fn timestamp(time: &StatxTimestamp) -> Timestamp {
    Timestamp { seconds: time.tv_sec, nanoseconds: time.tv_nsec }
}
