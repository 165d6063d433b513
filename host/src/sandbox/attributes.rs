//! What belongs to an object beside its content: permission bits, times, length, and the file system it is on.

use rustix::fs::{Mode, OFlags, StatVfsMountFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use wasmtime::component::{ComponentType, Lift, Lower};

use super::file::OpenFile;
use super::place::Place;
use super::{Read, Rights, Wait, Write, procfs, sys};
use crate::error::{Error, Result};
use crate::types::{Timestamp, Volume};

/// Permission bits that a guest may set: never set-user-id, set-group-id or sticky.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Permissions(Mode);

impl Permissions {
    pub(crate) fn parse(mode: u16) -> Result<Self> {
        if mode > 0o777 {
            return Err(Error::NOT_PERMITTED);
        }
        Ok(Self(Mode::from_bits_truncate(u32::from(mode))))
    }
}

/// A time to be set: `aiohost:aio/types.new-time`.
#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(variant)]
pub(crate) enum NewTime {
    #[component(name = "omit")]
    Omit,
    #[component(name = "now")]
    Now,
    #[component(name = "at")]
    At(Timestamp),
}

impl NewTime {
    /// The two special values lie where no nanoseconds do, so nothing that a guest says can be taken for them.
    fn parse(self) -> Result<Timespec> {
        let (tv_sec, tv_nsec) = match self {
            Self::Omit => (0, UTIME_OMIT),
            Self::Now => (0, UTIME_NOW),
            Self::At(Timestamp { nanoseconds: 1_000_000_000.., .. }) => return Err(Error::INVALID),
            Self::At(Timestamp { seconds, nanoseconds }) => (seconds, nanoseconds.into()),
        };
        Ok(Timespec { tv_sec, tv_nsec })
    }
}

/// When an object was last read, and when its content last changed.
#[derive(Debug)]
pub(crate) struct NewTimes(Timestamps);

impl NewTimes {
    pub(crate) fn parse(accessed: NewTime, modified: NewTime) -> Result<Self> {
        Ok(Self(Timestamps { last_access: accessed.parse()?, last_modification: modified.parse()? }))
    }
}

/// A file that lies in what was granted for writing: its attributes may be changed, however it was opened.
#[derive(Debug)]
pub(crate) struct ChangeableFile(OpenFile);

impl ChangeableFile {
    pub(crate) fn parse(file: OpenFile) -> Result<Self> {
        match file.rights() {
            Rights::ReadWrite => Ok(Self(file)),
            Rights::Read => Err(Error::READ_ONLY),
        }
    }

    pub(crate) fn utime(&self, times: &NewTimes) -> Result<()> {
        Ok(sys::futimens(self.0.as_file(), &times.0)?)
    }

    pub(crate) fn chmod(&self, permissions: Permissions) -> Result<()> {
        Ok(sys::fchmod(self.0.as_file(), permissions.0)?)
    }
}

impl Place<Write> {
    pub(crate) fn utime(&self, times: &NewTimes) -> Result<()> {
        procfs::utime_unchecked(self.open(OFlags::PATH, Mode::empty(), Wait::May)?, &times.0)
    }

    /// The times of a symbolic link itself, if it is one.
    pub(crate) fn lutime(&self, times: &NewTimes) -> Result<()> {
        procfs::utime_unchecked(self.open(OFlags::PATH | OFlags::NOFOLLOW, Mode::empty(), Wait::May)?, &times.0)
    }

    pub(crate) fn chmod(&self, permissions: Permissions) -> Result<()> {
        procfs::chmod_unchecked(self.open(OFlags::PATH, Mode::empty(), Wait::May)?, permissions.0)
    }

    pub(crate) fn truncate(&self, length: u64) -> Result<()> {
        let file = self.reopen_file(OFlags::WRONLY, Wait::May)?;
        sys::retry_on_intr(|| sys::ftruncate(&file, length))?;
        Ok(())
    }
}

impl Place<Read> {
    /// What the file system has that the path leads to.
    pub(crate) fn volume(&self) -> Result<Volume> {
        let stat = sys::fstatvfs(self.open(OFlags::PATH, Mode::empty(), Wait::May)?)?;
        Ok(Volume {
            block_size: stat.f_bsize,
            fragment_size: stat.f_frsize,
            blocks: stat.f_blocks,
            blocks_free: stat.f_bfree,
            blocks_available: stat.f_bavail,
            files: stat.f_files,
            files_free: stat.f_ffree,
            files_available: stat.f_favail,
            name_max: stat.f_namemax,
            read_only: stat.f_flag.contains(StatVfsMountFlags::RDONLY),
        })
    }

    /// Brings a file, or the names in a directory, to the device.
    pub(crate) fn sync(&self) -> Result<()> {
        let object = match self.reopen_file(OFlags::RDONLY, Wait::May) {
            Err(Error::IS_DIRECTORY) => self.open(OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty(), Wait::May)?,
            result => result?,
        };
        Ok(sys::fsync(object)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_never_taken_for_now_or_omit() {
        for nanoseconds in [1_000_000_000, (1 << 30) - 2, (1 << 30) - 1, u32::MAX] {
            assert_eq!(NewTime::At(Timestamp { seconds: -1, nanoseconds }).parse().err(), Some(Error::INVALID));
        }
        let time = NewTime::At(Timestamp { seconds: -1, nanoseconds: 999_999_999 }).parse().expect("a valid time");
        assert_eq!((time.tv_sec, time.tv_nsec), (-1, 999_999_999));
    }

    #[test]
    fn bits_beyond_the_permissions_are_refused() {
        for mode in [0o1000, 0o2644, 0o4755, 0o7777, u16::MAX] {
            assert_eq!(Permissions::parse(mode).err(), Some(Error::NOT_PERMITTED));
        }
        assert_eq!(Permissions::parse(0o777).expect("permission bits").0.bits(), 0o777);
    }
}
