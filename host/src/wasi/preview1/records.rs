//! Records, flags and enumerations of preview 1, as they lie in the guest's memory.

use super::descriptors::StandardFd;
use super::errno::{Errno, Result};
use crate::sandbox::{Advice, NewTime, NewTimes, OpenFlags};
use crate::types::{FileType, Status, Timestamp};

/// `filetype`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum FileKind {
    Unknown = 0,
    BlockDevice = 1,
    CharacterDevice = 2,
    Directory = 3,
    RegularFile = 4,
    Socket = 6,
    SymbolicLink = 7,
}

impl FileKind {
    pub(super) fn of(kind: FileType) -> Self {
        match kind {
            // Preview 1 has none for a FIFO.
            FileType::Unknown | FileType::Fifo => Self::Unknown,
            FileType::RegularFile => Self::RegularFile,
            FileType::Directory => Self::Directory,
            FileType::SymbolicLink => Self::SymbolicLink,
            FileType::Socket => Self::Socket,
            FileType::CharacterDevice => Self::CharacterDevice,
            FileType::BlockDevice => Self::BlockDevice,
        }
    }

    pub(super) fn of_stream(is_terminal: bool) -> Self {
        if is_terminal { Self::CharacterDevice } else { Self::Unknown }
    }

    pub(super) fn number(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::BlockDevice => 1,
            Self::CharacterDevice => 2,
            Self::Directory => 3,
            Self::RegularFile => 4,
            Self::Socket => 6,
            Self::SymbolicLink => 7,
        }
    }
}

const FD_DATASYNC: u64 = 1;
const FD_READ: u64 = 1 << 1;
const FD_SEEK: u64 = 1 << 2;
const FD_FDSTAT_SET_FLAGS: u64 = 1 << 3;
const FD_SYNC: u64 = 1 << 4;
const FD_TELL: u64 = 1 << 5;
const FD_WRITE: u64 = 1 << 6;
const FD_ADVISE: u64 = 1 << 7;
const FD_ALLOCATE: u64 = 1 << 8;
const PATH_CREATE_DIRECTORY: u64 = 1 << 9;
const PATH_CREATE_FILE: u64 = 1 << 10;
const PATH_LINK_SOURCE: u64 = 1 << 11;
const PATH_LINK_TARGET: u64 = 1 << 12;
const PATH_OPEN: u64 = 1 << 13;
const FD_READDIR: u64 = 1 << 14;
const PATH_READLINK: u64 = 1 << 15;
const PATH_RENAME_SOURCE: u64 = 1 << 16;
const PATH_RENAME_TARGET: u64 = 1 << 17;
const PATH_FILESTAT_GET: u64 = 1 << 18;
const PATH_FILESTAT_SET_SIZE: u64 = 1 << 19;
const PATH_FILESTAT_SET_TIMES: u64 = 1 << 20;
const FD_FILESTAT_GET: u64 = 1 << 21;
const FD_FILESTAT_SET_SIZE: u64 = 1 << 22;
const FD_FILESTAT_SET_TIMES: u64 = 1 << 23;
const PATH_SYMLINK: u64 = 1 << 24;
const PATH_REMOVE_DIRECTORY: u64 = 1 << 25;
const PATH_UNLINK_FILE: u64 = 1 << 26;
const POLL_FD_READWRITE: u64 = 1 << 27;

pub(super) const STREAM_READS: u64 = FD_READ | POLL_FD_READWRITE;
pub(super) const STREAM_WRITES: u64 = FD_WRITE | POLL_FD_READWRITE;

/// What can be done with a file. Programs see from it how the file was opened.
pub(super) fn file_rights(reads: bool, writes: bool) -> u64 {
    let any = FD_DATASYNC
        | FD_SEEK
        | FD_FDSTAT_SET_FLAGS
        | FD_SYNC
        | FD_TELL
        | FD_ADVISE
        | FD_FILESTAT_GET
        | FD_FILESTAT_SET_TIMES
        | POLL_FD_READWRITE;
    let read = if reads { FD_READ } else { 0 };
    let write = if writes { FD_WRITE | FD_ALLOCATE | FD_FILESTAT_SET_SIZE } else { 0 };
    any | read | write
}

/// What can be done with a directory, and with what is opened in it.
pub(super) fn dir_rights(is_writable: bool) -> (u64, u64) {
    let looks = PATH_OPEN | FD_READDIR | PATH_READLINK | PATH_FILESTAT_GET | FD_FILESTAT_GET | FD_DATASYNC | FD_SYNC;
    let changes = PATH_CREATE_DIRECTORY
        | PATH_CREATE_FILE
        | PATH_LINK_SOURCE
        | PATH_LINK_TARGET
        | PATH_RENAME_SOURCE
        | PATH_RENAME_TARGET
        | PATH_SYMLINK
        | PATH_REMOVE_DIRECTORY
        | PATH_UNLINK_FILE
        | PATH_FILESTAT_SET_SIZE
        | PATH_FILESTAT_SET_TIMES
        | FD_FILESTAT_SET_TIMES;
    let own = if is_writable { looks | changes } else { looks };
    (own, own | file_rights(true, is_writable))
}

/// What a file is to be opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) reads: bool,
    pub(super) writes: bool,
}

pub(super) fn access(rights: u64) -> Access {
    let writes = rights & FD_WRITE != 0;
    // Languages ask for other rights as they like: only these two tell files apart. One that is opened for nothing can be read.
    Access { reads: rights & FD_READ != 0 || !writes, writes }
}

const CREATE: u32 = 1;
pub(super) const DIRECTORY: u32 = 1 << 1;
const EXCLUSIVE: u32 = 1 << 2;
const TRUNCATE: u32 = 1 << 3;

/// `oflags`, and whether they want a directory.
pub(super) fn open_flags(oflags: u32) -> Result<(OpenFlags, bool)> {
    if oflags & !(CREATE | DIRECTORY | EXCLUSIVE | TRUNCATE) != 0 {
        return Err(Errno::INVAL.into());
    }
    let mut flags = OpenFlags::empty();
    for (bit, flag) in [(CREATE, OpenFlags::CREATE), (EXCLUSIVE, OpenFlags::EXCLUSIVE), (TRUNCATE, OpenFlags::TRUNCATE)] {
        if oflags & bit != 0 {
            flags |= flag;
        }
    }
    Ok((flags, oflags & DIRECTORY != 0))
}

/// `lookupflags`: whether a symbolic link at the end of a path is followed.
pub(super) fn follows(lookup: u32) -> Result<bool> {
    match lookup {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Errno::INVAL.into()),
    }
}

pub(super) enum SeekWhence {
    Set,
    Current,
    End,
}

/// The number of `whence.cur`.
pub(super) const CURRENT: u32 = 1;

pub(super) fn whence(number: u32) -> Result<SeekWhence> {
    match number {
        0 => Ok(SeekWhence::Set),
        CURRENT => Ok(SeekWhence::Current),
        2 => Ok(SeekWhence::End),
        _ => Err(Errno::INVAL.into()),
    }
}

pub(super) fn advice(number: u32) -> Result<Advice> {
    match number {
        0 => Ok(Advice::Normal),
        1 => Ok(Advice::Sequential),
        2 => Ok(Advice::Random),
        3 => Ok(Advice::WillNeed),
        4 => Ok(Advice::DontNeed),
        5 => Ok(Advice::NoReuse),
        _ => Err(Errno::INVAL.into()),
    }
}

/// `fdstat`.
pub(super) fn fdstat(kind: FileKind, flags: u16, base: u64, inheriting: u64) -> [u8; 24] {
    let mut record = [0; 24];
    record[0] = kind.number();
    record[2..4].copy_from_slice(&flags.to_le_bytes());
    record[8..16].copy_from_slice(&base.to_le_bytes());
    record[16..24].copy_from_slice(&inheriting.to_le_bytes());
    record
}

/// `filestat`.
pub(super) fn filestat(status: &Status) -> [u8; 64] {
    let kind = FileKind::of(status.kind);
    let times = [status.accessed, status.modified, status.changed].map(nanoseconds);
    filestat_of(kind, [status.identity.device, status.identity.inode, status.links, status.size], times)
}

/// `filestat` of a standard stream, of which nothing more is known.
pub(super) fn stream_filestat(kind: FileKind) -> [u8; 64] {
    filestat_of(kind, [0; 4], [0; 3])
}

fn filestat_of(kind: FileKind, [device, inode, links, size]: [u64; 4], times: [u64; 3]) -> [u8; 64] {
    let mut record = [0; 64];
    let numbers = [device, inode, u64::from(kind.number()), links, size].into_iter().chain(times);
    for (place, number) in record.chunks_exact_mut(8).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    record
}

/// A time since 1970. What was before is told as that.
fn nanoseconds(time: Timestamp) -> u64 {
    let Ok(seconds) = u64::try_from(time.seconds) else { return 0 };
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::from(time.nanoseconds))
}

/// `fstflags` with the times that they are about.
pub(super) fn new_times(accessed: u64, modified: u64, which: u32) -> Result<NewTimes> {
    if which >= 1 << 4 {
        return Err(Errno::INVAL.into());
    }
    let time = |nanoseconds: u64, flags: u32| match flags & 3 {
        0 => Ok(NewTime::Omit),
        1 => Ok(NewTime::At(Timestamp {
            seconds: i64::try_from(nanoseconds / 1_000_000_000).map_err(|_| Errno::INVAL)?,
            nanoseconds: u32::try_from(nanoseconds % 1_000_000_000).expect("less than a second"),
        })),
        2 => Ok(NewTime::Now),
        _ => Err(Errno::INVAL),
    };
    Ok(NewTimes::parse(time(accessed, which)?, time(modified, which >> 2)?)?)
}

/// `dirent`, which its name comes after.
pub(super) fn dirent(next: u64, inode: u64, name: &str, kind: FileKind) -> Result<[u8; 24]> {
    let mut record = [0; 24];
    record[0..8].copy_from_slice(&next.to_le_bytes());
    record[8..16].copy_from_slice(&inode.to_le_bytes());
    record[16..20].copy_from_slice(&u32::try_from(name.len()).map_err(|_| Errno::OVERFLOW)?.to_le_bytes());
    record[20] = kind.number();
    Ok(record)
}

/// What is waited for in `poll_oneoff`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subscription {
    pub(super) userdata: u64,
    pub(super) what: Waited,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    Clock { id: u32, timeout: u64, is_absolute: bool },
    Read(u32),
    Write(u32),
}

impl Subscription {
    pub(super) const SIZE: u32 = 48;

    pub(super) fn parse(record: &[u8; 48]) -> Result<Self> {
        let long = |at: usize| u64::from_le_bytes(record[at..at + 8].try_into().expect("eight bytes"));
        let word = |at: usize| u32::from_le_bytes(record[at..at + 4].try_into().expect("four bytes"));
        let what = match record[8] {
            0 => Waited::Clock { id: word(16), timeout: long(24), is_absolute: record[40] & 1 != 0 },
            1 => Waited::Read(word(16)),
            2 => Waited::Write(word(16)),
            _ => return Err(Errno::INVAL.into()),
        };
        Ok(Self { userdata: long(0), what })
    }

    /// The event that says that it has come.
    pub(super) fn event(&self, errno: Errno, bytes: u64) -> [u8; 32] {
        let mut record = [0; 32];
        record[0..8].copy_from_slice(&self.userdata.to_le_bytes());
        record[8..10].copy_from_slice(&errno.number().to_le_bytes());
        record[10] = match self.what {
            Waited::Clock { .. } => 0,
            Waited::Read(_) => 1,
            Waited::Write(_) => 2,
        };
        record[16..24].copy_from_slice(&bytes.to_le_bytes());
        record
    }
}

/// The number of a standard stream.
pub(super) fn standard_index(standard: StandardFd) -> usize {
    match standard {
        StandardFd::Input => 0,
        StandardFd::Output => 1,
        StandardFd::Error => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_set_as_the_flags_say() {
        assert!(new_times(1, 1, 3).is_err() && new_times(1, 1, 12).is_err() && new_times(1, 1, 16).is_err());
        assert!(new_times(u64::MAX, 0, 1 | 8).is_ok());
    }

    #[test]
    fn a_time_before_1970_is_none() {
        assert_eq!(nanoseconds(Timestamp { seconds: -1, nanoseconds: 999 }), 0);
        assert_eq!(nanoseconds(Timestamp { seconds: i64::MAX, nanoseconds: 0 }), u64::MAX);
        assert_eq!(nanoseconds(Timestamp { seconds: 1, nanoseconds: 5 }), 1_000_000_005);
    }
}
