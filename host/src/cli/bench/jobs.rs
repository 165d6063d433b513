//! What is timed.

use super::scene::BLOCKS;

/// Something that is done over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    Read,
    ReadFromDisk,
    Write,
    Stat,
    OpenReadClose,
    Make,
    MakeDurably,
    Store,
}

/// What is done one after the other, by a plugin that has its thread to itself, as in `aiohost run`.
pub(super) const ALONE: [Job; 7] =
    [Job::Read, Job::ReadFromDisk, Job::Write, Job::Stat, Job::OpenReadClose, Job::Make, Job::MakeDurably];

/// What is done with many requests in flight, and how many.
pub(super) const MANY: [(Job, u32); 4] =
    [(Job::Read, IN_FLIGHT), (Job::ReadFromDisk, 8), (Job::ReadFromDisk, IN_FLIGHT), (Job::Store, IN_FLIGHT)];

/// What depends on the workers.
pub(super) const BY_WORKERS: [Job; 2] = [Job::ReadFromDisk, Job::Store];

/// Requests in flight. 64: what fast disks make use of.
pub(super) const IN_FLIGHT: u32 = 64;

/// Numbers of workers that are compared.
pub(super) const WORKERS: [usize; 6] = [1, 2, 4, 8, 16, 32];

impl Job {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Read => "read 4 KiB, in memory",
            Self::ReadFromDisk => "read 4 KiB, from the disk",
            Self::Write => "write 4 KiB, to memory",
            Self::Stat => "stat",
            Self::OpenReadClose => "open, read 4 KiB, close",
            Self::Make => "create, write 4 KiB, close, unlink",
            Self::MakeDurably => "the same with fsync",
            Self::Store => "store 4 KiB: create, write, fsync, rename",
        }
    }

    /// The name in the JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Read => "read-4k",
            Self::ReadFromDisk => "read-4k-uncached",
            Self::Write => "write-4k",
            Self::Stat => "stat",
            Self::OpenReadClose => "open-read-close",
            Self::Make => "create-write-close-unlink",
            Self::MakeDurably => "create-write-fsync-close-unlink",
            Self::Store => "store-4k",
        }
    }

    /// How often it can be done before it would come to what it has read already.
    pub(super) fn count_max(self) -> u64 {
        if self == Self::ReadFromDisk { BLOCKS } else { u64::from(u32::MAX) }
    }
}
