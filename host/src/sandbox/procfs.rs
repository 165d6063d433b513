//! From a descriptor that only stands for an object to what can be done with it: by its name in `/proc/self/fd`, which leads to
//! the object itself and not along a path.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Once, OnceLock};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Timestamps};
use rustix::io::Errno;
use rustix::path::DecInt;

use super::storage::Storage;
use super::{Wait, sys};
use crate::error::{Error, Result};

/// `/proc/self/fd`, once it was opened.
fn descriptors() -> Result<&'static OwnedFd> {
    static DESCRIPTORS: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(descriptors) = DESCRIPTORS.get() {
        return Ok(descriptors);
    }
    let opened = open_descriptors()?;
    Ok(DESCRIPTORS.get_or_init(|| opened))
}

/// Without procfs, or in the procfs of others, it is not there.
fn open_descriptors() -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match sys::openat(CWD, c"/proc/self/fd", flags, Mode::empty()) {
        Ok(fd) if Storage::of(&fd) == Storage::Processes => Ok(fd),
        Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => Err(Error::UNSUPPORTED),
        Err(errno) => Err(errno.into()),
    }
}

/// Opens it while there are descriptors left, and says so once if it cannot be had.
pub(super) fn prepare() {
    static TOLD: Once = Once::new();
    if matches!(descriptors(), Err(Error::UNSUPPORTED)) {
        TOLD.call_once(|| {
            tracing::warn!(
                "/proc is not mounted here, or is not that of this process: requests that open a file by its path, such as \
                 `open`, `load`, `copy`, `truncate` and `pathsync`, and `realpath` fail with `unsupported`"
            );
        });
    }
}

/// Opens an object again, for more than `O_PATH` allows. Whether it may be is checked as in any open.
pub(super) fn reopen(object: impl AsFd, flags: OFlags, wait: Wait) -> Result<OwnedFd> {
    let name = DecInt::from_fd(&object);
    match sys::openat(descriptors()?, name.as_c_str(), flags | OFlags::CLOEXEC, Mode::empty()) {
        // A lease on it has to be broken first, for which its holder has some time. See `F_SETLEASE` in `fcntl(2)`.
        Err(Errno::AGAIN) => Err(if wait == Wait::May { Error::NOT_YET } else { Error::WOULD_BLOCK }),
        result => Ok(result?),
    }
}

/// Where the kernel says that an object is now. The answer may be old already.
pub(super) fn path(object: impl AsFd) -> Result<Vec<u8>> {
    let name = DecInt::from_fd(&object);
    Ok(sys::readlinkat(descriptors()?, name.as_c_str(), Vec::with_capacity(256))?.into_bytes())
}

/// Sets the permission bits of an object. Kernels before 6.6 cannot do it to such a descriptor itself.
pub(super) fn chmod_unchecked(object: impl AsFd, mode: Mode) -> Result<()> {
    match sys::chmod_fd_unchecked(object.as_fd().as_raw_fd(), mode) {
        Err(Errno::NOSYS) => {
            let name = DecInt::from_fd(&object);
            Ok(sys::chmodat(descriptors()?, name.as_c_str(), mode, AtFlags::empty())?)
        }
        result => Ok(result?),
    }
}

/// Sets the times of an object. Kernels before 5.8 cannot do it to such a descriptor itself.
pub(super) fn utime_unchecked(object: impl AsFd, times: &Timestamps) -> Result<()> {
    match sys::utimensat(&object, c"", times, AtFlags::EMPTY_PATH) {
        Err(Errno::INVAL) => {
            let name = DecInt::from_fd(&object);
            Ok(sys::utimensat(descriptors()?, name.as_c_str(), times, AtFlags::empty())?)
        }
        result => Ok(result?),
    }
}

/// Gives a file a name, also one that has none. Fails with `EXIST` if something has the name.
pub(super) fn link_unchecked(file: impl AsFd, dir: impl AsFd, name: impl sys::PathName) -> Result<()> {
    let of = DecInt::from_fd(&file);
    Ok(sys::linkat(descriptors()?, of.as_c_str(), dir, name, AtFlags::SYMLINK_FOLLOW)?)
}

#[cfg(test)]
mod tests {
    use super::super::sys::fault::{Fault, inject};
    use super::*;

    #[test]
    fn without_descriptors_left_the_answer_was_unsupported() {
        for (errno, error) in [
            (Errno::MFILE, Error::TOO_MANY_OPEN_FILES),
            (Errno::NFILE, Errno::NFILE.into()),
            (Errno::NOMEM, Errno::NOMEM.into()),
            (Errno::NOENT, Error::UNSUPPORTED),
        ] {
            let (opened, hit) = inject(Fault::Error(errno), 0, open_descriptors);
            assert_eq!((opened.map(drop), hit), (Err(error), Some("openat")));
        }
        assert!(open_descriptors().is_ok());
    }
}
