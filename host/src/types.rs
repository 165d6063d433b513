//! What requests tell of objects: the records of `aiohost:aio/types`, as host values that the guest gets as they are.

use wasmtime::component::{ComponentType, Lift, Lower, flags};

use crate::error::Error;

/// What kind of object a name stands for: `aiohost:aio/types.file-type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum FileType {
    #[component(name = "unknown")]
    Unknown,
    #[component(name = "regular-file")]
    RegularFile,
    #[component(name = "directory")]
    Directory,
    #[component(name = "symbolic-link")]
    SymbolicLink,
    #[component(name = "fifo")]
    Fifo,
    #[component(name = "socket")]
    Socket,
    #[component(name = "character-device")]
    CharacterDevice,
    #[component(name = "block-device")]
    BlockDevice,
}

/// `aiohost:aio/types.timestamp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Timestamp {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: u32,
}

/// `aiohost:aio/types.identity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// `aiohost:aio/types.status`.
#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Status {
    #[component(name = "type")]
    pub(crate) kind: FileType,
    pub(crate) mode: u16,
    pub(crate) size: u64,
    pub(crate) blocks: u64,
    #[component(name = "block-size")]
    pub(crate) block_size: u32,
    pub(crate) links: u64,
    pub(crate) accessed: Timestamp,
    pub(crate) modified: Timestamp,
    pub(crate) changed: Timestamp,
    pub(crate) created: Option<Timestamp>,
    pub(crate) identity: Identity,
}

/// `aiohost:aio/types.scan`.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Scan {
    pub(crate) directories: Vec<String>,
    pub(crate) others: Vec<String>,
}

/// `aiohost:aio/types.volume`.
#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Volume {
    #[component(name = "block-size")]
    pub(crate) block_size: u64,
    #[component(name = "fragment-size")]
    pub(crate) fragment_size: u64,
    pub(crate) blocks: u64,
    #[component(name = "blocks-free")]
    pub(crate) blocks_free: u64,
    #[component(name = "blocks-available")]
    pub(crate) blocks_available: u64,
    pub(crate) files: u64,
    #[component(name = "files-free")]
    pub(crate) files_free: u64,
    #[component(name = "files-available")]
    pub(crate) files_available: u64,
    #[component(name = "name-max")]
    pub(crate) name_max: u64,
    #[component(name = "read-only")]
    pub(crate) read_only: bool,
}

/// `aiohost:aio/types.extent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Extent {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

// `aiohost:aio/types.readdirx-flags`.
flags! {
    ReaddirxFlags {
        #[component(name = "dents")]
        const DENTS;
        #[component(name = "dirs-first")]
        const DIRS_FIRST;
        #[component(name = "stat-order")]
        const STAT_ORDER;
        #[component(name = "found-unknown")]
        const FOUND_UNKNOWN;
    }
}

/// `aiohost:aio/types.dirent`.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Dirent {
    pub(crate) name: String,
    #[component(name = "type")]
    pub(crate) kind: FileType,
    pub(crate) inode: u64,
}

/// `aiohost:aio/types.listing`.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Listing {
    pub(crate) entries: Vec<Dirent>,
    pub(crate) flags: ReaddirxFlags,
}

/// `aiohost:aio/types.walk-entry`.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct WalkEntry {
    pub(crate) path: String,
    #[component(name = "type")]
    pub(crate) kind: FileType,
    pub(crate) error: Option<Error>,
}
