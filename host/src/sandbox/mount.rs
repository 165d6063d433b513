//! What is mounted where a guest comes: what it may see there, and what is never shown to it: the files in which the kernel shows
//! itself and its processes, the host's own memory among them.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxFlags};
use rustix::io::Errno;
use rustix::path::Arg;

use super::mountinfo;
use super::path::below;
use super::resolver::{Resolver, Strategy};
use super::storage::{OpenedOn, Storage};
use super::{Rights, procfs, sys};
use crate::error::{Error, Result};

/// Mounts that are remembered. 64: a tree seldom has more than a few, and what is forgotten is asked for again.
const KNOWN_MAX: usize = 64;

/// Which files of the kernel's own a guest may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KernelFiles {
    /// None.
    Hidden,
    /// Those of procfs, sysfs and cgroup that everybody on the machine may read, but those of processes.
    Readable,
}

/// What is known of the mounts that a guest has met.
#[derive(Debug)]
pub(super) struct Mounts {
    kernel_files: KernelFiles,
    known: Mutex<Vec<(u64, Storage)>>,
}

impl Mounts {
    pub(super) fn new(kernel_files: KernelFiles) -> Self {
        Self { kernel_files, known: Mutex::default() }
    }

    /// What an object is on that lies behind a mount point. It is asked for once for each mount.
    pub(super) fn storage(&self, object: impl AsFd) -> Storage {
        // Other numbers of mounts are given to others, and so would this answer be.
        let Some(mount) = unique_id(&object) else { return Storage::of(object) };
        if let Some(storage) = self.known().iter().find(|(known, _)| *known == mount).map(|(_, storage)| *storage) {
            return storage;
        }
        let storage = Storage::of(object);
        let mut known = self.known();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.push((mount, storage));
        storage
    }

    fn known(&self) -> MutexGuard<'_, Vec<(u64, Storage)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a guest may have what was opened, for reading or for changing it.
    pub(super) fn admit(&self, opened: &OpenedOn, rights: Rights) -> Result<()> {
        self.admit_any(opened.storage, rights)?;
        match opened.storage {
            Storage::Processes if is_of_process(&opened.fd) => Err(Error::NOT_PERMITTED),
            Storage::Processes | Storage::Machine => for_everybody(&opened.fd),
            _ => Ok(()),
        }
    }

    /// Whether a guest may have anything at all of what lies there.
    pub(super) fn admit_any(&self, storage: Storage, rights: Rights) -> Result<()> {
        match storage {
            Storage::Local | Storage::Memory | Storage::Remote => Ok(()),
            Storage::Interface => Err(Error::NOT_PERMITTED),
            Storage::Processes | Storage::Machine => match (self.kernel_files, rights) {
                (KernelFiles::Hidden, _) => Err(Error::NOT_PERMITTED),
                (KernelFiles::Readable, Rights::ReadWrite) => Err(Error::READ_ONLY),
                (KernelFiles::Readable, Rights::Read) => Ok(()),
            },
        }
    }

    /// Whether a guest may have what has a name in a directory, or make something of that name.
    pub(super) fn admit_name_unchecked(&self, dir: impl AsFd, storage: Storage, name: &OsStr, rights: Rights) -> Result<()> {
        if storage.holds_files() {
            return Ok(());
        }
        self.admit_any(storage, rights)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match sys::openat(dir, name, flags, Mode::empty()) {
            Ok(fd) => self.admit(&OpenedOn { fd, storage }, rights),
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// The number of the mount that an object is on, if it is one that no other mount is ever given: since Linux 6.8.
fn unique_id(object: impl AsFd) -> Option<u64> {
    const MNT_ID_UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);
    let statx = sys::statx(object, c"", AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC, MNT_ID_UNIQUE).ok()?;
    (statx.stx_mask & MNT_ID_UNIQUE.bits() != 0).then_some(statx.stx_mnt_id)
}

/// What only some may read is not for guests, whoever runs the host: `kcore`, `kmsg`, and the like.
fn for_everybody(object: &OwnedFd) -> Result<()> {
    let mode = sys::fstat(object)?.st_mode;
    let is_open = FileType::from_raw_mode(mode).is_symlink() || Mode::from_raw_mode(mode).contains(Mode::ROTH);
    if is_open { Ok(()) } else { Err(Error::NOT_PERMITTED) }
}

/// Whether an object of procfs belongs to a process, or may do so. A process's memory, environment and open files are there: the
/// host's own, and those of everything else that its user runs.
fn is_of_process(object: impl AsFd) -> bool {
    let inside = || {
        let mount = mountinfo::of(&object)?;
        let below = below(&mount.point, &procfs::path(&object).ok()?)?;
        Some([mount.root, below].join(&b'/'))
    };
    // What cannot be found in procfs may be anything in it.
    let Some(path) = inside() else { return true };
    let first = path.split(|byte| *byte == b'/').find(|name| !name.is_empty());
    first.is_some_and(|name| name == b"self" || name == b"thread-self" || name.iter().all(u8::is_ascii_digit))
}

/// Why a directory is never granted, if so.
pub(crate) fn refusal(dir: impl AsFd) -> Option<&'static str> {
    match Storage::of(&dir) {
        Storage::Processes if is_of_process(&dir) => Some("it holds what belongs to a process, such as its memory"),
        Storage::Interface => Some("it holds no files, but is a way to control the machine"),
        _ => None,
    }
}

/// Opens what a single name in a directory stands for. A symbolic link is not followed, and what is mounted there is only opened
/// if it holds files: a tree is gone through by names, and must not lead into the kernel's own.
pub(super) fn open_child_unchecked(dir: impl AsFd, name: impl Arg + Copy, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if Resolver::Auto.strategy() == Strategy::Openat2 {
        match sys::openat2(&dir, name, flags, Mode::empty(), ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS) {
            // Something is mounted there.
            Err(Errno::XDEV) => {}
            result => return result,
        }
    }
    let fd = sys::openat(dir, name, flags, Mode::empty())?;
    if Storage::of(&fd).holds_files() { Ok(fd) } else { Err(Errno::PERM) }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;

    use super::super::sys::fault::{Fault, inject};
    use super::*;

    fn open(path: impl AsRef<Path>) -> OpenedOn {
        let fd =
            OwnedFd::from(File::open(path.as_ref()).unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display())));
        OpenedOn { storage: Storage::of(&fd), fd }
    }

    #[test]
    fn file_systems_are_told_apart() {
        for (path, storage) in [
            ("/proc", Storage::Processes),
            ("/proc/self/fd", Storage::Processes),
            ("/sys", Storage::Machine),
            ("/dev", Storage::Memory),
        ] {
            assert_eq!(open(path).storage, storage, "{path}");
        }
    }

    #[test]
    fn a_file_system_that_does_not_answer_is_remote() {
        let file = tempfile::tempfile().expect("there is room for temporary files");
        let (storage, hit) = inject(Fault::Error(Errno::IO), 0, || Storage::of(&file));
        assert_eq!((storage, hit), (Storage::Remote, Some("fstatfs")));
        // Where the call itself is forbidden.
        let version = File::open("/proc/version").expect("procfs is mounted");
        let (storage, hit) = inject(Fault::Error(Errno::PERM), 0, || Storage::of(&version));
        assert_eq!((storage, hit), (Storage::Processes, Some("fstatfs")));
    }

    #[test]
    fn a_mount_is_asked_for_once() {
        let file = tempfile::tempfile().expect("there is room for temporary files");
        let mounts = Mounts::new(KernelFiles::Hidden);
        let storage = mounts.storage(&file);
        if unique_id(&file).is_none() {
            println!("skipped: this kernel gives the numbers of mounts to others");
            return;
        }
        // The second call would be `fstatfs`, and its failure is taken for a remote file system.
        let (again, hit) = inject(Fault::Error(Errno::IO), 1, || mounts.storage(&file));
        assert_eq!((again, hit), (storage, None));
    }

    #[test]
    fn the_memory_of_the_host_was_a_file() {
        let own = std::process::id();
        let thread = rustix::thread::gettid();
        let of_processes = ["mem", "maps", "environ", "status", "cmdline", "", "fd", "task", "net/dev"];
        let owners =
            ["self".to_owned(), "thread-self".to_owned(), own.to_string(), format!("self/task/{thread}"), "1".to_owned()];
        for path in owners.iter().flat_map(|owner| of_processes.map(|name| format!("/proc/{owner}/{name}"))) {
            // Threads have no further threads.
            let Ok(file) = File::open(&path) else { continue };
            for kernel_files in [KernelFiles::Hidden, KernelFiles::Readable] {
                let opened = OpenedOn { storage: Storage::of(&file), fd: file.try_clone().expect("there is room").into() };
                let admitted = Mounts::new(kernel_files).admit(&opened, Rights::Read);
                assert_eq!(admitted, Err(Error::NOT_PERMITTED), "{path}, {kernel_files:?}");
            }
        }
        for path in ["/proc/self", "/dev/fd", "/proc/self/fd", "/proc/1"] {
            assert!(refusal(open(path).fd).is_some(), "{path}");
        }
    }

    #[test]
    fn what_everybody_may_read_is_had_where_it_is_allowed() {
        for path in ["/proc", "/proc/version", "/proc/sys/kernel/ostype", "/sys", "/sys/kernel"] {
            let admit = |kernel_files, rights| Mounts::new(kernel_files).admit(&open(path), rights);
            assert_eq!(admit(KernelFiles::Hidden, Rights::Read), Err(Error::NOT_PERMITTED), "{path}");
            assert_eq!(admit(KernelFiles::Readable, Rights::Read), Ok(()), "{path}");
            assert_eq!(admit(KernelFiles::Readable, Rights::ReadWrite), Err(Error::READ_ONLY), "{path}");
            assert_eq!(refusal(open(path).fd), None, "{path}");
        }
    }

    #[test]
    fn what_cannot_be_found_in_procfs_belongs_to_a_process() {
        let version = open("/proc/version");
        let mounts = Mounts::new(KernelFiles::Readable);
        for skip in 0..8 {
            let (admitted, hit) = inject(Fault::Error(Errno::IO), skip, || mounts.admit(&version, Rights::Read));
            // `fdinfo` tells what `statx` does not.
            assert_eq!(admitted.is_ok(), matches!(hit, None | Some("statx")), "{hit:?}");
        }
    }

    #[test]
    fn a_tree_led_into_procfs() {
        let root = File::open("/").expect("there is a root");
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        assert_eq!(open_child_unchecked(&root, c"proc", flags).map(drop), Err(Errno::PERM));
        assert_eq!(open_child_unchecked(&root, c"dev", flags).map(drop), Ok(()));
    }
}
