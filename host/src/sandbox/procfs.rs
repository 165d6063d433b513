//! From a descriptor that only stands for an object to what can be done with it: by its name in `/proc/self/fd`, which leads to
//! the object itself and not along a path.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, Timestamps};
use rustix::io::Errno;
use rustix::path::DecInt;
use rustix_linux_procfs::proc_self_fd;

use super::sys;
use crate::error::Result;

/// Opens an object again, for more than `O_PATH` allows. Whether it may be is checked as in any open.
pub(super) fn reopen(object: impl AsFd, flags: OFlags) -> Result<OwnedFd> {
    let name = DecInt::from_fd(&object);
    Ok(sys::openat(proc_self_fd()?, name.as_c_str(), flags | OFlags::CLOEXEC, Mode::empty())?)
}

/// Where the kernel says that an object is now. The answer may be old already.
pub(super) fn path(object: impl AsFd) -> Result<Vec<u8>> {
    let name = DecInt::from_fd(&object);
    Ok(sys::readlinkat(proc_self_fd()?, name.as_c_str(), Vec::with_capacity(256))?.into_bytes())
}

/// Sets the permission bits of an object. Kernels before 6.6 cannot do it to such a descriptor itself.
pub(super) fn chmod_unchecked(object: impl AsFd, mode: Mode) -> Result<()> {
    match sys::chmod_fd_unchecked(object.as_fd().as_raw_fd(), mode) {
        Err(Errno::NOSYS) => {
            let name = DecInt::from_fd(&object);
            Ok(sys::chmodat(proc_self_fd()?, name.as_c_str(), mode, AtFlags::empty())?)
        }
        result => Ok(result?),
    }
}

/// Sets the times of an object. Kernels before 5.8 cannot do it to such a descriptor itself.
pub(super) fn utime_unchecked(object: impl AsFd, times: &Timestamps) -> Result<()> {
    match sys::utimensat(&object, c"", times, AtFlags::EMPTY_PATH) {
        Err(Errno::INVAL) => {
            let name = DecInt::from_fd(&object);
            Ok(sys::utimensat(proc_self_fd()?, name.as_c_str(), times, AtFlags::empty())?)
        }
        result => Ok(result?),
    }
}
