//! Records and flags of `wasi:filesystem` 0.2, from and to what requests take and give.

use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, DescriptorFlags, DescriptorStat, DescriptorType, MetadataHashValue, NewTimestamp, PathFlags,
};

use crate::error::{Error, Result};
use crate::sandbox::{Advice, NewTime, NewTimes, OpenFlags, OpenKind};
use crate::types::{FileType, Status, Timestamp};
use crate::wasi::runs;

pub(super) fn advice(advice: types::Advice) -> Advice {
    match advice {
        types::Advice::Normal => Advice::Normal,
        types::Advice::Sequential => Advice::Sequential,
        types::Advice::Random => Advice::Random,
        types::Advice::WillNeed => Advice::WillNeed,
        types::Advice::DontNeed => Advice::DontNeed,
        types::Advice::NoReuse => Advice::NoReuse,
    }
}

pub(super) fn descriptor_type(kind: FileType) -> DescriptorType {
    match kind {
        FileType::Unknown => DescriptorType::Unknown,
        FileType::RegularFile => DescriptorType::RegularFile,
        FileType::Directory => DescriptorType::Directory,
        FileType::SymbolicLink => DescriptorType::SymbolicLink,
        FileType::Fifo => DescriptorType::Fifo,
        FileType::Socket => DescriptorType::Socket,
        FileType::CharacterDevice => DescriptorType::CharacterDevice,
        FileType::BlockDevice => DescriptorType::BlockDevice,
    }
}

pub(super) fn stat(status: &Status) -> DescriptorStat {
    DescriptorStat {
        type_: descriptor_type(status.kind),
        link_count: status.links,
        size: status.size,
        data_access_timestamp: datetime(status.accessed),
        data_modification_timestamp: datetime(status.modified),
        status_change_timestamp: datetime(status.changed),
    }
}

/// A time since 1970. What was before cannot be told.
fn datetime(time: Timestamp) -> Option<Datetime> {
    Some(Datetime { seconds: u64::try_from(time.seconds).ok()?, nanoseconds: time.nanoseconds })
}

/// What tells objects apart. Programs take the lower half for the number of the inode.
pub(super) fn metadata_hash(status: &Status) -> MetadataHashValue {
    MetadataHashValue { lower: status.identity.inode, upper: status.identity.device }
}

pub(super) fn new_times(accessed: NewTimestamp, modified: NewTimestamp) -> Result<NewTimes> {
    let time = |time| -> Result<NewTime> {
        Ok(match time {
            NewTimestamp::NoChange => NewTime::Omit,
            NewTimestamp::Now => NewTime::Now,
            NewTimestamp::Timestamp(Datetime { seconds, nanoseconds }) => {
                let seconds = i64::try_from(seconds).map_err(|_| Error::OVERFLOW)?;
                NewTime::At(Timestamp { seconds, nanoseconds })
            }
        })
    };
    NewTimes::parse(time(accessed)?, time(modified)?)
}

pub(super) fn follows(flags: PathFlags) -> bool {
    flags.contains(PathFlags::SYMLINK_FOLLOW)
}

/// How something is to be opened.
pub(super) struct Opened {
    pub(super) flags: OpenFlags,
    pub(super) kind: OpenKind,
    /// What the descriptor of a file says that it was opened for: what is made or emptied can be written, and what is not to be
    /// written can be read.
    pub(super) file: DescriptorFlags,
    /// The same of a directory.
    pub(super) dir: DescriptorFlags,
}

pub(super) fn opened(path: PathFlags, open: types::OpenFlags, flags: DescriptorFlags) -> Result<Opened> {
    let changes = types::OpenFlags::CREATE | types::OpenFlags::TRUNCATE;
    let is_dir = open.contains(types::OpenFlags::DIRECTORY);
    if is_dir && open.intersects(changes | types::OpenFlags::EXCLUSIVE) {
        return Err(Error::INVALID);
    }
    let mut file = flags & !DescriptorFlags::MUTATE_DIRECTORY;
    if !flags.contains(DescriptorFlags::WRITE) {
        file |= DescriptorFlags::READ;
    }
    if open.intersects(changes) {
        file |= DescriptorFlags::WRITE;
    }
    let synchronous = DescriptorFlags::FILE_INTEGRITY_SYNC | DescriptorFlags::REQUESTED_WRITE_SYNC;
    let wanted = [
        (file.contains(DescriptorFlags::READ), OpenFlags::READ),
        (file.contains(DescriptorFlags::WRITE), OpenFlags::WRITE),
        (open.contains(types::OpenFlags::CREATE), OpenFlags::CREATE),
        (open.contains(types::OpenFlags::EXCLUSIVE), OpenFlags::EXCLUSIVE),
        (open.contains(types::OpenFlags::TRUNCATE), OpenFlags::TRUNCATE),
        (!follows(path), OpenFlags::NO_FOLLOW),
        (flags.contains(DescriptorFlags::DATA_INTEGRITY_SYNC), OpenFlags::DATA_SYNC),
        (flags.intersects(synchronous), OpenFlags::SYNC),
    ];
    let dir = DescriptorFlags::READ | flags & DescriptorFlags::MUTATE_DIRECTORY;
    Ok(Opened { flags: runs::flags(wanted), kind: if is_dir { OpenKind::Dir } else { OpenKind::Any }, file, dir })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_can_be_written_and_what_is_not_to_be_written_can_be_read() {
        let file = |open, flags| opened(PathFlags::empty(), open, flags).expect("valid flags").file;
        let (read, write) = (DescriptorFlags::READ, DescriptorFlags::WRITE);
        let none = types::OpenFlags::empty();
        assert_eq!(file(none, DescriptorFlags::empty()), read);
        assert_eq!(file(none, write), write);
        assert_eq!(file(types::OpenFlags::CREATE, DescriptorFlags::empty()), read | write);
        assert_eq!(file(types::OpenFlags::TRUNCATE, read), read | write);
        assert_eq!(file(types::OpenFlags::CREATE, write), write);
    }

    #[test]
    fn a_directory_is_neither_made_nor_emptied() {
        for open in [types::OpenFlags::CREATE, types::OpenFlags::EXCLUSIVE, types::OpenFlags::TRUNCATE] {
            let result = opened(PathFlags::empty(), open | types::OpenFlags::DIRECTORY, DescriptorFlags::READ);
            assert_eq!(result.err(), Some(Error::INVALID));
        }
    }

    #[test]
    fn a_time_before_1970_cannot_be_told() {
        assert!(datetime(Timestamp { seconds: -1, nanoseconds: 0 }).is_none());
        let late = NewTimestamp::Timestamp(Datetime { seconds: u64::MAX, nanoseconds: 0 });
        assert_eq!(new_times(late, NewTimestamp::Now).err(), Some(Error::OVERFLOW));
    }
}
