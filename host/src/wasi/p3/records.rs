//! Records and flags of `wasi:filesystem` 0.3, from and to what requests take and give.
//!
//! Its flags are those of 0.2, by the same names.

use wasmtime_wasi::p2::bindings::filesystem::types as p2;
use wasmtime_wasi::p3::bindings::clocks::system_clock::Instant;
use wasmtime_wasi::p3::bindings::filesystem::types::{
    self, DescriptorFlags, DescriptorStat, DescriptorType, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};

use crate::error::Result;
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

pub(super) fn path_flags(flags: PathFlags) -> p2::PathFlags {
    if flags.contains(PathFlags::SYMLINK_FOLLOW) { p2::PathFlags::SYMLINK_FOLLOW } else { p2::PathFlags::empty() }
}

pub(super) fn open_flags(flags: OpenFlags) -> p2::OpenFlags {
    let same = [
        (OpenFlags::CREATE, p2::OpenFlags::CREATE),
        (OpenFlags::DIRECTORY, p2::OpenFlags::DIRECTORY),
        (OpenFlags::EXCLUSIVE, p2::OpenFlags::EXCLUSIVE),
        (OpenFlags::TRUNCATE, p2::OpenFlags::TRUNCATE),
    ];
    let set = same.into_iter().filter(|(flag, _)| flags.contains(*flag));
    set.fold(p2::OpenFlags::empty(), |all, (_, flag)| all | flag)
}

/// The flags of a descriptor, in both versions.
const DESCRIPTOR_FLAGS: [(DescriptorFlags, p2::DescriptorFlags); 6] = [
    (DescriptorFlags::READ, p2::DescriptorFlags::READ),
    (DescriptorFlags::WRITE, p2::DescriptorFlags::WRITE),
    (DescriptorFlags::FILE_INTEGRITY_SYNC, p2::DescriptorFlags::FILE_INTEGRITY_SYNC),
    (DescriptorFlags::DATA_INTEGRITY_SYNC, p2::DescriptorFlags::DATA_INTEGRITY_SYNC),
    (DescriptorFlags::REQUESTED_WRITE_SYNC, p2::DescriptorFlags::REQUESTED_WRITE_SYNC),
    (DescriptorFlags::MUTATE_DIRECTORY, p2::DescriptorFlags::MUTATE_DIRECTORY),
];

pub(super) fn descriptor_flags(flags: DescriptorFlags) -> p2::DescriptorFlags {
    let set = DESCRIPTOR_FLAGS.into_iter().filter(|(flag, _)| flags.contains(*flag));
    set.fold(p2::DescriptorFlags::empty(), |all, (_, flag)| all | flag)
}

pub(super) fn told_flags(flags: p2::DescriptorFlags) -> DescriptorFlags {
    let set = DESCRIPTOR_FLAGS.into_iter().filter(|(_, flag)| flags.contains(*flag));
    set.fold(DescriptorFlags::empty(), |all, (flag, _)| all | flag)
}

pub(super) fn descriptor_type(kind: FileType) -> DescriptorType {
    match kind {
        FileType::Unknown => DescriptorType::Other(None),
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
        data_access_timestamp: Some(instant(status.accessed)),
        data_modification_timestamp: Some(instant(status.modified)),
        status_change_timestamp: Some(instant(status.changed)),
    }
}

fn instant(time: Timestamp) -> Instant {
    Instant { seconds: time.seconds, nanoseconds: time.nanoseconds }
}

/// What tells objects apart. Programs take the lower half for the number of the inode.
pub(super) fn metadata_hash(status: &Status) -> MetadataHashValue {
    MetadataHashValue { lower: status.identity.inode, upper: status.identity.device }
}

pub(super) fn new_times(accessed: NewTimestamp, modified: NewTimestamp) -> Result<NewTimes> {
    let time = |time| match time {
        NewTimestamp::NoChange => NewTime::Omit,
        NewTimestamp::Now => NewTime::Now,
        NewTimestamp::Timestamp(Instant { seconds, nanoseconds }) => NewTime::At(Timestamp { seconds, nanoseconds }),
    };
    NewTimes::parse(time(accessed), time(modified))
}
