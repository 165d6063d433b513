//! The permission bits and the times that a copy gets of what was copied.

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::AsFd;

use rustix::fs::{Mode, Stat, Timespec, Timestamps};
use rustix::io::Errno;

use super::sys;
use crate::error::Result;

/// What an access control list is called among the extended attributes.
const LIST: &CStr = c"system.posix_acl_access";

/// Gives a copy the permission bits and the times of what was copied, which had this status.
pub(super) fn finish(input: &File, output: &File, status: &Stat) -> Result<()> {
    sys::fchmod(output, permissions(&without_list(input, *status)?))?;
    Ok(sys::futimens(output, &times(status))?)
}

/// The status of something as that of a copy, which has no access control list. Where there is one, the bits of the group say what those
/// in the list may do at most, and the group itself may do less.
pub(super) fn without_list(source: impl AsFd, mut status: Stat) -> Result<Stat> {
    let group = Mode::RWXG.bits();
    if status.st_mode & group != 0 {
        match sys::fgetxattr_length(source, LIST) {
            Ok(_) => status.st_mode &= !group,
            Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(status)
}

/// The permission bits that a copy gets: never set-user-id, set-group-id or sticky.
pub(super) fn permissions(status: &Stat) -> Mode {
    Mode::from_bits_truncate(status.st_mode & 0o777)
}

/// When it was last read and changed, as it is to be set.
pub(super) fn times(status: &Stat) -> Timestamps {
    let time = |seconds, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds.try_into().expect("they are less than a second"),
    };
    Timestamps {
        last_access: time(status.st_atime, status.st_atime_nsec),
        last_modification: time(status.st_mtime, status.st_mtime_nsec),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::super::scene::Scene;
    use super::super::steps::InSteps;
    use super::super::ticket::fake::{FakeTicket, finish};
    use super::super::{CopyFile, CopyTree, MoveFile, Resolver};
    use super::*;

    /// A list by which user 1000 may read and write, and the group may not. False if the file system has none.
    fn put_list(path: &Path) -> bool {
        const NOBODY: u32 = u32::MAX;
        let entries: [(u16, u16, u32); 5] = [(1, 7, NOBODY), (2, 6, 1000), (4, 0, NOBODY), (16, 6, NOBODY), (32, 0, NOBODY)];
        let mut list = 2_u32.to_le_bytes().to_vec();
        for (tag, permissions, id) in entries {
            list.extend(tag.to_le_bytes().into_iter().chain(permissions.to_le_bytes()).chain(id.to_le_bytes()));
        }
        let put = rustix::fs::setxattr(path, LIST, &list, rustix::fs::XattrFlags::empty());
        if put == Err(Errno::OPNOTSUPP) {
            println!("skipped: the file system has no access control lists");
        } else {
            put.expect("it is ours");
        }
        put.is_ok()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").permissions().mode() & 0o777
    }

    #[test]
    fn a_copy_gave_the_group_what_others_had_by_a_list() {
        let scene = Scene::with(Resolver::Auto, 100);
        fs::create_dir_all(scene.path("/near/tree/dir")).expect("it is new");
        for name in ["/near/tree/dir/file", "/near/moved"] {
            scene.put(name, b"some");
        }
        if !["/near/tree/dir", "/near/tree/dir/file", "/near/moved"].iter().all(|name| put_list(&scene.path(name))) {
            return;
        }
        assert_eq!(mode(&scene.path("/near/moved")), 0o760, "as the list says");
        let ticket = FakeTicket::default();
        let mut copy = CopyFile::new(scene.read("/near/tree/dir/file"), scene.write("/near/copy"));
        finish(|| copy.go_on(&ticket)).expect("it can be copied");
        let mut tree = CopyTree::new(scene.read("/near/tree"), scene.write("/near/tree-copy"), 1);
        finish(|| tree.go_on(&ticket)).expect("it can be copied");
        let mut moving = MoveFile::new(scene.write("/near/moved"), scene.write("/far/moved"));
        finish(|| moving.go_on(&ticket)).expect("it can be moved");
        for name in ["/near/copy", "/near/tree-copy/dir", "/near/tree-copy/dir/file", "/far/moved"] {
            assert_eq!(mode(&scene.path(name)), 0o700, "{name}");
        }
    }
}
