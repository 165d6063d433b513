//! What a directory reaches on the host: all that is below it, by whatever path, link or mount it is called elsewhere.
//!
//! A path says little: the same directory may be mounted at two places, and a link may lead to it. So an object is known by
//! where it is inside of its file system, which is the same for all mounts of it: `/proc/self/mountinfo` says what part of a
//! file system each mount shows. Beside that, and alone where there is no procfs, the object and the directories above it are
//! compared by identity.
//!
//! What an overlay shows is in the directories that it lies over, and is the same as what is seen there: a change in one of these
//! is a change in the overlay. So an object of an overlay is at each of these places, too, as far as this process can find them.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Result;

use super::mountinfo::{self, Mount};
use super::{procfs, sys};

/// Directories above another that are looked at. More than any path that a system call takes has.
const DEPTH_MAX: usize = 4096;

/// Places of one object that are looked at. An overlay has 500 layers at most.
const SPOTS_MAX: usize = 4096;

/// Device and inode number.
type Identity = (u64, u64);

/// Where an object is.
#[derive(Clone, Debug)]
pub(crate) struct Location {
    /// The object itself, and the directories above it, the next one first.
    chain: Vec<Identity>,
    /// The mount that it is on and the path that it has for this process, where procfs tells.
    mounted: Option<(u64, Vec<u8>)>,
}

impl Location {
    /// Where a directory is.
    pub(crate) fn of_dir(dir: impl AsFd) -> Result<Self> {
        let mut chain = vec![identity(&dir)?];
        let mut mount = mountinfo::id(&dir);
        let mut below = sys::openat(&dir, ".", WALK, Mode::empty())?;
        while chain.len() < DEPTH_MAX {
            // A directory above that cannot be opened hides those above it; the mounts still tell of them.
            let Ok(parent) = sys::openat(&below, "..", WALK, Mode::empty()) else { break };
            let (found, found_mount) = (identity(&parent)?, mountinfo::id(&parent));
            // The root is the directory above itself.
            if chain.last() == Some(&found) && mount == found_mount {
                break;
            }
            chain.push(found);
            (mount, below) = (found_mount, parent);
        }
        Ok(Self { chain, mounted: mounted(&dir) })
    }

    /// Where something is that is open, as far as can be told without the directory that it was opened from.
    #[cfg(feature = "host")]
    pub(crate) fn of_open(object: impl AsFd) -> Result<Self> {
        Ok(Self { chain: vec![identity(&object)?], mounted: mounted(&object) })
    }

    /// The same for something that was opened by a single name in a directory, and not through a link.
    #[cfg(feature = "host")]
    pub(super) fn below(&self, object: impl AsFd) -> Result<Self> {
        let mut chain = vec![identity(&object)?];
        chain.extend_from_slice(&self.chain);
        Ok(Self { chain, mounted: None })
    }

    /// The same with all that can be told: [`below`](Self::below) asks for no more than a directory on the way needs.
    #[cfg(feature = "host")]
    pub(super) fn complete(&self, object: impl AsFd) -> Self {
        Self { chain: self.chain.clone(), mounted: mounted(object) }
    }

    /// Whether it is where this object is.
    #[cfg(feature = "host")]
    pub(crate) fn is_of(&self, object: impl AsFd) -> bool {
        identity(object).is_ok_and(|identity| self.chain.first() == Some(&identity))
    }
}

/// A directory to go on from.
pub(super) const WALK: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

fn identity(object: impl AsFd) -> Result<Identity> {
    let status = sys::fstat(object)?;
    Ok((status.st_dev, status.st_ino))
}

fn mounted(object: impl AsFd) -> Option<(u64, Vec<u8>)> {
    Some((mountinfo::id(&object)?, procfs::path(&object).ok()?))
}

/// A directory of a file system, or any other object of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Spot {
    system: System,
    path: Vec<u8>,
}

/// What a path is a path of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum System {
    /// A file system, by the name that `mountinfo` has for its device.
    Device(Vec<u8>),
    /// A mount of which nothing more is known: it is not below this process's root.
    Mount(u64),
}

impl Spot {
    fn is_at_or_below(&self, tree: &Self) -> bool {
        self.system == tree.system && below(&tree.path, &self.path).is_some()
    }
}

/// The mounts that this process sees.
#[derive(Debug, Default)]
pub(crate) struct MountTable(Vec<Mount>);

impl MountTable {
    /// The mounts as they are now; none where there is no procfs.
    pub(crate) fn now() -> Self {
        Self(mountinfo::all().unwrap_or_default())
    }

    /// Whether an object can be got at through a directory: it is the directory, or below it on whatever mount.
    pub(crate) fn reaches(&self, dir: &Location, target: &Location) -> bool {
        if dir.chain.first().is_some_and(|dir| target.chain.contains(dir)) {
            return true;
        }
        let targets = self.spots(target);
        self.trees(dir).iter().any(|tree| targets.iter().any(|target| target.is_at_or_below(tree)))
    }

    /// Whether a file that has several names may have one of them below a directory: no hard link leads to another file system.
    #[cfg(feature = "host")]
    pub(crate) fn may_share(&self, dir: &Location, file: &Location) -> bool {
        let (files, trees) = (self.spots(file), self.trees(dir));
        let share = |tree: &Spot| files.iter().any(|file| tree.system == file.system);
        files.is_empty() || trees.is_empty() || trees.iter().any(share)
    }

    /// Where an object is: in its file system and, if that is an overlay, in what it lies over. Nowhere if nobody tells.
    fn spots(&self, location: &Location) -> Vec<Spot> {
        self.with_layers(self.spot(location).into_iter().collect())
    }

    /// These places and, where they are on overlays, those that hold what is seen there.
    fn with_layers(&self, mut spots: Vec<Spot>) -> Vec<Spot> {
        // Overlays may lie over overlays.
        let mut at = 0;
        while at < spots.len() && spots.len() < SPOTS_MAX {
            for layer in self.layers(&spots[at].system) {
                let spot = Spot {
                    system: layer.system,
                    path: join(&layer.path, spots[at].path.strip_prefix(b"/").unwrap_or_default()),
                };
                if !spots.contains(&spot) {
                    spots.push(spot);
                }
            }
            at += 1;
        }
        spots
    }

    /// What a file system lies over, if it is an overlay. Layers that cannot be found by their names are left out: whoever mounted it
    /// was elsewhere, as in most containers, and no directory of this process's leads there by that name either.
    fn layers(&self, system: &System) -> Vec<Spot> {
        let System::Device(device) = system else { return Vec::new() };
        let Some(mount) = self.0.iter().find(|mount| mount.device == *device) else { return Vec::new() };
        let paths = mount.layers().paths;
        let paths = paths.iter().filter(|path| path.starts_with(b"/"));
        let dirs = paths.filter_map(|path| sys::openat(CWD, OsStr::from_bytes(path), WALK, Mode::empty()).ok());
        dirs.filter_map(|dir| self.spot(&Location { chain: Vec::new(), mounted: mounted(dir) })).collect()
    }

    fn spot(&self, location: &Location) -> Option<Spot> {
        let (id, path) = location.mounted.as_ref()?;
        let Some(mount) = self.0.iter().find(|mount| mount.id == *id) else {
            return Some(Spot { system: System::Mount(*id), path: path.clone() });
        };
        let rest = below(&mount.point, path)?;
        Some(Spot { system: System::Device(mount.device.clone()), path: join(&mount.root, rest) })
    }

    /// Everything below a directory: what its own file system has there, and what is mounted there.
    fn trees(&self, dir: &Location) -> Vec<Spot> {
        let Some((id, path)) = &dir.mounted else { return Vec::new() };
        let mut trees: Vec<Spot> = self.spot(dir).into_iter().collect();
        let mut reached = HashSet::new();
        loop {
            let before = reached.len();
            for mount in &self.0 {
                let is_below = reached.contains(&mount.parent) || mount.parent == *id && below(path, &mount.point).is_some();
                if is_below && mount.id != *id && reached.insert(mount.id) {
                    trees.push(Spot { system: System::Device(mount.device.clone()), path: mount.root.clone() });
                }
            }
            // As a rule a mount stands behind the one that it is mounted on, and this is the second time.
            if reached.len() == before {
                return self.with_layers(trees);
            }
        }
    }
}

/// What is left of an absolute path below a directory; nothing for the directory itself.
fn below<'a>(dir: &[u8], path: &'a [u8]) -> Option<&'a [u8]> {
    // Only `/` ends in a slash.
    let rest = path.strip_prefix(dir.strip_suffix(b"/").unwrap_or(dir))?;
    match rest {
        [] => Some(rest),
        [b'/', rest @ ..] => Some(rest),
        _ => None,
    }
}

fn join(dir: &[u8], rest: &[u8]) -> Vec<u8> {
    let dir = dir.strip_suffix(b"/").unwrap_or(dir);
    match (dir, rest) {
        ([], []) => b"/".to_vec(),
        (_, []) => dir.to_vec(),
        _ => [dir, b"/", rest].concat(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::sandbox::scene::as_plain_user;

    /// `/` is one file system; `/depot` is another, whose directory `/work` is seen at `/srv/bind`, too.
    const TABLE: &str = "\
1 0 8:1 / / rw - ext4 /dev/a rw
2 1 8:2 / /depot rw shared:1 - ext4 /dev/b rw
3 1 8:2 /work /srv/bind rw - ext4 /dev/b rw
4 2 0:9 / /depot/a\\040b rw - tmpfs none rw
5 4 8:1 /etc /depot/a\\040b/etc rw - ext4 /dev/a rw";

    fn mounts() -> MountTable {
        MountTable(TABLE.as_bytes().split(|byte| *byte == b'\n').filter_map(mountinfo::parse).collect())
    }

    fn location(mount: u64, path: &str) -> Location {
        Location { chain: Vec::new(), mounted: Some((mount, path.into())) }
    }

    #[track_caller]
    fn assert_reach(dir: (u64, &str), target: (u64, &str), expected: bool) {
        let reaches = mounts().reaches(&location(dir.0, dir.1), &location(target.0, target.1));
        assert_eq!(reaches, expected, "{dir:?} {target:?}");
    }

    #[test]
    fn a_directory_reaches_what_is_below_it_by_whole_names() {
        assert_reach((2, "/depot/work"), (2, "/depot/work/x/y"), true);
        assert_reach((2, "/depot/work"), (2, "/depot/work"), true);
        assert_reach((2, "/depot/work"), (2, "/depot/workshop"), false);
        assert_reach((2, "/depot/work/x"), (2, "/depot/work"), false);
        assert_reach((1, "/depot/work"), (2, "/depot/work"), false);
    }

    #[test]
    fn a_part_that_is_mounted_elsewhere_is_reached_both_ways() {
        assert_reach((2, "/depot/work"), (3, "/srv/bind/x"), true);
        assert_reach((3, "/srv/bind"), (2, "/depot/work/x"), true);
        assert_reach((3, "/srv/bind/x"), (2, "/depot/work/x/y"), true);
        assert_reach((3, "/srv/bind"), (2, "/depot/other"), false);
    }

    #[test]
    fn what_is_mounted_below_a_directory_is_within_its_reach() {
        assert_reach((1, "/srv"), (2, "/depot/work/x"), true);
        assert_reach((1, "/srv"), (2, "/depot/other"), false);
        // By two mounts, of which one is on the other.
        assert_reach((2, "/depot"), (1, "/etc/passwd"), true);
        assert_reach((2, "/depot"), (1, "/usr"), false);
        assert_reach((2, "/depot/work"), (1, "/etc/passwd"), false);
        assert_reach((1, "/"), (4, "/depot/a b/x"), true);
    }

    #[test]
    fn a_mount_that_the_table_lacks_is_compared_with_itself() {
        assert_reach((77, "/d"), (77, "/d/x"), true);
        assert_reach((77, "/d"), (78, "/d/x"), false);
        assert_reach((77, "/d"), (1, "/d/x"), false);
    }

    #[test]
    fn a_directory_that_may_not_be_searched_hid_what_is_above_it() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let above = dir.path().join("above");
        as_plain_user(&[dir.path()], || {
            fs::create_dir_all(above.join("closed/granted")).expect("new directories");
            let [outer, inner] = [&above, &above.join("closed/granted")].map(|path| File::open(path).expect("it was made"));
            fs::set_permissions(above.join("closed"), fs::Permissions::from_mode(0o600)).expect("it is ours");
            let [outer, inner] = [outer, inner].map(|dir| Location::of_dir(dir).expect("it can be looked at"));
            assert_eq!(inner.chain.len(), 2, "what is above cannot be opened");
            assert!(MountTable::now().reaches(&outer, &inner));
            // One that may not be searched itself is not granted, since nothing can be told of it.
            let closed = File::open(above.join("closed")).expect("it may be read");
            assert_eq!(Location::of_dir(closed).map(|_| ()), Err(rustix::io::Errno::ACCESS));
            fs::set_permissions(above.join("closed"), fs::Permissions::from_mode(0o700)).expect("it is ours");
        });
    }

    #[test]
    fn without_procfs_the_directories_above_tell() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir_all(dir.path().join("a/b/c")).expect("new directories");
        let at = |name: &str| {
            let fd = File::open(dir.path().join(name)).expect("it was made");
            Location { mounted: None, ..Location::of_dir(&fd).expect("a directory can be looked at") }
        };
        let none = MountTable::default();
        assert!(none.reaches(&at("a"), &at("a/b/c")) && none.reaches(&at("a/b"), &at("a/b")));
        assert!(!none.reaches(&at("a/b/c"), &at("a")));
    }
}
