//! The way along a path, and every directory that decides where it leads.

use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use rustix::fs::{CWD, FileType, Mode, OFlags};

use super::reach::{Location, WALK};
use super::sys;

/// Symbolic links on the way along a path, as in Linux.
const LINKS_MAX: usize = 40;

/// What a name leads to, without following it.
const OBJECT: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The way along a path.
#[derive(Debug, Default)]
pub(crate) struct Route {
    /// The directories in which a name of the path, or of a link on the way, was looked up, to the last one that is there; of those
    /// that lie in each other the innermost. Whoever can write there, or above, decides what the path leads to. What `..` leads to is
    /// decided in the directory above.
    pub(crate) through: Vec<Location>,
    /// What it leads to, if that is there and can be looked at.
    pub(crate) end: Option<Location>,
}

impl Route {
    /// Goes along a path as the kernel does, by single names. What is in the way ends it.
    pub(crate) fn of(path: &Path) -> Self {
        let mut route = Self::default();
        route.end = route.follow(path);
        route
    }

    fn follow(&mut self, path: &Path) -> Option<Location> {
        let mut rest = Vec::new();
        push(&mut rest, path);
        let (mut here, mut place) = if path.is_absolute() { look(CWD, "/")? } else { look(CWD, ".")? };
        let mut links = 0;
        while let Some(name) = rest.pop() {
            let found = sys::openat(&here, name.as_os_str(), OBJECT, Mode::empty());
            if name == ".." && found.is_ok() {
                here = found.ok()?;
                place = Location::of_dir(&here).ok()?;
                self.through.push(place.clone());
                continue;
            }
            let target = found.as_ref().ok().and_then(target);
            let is_below = found.is_ok() && target.is_none();
            // Whoever reaches a directory reaches what is below it, so only the last one before a turn or the end is to be told.
            if !is_below || rest.is_empty() {
                self.through.push(place.complete(&here));
            }
            let found = found.ok()?;
            if let Some(target) = target {
                links += 1;
                if links > LINKS_MAX {
                    return None;
                }
                let target = Path::new(OsStr::from_bytes(target.as_bytes()));
                if target.is_absolute() {
                    (here, place) = look(CWD, "/")?;
                }
                push(&mut rest, target);
                continue;
            }
            place = place.below(&found).ok()?;
            here = found;
        }
        Some(place.complete(&here))
    }
}

/// What a link leads to; nothing if it is none.
fn target(object: &OwnedFd) -> Option<CString> {
    let is_link = FileType::from_raw_mode(sys::fstat(object).ok()?.st_mode) == FileType::Symlink;
    if is_link { sys::readlinkat(object, "", Vec::new()).ok() } else { None }
}

/// Puts the names of a path on a stack, the first one on top.
fn push(rest: &mut Vec<OsString>, path: &Path) {
    let names = path.components().rev().filter(|part| !matches!(part, Component::CurDir | Component::RootDir));
    rest.extend(names.map(|part| part.as_os_str().to_owned()));
}

fn look(at: impl AsFd, dir: &str) -> Option<(OwnedFd, Location)> {
    let fd = sys::openat(at, dir, WALK, Mode::empty()).ok()?;
    let location = Location::of_dir(&fd).ok()?;
    Some((fd, location))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::sandbox::MountTable;

    #[test]
    fn a_route_goes_through_every_directory_that_decides_where_it_leads() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| dir.path().join(name);
        fs::create_dir_all(path("links")).expect("new directories");
        fs::create_dir_all(path("safe/deep")).expect("new directories");
        fs::write(path("safe/deep/file"), "").expect("a new file");
        symlink("../safe/deep", path("links/dir")).expect("a new link");
        symlink(path("links/dir/file"), path("safe/far")).expect("a new link");
        symlink("loop", path("safe/loop")).expect("a new link");
        let mounts = MountTable::now();
        let at = |name: &str| Location::of_dir(fs::File::open(path(name)).expect("it is there")).expect("it can be looked at");
        let decides = |dir: &str, target: &str| {
            let route = Route::of(&path(target));
            route.through.iter().chain(&route.end).any(|place| mounts.reaches(&at(dir), place))
        };
        for target in ["safe/far", "links/dir/file"] {
            assert!(decides("links", target) && decides("safe/deep", target), "{target}");
        }
        assert!(!decides("links", "safe/deep/file"));
        // A directory does not decide what is above it, but one above it does, for it may be moved there.
        fs::create_dir_all(path("links/a/b")).expect("new directories");
        assert!(!decides("links/a/b", "links/a/b/../../../safe/deep/file") && !decides("links", "links/../safe/deep/file"));
        assert!(decides("links/a", "links/a/b/../../../safe/deep/file"));
        // What is not there would be made in the last directory that is.
        assert!(decides("safe", "safe/none/file") && !decides("safe/deep", "safe/none/file"));
        for (target, is_there) in [("safe/none", false), ("safe/loop", false), ("safe/far", true), ("safe/deep/file/x", false)]
        {
            assert_eq!(Route::of(&path(target)).end.is_some(), is_there, "{target}");
        }
        let file = fs::File::open(path("safe/deep/file")).expect("it is there");
        assert!(Route::of(&path("safe/far")).end.is_some_and(|end| end.is_of(&file)));
    }
}
