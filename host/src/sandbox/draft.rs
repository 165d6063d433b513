//! A directory on its way to a name: it has another one until everything in it is there.

use std::ffi::{CString, OsString};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, RenameFlags};

use super::discard::discard;
use super::grant::Shared;
use super::node::{Id, open_directory_unchecked};
use super::place::NameIn;
use super::replace::open_directory;
use super::sys;
use super::temporary::{hold, with_new_name};
use crate::error::{Error, Result};

/// For the time of copying. What has fewer permissions in the end gets them at the end.
pub(super) const ON_THE_WAY: Mode = Mode::RWXU;

/// Names that may be in it beside those that were counted: by each worker, before it failed.
const UNCOUNTED_MAX: u64 = 100_000;

/// A new directory. Dropping it removes it, with everything in it.
#[derive(Debug)]
pub(super) struct Draft {
    dir: OwnedFd,
    name: CString,
    to: OsString,
    /// The directory itself, once it was opened, and who it is. It is held for as long as it is open.
    made: Option<(OwnedFd, Id)>,
    names: u64,
    arrived: bool,
}

impl Draft {
    /// Makes an empty directory in that of an entry, whose name it is to take.
    pub(super) fn begin(shared: &Arc<Shared>, entry: &NameIn<'_>) -> Result<Self> {
        let (dir, readable) = open_directory(&entry.dir)?;
        if readable {
            shared.temporaries.sweep(&dir);
        }
        let (name, ()) = with_new_name("", |name| sys::mkdirat(&dir, name, ON_THE_WAY))?;
        let mut draft = Self { dir, name, to: entry.name.to_owned(), made: None, names: 0, arrived: false };
        let made = draft.open()?;
        hold(&made);
        let id = Id::of(&made)?;
        draft.made = Some((made, id));
        Ok(draft)
    }

    /// Opens the directory.
    pub(super) fn open(&self) -> Result<OwnedFd> {
        Ok(open_directory_unchecked(&self.dir, &self.name)?)
    }

    /// So many names were made in it.
    pub(super) fn add(&mut self, names: u64) {
        self.names += names;
    }

    /// Gives it the name, if that is still free.
    pub(super) fn arrive(&mut self) -> Result<()> {
        match sys::renameat_with(&self.dir, &self.name, &self.dir, &*self.to, RenameFlags::NOREPLACE) {
            // Without flags only an empty directory would be replaced.
            Err(errno) if sys::knows_no_flags(errno) => {
                sys::renameat(&self.dir, &self.name, &self.dir, &*self.to)?;
            }
            result => result?,
        }
        self.arrived = true;
        Ok(())
    }

    /// Removes it. It comes to an end also if somebody else goes on making names in it.
    fn remove(&self) -> Result<bool> {
        let Some((_, id)) = &self.made else {
            sys::unlinkat(&self.dir, &self.name, AtFlags::REMOVEDIR)?;
            return Ok(true);
        };
        // A directory may be looked at twice.
        let most = self.names.saturating_mul(2).saturating_add(UNCOUNTED_MAX);
        discard(&self.dir, &self.name, *id, usize::try_from(most).unwrap_or(usize::MAX))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.arrived {
            return;
        }
        match self.remove() {
            Ok(true) | Err(Error::NO_ENTRY) => {}
            Ok(false) => tracing::warn!(name = ?self.name, "a part of a copy that failed is left: others put files into it"),
            Err(error) => tracing::warn!(%error, name = ?self.name, "a part of a copy that failed is left"),
        }
    }
}
