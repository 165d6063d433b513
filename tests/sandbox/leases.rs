//! Files on which another process has a lease, as a file server has on what its clients keep: whoever opens one waits until it
//! has been given up.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Output;
use std::thread;

use crate::support::{OPENAT2, PORTABLE, Tree, run};
use crate::table::INSIDE;
use crate::wasi::FRONTS;
use crate::{attempts, check_answers, on_each_face};

/// Names the signal that tells of a lease that is asked for; `libc` does not have it.
const F_SETSIG: libc::c_int = 10;

/// A lease of this process that holds off everybody who opens the file.
struct Lease(File);

impl Lease {
    /// Takes one; there is none if the file system has no leases.
    fn take(path: &Path) -> Option<Self> {
        let file = File::options().read(true).write(true).open(path).expect("it is there");
        // SAFETY: the descriptor is open, and there are no pointers. The signal is one that is ignored.
        let taken = unsafe {
            libc::fcntl(file.as_raw_fd(), F_SETSIG, libc::SIGURG);
            libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK)
        };
        (taken == 0).then_some(Self(file))
    }

    /// Whether somebody waits for it to be given up.
    fn is_asked_for(&self) -> bool {
        // SAFETY: the descriptor is open, and there are no pointers.
        let kind = unsafe { libc::fcntl(self.0.as_raw_fd(), libc::F_GETLEASE) };
        kind != libc::F_WRLCK
    }
}

/// Every request that opens a file by its path, on one that is leased.
const LEASED: [&str; 14] = [
    "open digits",
    "open digits read,no-follow",
    "open link-file",
    "open digits write",
    "open digits read,write",
    "open digits append,create",
    "open digits write,truncate",
    "handle digits",
    "load digits",
    "slurp digits",
    "copy digits caught",
    "truncate digits",
    "pathsync digits",
    "move digits /far/digits",
];

#[test]
fn a_file_with_a_lease_was_answered_with_would_block() {
    on_each_face(|(guest, face), resolver| {
        for plan in LEASED {
            let tree = Tree::new();
            let far = tree.far();
            let Some(lease) = Lease::take(&tree.path("data/digits")) else {
                println!("skipped: there are no leases here");
                return;
            };
            let grant = format!("{}::/far", far.path().display());
            let options = tree.options(&["--dir", &grant]);
            let rows = [(plan, "ok")];
            let output = wait_for(lease, plan, || run(&options, resolver, guest, &attempts(face, &rows)));
            check_answers(output, &rows);
        }
    });
}

/// Runs a host, and gives the lease up once that has asked for it.
fn wait_for(lease: Lease, plan: &str, run: impl FnOnce() -> Output + Send) -> Output {
    thread::scope(|scope| {
        let host = scope.spawn(run);
        while !lease.is_asked_for() && !host.is_finished() {
            thread::yield_now();
        }
        assert!(lease.is_asked_for(), "{plan}: nobody has asked for the lease");
        drop(lease);
        host.join().expect("it does not panic")
    })
}

/// What opens a file by WASI.
const LEASED_BY_WASI: [&str; 6] = [
    "open digits",
    "open digits read,no-follow",
    "open link-file",
    "open digits write",
    "open digits read,write,create",
    "truncate digits",
];

#[test]
fn a_file_with_a_lease_was_answered_by_wasi_with_would_block() {
    for (guest, face) in FRONTS {
        if !guest.is_there() {
            continue;
        }
        for (plan, resolver) in LEASED_BY_WASI.into_iter().flat_map(|plan| [(plan, OPENAT2), (plan, PORTABLE)]) {
            let tree = Tree::new();
            let Some(lease) = Lease::take(&tree.path("data/digits")) else {
                println!("skipped: there are no leases here");
                return;
            };
            // A file for writing gives nothing that is read.
            let rows = [(plan, INSIDE)];
            let options = tree.options(&[]);
            let output = wait_for(lease, plan, || run(&options, resolver, guest, &attempts(face, &rows)));
            check_answers(output, &rows);
        }
    }
}

#[test]
fn a_tree_with_a_leased_file_was_answered_with_would_block() {
    on_each_face(|(guest, face), resolver| {
        let tree = Tree::new();
        let Some(lease) = Lease::take(&tree.path("data/sub/deep/leaf")) else {
            println!("skipped: there are no leases here");
            return;
        };
        let rows = [("copy-tree sub caught", "ok 6")];
        let options = tree.options(&[]);
        let output = thread::scope(|scope| {
            let host = scope.spawn(|| run(&options, resolver, guest, &attempts(face, &rows)));
            while !lease.is_asked_for() && !host.is_finished() {
                thread::yield_now();
            }
            drop(lease);
            host.join().expect("it does not panic")
        });
        check_answers(output, &rows);
        assert_eq!(std::fs::read(tree.path("data/caught/deep/leaf")).expect("it is there"), b"leaf\n");
        let left = std::fs::read_dir(tree.path("data")).expect("it is there").filter_map(Result::ok);
        let left: Vec<_> =
            left.map(|entry| entry.file_name()).filter(|name| name.to_string_lossy().starts_with(".aiohost-")).collect();
        assert!(left.is_empty(), "{left:?} are left of the attempts that came too early");
    });
}
