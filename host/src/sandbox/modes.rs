//! The permission bits and the times that a copy gets of what was copied.

use std::fs::File;

use rustix::fs::{Mode, Stat, Timespec, Timestamps};

use super::sys;
use crate::error::Result;

/// Gives a copy the permission bits and the times of what was copied.
pub(super) fn finish(output: &File, status: &Stat) -> Result<()> {
    sys::fchmod(output, permissions(status))?;
    Ok(sys::futimens(output, &times(status))?)
}

/// The permission bits that a copy gets: never set-user-id, set-group-id or sticky.
pub(super) fn permissions(status: &Stat) -> Mode {
    Mode::from_bits_truncate(status.st_mode & 0o777)
}

/// When it was last read and changed, as it is to be set.
pub(super) fn times(status: &Stat) -> Timestamps {
    let time = |seconds, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds.try_into().expect("they are less than a second"),
    };
    Timestamps {
        last_access: time(status.st_atime, status.st_atime_nsec),
        last_modification: time(status.st_mtime, status.st_mtime_nsec),
    }
}
