//! Two directories on different file systems for tests, with requests on what is in them, and what must hold in any case.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, chownat, openat};
use rustix::process::{Gid, Uid, getuid};
use rustix::thread::{set_thread_res_gid, set_thread_res_uid};
use tempfile::TempDir;

use super::leftovers::Temporaries;
use super::place::Place;
use super::{Grant, Grants, KernelFiles, OpenFile, Opening, Quota, Read, Resolver, Rights, Wait, Write};
use crate::budget::Budget;
use crate::limits::RequestLimits;
use crate::reaper::Reaper;
use crate::sandbox::OpenFlags;
use crate::sched::Leaving;

/// Where there is a file system in memory, on most machines.
const MEMORY: &str = "/dev/shm";

/// `/near` and `/far`, granted for writing.
pub(super) struct Scene {
    near: TempDir,
    far: TempDir,
    grants: Grants,
}

impl Scene {
    pub(super) fn new() -> Self {
        Self::resolved_by(Resolver::Auto)
    }

    pub(super) fn resolved_by(resolver: Resolver) -> Self {
        Self::with(resolver, 1024)
    }

    /// For a guest that may have so many descriptors.
    pub(super) fn with(resolver: Resolver, descriptors: usize) -> Self {
        let near = tempfile::tempdir().expect("a directory");
        let far = if has_two_file_systems() { TempDir::new_in(MEMORY) } else { tempfile::tempdir() }.expect("a directory");
        let grant = |name, dir: &TempDir| {
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("it is ours");
            let dir = cap_std::fs::Dir::open_ambient_dir(dir.path(), cap_std::ambient_authority()).expect("it is there");
            Grant::new(name, dir, Rights::ReadWrite)
        };
        let list = vec![grant("/near", &near), grant("/far", &far)];
        let quota = Quota::new(descriptors, &Budget::new(usize::MAX), &Reaper::default(), Leaving::default());
        let grants = Grants::new(list, resolver, KernelFiles::Hidden, &RequestLimits::default(), quota);
        Self { near, far, grants }
    }

    pub(super) fn read(&self, path: &str) -> Place<Read> {
        Place::find(&self.grants, None, path.to_owned()).expect("it is granted")
    }

    pub(super) fn write(&self, path: &str) -> Place<Write> {
        self.read(path).writable().expect("it is granted for writing")
    }

    pub(super) fn open(&self, path: &str, flags: OpenFlags) -> OpenFile {
        Opening::new(self.read(path), flags, 0o666).and_then(|opening| opening.open(Wait::May)).expect("it can be opened")
    }

    /// A path as the host has it.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        match path.strip_prefix("/near") {
            Some(rest) => self.near.path().join(rest.trim_start_matches('/')),
            None => self.far.path().join(path.trim_start_matches("/far").trim_start_matches('/')),
        }
    }

    pub(super) fn put(&self, path: &str, content: &[u8]) {
        fs::write(self.path(path), content).expect("it can be written");
    }

    /// The content of a file, if there is one.
    pub(super) fn content(&self, path: &str) -> Option<Vec<u8>> {
        fs::read(self.path(path)).ok()
    }

    /// Names of things on their way.
    pub(super) fn leftovers(&self) -> Vec<PathBuf> {
        let names =
            |dir: &TempDir| fs::read_dir(dir.path()).expect("it is there").map(|entry| entry.expect("it is read").path());
        let all = names(&self.near).chain(names(&self.far));
        all.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".aiohost-"))).collect()
    }

    /// Sweeps as a host does that comes two hours later.
    pub(super) fn sweep_later(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs() + 7200;
        for dir in [&self.near, &self.far] {
            Temporaries::default().sweep_at(&open_directory(dir.path()), now.try_into().expect("a time fits"));
        }
    }

    /// How many files of these directories this process has open.
    pub(super) fn open_files(&self) -> usize {
        let descriptors =
            fs::read_dir("/proc/self/fd").expect("procfs is mounted").filter_map(|entry| entry.ok()?.path().read_link().ok());
        descriptors.filter(|path| path.starts_with(self.near.path()) || path.starts_with(self.far.path())).count()
    }
}

/// Whether `/near` and `/far` are on different file systems; says so if not.
pub(super) fn has_two_file_systems() -> bool {
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    let has = Path::new(MEMORY).is_dir() && device(Path::new(MEMORY)) != device(&std::env::temp_dir());
    if !has {
        println!("skipped: {MEMORY} is no file system of its own here");
    }
    has
}

pub(super) fn open_directory(path: &Path) -> OwnedFd {
    openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).expect("it is there")
}

/// Runs `test` as a user who may do nothing but what permissions say, and whose these directories are. Only root can become one;
/// others are one.
pub(super) fn as_plain_user(paths: &[&Path], test: impl FnOnce() + Send) {
    let run = || {
        if getuid().is_root() {
            let (user, group) = (Uid::from_raw(65534), Gid::from_raw(65534));
            for path in paths {
                chownat(CWD, *path, Some(user), Some(group), AtFlags::empty()).expect("root may");
            }
            // Of this thread alone, which ends with it.
            set_thread_res_gid(group, group, group).expect("root may");
            set_thread_res_uid(user, user, user).expect("root may");
        }
        test();
    };
    std::thread::scope(|scope| scope.spawn(run).join()).expect("the test works");
}
