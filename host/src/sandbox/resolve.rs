//! From a directory and a path to an open object, without leaving the directory: by `openat2(2)`, or by cap-std where the
//! kernel or a system call filter does not let us.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use cap_fs_ext::OpenOptionsFollowExt;
use cap_primitives::fs::{FollowSymlinks, OpenOptions, OpenOptionsExt};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::{Wait, sys};
use crate::error::{Error, Result};

/// How paths are resolved below a granted directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resolver {
    /// `openat2` where it is to be had, else portable.
    #[default]
    Auto,
    /// The kernel does it: `openat2(2)` with `RESOLVE_BENEATH`, Linux 5.6 and later.
    Openat2,
    /// cap-std does it. Slower, and nothing is done inline.
    Portable,
}

/// The resolver that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strategy {
    Openat2,
    Portable,
}

impl Resolver {
    pub(super) fn strategy(self) -> Strategy {
        match self {
            Self::Openat2 => Strategy::Openat2,
            Self::Portable => Strategy::Portable,
            Self::Auto => {
                static PROBE: OnceLock<Strategy> = OnceLock::new();
                *PROBE.get_or_init(probe)
            }
        }
    }
}

/// Old kernels answer `ENOSYS`; some system call filters answer `EPERM`.
fn probe() -> Strategy {
    match sys::openat2(rustix::fs::CWD, ".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::BENEATH) {
        Err(Errno::NOSYS | Errno::PERM) => Strategy::Portable,
        _ => Strategy::Openat2,
    }
}

/// How often `openat2` is asked again when something was renamed on the host while it walked. Each time is independent, so
/// 16 are enough for any load but an attack, which then sees `would-block`.
const RETRIES: usize = 16;

/// Opens what `path` leads to. `O_CLOEXEC` comes with it; the rest of `flags` is the caller's.
pub(super) fn open_beneath(
    strategy: Strategy,
    base: &File,
    path: &OsStr,
    flags: OFlags,
    mode: Mode,
    wait: Wait,
) -> Result<OwnedFd> {
    match (strategy, wait) {
        (Strategy::Openat2, Wait::May) => open_kernel_unchecked(base, path, flags, mode),
        (Strategy::Openat2, Wait::Never) => open_cached_unchecked(base, path, flags),
        (Strategy::Portable, Wait::May) => open_portable(base, path, flags, mode),
        (Strategy::Portable, Wait::Never) => Err(Error::WOULD_BLOCK),
    }
}

const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

fn open_kernel_unchecked(base: &File, path: &OsStr, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    for _ in 0..RETRIES {
        match sys::openat2(base, path, flags | OFlags::CLOEXEC, mode, BENEATH) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(refusal(errno, base, path, flags)),
            Ok(fd) => return Ok(fd),
        }
    }
    Err(Error::WOULD_BLOCK)
}

/// `RESOLVE_CACHED` gives `EAGAIN` for whatever is not in the kernel's name cache.
fn open_cached_unchecked(base: &File, path: &OsStr, flags: OFlags) -> Result<OwnedFd> {
    let resolve = BENEATH | ResolveFlags::CACHED;
    match sys::openat2(base, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
        // EINVAL: Linux before 5.12 does not know the flag.
        Err(Errno::AGAIN | Errno::INVAL) => Err(Error::WOULD_BLOCK),
        result => result.map_err(|errno| refusal(errno, base, path, flags)),
    }
}

/// The kernel says `EXDEV` of a path that leads out; but `ELOOP`, as of too many links, if it does so by a link of procfs. Asked
/// again without a word on these, it says `EXDEV` of them too.
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

/// cap-std's own walk. Where it can it uses `openat2` too; what counts is that it need not.
fn open_portable(base: &File, path: &OsStr, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    if flags.contains(OFlags::DIRECTORY) {
        // Of its own accord cap-std opens a directory with O_PATH, which cannot be read. `.` in it is the same directory.
        let dir = cap_primitives::fs::open_dir(base, path.as_ref())?;
        let flags = flags | OFlags::CLOEXEC;
        return Ok(sys::openat(&dir, c".", flags, Mode::empty())?);
    }
    let access = flags & OFlags::ACCMODE;
    let mut options = OpenOptions::new();
    options
        .read(access != OFlags::WRONLY)
        .write(access != OFlags::RDONLY)
        .create(flags.contains(OFlags::CREATE))
        .create_new(flags.contains(OFlags::CREATE | OFlags::EXCL))
        .truncate(flags.contains(OFlags::TRUNC))
        .append(flags.contains(OFlags::APPEND))
        .mode(mode.bits())
        .follow(if flags.contains(OFlags::NOFOLLOW) { FollowSymlinks::No } else { FollowSymlinks::Yes });
    let handled = OFlags::ACCMODE | OFlags::CREATE | OFlags::EXCL | OFlags::TRUNC | OFlags::APPEND | OFlags::NOFOLLOW;
    options.custom_flags(flags.difference(handled).bits().cast_signed());
    Ok(cap_primitives::fs::open(base, path.as_ref(), &options)?.into())
}
