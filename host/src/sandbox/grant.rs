//! The directories that a guest was given, and which of them a path starts from.

use std::sync::Arc;

use super::dir::{Base, OpenDir, Quota, Root};
use super::path::{GuestPath, RelativePath, components};
use super::resolve::Strategy;
use super::status::IdentityKey;
use super::{Resolver, Rights};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// A directory and the name it has for the guest.
#[derive(Debug)]
pub(crate) struct Grant {
    components: Vec<Vec<u8>>,
    base: Base,
}

impl Grant {
    pub(crate) fn new(name: &str, dir: cap_std::fs::Dir, rights: Rights) -> Self {
        let file = Arc::new(dir.into_std_file());
        let root = Arc::new(Root { file: Arc::clone(&file), name: name.to_owned() });
        Self { components: components(name), base: Base { file, rights, root } }
    }

    pub(crate) fn name(&self) -> &str {
        &self.base.root.name
    }

    pub(crate) fn rights(&self) -> Rights {
        self.base.rights
    }
}

/// Everything that the guest was given.
#[derive(Debug)]
pub(crate) struct Grants {
    list: Vec<Grant>,
    path_bytes_max: usize,
    pub(super) shared: Arc<Shared>,
}

/// What every operation of one guest needs.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) strategy: Strategy,
    pub(super) quota: Quota,
    pub(super) key: IdentityKey,
    pub(super) entries_max: usize,
    pub(super) read_bytes_max: usize,
}

impl Grants {
    pub(crate) fn new(list: Vec<Grant>, resolver: Resolver, limits: &Limits) -> Self {
        let shared = Shared {
            strategy: resolver.strategy(),
            quota: Quota::new(limits.open_files_max),
            key: IdentityKey::default(),
            entries_max: limits.entries_max,
            read_bytes_max: limits.read_bytes_max,
        };
        Self { list, path_bytes_max: limits.path_bytes_max, shared: Arc::new(shared) }
    }

    pub(crate) fn list(&self) -> &[Grant] {
        &self.list
    }

    /// The directory that a path starts from, and the rest of the path. The first grant is the working directory.
    pub(super) fn find(&self, at: Option<&OpenDir>, path: String) -> Result<(Base, RelativePath)> {
        let path = GuestPath::parse(path, self.path_bytes_max)?;
        if path.is_absolute() {
            let below = |grant: &Grant| Some((grant.components.len(), grant.base.clone(), path.below(&grant.components)?));
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
