//! Records and flags of `wasi:filesystem` 0.2, from and to what requests take and give.

use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types::{self, DescriptorStat, DescriptorType, MetadataHashValue, NewTimestamp};

use crate::error::{Error, Result};
use crate::sandbox::{Advice, NewTime, NewTimes};
use crate::types::{FileType, Status, Timestamp};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_before_1970_cannot_be_told() {
        assert!(datetime(Timestamp { seconds: -1, nanoseconds: 0 }).is_none());
        let late = NewTimestamp::Timestamp(Datetime { seconds: u64::MAX, nanoseconds: 0 });
        assert_eq!(new_times(late, NewTimestamp::Now).err(), Some(Error::OVERFLOW));
    }
}
