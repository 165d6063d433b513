//! A directory that paths start from.

use std::sync::Arc;

use super::Rights;
use super::descriptor::CountedFd;
use super::resolve::Start;
use super::storage::Storage;

/// A directory that paths start from: a grant, or one that the guest opened.
#[derive(Clone, Debug)]
pub(super) struct Base {
    pub(super) file: Arc<CountedFd>,
    pub(super) storage: Storage,
    pub(super) rights: Rights,
    pub(super) root: Arc<Root>,
}

impl Base {
    pub(super) fn start(&self) -> Start<'_> {
        Start { dir: &self.file, storage: self.storage }
    }
}

/// The directory that was granted, in which a base lies, and its name for the guest.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) file: Arc<CountedFd>,
    pub(super) storage: Storage,
    pub(super) name: String,
}

/// The guest's handle of a directory: `aiohost:aio/types.dir`.
#[derive(Debug)]
pub struct OpenDir {
    pub(super) base: Base,
}

impl OpenDir {
    pub(crate) fn rights(&self) -> Rights {
        self.base.rights
    }
}
