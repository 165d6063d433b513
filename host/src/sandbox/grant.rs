//! The directories that a guest was given, and which of them a path starts from.

use std::fs::File;
use std::sync::Arc;

use super::descriptor::{CountedFd, Quota};
use super::dir::{Base, OpenDir, Root};
use super::leftovers::Temporaries;
use super::lock_table::LockQuota;
use super::mount::{KernelFiles, Mounts};
use super::path::{GuestPath, RelativePath, components};
use super::resolve::Paths;
use super::status::IdentityKey;
use super::storage::Storage;
use super::{Resolver, Rights, procfs};
use crate::error::{Error, Result};
use crate::limits::RequestLimits;

/// A directory that is to be granted, under a name for the guest.
#[derive(Debug)]
pub(crate) struct Grant {
    name: String,
    dir: File,
    rights: Rights,
}

impl Grant {
    pub(crate) fn new(name: &str, dir: cap_std::fs::Dir, rights: Rights) -> Self {
        Self { name: name.to_owned(), dir: dir.into_std_file(), rights }
    }
}

/// A directory and the name it has for the guest.
#[derive(Debug)]
pub(crate) struct GrantedDir {
    components: Vec<Vec<u8>>,
    base: Base,
}

impl GrantedDir {
    fn new(grant: Grant, quota: &Quota) -> Self {
        let Grant { name, dir, rights } = grant;
        let components = components(&name);
        let storage = Storage::of(&dir);
        let file = Arc::new(CountedFd::granted(dir, quota));
        let root = Arc::new(Root { file: Arc::clone(&file), storage, name });
        Self { components, base: Base { file, storage, rights, root } }
    }

    pub(crate) fn name(&self) -> &str {
        &self.base.root.name
    }

    pub(crate) fn rights(&self) -> Rights {
        self.base.rights
    }

    /// A handle of it, as of a directory that the guest has opened.
    pub(crate) fn open(&self) -> OpenDir {
        OpenDir { base: self.base.clone() }
    }
}

/// Everything that the guest was given.
#[derive(Debug)]
pub(crate) struct Grants {
    list: Vec<GrantedDir>,
    path_bytes_max: usize,
    pub(super) shared: Arc<Shared>,
}

/// What every operation of one guest needs.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) paths: Paths,
    pub(super) quota: Quota,
    pub(super) locks: LockQuota,
    pub(super) key: IdentityKey,
    pub(super) entries_max: usize,
    pub(super) read_bytes_max: usize,
    pub(super) temporaries: Temporaries,
}

impl Grants {
    pub(crate) fn new(
        list: Vec<Grant>,
        resolver: Resolver,
        kernel_files: KernelFiles,
        limits: &RequestLimits,
        quota: Quota,
    ) -> Self {
        procfs::prepare();
        let list = list.into_iter().map(|grant| GrantedDir::new(grant, &quota)).collect();
        let shared = Shared {
            paths: Paths { strategy: resolver.strategy(), mounts: Mounts::new(kernel_files) },
            quota,
            locks: LockQuota::default(),
            key: IdentityKey::default(),
            entries_max: limits.entries_max,
            read_bytes_max: limits.read_bytes_max,
            temporaries: Temporaries::default(),
        };
        Self { list, path_bytes_max: limits.path_bytes_max, shared: Arc::new(shared) }
    }

    /// What hides the numbers of devices and inodes.
    pub(crate) fn identity_key(&self) -> IdentityKey {
        self.shared.key.clone()
    }

    pub(crate) fn list(&self) -> &[GrantedDir] {
        &self.list
    }

    /// The directory that a path starts from, and the rest of the path. The first grant is the working directory.
    pub(super) fn find(&self, at: Option<&OpenDir>, path: String) -> Result<(Base, RelativePath)> {
        let path = GuestPath::parse(path, self.path_bytes_max)?;
        if path.is_absolute() {
            // A directory that a path starts from is all that it may reach.
            if at.is_some() {
                return Err(Error::NOT_PERMITTED);
            }
            let below = |grant: &GrantedDir| Some((grant.components.len(), grant.base.clone(), path.below(&grant.components)?));
            let longest = self.list.iter().filter_map(below).max_by_key(|(length, ..)| *length);
            return longest.map(|(_, base, rest)| (base, rest)).ok_or(Error::NOT_PERMITTED);
        }
        let base = match at {
            Some(dir) => &dir.base,
            None => &self.list.first().ok_or(Error::NOT_PERMITTED)?.base,
        };
        Ok((base.clone(), path.into_relative()))
    }
}
