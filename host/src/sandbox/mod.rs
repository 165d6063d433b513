//! The sandbox: the only code that touches the file system.
//!
//! `grant` finds the directory that a guest's path starts from, `resolve` opens what a path leads to without ever leaving
//! that directory, `mount` knows what it is on and whether it may be used at all, and `place` and `file` have the operations. A
//! raw call ends in `_unchecked` and is made only here.
//!
//! Rights are types: `Place<Read>` has no operation that changes anything, and a `Place<Write>` can only be obtained from a
//! directory that was granted for writing.

mod adopt;
mod attributes;
mod claim;
mod content;
mod copy;
mod copy_tree;
mod cursor;
mod descriptor;
mod dir;
mod discard;
mod draft;
mod entries;
mod file;
#[cfg(test)]
mod gives_way;
mod grant;
mod jobs;
mod leftovers;
mod links;
mod list;
mod listing;
mod lock_table;
mod locks;
mod modes;
mod mount;
mod mountinfo;
mod move_file;
mod names;
mod node;
mod open_any;
mod path;
mod place;
mod position;
mod positioned;
mod procfs;
mod range;
mod reach;
mod realpath;
mod regular;
mod replace;
mod resolve;
mod resolver;
mod rmtree;
#[cfg(feature = "host")]
mod route;
mod scan;
#[cfg(test)]
mod scene;
mod sendfile;
mod status;
mod steps;
mod storage;
mod store;
#[cfg(test)]
mod sweep;
mod sys;
mod temporary;
mod ticket;
mod transfer;
mod turn;
mod walk;
mod whole;

pub(crate) use attributes::{ChangeableFile, NewTime, NewTimes, Permissions};
pub(crate) use content::Content;
pub(crate) use copy::CopyFile;
pub(crate) use copy_tree::CopyTree;
pub(crate) use cursor::{Cursor, Visited};
pub(crate) use descriptor::Quota;
pub use dir::OpenDir;
pub use file::OpenFile;
pub(crate) use file::Whence;
pub(crate) use grant::{Grant, GrantedDir, Grants};
pub(crate) use links::Target;
pub(crate) use list::ListDir;
pub(crate) use listing::ListEntries;
pub(crate) use lock_table::{Lock, LockKind};
pub(crate) use locks::Locked;
pub(crate) use mount::{KernelFiles, refusal};
pub(crate) use move_file::MoveFile;
pub(crate) use open_any::{FileOrDir, OpenKind, OpeningAny};
pub(crate) use place::{OpenFlags, Opening, Place, RenameFlags, RenameHow};
pub(crate) use positioned::{MovesPosition, Reading, Seeking, WriteTo, Writing};
pub(crate) use range::{Advice, AllocateFlags, Allocation, ExtentSearch, SyncRangeFlags};
pub(crate) use reach::{Location, MountTable};
pub use resolver::Resolver;
pub(crate) use rmtree::RemoveTree;
#[cfg(feature = "host")]
pub(crate) use route::Route;
pub(crate) use scan::ScanDir;
pub(crate) use sendfile::Sendfile;
pub(crate) use steps::InSteps;
pub(crate) use store::StoreFile;
pub(crate) use ticket::{HelperWork, Ticket};
pub use walk::Walker;
pub(crate) use walk::{WalkNext, Walked};
pub(crate) use whole::{LoadFile, SlurpFile};

/// What a directory is granted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rights {
    /// Looking and reading.
    Read,
    /// Everything.
    ReadWrite,
}

/// The right to look and to read.
#[derive(Debug)]
pub(crate) struct Read;

/// The right to change things.
#[derive(Debug)]
pub(crate) struct Write;

/// A right, as a type.
pub(crate) trait Right {
    const RIGHTS: Rights;
}

impl Right for Read {
    const RIGHTS: Rights = Rights::Read;
}

impl Right for Write {
    const RIGHTS: Rights = Rights::ReadWrite;
}

/// Whether an operation may wait for a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It may: it is on a worker.
    May,
    /// It may not: it is on the guest's own thread, and gives [`Error::WOULD_BLOCK`](crate::error::Error::WOULD_BLOCK) where it
    /// would have to.
    Never,
}
