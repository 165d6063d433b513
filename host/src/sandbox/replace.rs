//! A file that takes a name in one step, once it is whole: whoever opens the name gets what was there before or all of the new
//! content, whatever happens on the way.
//!
//! While it is written it has no name at all, where the file system has such files (`O_TMPFILE`): so nobody can put something else
//! in its place, and nothing is left of it when the host is killed. A name that nobody has it takes at once. To replace what has
//! the name it needs one of its own first, for the time of two system calls: see `leftovers`. Nothing is removed by a name that
//! has come to stand for another file.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::grant::Shared;
use super::node::Id;
use super::place::NameIn;
use super::temporary::{KEPT, hold, with_new_name};
use super::{procfs, sys};
use crate::error::{Error, Result};

/// What a file on its way has open: its directory and itself.
pub(super) const DESCRIPTORS: usize = 2;

/// A file on its way to a name. Dropping it leaves what was there before.
pub(super) struct Replacement {
    shared: Arc<Shared>,
    dir: OwnedFd,
    /// Whether the directory can be brought to the device: it can if it may be read.
    readable: bool,
    name: OsString,
    file: File,
    id: Id,
    /// What a name of its own ends with.
    suffix: &'static str,
    stage: Stage,
}

/// How far a file has come.
#[derive(Debug)]
enum Stage {
    /// It has no name.
    Nameless,
    /// It has a name of its own.
    Named(CString),
    /// It has the name that it was made for, as long as it is not dropped.
    Placed(Before),
    /// It has the name that it was made for.
    Arrived,
}

/// What had the name before.
#[derive(Debug)]
enum Before {
    Nothing,
    /// It is there, under a name of its own. Who it is; none if that could not be found out.
    Kept(CString, Option<Id>),
    /// It is gone: the file system cannot exchange two names.
    Lost,
}

/// How a file is to come to its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// By [`Replacement::arrive`].
    Arrive,
    /// By [`Replacement::place`].
    Place,
}

/// Whether a file has come to its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Arrival {
    There,
    /// Here a file without a name cannot be given one. It has to be written once more, to one that has a name from the start.
    WriteAgain,
}

impl Replacement {
    /// Makes an empty file in the directory of an entry, whose name it is to take.
    pub(super) fn begin(shared: &Arc<Shared>, entry: &NameIn<'_>, mode: Mode, then: Then) -> Result<Self> {
        let suffix = match then {
            Then::Arrive => "",
            Then::Place => KEPT,
        };
        let (dir, readable) = open_directory(&entry.dir)?;
        if readable {
            shared.temporaries.sweep(&dir);
        }
        let (file, id, name) = shared.temporaries.open(&dir, mode, suffix)?;
        let stage = name.map_or(Stage::Nameless, Stage::Named);
        let name = entry.name.to_owned();
        Ok(Self { shared: Arc::clone(shared), dir, readable, name, file, id, suffix, stage })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Gives it the name, in the place of what has it.
    pub(super) fn arrive(&mut self) -> Result<Arrival> {
        if self.link_to_free_name()? {
            self.stage = Stage::Arrived;
            return Ok(Arrival::There);
        }
        let Some(own) = self.own_name()? else { return Ok(Arrival::WriteAgain) };
        sys::renameat(&self.dir, &own, &self.dir, &*self.name)?;
        self.stage = Stage::Arrived;
        self.let_go();
        Ok(Arrival::There)
    }

    /// Gives it the name, and keeps what has it until this is settled; if it is dropped before, everything is as it was. But
    /// where a file system cannot exchange two names, it stays: what had the name cannot be kept there.
    pub(super) fn place(&mut self) -> Result<Arrival> {
        if self.link_to_free_name()? {
            self.stage = Stage::Placed(Before::Nothing);
            return Ok(Arrival::There);
        }
        let Some(own) = self.own_name()? else { return Ok(Arrival::WriteAgain) };
        match sys::renameat_with(&self.dir, &own, &self.dir, &*self.name, RenameFlags::EXCHANGE) {
            Ok(()) => {
                self.stage = Stage::Placed(Before::Kept(own.clone(), None));
                let stat = sys::statat(&self.dir, &own, AtFlags::SYMLINK_NOFOLLOW)?;
                if FileType::from_raw_mode(stat.st_mode).is_dir() {
                    return Err(Error::IS_DIRECTORY);
                }
                self.stage = Stage::Placed(Before::Kept(own, Some(Id::of_stat(&stat))));
            }
            Err(errno) if errno == Errno::NOENT || sys::knows_no_flags(errno) => {
                let is_free = errno == Errno::NOENT || self.is_name_free()?;
                sys::renameat(&self.dir, &own, &self.dir, &*self.name)?;
                self.stage = Stage::Placed(if is_free { Before::Nothing } else { Before::Lost });
            }
            Err(errno) => return Err(errno.into()),
        }
        self.let_go();
        Ok(Arrival::There)
    }

    /// It stays where it was placed, and what was there before goes.
    pub(super) fn settle(mut self) {
        if let Stage::Placed(Before::Kept(name, id)) = std::mem::replace(&mut self.stage, Stage::Arrived) {
            remove(&self.dir, &name, id);
        }
    }

    /// Brings the name to the device, after the file was.
    pub(super) fn sync_name(&self) -> Result<()> {
        if !self.readable {
            // On ext4, XFS and Btrfs a file that has come to a new name takes that along.
            return Ok(sys::fsync(&self.file)?);
        }
        match sys::fsync(&self.dir) {
            // The file system keeps no names on a device, or does it by itself.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(()),
            result => Ok(result?),
        }
    }

    /// Takes the name, if the file has none yet and nothing has that.
    fn link_to_free_name(&self) -> Result<bool> {
        if !matches!(self.stage, Stage::Nameless) {
            return Ok(false);
        }
        match link(&self.file, &self.dir, &*self.name) {
            Ok(()) => Ok(true),
            // The name is taken, or it cannot be given any.
            Err(error) if error == Error::EXIST || cannot_link(error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn is_name_free(&self) -> Result<bool> {
        match sys::statat(&self.dir, &*self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(false),
            Err(Errno::NOENT) => Ok(true),
            Err(errno) => Err(errno.into()),
        }
    }

    /// A name of its own, which it is given if it has none; none if it cannot be given one.
    fn own_name(&mut self) -> Result<Option<CString>> {
        if let Stage::Named(name) = &self.stage {
            return Ok(Some(name.clone()));
        }
        hold(&self.file);
        let mut refusal = None;
        let linked = with_new_name(self.suffix, |name| match link(&self.file, &self.dir, name.as_c_str()) {
            Ok(()) => Ok(()),
            Err(Error::EXIST) => Err(Errno::EXIST),
            Err(error) => {
                refusal = Some(error);
                Err(Errno::IO)
            }
        });
        match (linked, refusal) {
            (Ok((name, ())), _) => {
                self.stage = Stage::Named(name.clone());
                Ok(Some(name))
            }
            // Nothing can be given a name in a directory that was removed.
            (Err(_), Some(Error::NO_ENTRY)) if sys::fstat(&self.dir)?.st_nlink == 0 => Err(Error::NO_ENTRY),
            (Err(_), Some(error)) if cannot_link(error) => {
                self.shared.temporaries.forgo_nameless();
                Ok(None)
            }
            (Err(error), refusal) => Err(refusal.unwrap_or(error)),
        }
    }

    /// Others may lock the file from here on.
    fn let_go(&self) {
        // It is let go when it is closed, at the latest.
        let _unlocked = sys::flock(&self.file, FlockOperation::Unlock);
    }

    /// Takes it from the name that it was placed at, and puts back what was there before.
    fn put_back(&self, before: Before) {
        let (name, before) = match before {
            Before::Nothing => return remove(&self.dir, &*self.name, Some(self.id)),
            Before::Kept(name, id) => (name, id),
            Before::Lost => return,
        };
        if id_of_name(&self.dir, &*self.name) != Some(self.id) {
            // Somebody has put something else in its place, which is newer than what it was to replace.
            return remove(&self.dir, &name, before);
        }
        let exchange = || sys::renameat_with(&self.dir, &name, &self.dir, &*self.name, RenameFlags::EXCHANGE);
        let mut goes = Some(self.id);
        let mut exchanged = exchange();
        if exchanged.is_ok() && id_of_name(&self.dir, &name) != goes {
            // That was done between the two calls.
            goes = before;
            exchanged = exchange();
        }
        match exchanged {
            Ok(()) => remove(&self.dir, &name, goes),
            // Better one name too many than content that is lost.
            Err(error) => tracing::warn!(%error, ?name, "what was replaced is left under this name"),
        }
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.stage, Stage::Arrived) {
            Stage::Named(name) => remove(&self.dir, &name, Some(self.id)),
            Stage::Placed(before) => self.put_back(before),
            Stage::Nameless | Stage::Arrived => {}
        }
    }
}

/// Opens a directory, and tells whether it may be read, without which it cannot be brought to the device.
pub(super) fn open_directory(dir: impl AsFd) -> Result<(OwnedFd, bool)> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    match sys::openat(&dir, c".", flags | OFlags::RDONLY, Mode::empty()) {
        Err(Errno::ACCESS) => Ok((sys::openat(&dir, c".", flags | OFlags::PATH, Mode::empty())?, false)),
        result => Ok((result?, true)),
    }
}

/// Gives a file a name, also one that has none.
fn link(file: &File, dir: &OwnedFd, name: impl sys::PathName) -> Result<()> {
    match sys::linkat(file, c"", dir, name, AtFlags::EMPTY_PATH) {
        Err(Errno::EXIST) => Err(Error::EXIST),
        // Before Linux 6.10 only the privileged may. Others go by procfs.
        Err(_) => procfs::link_unchecked(file, dir, name),
        Ok(()) => Ok(()),
    }
}

/// Whether a file without a name cannot be given one at all: there is no procfs, a filter of system calls forbids it, or the file
/// system does.
fn cannot_link(error: Error) -> bool {
    let errnos = [Errno::PERM, Errno::ACCESS, Errno::NOSYS, Errno::OPNOTSUPP, Errno::XDEV, Errno::INVAL, Errno::NOENT];
    errnos.into_iter().any(|errno| error == errno.into())
}

fn id_of_name(dir: &OwnedFd, name: impl sys::PathName) -> Option<Id> {
    sys::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).ok().map(|stat| Id::of_stat(&stat))
}

/// Removes a name, if it still is that of this file.
fn remove<N: sys::PathName + std::fmt::Debug>(dir: &OwnedFd, name: N, id: Option<Id>) {
    let stat = || sys::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| Id::of_stat(&stat));
    let removed = match stat() {
        Err(Errno::NOENT) => return,
        // Whatever has failed on the way may have been for a moment only.
        Err(_) => stat(),
        found => found,
    }
    .and_then(|found| {
        // Who it was may not be known; then the name is one that nobody else has.
        if id.is_some_and(|id| id != found) { Ok(()) } else { sys::unlinkat(dir, name, AtFlags::empty()) }
    });
    if let Err(error) = removed {
        tracing::warn!(%error, ?name, "a file that was not finished is left");
    }
}
