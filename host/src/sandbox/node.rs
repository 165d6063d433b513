//! A directory on the way through a tree: opened from its parent by a single name, with few of them open at a time.
//!
//! However deep a tree is, a bounded number of its directories is open. One that was closed is opened again from the nearest
//! one above that is open, or, on the way back, as the `..` of one below it; in both cases it must be the one it was.

use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::fs::OFlags;

use super::mount::open_child_unchecked;
use super::sys;
use crate::budget::{Budget, Reservation};
use crate::error::{Error, Result};

/// The identity of a directory, valid while something holds it open: device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(u64, u64);

impl Id {
    pub(super) fn of(fd: impl AsFd) -> Result<Self> {
        Ok(Self::of_stat(&sys::fstat(fd)?))
    }

    pub(super) fn of_stat(stat: &rustix::fs::Stat) -> Self {
        Self(stat.st_dev, stat.st_ino)
    }
}

/// A directory of a tree, and what the request on the tree notes of it.
#[derive(Debug)]
pub(super) struct Node<T> {
    parent: Option<Arc<Self>>,
    name: CString,
    handle: Mutex<Handle>,
    pub(super) data: T,
    /// The memory that it takes: of the guest's, but for the directory that everything is below.
    _memory: Option<Reservation>,
}

#[derive(Debug, Default)]
struct Handle {
    fd: Option<Arc<OwnedFd>>,
    /// Noted when the directory is closed.
    id: Option<Id>,
}

/// The directories of a tree that are kept open.
#[derive(Debug)]
pub(super) struct KeptDirs<T> {
    list: Mutex<VecDeque<Weak<Node<T>>>>,
    /// How many there may be.
    max: AtomicUsize,
}

/// Opens a directory by a single name in another one. A symbolic link is not followed.
pub(super) fn open_directory_unchecked(dir: impl AsFd, name: &CStr) -> rustix::io::Result<OwnedFd> {
    open_child_unchecked(dir, name, OFlags::RDONLY | OFlags::DIRECTORY)
}

impl<T> Node<T> {
    /// The directory that everything is below. It stays open.
    pub(super) fn root(fd: OwnedFd, data: T) -> Arc<Self> {
        let handle = Mutex::new(Handle { fd: Some(Arc::new(fd)), id: None });
        Arc::new(Self { parent: None, name: CString::default(), handle, data, _memory: None })
    }

    /// A directory in this one, not opened yet. The name is one that was read from it. None if the guest has no memory for it.
    pub(super) fn child(self: &Arc<Self>, name: &CStr, data: T, memory: &Budget) -> Option<Arc<Self>> {
        let memory = memory.try_take(Self::footprint(name))?;
        let (parent, name) = (Some(Arc::clone(self)), name.to_owned());
        Some(Arc::new(Self { parent, name, handle: Mutex::default(), data, _memory: Some(memory) }))
    }

    /// Bytes that a directory of this name takes, with what the allocator and the lists of jobs need for it.
    pub(super) fn footprint(name: &CStr) -> usize {
        const BESIDE: usize = 128;
        size_of::<Self>() + name.count_bytes() + BESIDE
    }

    pub(super) fn parent(&self) -> Option<&Arc<Self>> {
        self.parent.as_ref()
    }

    pub(super) fn name(&self) -> &CStr {
        &self.name
    }

    fn handle(&self) -> MutexGuard<'_, Handle> {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The open directory. If it was open before, its position is anywhere.
    pub(super) fn open(&self) -> Result<Arc<OwnedFd>> {
        let mut closed = Vec::new();
        let mut node = self;
        let mut fd = loop {
            if let Some(fd) = &node.handle().fd {
                break Arc::clone(fd);
            }
            closed.push(node);
            node = node.parent.as_ref().expect("the root of a tree stays open");
        };
        for node in closed.into_iter().rev() {
            let opened = open_directory_unchecked(&fd, &node.name)?;
            if !node.is(&opened)? {
                return Err(Error::NO_ENTRY);
            }
            fd = Arc::new(opened);
        }
        Ok(fd)
    }

    /// The open directory, by way of an open one in it.
    pub(super) fn open_from(self: &Arc<Self>, below: &OwnedFd, kept: &KeptDirs<T>) -> Result<Arc<OwnedFd>> {
        if let Some(fd) = &self.handle().fd {
            return Ok(Arc::clone(fd));
        }
        let above = open_directory_unchecked(below, c"..").map_err(Error::from);
        let fd = match above {
            Ok(above) if self.is_noted(&above)? => Arc::new(above),
            // It was moved elsewhere meanwhile.
            _ => self.open()?,
        };
        self.keep(&fd, kept);
        Ok(fd)
    }

    /// Whether an open directory can be this one: it is not another one than before.
    fn is(&self, opened: &OwnedFd) -> Result<bool> {
        match self.handle().id {
            Some(id) => Ok(Id::of(opened)? == id),
            None => Ok(true),
        }
    }

    /// Whether an open directory is this one for certain.
    fn is_noted(&self, opened: &OwnedFd) -> Result<bool> {
        Ok(self.handle().id == Some(Id::of(opened)?))
    }

    /// Keeps the directory open for what is to be done below it, and closes the one that was kept for the longest time.
    pub(super) fn keep(self: &Arc<Self>, fd: &Arc<OwnedFd>, kept: &KeptDirs<T>) {
        {
            let mut handle = self.handle();
            if handle.fd.is_some() {
                return;
            }
            handle.fd = Some(Arc::clone(fd));
        }
        let mut list = kept.lock();
        list.push_back(Arc::downgrade(self));
        let oldest = if list.len() > kept.max.load(Ordering::Relaxed) { list.pop_front() } else { None };
        drop(list);
        if let Some(oldest) = oldest.and_then(|node| node.upgrade()) {
            oldest.close();
        }
    }

    /// Closes the directory, unless something uses it just now, and notes which it was.
    fn close(&self) {
        let mut handle = self.handle();
        let Some(fd) = handle.fd.take() else { return };
        match Id::of(&fd) {
            Ok(id) => handle.id = Some(id),
            // It could not be told from another one later.
            Err(_) => handle.fd = Some(fd),
        }
    }
}

impl<T> Drop for Node<T> {
    /// One after the other: a chain of directories may be longer than the stack is deep.
    fn drop(&mut self) {
        let mut above = self.parent.take();
        while let Some(node) = above {
            above = Arc::into_inner(node).and_then(|mut node| node.parent.take());
        }
    }
}

impl<T> KeptDirs<T> {
    pub(super) fn new(max: usize) -> Self {
        Self { list: Mutex::default(), max: AtomicUsize::new(max) }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Weak<Node<T>>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many there may be from now on; there are none now.
    pub(super) fn limit(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// Closes all of them.
    pub(super) fn close(&self) {
        let list = std::mem::take(&mut *self.lock());
        list.iter().filter_map(Weak::upgrade).for_each(|node| node.close());
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::Mode;

    use super::*;
    use crate::limits::TREE_HANDLES_MAX;

    fn dir(path: &std::path::Path) -> OwnedFd {
        rustix::fs::openat(rustix::fs::CWD, path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).expect("it is there")
    }

    #[test]
    fn a_long_chain_is_dropped_without_a_deep_stack() {
        let root = tempfile::tempdir().expect("a directory");
        let mut node = Node::root(dir(root.path()), ());
        let memory = Budget::new(usize::MAX);
        for _ in 0..1_000_000 {
            node = node.child(c"d", (), &memory).expect("there is room");
        }
        assert!(memory.taken() > 100 << 20);
        drop(node);
        assert_eq!(memory.taken(), 0);
    }

    #[test]
    fn few_are_open_and_each_is_found_again() {
        let root = tempfile::tempdir().expect("a directory");
        let path = root.path().join("d/".repeat(100));
        std::fs::create_dir_all(&path).expect("it can be made");
        let kept = KeptDirs::new(TREE_HANDLES_MAX);
        let mut chain = vec![Node::root(dir(root.path()), ())];
        for _ in 0..100 {
            let node =
                chain.last().expect("the root is first").child(c"d", (), &Budget::new(usize::MAX)).expect("there is room");
            node.keep(&node.open().expect("it is there"), &kept);
            chain.push(node);
        }
        let open = |chain: &[Arc<Node<()>>]| chain.iter().filter(|node| node.handle().fd.is_some()).count();
        assert_eq!(open(&chain), TREE_HANDLES_MAX + 1);
        // From above, and from below.
        let id = Id::of(dir(&root.path().join("d/".repeat(50)))).expect("it is there");
        assert_eq!(Id::of(chain[50].open().expect("it is there")), Ok(id));
        let below = chain[51].open().expect("it is there");
        std::fs::rename(root.path().join("d"), root.path().join("elsewhere")).expect("it can be moved");
        assert_eq!(chain[50].open().err(), Some(Error::NO_ENTRY), "it is not where it was");
        assert_eq!(Id::of(chain[50].open_from(&below, &kept).expect("it is there")), Ok(id));
        kept.close();
        assert_eq!(open(&chain), 1);
    }

    #[test]
    fn another_directory_of_the_name_is_not_taken_for_the_one_before() {
        let root = tempfile::tempdir().expect("a directory");
        let name = root.path().join("d");
        std::fs::create_dir(&name).expect("it can be made");
        let (kept, top) = (KeptDirs::new(TREE_HANDLES_MAX), Node::root(dir(root.path()), ()));
        let node = top.child(c"d", (), &Budget::new(usize::MAX)).expect("there is room");
        node.keep(&node.open().expect("it is there"), &kept);
        kept.close();
        std::fs::rename(&name, root.path().join("before")).expect("it can be moved");
        std::fs::create_dir(&name).expect("it can be made");
        assert_eq!(node.open().err(), Some(Error::NO_ENTRY));
    }
}
