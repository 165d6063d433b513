//! Removing a directory that is nobody's but the host's own: a copy that failed, or what a host left that is gone. Unlike
//! `rmtree` it takes what its owner may not write to, does a bounded part at a time, and holds few directories open however deep
//! it is: what lies deeper is first moved up.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, SeekFrom, StatxFlags};
use rustix::io::Errno;

use super::entries::{Seen, read_piece};
use super::node::Id;
use super::temporary::with_new_name;
use super::{procfs, sys};
use crate::error::{Error, Result};

/// Removes the directory of a single name in another one, if it still is this one, and everything below it, but no more than so
/// many names. Returns whether it is gone.
pub(super) fn discard(dir: impl AsFd, name: &CStr, id: Id, names_max: usize) -> Result<bool> {
    let object = open_object(&dir, name)?;
    if Id::of(&object)? != id {
        return Err(Error::NO_ENTRY);
    }
    let mut removal = Removal { mount: mount(&object)?, left: names_max };
    let top = open_for_removal(&object)?;
    if !removal.empty(&top)? {
        return Ok(false);
    }
    sys::unlinkat(&dir, name, AtFlags::REMOVEDIR)?;
    Ok(true)
}

struct Removal {
    /// The mount that all of it is on: what is mounted in it belongs to others.
    mount: u64,
    left: usize,
}

impl Removal {
    /// Removes what is in a directory. Returns whether that was all.
    fn empty(&mut self, top: &OwnedFd) -> Result<bool> {
        while let names = names(top)?
            && !names.is_empty()
        {
            for (name, kind) in names {
                if !self.take() || kind.is_dir() && !self.move_up_all(top, &name)? {
                    return Ok(false);
                }
                remove(top, &name, kind)?;
            }
        }
        Ok(true)
    }

    fn take(&mut self) -> bool {
        let some = self.left > 0;
        self.left = self.left.saturating_sub(1);
        some
    }

    /// Removes what is in a directory, but for the directories: these are moved up, to be removed from there. Returns whether
    /// that was all.
    fn move_up_all(&mut self, top: &OwnedFd, name: &CStr) -> Result<bool> {
        let dir = self.open(top, name)?;
        while let names = names(&dir)?
            && !names.is_empty()
        {
            for (name, kind) in names {
                if !self.take() {
                    return Ok(false);
                }
                if kind.is_dir() {
                    // Whoever moves a directory changes its `..`, for which it must be writable.
                    drop(self.open(&dir, &name)?);
                    move_up(&dir, &name, top)?;
                } else {
                    remove(&dir, &name, kind)?;
                }
            }
        }
        Ok(true)
    }

    fn open(&self, dir: &OwnedFd, name: &CStr) -> Result<OwnedFd> {
        let object = open_object(dir, name)?;
        if mount(&object)? != self.mount {
            return Err(Errno::BUSY.into());
        }
        open_for_removal(&object)
    }
}

fn remove(dir: &OwnedFd, name: &CStr, kind: FileType) -> Result<()> {
    match sys::unlinkat(dir, name, if kind.is_dir() { AtFlags::REMOVEDIR } else { AtFlags::empty() }) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Some of the names in a directory, with their kinds.
fn names(dir: &OwnedFd) -> Result<Vec<(CString, FileType)>> {
    sys::seek(dir, SeekFrom::Start(0))?;
    let mut names = Vec::new();
    read_piece(dir, |entry| {
        let name = entry.file_name();
        let kind = match entry.file_type() {
            FileType::Unknown => FileType::from_raw_mode(sys::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode),
            kind => kind,
        };
        names.push((name.to_owned(), kind));
        Ok(Seen::Taken)
    })?;
    Ok(names)
}

fn move_up(dir: &OwnedFd, name: &CStr, top: &OwnedFd) -> Result<()> {
    with_new_name("", |new| match sys::renameat_with(dir, name, top, new, RenameFlags::NOREPLACE) {
        // Without flags only an empty directory would be replaced, which was to go anyway.
        Err(errno) if sys::knows_no_flags(errno) => sys::renameat(dir, name, top, new),
        result => result,
    })?;
    Ok(())
}

fn open_object(dir: impl AsFd, name: &CStr) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(sys::openat(dir, name, flags, Mode::empty())?)
}

/// Opens a directory, after its owner was given back the right to do everything with it.
fn open_for_removal(object: &OwnedFd) -> Result<OwnedFd> {
    let mode = Mode::from_raw_mode(sys::fstat(object)?.st_mode);
    if !mode.contains(Mode::RWXU) {
        procfs::chmod_unchecked(object, Mode::RWXU)?;
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(sys::openat(object, c".", flags, Mode::empty())?)
}

/// The number of the mount that a directory is on, or of the device where the kernel does not know it.
fn mount(object: &OwnedFd) -> Result<u64> {
    let status = sys::statx(object, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    if status.stx_mask & StatxFlags::MNT_ID.bits() != 0 {
        return Ok(status.stx_mnt_id);
    }
    Ok(sys::fstat(object).map_err(Error::from)?.st_dev)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::sandbox::scene::{as_plain_user, open_directory};

    fn discard_copy(dir: &OwnedFd, names_max: usize) -> Result<bool> {
        let id = Id::of_stat(&rustix::fs::statat(dir, c"copy", AtFlags::empty()).expect("it is there"));
        discard(dir, c"copy", id, names_max)
    }

    #[test]
    fn directories_that_nobody_may_write_to_stayed() {
        let root = tempfile::tempdir().expect("a directory");
        as_plain_user(&[root.path()], || {
            let path = root.path().join("copy/a/b/c");
            fs::create_dir_all(&path).expect("it can be made");
            for (depth, mode) in path.ancestors().take(4).zip([0o000, 0o555, 0o111, 0o555]) {
                fs::write(depth.join("file"), "x").expect("it can be written");
                fs::set_permissions(depth, fs::Permissions::from_mode(mode)).expect("it is ours");
            }
            assert_eq!(discard_copy(&open_directory(root.path()), 100), Ok(true));
        });
        assert_eq!(fs::read_dir(root.path()).expect("it is there").count(), 0);
    }

    #[test]
    fn a_deep_tree_goes_in_bounded_pieces() {
        let root = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(root.path().join("copy").join("d/".repeat(1000))).expect("it can be made");
        let dir = open_directory(root.path());
        let mut pieces = 1;
        while !discard_copy(&dir, 300).expect("it can be removed") {
            pieces += 1;
        }
        assert!((6..=10).contains(&pieces), "{pieces}");
        assert_eq!(fs::read_dir(root.path()).expect("it is there").count(), 0);
    }

    #[test]
    fn another_directory_of_the_name_is_left_alone() {
        let root = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(root.path().join("copy/inner")).expect("it can be made");
        let dir = open_directory(root.path());
        let other = Id::of(&dir).expect("it is open");
        assert_eq!(discard(&dir, c"copy", other, 100), Err(Error::NO_ENTRY));
        assert!(root.path().join("copy/inner").is_dir());
    }
}
