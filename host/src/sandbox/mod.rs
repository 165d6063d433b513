//! The sandbox: the only code that touches the file system.
//!
//! `grant` finds the directory that a guest's path starts from, `resolve` opens what a path leads to without ever leaving
//! that directory, and `place` and `file` have the operations. A raw call ends in `_unchecked` and is made only here.
//!
//! Rights are types: `Place<Read>` has no operation that changes anything, and a `Place<Write>` can only be had from a
//! directory that was granted for writing.

mod attributes;
mod copy;
mod copy_tree;
mod crew;
mod dir;
mod entries;
mod file;
mod grant;
mod links;
mod listing;
mod locks;
mod names;
mod node;
mod path;
mod place;
mod procfs;
mod range;
mod realpath;
mod replace;
mod resolve;
mod rmtree;
mod status;
mod sys;
mod ticket;
mod transfer;
mod walk;
mod whole;

pub(crate) use attributes::{ChangeableFile, NewTime, NewTimes, Permissions};
pub(crate) use dir::OpenDir;
pub(crate) use file::{OpenFile, Whence};
pub(crate) use grant::{Grant, Grants};
pub(crate) use links::Target;
pub(crate) use locks::{Lock, LockKind};
pub(crate) use place::{OpenFlags, Opening, Place, RenameFlags, RenameHow};
pub(crate) use range::{Advice, AllocateFlags, Allocation, SyncRangeFlags};
pub use resolve::Resolver;
pub(crate) use ticket::{SharedWork, Ticket};
pub(crate) use walk::Walker;

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

/// Whether an operation may wait for a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It may: it is on a worker.
    May,
    /// It may not: it is on the guest's own thread, and gives [`Error::WOULD_BLOCK`](crate::error::Error::WOULD_BLOCK) where it
    /// would have to.
    Never,
}
