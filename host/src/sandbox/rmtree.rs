//! Removing a directory with everything below it, by open directories and single names: what is exchanged for a symbolic link
//! meanwhile is not followed.

use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use rustix::fs::{AtFlags, FileType, SeekFrom};
use rustix::io::Errno;

use super::claim::{Claim, Claiming, take_turn};
use super::descriptor::Quota;
use super::entries::{Seen, is_directory_unchecked, read_piece, width};
use super::jobs::{Jobs, SharedWork, go_on};
use super::node::{KeptDirs, Node, open_directory_unchecked};
use super::place::Place;
use super::ticket::Ticket;
use super::{Write, sys};
use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::limits::TREE_HANDLES_MAX;
use crate::sched::Flow;

/// How often a directory is read again because it was still not empty once every entry it listed had been removed. Some file systems lose
/// their place in a directory that changes; 16 are more than any needs.
const PASSES_MAX: u32 = 16;

/// A directory that is removed with everything below it.
#[derive(Debug)]
pub(crate) struct RemoveTree {
    place: Place<Write>,
    maxreq: u32,
    removal: Option<Arc<Removal>>,
    claim: Claim,
    /// Names that were removed before it was begun again.
    removed: u64,
}

impl RemoveTree {
    /// Bytes of memory that its path holds.
    pub(crate) fn bytes(&self) -> usize {
        self.place.bytes()
    }

    pub(crate) fn new(place: Place<Write>, maxreq: u32) -> Self {
        let claim = Claim::between(2, 1 + TREE_HANDLES_MAX);
        Self { place, maxreq, removal: None, claim, removed: 0 }
    }

    /// Gives how many names were removed.
    pub(crate) fn go_on(&mut self, ticket: &dyn Ticket) -> Flow<Result<u64>> {
        take_turn(self, ticket, |removal, has_most| removal.turn(if has_most { TREE_HANDLES_MAX } else { 1 }, ticket))
    }

    /// `kept` is how many directories may stay open.
    fn turn(&mut self, kept: usize, ticket: &dyn Ticket) -> Flow<Result<u64>> {
        let removal = match self.removal.take().map_or_else(|| self.begin(kept, ticket), Ok) {
            Ok(removal) => removal,
            Err(error) => return Flow::Done(Err(error)),
        };
        let flow = go_on(&removal, ticket);
        if !matches!(flow, Flow::Done(_)) {
            self.removal = Some(Arc::clone(&removal));
        }
        flow.map(|()| {
            self.removed += removal.removed.load(Ordering::Relaxed);
            removal.jobs.outcome().map(|()| self.removed)
        })
    }

    fn begin(&self, kept: usize, ticket: &dyn Ticket) -> Result<Arc<Removal>> {
        ticket.check()?;
        let entry = self.place.entry(Error::INVALID)?;
        let dir = entry.dir.as_fd().try_clone_to_owned()?;
        Removal::new(dir, entry.name, kept, width(self.maxreq), &ticket.memory())
    }
}

impl Claiming for RemoveTree {
    fn claim(&mut self) -> Option<(&mut Claim, &Quota)> {
        Some((&mut self.claim, &self.place.shared.quota))
    }
}

/// A directory on its way out, and what is below it.
#[derive(Debug)]
struct Removal {
    jobs: Jobs<Job>,
    kept: KeptDirs<Pending>,
    removed: AtomicU64,
    memory: Budget,
}

impl Removal {
    /// The directory of a single name in another one, and everything below it. [`go_on`] removes it.
    fn new(dir: OwnedFd, name: &OsStr, kept: usize, width: usize, memory: &Budget) -> Result<Arc<Self>> {
        let name = std::ffi::CString::new(name.as_bytes()).map_err(|_| Error::INVALID)?;
        let root = match open_directory_unchecked(&dir, &name) {
            // What the kernel says of a symbolic link.
            Err(Errno::LOOP) => Err(Error::NOT_DIRECTORY),
            result => result.map_err(Error::from),
        }?;
        // Two levels: the directory that everything is in is no part of the tree.
        let top = Node::root(dir, Pending::default());
        let tree = top.child(&name, Pending::default(), memory).ok_or(Error::WOULD_BLOCK)?;
        let kept = KeptDirs::new(kept);
        tree.keep(&Arc::new(root), &kept);
        let jobs = Jobs::new(Job { node: tree, offset: 0 }, width);
        Ok(Arc::new(Self { jobs, kept, removed: AtomicU64::new(0), memory: memory.clone() }))
    }
}

/// A directory to be read on from here.
#[derive(Debug)]
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

impl SharedWork for Removal {
    type Job = Job;

    fn jobs(&self) -> &Jobs<Job> {
        &self.jobs
    }

    /// Removes some of what a directory holds, and the directory itself if that was all.
    fn step(&self, Job { node, offset }: Job, ticket: &dyn Ticket) {
        if let Err(error) = ticket.check() {
            return self.jobs.stop(error);
        }
        let mut below = Vec::new();
        let mut count = 0;
        let result = node.open().and_then(|fd| {
            sys::seek(&*fd, SeekFrom::Start(offset))?;
            let next = read_piece(&fd, |entry| {
                let name = entry.file_name();
                if self.is_directory(&node, &fd, name, entry.file_type(), &mut count) {
                    let Some(child) = node.child(name, Pending::default(), &self.memory) else {
                        return if below.is_empty() { self.wait_for_memory(name, ticket) } else { Ok(Seen::Later) };
                    };
                    below.push(child);
                }
                Ok(Seen::Taken)
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
            Some(offset) => self.jobs.push([Job { node, offset }].into_iter().chain(below)),
            None => {
                self.jobs.push(below);
                self.leave(node, fd, ticket);
            }
        }
    }
}

impl Removal {
    /// There is no memory for a single directory more: the request is begun again when there is.
    fn wait_for_memory(&self, name: &CStr, ticket: &dyn Ticket) -> Result<Seen> {
        ticket.reserve(Node::<Pending>::footprint(name)).inspect_err(|error| self.jobs.stop(*error))?;
        Ok(Seen::Later)
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
            self.jobs.fail(error);
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
                    return self.jobs.push([Job { node, offset: 0 }]);
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
