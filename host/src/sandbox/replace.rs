//! A file that takes a name in one step, once it is whole: whoever opens the name gets what was there before or all of the new
//! content, whatever happens on the way.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::sys;
use crate::error::{Error, Result};

/// Names that are tried for a file on its way. Two that meet once are as good as impossible, and 16 times only on purpose.
const TRIES: usize = 16;

/// Makes something of a name that nothing has yet, and gives the name.
pub(super) fn with_new_name<T>(mut make: impl FnMut(&CString) -> rustix::io::Result<T>) -> Result<(CString, T)> {
    for _ in 0..TRIES {
        // Each `RandomState` has other keys.
        let name = format!(".aiohost-{:016x}", RandomState::new().hash_one(std::process::id()));
        let name = CString::new(name).expect("there is no NUL in it");
        match make(&name) {
            Err(Errno::EXIST) => {}
            result => return Ok((name, result?)),
        }
    }
    Err(Error::EXIST)
}

/// A file on its way to a name. Dropping it removes it.
pub(super) struct Replacement {
    dir: OwnedFd,
    name: CString,
    file: File,
    arrived: bool,
}

impl Replacement {
    /// Makes an empty file in a directory, under a name of its own.
    pub(super) fn begin(dir: impl AsFd, mode: Mode) -> Result<Self> {
        let dir = dir.as_fd().try_clone_to_owned()?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (name, file) = with_new_name(|name| sys::openat(&dir, name, flags, mode))?;
        Ok(Self { dir, name, file: file.into(), arrived: false })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Gives it the name, in the place of what has it.
    pub(super) fn arrive(mut self, name: &OsStr) -> Result<()> {
        sys::renameat(&self.dir, &self.name, &self.dir, name)?;
        self.arrived = true;
        Ok(())
    }
}

impl Replacement {
    /// Gives it the name if `then` works once it has it; else what was there before is there again.
    pub(super) fn arrive_if(mut self, name: &OsStr, then: impl FnOnce() -> Result<()>) -> Result<()> {
        match sys::renameat_with(&self.dir, &self.name, &self.dir, name, RenameFlags::EXCHANGE) {
            // The name that this file had on its way now has what was there before, which goes with this value.
            Ok(()) => then().inspect_err(|_| {
                let back = sys::renameat_with(&self.dir, &self.name, &self.dir, name, RenameFlags::EXCHANGE);
                if let Err(error) = back {
                    // Better two names too many than content that is lost.
                    self.arrived = true;
                    tracing::warn!(%error, name = ?self.name, "what was replaced is left under this name");
                }
            }),
            // Nothing has the name; or the file system cannot exchange two, and then what has it cannot be kept.
            Err(Errno::NOENT | Errno::INVAL | Errno::NOSYS) => {
                sys::renameat(&self.dir, &self.name, &self.dir, name)?;
                self.arrived = true;
                then().inspect_err(|_| {
                    if let Err(error) = sys::unlinkat(&self.dir, name, AtFlags::empty()) {
                        tracing::warn!(%error, "a copy of what could not be moved is left");
                    }
                })
            }
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.arrived
            && let Err(error) = sys::unlinkat(&self.dir, &self.name, AtFlags::empty())
        {
            tracing::warn!(%error, name = ?self.name, "a file that was not finished is left");
        }
    }
}
