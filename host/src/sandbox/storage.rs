//! What kind of file system something is on: whether it answers from memory, and whether it holds files at all.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{CWD, Mode, OFlags};

use super::mountinfo::{self, Layers};
use super::sys;

/// What was opened, and what it is on.
#[derive(Debug)]
pub(super) struct OpenedOn {
    pub(super) fd: OwnedFd,
    pub(super) storage: Storage,
}

/// A kind of file system, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storage {
    /// On a disk of this machine: what is in the kernel's memory is told without waiting.
    Local,
    /// In the kernel's memory, or where that was swapped to.
    Memory,
    /// Behind another machine or another process, or of a kind that is not known: any call may wait as long as these like.
    Remote,
    /// procfs: no files, but what the kernel tells of processes and of itself.
    Processes,
    /// What the kernel tells of the machine.
    Machine,
    /// What is neither files nor fit to be read: what is done there reaches the whole machine.
    Interface,
}

impl Storage {
    /// What an object is on. A file system that does not answer is remote; procfs always does, if it is asked.
    pub(super) fn of(object: impl AsFd) -> Self {
        match sys::fstatfs(&object) {
            Ok(status) if status.f_type == OVERLAY => overlay(object),
            Ok(status) => kind(status.f_type),
            Err(_) if mountinfo::of(object).is_some_and(|mount| mount.kind == b"proc") => Self::Processes,
            Err(_) => Self::Remote,
        }
    }

    /// Whether what is in the kernel's memory is told without waiting: whether anything may be done on a guest's own thread.
    pub(super) fn is_local(self) -> bool {
        matches!(self, Self::Local | Self::Memory)
    }

    pub(super) fn holds_files(self) -> bool {
        matches!(self, Self::Local | Self::Memory | Self::Remote)
    }
}

const OVERLAY: i64 = 0x794c_7630;

/// The kind of a file system, by its number in `statfs(2)`. What is missing here may wait: FUSE, NFS, SMB, 9p and whatever comes.
pub(super) fn kind(magic: i64) -> Storage {
    match magic {
        // ext2 to ext4, XFS, Btrfs, F2FS.
        0xef53 | 0x5846_5342 | 0x9123_683e | 0xf2f5_2010 => Storage::Local,
        // tmpfs, ramfs.
        0x0102_1994 | 0x8584_58f6 => Storage::Memory,
        0x9fa0 => Storage::Processes,
        // sysfs, cgroup, cgroup2.
        0x6265_6572 | 0x0027_e0eb | 0x6367_7270 => Storage::Machine,
        // debugfs, tracefs, securityfs, SELinux, Smack, efivarfs, configfs, bpf, binfmt_misc, the controls of FUSE, pstore,
        // resctrl.
        0x6462_6720 | 0x7472_6163 | 0x7363_6673 | 0xf97c_ff8c | 0x4341_5d53 | 0xde5e_81e4 | 0x6265_6570 | 0xcafe_4a11
        | 0x4249_4e4d | 0x6573_5543 | 0x6165_676c | 0x0765_5821 => Storage::Interface,
        // Terminals, message queues, namespaces, processes, pipes, sockets, and what has no name at all.
        0x1cd1 | 0x1980_0202 | 0x6e73_6673 | 0x5049_4446 | 0x5049_5045 | 0x534f_434b | 0x0904_1934 => Storage::Interface,
        _ => Storage::Remote,
    }
}

/// An overlay is as local as its layers. They are named in its options as whoever mounted it saw them: what cannot be found
/// there, as in most containers, may be anywhere.
fn overlay(object: impl AsFd) -> Storage {
    let is_local = |path: &Vec<u8>| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let layer = sys::openat(CWD, OsStr::from_bytes(path), flags, Mode::empty());
        // One that lies over its own layer is found there itself, so an overlay among them is none of them.
        path.starts_with(b"/") && layer.and_then(sys::fstatfs).is_ok_and(|status| kind(status.f_type).is_local())
    };
    let is_known =
        |layers: &Layers| layers.are_searched_at_once && !layers.paths.is_empty() && layers.paths.iter().all(is_local);
    let layers = mountinfo::of(object).map(|mount| mount.layers());
    if layers.as_ref().is_some_and(is_known) { Storage::Local } else { Storage::Remote }
}

/// Whether this machine has anywhere to put what is in memory.
pub(super) fn is_swapped() -> bool {
    rustix::system::sysinfo().totalswap > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_to_answer_from_memory_does_not() {
        let (fuse, nfs, smb, nine) = (0x6573_5546, 0x6969, 0xff53_4d42, 0x0102_1997);
        for magic in [fuse, nfs, smb, nine, 0x0187, 0, -1] {
            assert_eq!(kind(magic), Storage::Remote);
        }
        for magic in [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x0102_1994] {
            assert!(kind(magic).is_local());
        }
    }
}
