//! Copying a directory with everything below it, under a name of its own until all of it is there.

use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, SeekFrom, Statx, StatxFlags};
use rustix::io::Errno;

use super::copy::{copy_new, open_regular_unchecked, permissions, status, times};
use super::crew::Crew;
use super::entries::{read_piece, width};
use super::node::{Id, Kept, Node, open_directory_unchecked};
use super::place::Place;
use super::replace::with_new_name;
use super::rmtree::{CallOff, remove_tree};
use super::ticket::{SharedWork, Ticket};
use super::{Read, Write, sys};
use crate::error::{Error, Result};

impl Place<Read> {
    /// Copies a directory and everything below it. Returns how many names were made.
    pub(crate) fn copy_tree(&self, to: &Place<Write>, maxreq: u32, ticket: &dyn Ticket) -> Result<u64> {
        let source = self.open_to_list()?;
        let to = to.entry(Error::EXIST)?;
        match sys::statat(&to.dir, to.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => return Err(Error::EXIST),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        lies_outside(to.dir.as_fd(), Id::of(&source)?, ticket)?;
        let dir = to.dir.as_fd().try_clone_to_owned()?;
        let (name, ()) = with_new_name(|name| sys::mkdirat(&dir, name, ON_THE_WAY))?;
        let copied = open_directory_unchecked(&dir, &name)
            .map_err(Error::from)
            .and_then(|target| copy_into(source, target, width(maxreq), ticket))
            .and_then(|names| {
                arrive(&dir, &name, to.name)?;
                Ok(names)
            });
        if copied.is_err()
            && let Err(error) = remove_tree(dir, OsStr::from_bytes(name.to_bytes()), CallOff::Impossible, 1, ticket)
        {
            tracing::warn!(%error, ?name, "a part of a copy that failed is left");
        }
        copied
    }
}

/// For the time of copying. What has fewer permissions in the end gets them at the end, so that a copy that fails can be
/// removed.
const ON_THE_WAY: Mode = Mode::RWXU;

/// Fails if a directory is the one with this identity, or lies somewhere in it: the copy would hold itself.
fn lies_outside(dir: impl AsFd, source: Id, ticket: &dyn Ticket) -> Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut dir = sys::openat(dir, c".", flags, Mode::empty())?;
    let mut id = Id::of(&dir)?;
    loop {
        ticket.check()?;
        if id == source {
            return Err(Error::INVALID);
        }
        // Only to compare identities; nothing above the grant is shown to anybody.
        dir = match sys::openat(&dir, c"..", flags, Mode::empty()) {
            // The host itself may not look further up, and so is above what it was granted.
            Err(Errno::ACCESS) => return Ok(()),
            result => result?,
        };
        let above = Id::of(&dir)?;
        if above == id {
            return Ok(());
        }
        id = above;
    }
}

/// Gives the copy its name, if that is still free.
fn arrive(dir: &OwnedFd, name: &CStr, to: &OsStr) -> Result<()> {
    match sys::renameat_with(dir, name, dir, to, RenameFlags::NOREPLACE) {
        // The file system knows no flags. Without them only an empty directory would be replaced.
        Err(Errno::INVAL | Errno::NOSYS) => Ok(sys::renameat(dir, name, dir, to)?),
        result => Ok(result?),
    }
}

/// Copies what is in one directory into another, which is empty, and gives that the permissions and times of the first.
fn copy_into(source: OwnedFd, target: OwnedFd, width: usize, ticket: &dyn Ticket) -> Result<u64> {
    let copy_id = Id::of(&target)?;
    let root = Node::root(source, Pending::new(Node::root(target, ())));
    let copying = Copying {
        crew: Crew::new(Job { node: root, offset: 0 }),
        sources: Kept::new(),
        targets: Kept::new(),
        copy_id,
        names: AtomicU64::new(1),
        restricted: Mutex::default(),
    };
    let copying = Arc::new(copying);
    let shared = Arc::clone(&copying);
    let work: SharedWork = Arc::new(move |ticket| {
        shared.crew.work(|job| {
            if let Err(error) = ticket.check().and_then(|()| shared.step(job, ticket)) {
                shared.crew.stop(error);
            }
        });
    });
    ticket.wide(width, &work)?;
    copying.crew.outcome()?;
    copying.restrict()?;
    Ok(copying.names.load(Ordering::Relaxed))
}

struct Copying {
    crew: Crew<Job>,
    sources: Kept<Pending>,
    targets: Kept<()>,
    /// The copy itself, should it turn up in what is copied.
    copy_id: Id,
    names: AtomicU64,
    /// Directories that their owner may not do everything with, each after what is in it.
    restricted: Mutex<Vec<Arc<Node<Pending>>>>,
}

/// A directory to be read on from here.
struct Job {
    node: Arc<Node<Pending>>,
    offset: u64,
}

/// What is known of a directory that is copied.
#[derive(Debug)]
struct Pending {
    target: Arc<Node<()>>,
    /// Its status before it was read.
    status: OnceLock<Statx>,
    /// Directories in it that are not copied yet, and one while it is read itself.
    left: AtomicUsize,
}

impl Pending {
    fn new(target: Arc<Node<()>>) -> Self {
        Self { target, status: OnceLock::new(), left: AtomicUsize::new(1) }
    }
}

impl Copying {
    /// Copies some of what a directory holds.
    fn step(&self, Job { node, offset }: Job, ticket: &dyn Ticket) -> Result<()> {
        let source = node.open()?;
        let target = match node.data.status.get() {
            Some(_) => node.data.target.open()?,
            None => self.begin(&node, &source)?,
        };
        sys::seek(&*source, SeekFrom::Start(offset))?;
        let mut below = Vec::new();
        let mut names = 0;
        let next = read_piece(&source, |entry| {
            let name = entry.file_name();
            match kind_of(&source, name, entry.file_type())? {
                FileType::Directory => {
                    let target = node.data.target.child(name, ());
                    below.push(Job { node: node.child(name, Pending::new(target)), offset: 0 });
                    return Ok(());
                }
                FileType::RegularFile => {
                    let input = open_regular_unchecked(&source, name)?;
                    copy_new(&input, &target, OsStr::from_bytes(name.to_bytes()), ticket)?;
                }
                FileType::Symlink => copy_link(&source, &target, name)?,
                _ => return Err(Error::UNSUPPORTED),
            }
            names += 1;
            Ok(())
        })?;
        self.count(names, ticket);
        if !(below.is_empty() && next.is_none()) {
            node.keep(&source, &self.sources);
            node.data.target.keep(&target, &self.targets);
        }
        node.data.left.fetch_add(below.len(), Ordering::Relaxed);
        match next {
            // Under what is in it, so that this does not grow with the directory.
            Some(offset) => self.crew.push([Job { node, offset }].into_iter().chain(below)),
            None => {
                self.crew.push(below);
                self.leave(node, target)?;
            }
        }
        Ok(())
    }

    /// Makes the copy of a directory, empty, and returns it.
    fn begin(&self, node: &Arc<Node<Pending>>, source: &OwnedFd) -> Result<Arc<OwnedFd>> {
        if Id::of(source)? == self.copy_id {
            return Err(Error::INVALID);
        }
        let target = &node.data.target;
        if let Some(parent) = target.parent() {
            sys::mkdirat(&*parent.open()?, target.name(), ON_THE_WAY)?;
            self.names.fetch_add(1, Ordering::Relaxed);
        }
        node.data.status.set(status(source)?).expect("a directory is begun once");
        target.open()
    }

    fn count(&self, names: u64, ticket: &dyn Ticket) {
        self.names.fetch_add(names, Ordering::Relaxed);
        ticket.advance(0, names);
    }

    /// A directory has been read, or one in it is copied. If that was the last it is finished, and so on above it.
    fn leave(&self, mut node: Arc<Node<Pending>>, mut target: Arc<OwnedFd>) -> Result<()> {
        while node.data.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let status = node.data.status.get().expect("it was begun");
            let mode = permissions(status);
            sys::fchmod(&*target, mode | ON_THE_WAY)?;
            sys::futimens(&*target, &times(status))?;
            if !mode.contains(ON_THE_WAY) {
                self.restricted.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&node));
            }
            let Some(parent) = node.parent().map(Arc::clone) else { return Ok(()) };
            target = parent.data.target.open_from(&target, &self.targets)?;
            node = parent;
        }
        Ok(())
    }

    /// Takes permissions away where the directory that was copied does not have them. This changes no times but that of the
    /// last change of any kind.
    fn restrict(&self) -> Result<()> {
        for node in self.restricted.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let status = node.data.status.get().expect("it was begun");
            sys::fchmod(&*node.data.target.open()?, permissions(status))?;
        }
        Ok(())
    }
}

/// What kind of object a name stands for, where the file system does not tell.
fn kind_of(dir: &OwnedFd, name: &CStr, kind: FileType) -> Result<FileType> {
    match kind {
        FileType::Unknown => Ok(FileType::from_raw_mode(sys::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode)),
        kind => Ok(kind),
    }
}

/// Makes the same symbolic link, as it is written, with the same times.
fn copy_link(source: &OwnedFd, target: &OwnedFd, name: &CStr) -> Result<()> {
    let status = sys::statx(source, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)?;
    let leads_to = sys::readlinkat(source, name, Vec::new())?;
    sys::symlinkat(&leads_to, target, name)?;
    sys::utimensat(target, name, &times(&status), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}
