//! Removing a directory with everything below it, by open directories and single names: what is exchanged for a symbolic link
//! meanwhile is not followed.

use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use rustix::fs::{AtFlags, FileType, SeekFrom};
use rustix::io::Errno;

use super::crew::Crew;
use super::entries::{is_directory_unchecked, read_piece, width};
use super::node::{Kept, Node, open_directory_unchecked};
use super::place::Place;
use super::ticket::{SharedWork, Ticket};
use super::{Write, sys};
use crate::error::{Error, Result};

/// How often a directory is read again because it was not empty after all that it told of was removed. Some file systems lose
/// their place in a directory that changes; 16 are more than any needs.
const PASSES_MAX: u32 = 16;

/// Whether somebody may call it off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallOff {
    /// The guest may, by canceling the request.
    Possible,
    /// Nobody may: it clears away what a request leaves that was itself canceled.
    Impossible,
}

impl Place<Write> {
    /// Removes a directory and everything below it. Returns how many names were removed.
    pub(crate) fn rmtree(&self, maxreq: u32, ticket: &dyn Ticket) -> Result<u64> {
        let entry = self.entry(Error::INVALID)?;
        remove_tree(entry.dir.as_fd().try_clone_to_owned()?, entry.name, CallOff::Possible, width(maxreq), ticket)
    }
}

/// Removes the directory of a single name in another one, and everything below it.
pub(super) fn remove_tree(dir: OwnedFd, name: &OsStr, call_off: CallOff, width: usize, ticket: &dyn Ticket) -> Result<u64> {
    let name = std::ffi::CString::new(name.as_bytes()).map_err(|_| Error::INVALID)?;
    let root = match open_directory_unchecked(&dir, &name) {
        // What the kernel says of a symbolic link.
        Err(Errno::LOOP) => Err(Error::NOT_DIRECTORY),
        result => result.map_err(Error::from),
    }?;
    // Two levels: the directory that everything is in is no part of the tree.
    let top = Node::root(dir, Pending::default());
    let tree = top.child(&name, Pending::default());
    let kept = Kept::new();
    tree.keep(&Arc::new(root), &kept);
    let removal = Removal { crew: Crew::new(Job { node: tree, offset: 0 }), kept, removed: AtomicU64::new(0), call_off };
    let removal = Arc::new(removal);
    let shared = Arc::clone(&removal);
    let work: SharedWork = Arc::new(move |ticket| shared.crew.work(|job| shared.step(job, ticket)));
    ticket.wide(width, &work)?;
    removal.crew.outcome()?;
    Ok(removal.removed.load(Ordering::Relaxed))
}

struct Removal {
    crew: Crew<Job>,
    kept: Kept<Pending>,
    removed: AtomicU64,
    call_off: CallOff,
}

/// A directory to be read on from here.
struct Job {
    node: Arc<Node<Pending>>,
    offset: u64,
}

/// What is known of a directory on its way out.
#[derive(Debug)]
struct Pending {
    /// Directories in it that are not removed yet, and one while it is read itself.
    left: AtomicUsize,
    passes: AtomicU32,
    /// Something in it was removed since it was last read from the start.
    advanced: AtomicBool,
    /// Something in it cannot be removed.
    failed: AtomicBool,
}

impl Default for Pending {
    fn default() -> Self {
        let (advanced, failed) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { left: AtomicUsize::new(1), passes: AtomicU32::new(0), advanced, failed }
    }
}

impl Removal {
    /// Removes some of what a directory holds, and the directory itself if that was all.
    fn step(&self, Job { node, offset }: Job, ticket: &dyn Ticket) {
        if self.call_off == CallOff::Possible
            && let Err(error) = ticket.check()
        {
            return self.crew.stop(error);
        }
        let mut below = Vec::new();
        let mut count = 0;
        let result = node.open().and_then(|fd| {
            sys::seek(&*fd, SeekFrom::Start(offset))?;
            let next = read_piece(&fd, |entry| {
                if self.is_directory(&node, &fd, entry.file_name(), entry.file_type(), &mut count) {
                    below.push(node.child(entry.file_name(), Pending::default()));
                }
                Ok(())
            })?;
            Ok((fd, next))
        });
        self.count(&node, count, ticket);
        let (fd, next) = match result {
            Ok((fd, next)) => (Some(fd), next),
            Err(error) => {
                self.fail(&node, error);
                (None, None)
            }
        };
        if let Some(fd) = &fd
            && !(below.is_empty() && next.is_none())
        {
            node.keep(fd, &self.kept);
        }
        node.data.left.fetch_add(below.len(), Ordering::Relaxed);
        let below = below.into_iter().map(|node| Job { node, offset: 0 });
        match next {
            // Under what is in it, so that this does not grow with the directory.
            Some(offset) => self.crew.push([Job { node, offset }].into_iter().chain(below)),
            None => {
                self.crew.push(below);
                self.leave(node, fd, ticket);
            }
        }
    }

    /// Removes an entry, unless it is a directory.
    fn is_directory(&self, node: &Node<Pending>, dir: &OwnedFd, name: &CStr, kind: FileType, count: &mut u64) -> bool {
        if kind.is_dir() {
            return true;
        }
        match sys::unlinkat(dir, name, AtFlags::empty()) {
            Ok(()) => *count += 1,
            // Somebody else was faster.
            Err(Errno::NOENT) => {}
            // POSIX has the second for a directory.
            Err(errno @ (Errno::ISDIR | Errno::PERM)) => match is_directory_unchecked(dir, name) {
                Ok(true) => return true,
                _ => self.fail(node, errno.into()),
            },
            Err(errno) => self.fail(node, errno.into()),
        }
        false
    }

    fn count(&self, node: &Node<Pending>, count: u64, ticket: &dyn Ticket) {
        if count > 0 {
            node.data.advanced.store(true, Ordering::Relaxed);
            self.removed.fetch_add(count, Ordering::Relaxed);
            ticket.advance(0, count);
        }
    }

    fn fail(&self, node: &Node<Pending>, error: Error) {
        node.data.failed.store(true, Ordering::Relaxed);
        // What is gone is what was asked for.
        if error != Error::NO_ENTRY {
            self.crew.fail(error);
        }
    }

    /// A directory has been read, or one in it is gone. If that was the last it is removed, and so on above it.
    fn leave(&self, mut node: Arc<Node<Pending>>, mut fd: Option<Arc<OwnedFd>>, ticket: &dyn Ticket) {
        while node.data.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let Some(parent) = node.parent().map(Arc::clone) else { return };
            let above = match &fd {
                Some(fd) => parent.open_from(fd, &self.kept),
                None => parent.open(),
            };
            let removed = above.and_then(|above| {
                sys::unlinkat(&*above, node.name(), AtFlags::REMOVEDIR)?;
                Ok(above)
            });
            let pending = &node.data;
            match removed {
                Ok(above) => {
                    self.count(&parent, 1, ticket);
                    fd = Some(above);
                }
                Err(error) if is_not_empty(error) && !pending.failed.load(Ordering::Relaxed) && pending.begin_again() => {
                    return self.crew.push([Job { node, offset: 0 }]);
                }
                Err(error) => {
                    self.fail(&parent, error);
                    fd = None;
                }
            }
            node = parent;
        }
    }
}

fn is_not_empty(error: Error) -> bool {
    error == Errno::NOTEMPTY.into() || error == Error::EXIST
}

impl Pending {
    /// Whether reading the directory again may help.
    fn begin_again(&self) -> bool {
        if !self.advanced.swap(false, Ordering::Relaxed) || self.passes.fetch_add(1, Ordering::Relaxed) >= PASSES_MAX {
            return false;
        }
        self.left.store(1, Ordering::Relaxed);
        true
    }
}
