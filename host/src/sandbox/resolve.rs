//! From a directory and a path to an open object, without leaving the directory: by `openat2(2)`, or by cap-std where the
//! kernel or a system call filter does not let us.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use cap_fs_ext::OpenOptionsFollowExt;
use cap_primitives::fs::{FollowSymlinks, OpenOptions, OpenOptionsExt};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::mount::Mounts;
use super::resolver::Strategy;
use super::storage::{OpenedOn, Storage};
use super::{Rights, Wait, sys};
use crate::error::{Error, Result};

/// How often `openat2` is asked again when something was renamed on the host while it walked. Each time is independent, so
/// 16 are enough for any load but an attack, under which the request is tried again later.
const RETRIES: usize = 16;

/// What resolving the paths of one guest needs.
#[derive(Debug)]
pub(super) struct Paths {
    pub(super) strategy: Strategy,
    pub(super) mounts: Mounts,
}

/// A directory that a path starts from, and what it is on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start<'a> {
    pub(super) dir: &'a File,
    pub(super) storage: Storage,
}

/// How something is to be opened. `O_CLOEXEC` comes with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenHow {
    pub(super) flags: OFlags,
    pub(super) mode: Mode,
    /// What it is opened for: to be looked at, or to be changed.
    pub(super) rights: Rights,
    pub(super) wait: Wait,
}

/// Opens what `path` leads to, if it may be had at all.
pub(super) fn open_beneath(paths: &Paths, start: Start<'_>, path: &OsStr, how: OpenHow) -> Result<OpenedOn> {
    if how.wait == Wait::Never && !(start.storage.is_local() && paths.strategy == Strategy::Openat2) {
        return Err(Error::WOULD_BLOCK);
    }
    let opened = match (paths.strategy, how.wait) {
        (Strategy::Openat2, Wait::Never) => open_cached_unchecked(start, path, how)?,
        (Strategy::Openat2, Wait::May) => open_kernel_unchecked(&paths.mounts, start, path, how)?,
        (Strategy::Portable, _) => {
            let fd = open_portable(start.dir, path, how.flags, how.mode)?;
            OpenedOn { storage: paths.mounts.storage(&fd), fd }
        }
    };
    paths.mounts.admit(&opened, how.rights)?;
    Ok(opened)
}

const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

/// The same, and the path stays on the mount that it starts from: nobody need be asked what it has come to.
const ON_ONE_MOUNT: ResolveFlags = BENEATH.union(ResolveFlags::NO_XDEV);

fn open_kernel_unchecked(mounts: &Mounts, start: Start<'_>, path: &OsStr, how: OpenHow) -> Result<OpenedOn> {
    let mut resolve = ON_ONE_MOUNT;
    for _ in 0..RETRIES {
        match sys::openat2(start.dir, path, how.flags | OFlags::CLOEXEC, how.mode, resolve) {
            Ok(fd) if resolve == ON_ONE_MOUNT => return Ok(OpenedOn { fd, storage: start.storage }),
            Ok(fd) => return Ok(OpenedOn { storage: mounts.storage(&fd), fd }),
            Err(Errno::AGAIN | Errno::INTR) => {}
            // It leads out of the mount, or out of the directory as well.
            Err(Errno::XDEV) if resolve == ON_ONE_MOUNT => resolve = BENEATH,
            Err(errno) => return Err(refusal(errno, start.dir, path, how.flags)),
        }
    }
    Err(Error::NOT_YET)
}

/// `RESOLVE_CACHED` gives `EAGAIN` for whatever is not in the kernel's name cache.
fn open_cached_unchecked(start: Start<'_>, path: &OsStr, how: OpenHow) -> Result<OpenedOn> {
    let resolve = ON_ONE_MOUNT | ResolveFlags::CACHED;
    match sys::openat2(start.dir, path, how.flags | OFlags::CLOEXEC, how.mode, resolve) {
        Ok(fd) => Ok(OpenedOn { fd, storage: start.storage }),
        // EXDEV and ELOOP: a worker finds out where it leads. EINVAL: Linux before 5.12 does not know the flag.
        Err(Errno::AGAIN | Errno::XDEV | Errno::LOOP | Errno::INVAL) => Err(Error::WOULD_BLOCK),
        Err(errno) => Err(errno.into()),
    }
}

/// The kernel says `EXDEV` of a path that leads out; but `ELOOP`, as of too many links, if it does so by a link of procfs. Asked
/// again without `RESOLVE_NO_MAGICLINKS`, it answers `EXDEV` for them too.
fn refusal(errno: Errno, base: &File, path: &OsStr, flags: OFlags) -> Error {
    let leads_out = match errno {
        Errno::XDEV => true,
        Errno::LOOP => {
            let flags = OFlags::PATH | OFlags::CLOEXEC | flags.intersection(OFlags::NOFOLLOW);
            let again = sys::openat2(base, path, flags, Mode::empty(), ResolveFlags::BENEATH);
            matches!(again, Err(Errno::XDEV))
        }
        _ => false,
    };
    if leads_out { Error::NOT_PERMITTED } else { errno.into() }
}

/// cap-std's own walk. Where it can it uses `openat2` too; but it works without.
fn open_portable(base: &File, path: &OsStr, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    if flags.contains(OFlags::DIRECTORY) {
        // Of its own accord cap-std opens a directory with O_PATH, which cannot be read. `.` in it is the same directory.
        let dir = cap_primitives::fs::open_dir(base, path.as_ref())?;
        let flags = flags | OFlags::CLOEXEC;
        return Ok(sys::openat(&dir, c".", flags, Mode::empty())?);
    }
    let access = flags & OFlags::ACCMODE;
    // Other than the system, cap-std makes and cuts nothing that is not to be written. What it does not know it passes on.
    let handled = if access == OFlags::RDONLY {
        OFlags::NOFOLLOW
    } else {
        OFlags::CREATE | OFlags::EXCL | OFlags::TRUNC | OFlags::APPEND | OFlags::NOFOLLOW
    };
    let has = |flag: OFlags| handled.contains(flag) && flags.contains(flag);
    let mut options = OpenOptions::new();
    options
        .read(access != OFlags::WRONLY)
        .write(access != OFlags::RDONLY)
        .create(has(OFlags::CREATE))
        .create_new(has(OFlags::CREATE | OFlags::EXCL))
        .truncate(has(OFlags::TRUNC))
        .append(has(OFlags::APPEND))
        .mode(mode.bits())
        .follow(if flags.contains(OFlags::NOFOLLOW) { FollowSymlinks::No } else { FollowSymlinks::Yes });
    options.custom_flags(flags.difference(OFlags::ACCMODE | handled).bits().cast_signed());
    match cap_primitives::fs::open(base, path.as_ref(), &options) {
        // A lease is being broken.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(Error::NOT_YET),
        result => Ok(result?.into()),
    }
}
