//! Copying a directory with everything below it, under a name of its own until all of it is there.
//!
//! Nothing of it is brought to the device: with many files that takes many times as long as to copy them, and whoever wants it
//! can do it once for all with `syncfs`, or with `pathsync` for what matters.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, SeekFrom, Stat};
use rustix::io::Errno;

use super::claim::{Claim, Claiming, take_turn};
use super::copy::ON_THE_WAY;
use super::descriptor::Quota;
use super::draft::{self, Draft};
use super::entries::{Seen, read_piece, width};
use super::jobs::{self, Jobs, SharedWork};
use super::modes::{self, permissions, times};
use super::node::{Id, KeptDirs, Node};
use super::place::Place;
use super::regular::open_regular_unchecked;
use super::ticket::Ticket;
use super::transfer::{TransferFiles, Whole};
use super::{Read, Write, sys};
use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::limits::{STEP_BYTES, TREE_HANDLES_MAX};
use crate::sched::Flow;

/// A directory that is copied with everything below it.
#[derive(Debug)]
pub(crate) struct CopyTree {
    from: Place<Read>,
    to: Place<Write>,
    maxreq: u32,
    copying: Option<Begun>,
    claim: Claim,
}

/// What closes its descriptors before the copy is removed, which opens some itself.
#[derive(Debug)]
struct Begun {
    copying: Arc<Copying>,
    draft: Draft,
}

/// How many workers may be at it, and how many directories stay open of each side.
#[derive(Clone, Copy, Debug)]
struct Breadth {
    width: usize,
    kept: usize,
}

impl Breadth {
    const LEAST: Self = Self { width: 1, kept: 1 };

    /// What is open: the directory that is copied, that of the copy, the copy twice; directories of both sides; and of large files
    /// that are half copied both, and where they lie.
    fn descriptors(self) -> usize {
        4 + 2 * self.kept + 3 * self.width
    }
}

impl CopyTree {
    pub(crate) fn new(from: Place<Read>, to: Place<Write>, maxreq: u32) -> Self {
        let claim = Claim::between(Breadth::LEAST.descriptors(), Self::breadth(maxreq).descriptors());
        Self { from, to, maxreq, copying: None, claim }
    }

    fn breadth(maxreq: u32) -> Breadth {
        Breadth { width: width(maxreq), kept: TREE_HANDLES_MAX }
    }

    /// Bytes of memory that its paths hold.
    pub(crate) fn bytes(&self) -> usize {
        self.from.bytes() + self.to.bytes()
    }

    /// Gives how many names were made. Dropping it, or its failure, removes what there is of the copy.
    pub(crate) fn go_on(&mut self, ticket: &dyn Ticket) -> Flow<Result<u64>> {
        take_turn(self, ticket, |copy, has_most| {
            copy.turn(if has_most { Self::breadth(copy.maxreq) } else { Breadth::LEAST }, ticket)
        })
    }

    fn turn(&mut self, breadth: Breadth, ticket: &dyn Ticket) -> Flow<Result<u64>> {
        let Begun { copying, mut draft } = match self.copying.take().map_or_else(|| self.begin(breadth, ticket), Ok) {
            Ok(begun) => begun,
            Err(error) => return Flow::Done(Err(error)),
        };
        let flow = jobs::go_on(&copying, ticket);
        if !matches!(flow, Flow::Done(())) {
            self.copying = Some(Begun { copying, draft });
            return flow.map(|()| Ok(0));
        }
        let names = copying.names.load(Ordering::Relaxed);
        draft.add(names);
        let whole = copying.jobs.outcome().and_then(|()| copying.restrict()).and_then(|()| ticket.check());
        // What it has open is closed before the copy is removed, should it have to be.
        drop(copying);
        Flow::Done(whole.and_then(|()| draft.arrive()).map(|()| names))
    }

    fn begin(&self, breadth: Breadth, ticket: &dyn Ticket) -> Result<Begun> {
        ticket.check()?;
        let source = self.from.open_tree()?;
        let entry = self.to.entry(Error::EXIST)?;
        match sys::statat(&entry.dir, entry.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => return Err(Error::EXIST),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        lies_outside(entry.dir.as_fd(), Id::of(&source)?, ticket)?;
        let draft = Draft::begin(&self.to.shared, &entry)?;
        let copying = Arc::new(Copying::new(source, draft.open()?, breadth, &ticket.memory())?);
        Ok(Begun { copying, draft })
    }
}

impl Claiming for CopyTree {
    fn claim(&mut self) -> Option<(&mut Claim, &Quota)> {
        Some((&mut self.claim, &self.to.shared.quota))
    }
}

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
            // The host may not look further up, so it is already above the granted directory.
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

/// What is in one directory on its way into another, which is empty, and gets the permissions and times of the first.
#[derive(Debug)]
struct Copying {
    jobs: Jobs<Job>,
    sources: KeptDirs<Pending>,
    targets: KeptDirs<()>,
    /// The copy itself, should it turn up in what is copied.
    copy_id: Id,
    names: AtomicU64,
    /// Directories that their owner may not do everything with, each after what is in it.
    restricted: Mutex<Vec<Arc<Node<Pending>>>>,
    memory: Budget,
}

/// A part of the work that is done in one go.
#[derive(Debug)]
enum Job {
    /// A directory to be read on from here.
    Directory { node: Arc<Node<Pending>>, offset: u64 },
    /// A large file in a directory. Only those that are just copied are open, however many there are.
    Large { node: Arc<Node<Pending>>, name: CString },
    /// The same, once it was begun.
    Part(Box<Part>),
}

/// What is known of a directory that is copied.
#[derive(Debug)]
struct Pending {
    target: Arc<Node<()>>,
    /// Its status before it was read.
    status: OnceLock<Stat>,
    /// Directories and large files in it that are not copied yet, and one while it is read itself.
    left: AtomicUsize,
}

impl Pending {
    fn new(target: Arc<Node<()>>) -> Self {
        Self { target, status: OnceLock::new(), left: AtomicUsize::new(1) }
    }
}

impl SharedWork for Copying {
    type Job = Job;

    fn jobs(&self) -> &Jobs<Job> {
        &self.jobs
    }

    fn step(&self, job: Job, ticket: &dyn Ticket) {
        if let Err(error) = ticket.check().and_then(|()| self.copy_some(job, ticket)) {
            self.jobs.stop(error);
        }
    }
}

impl Copying {
    fn new(source: OwnedFd, target: OwnedFd, breadth: Breadth, memory: &Budget) -> Result<Self> {
        let copy_id = Id::of(&target)?;
        let root = Node::root(source, Pending::new(Node::root(target, ())));
        Ok(Self {
            jobs: Jobs::new(Job::Directory { node: root, offset: 0 }, breadth.width),
            sources: KeptDirs::new(breadth.kept),
            targets: KeptDirs::new(breadth.kept),
            copy_id,
            names: AtomicU64::new(1),
            restricted: Mutex::default(),
            memory: memory.clone(),
        })
    }

    fn copy_some(&self, job: Job, ticket: &dyn Ticket) -> Result<()> {
        match job {
            Job::Directory { node, offset } => self.read(node, offset, ticket),
            Job::Large { node, name } => {
                let (source, target) = (node.open()?, node.data.target.open()?);
                let input = open_regular_unchecked(&source, &name)?;
                let status = sys::fstat(&input)?;
                let file = CopiedFile::begin(input, status, &target, &name)?;
                self.go_on(Box::new(Part { node, target, file }), ticket)
            }
            Job::Part(part) => self.go_on(part, ticket),
        }
    }

    /// Copies some of a large file.
    fn go_on(&self, mut part: Box<Part>, ticket: &dyn Ticket) -> Result<()> {
        if !part.file.step(ticket)? {
            self.jobs.push_begun(Job::Part(part));
            return Ok(());
        }
        self.count(1, ticket);
        let Part { node, target, .. } = *part;
        self.leave(node, target)
    }

    /// Copies some of what a directory holds.
    fn read(&self, node: Arc<Node<Pending>>, offset: u64, ticket: &dyn Ticket) -> Result<()> {
        let source = node.open()?;
        let target = match node.data.status.get() {
            Some(_) => node.data.target.open()?,
            None => self.begin(&node, &source)?,
        };
        sys::seek(&*source, SeekFrom::Start(offset))?;
        let (mut below, mut names) = (Vec::new(), 0);
        let next = read_piece(&source, |entry| {
            let name = entry.file_name();
            match kind_of(&source, name, entry.file_type())? {
                FileType::Directory => {
                    let Some(child) = self.child(&node, name) else {
                        return if below.is_empty() { Self::wait_for_memory(name, ticket) } else { Ok(Seen::Later) };
                    };
                    below.push(Job::Directory { node: child, offset: 0 });
                    return Ok(Seen::Taken);
                }
                FileType::RegularFile => {
                    let input = open_regular_unchecked(&source, name)?;
                    let status = sys::fstat(&input)?;
                    if status.st_size.cast_unsigned() > STEP_BYTES {
                        below.push(Job::Large { node: Arc::clone(&node), name: name.to_owned() });
                        return Ok(Seen::Taken);
                    }
                    CopiedFile::begin(input, status, &target, name)?.copy_all(ticket)?;
                }
                FileType::Symlink => copy_link(&source, &target, name)?,
                _ => return Err(Error::UNSUPPORTED),
            }
            names += 1;
            Ok(if ticket.is_wanted() { Seen::Last } else { Seen::Taken })
        });
        self.count(names, ticket);
        let next = next?;
        if !(below.is_empty() && next.is_none()) {
            node.keep(&source, &self.sources);
            node.data.target.keep(&target, &self.targets);
        }
        node.data.left.fetch_add(below.len(), Ordering::Relaxed);
        match next {
            // Under what is in it, so that this does not grow with the directory.
            Some(offset) => self.jobs.push([Job::Directory { node, offset }].into_iter().chain(below)),
            None => {
                self.jobs.push(below);
                self.leave(node, target)?;
            }
        }
        Ok(())
    }

    /// A directory that was found, and where it goes; none if the guest has no memory for it.
    fn child(&self, node: &Arc<Node<Pending>>, name: &CStr) -> Option<Arc<Node<Pending>>> {
        let target = node.data.target.child(name, (), &self.memory)?;
        node.child(name, Pending::new(target), &self.memory)
    }

    /// There is no memory for a single directory more: the request is begun again when there is.
    fn wait_for_memory(name: &CStr, ticket: &dyn Ticket) -> Result<Seen> {
        ticket.reserve(Node::<Pending>::footprint(name) + Node::<()>::footprint(name))?;
        Ok(Seen::Later)
    }

    /// Makes the copy of a directory, empty, and returns it.
    fn begin(&self, node: &Arc<Node<Pending>>, source: &OwnedFd) -> Result<Arc<OwnedFd>> {
        if Id::of(source)? == self.copy_id {
            return Err(Error::INVALID);
        }
        let target = &node.data.target;
        if let Some(parent) = target.parent() {
            sys::mkdirat(&*parent.open()?, target.name(), draft::ON_THE_WAY)?;
            self.names.fetch_add(1, Ordering::Relaxed);
        }
        let status = modes::without_list(source, sys::fstat(source)?)?;
        node.data.status.set(status).expect("a directory is begun once");
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
            sys::fchmod(&*target, mode | draft::ON_THE_WAY)?;
            sys::futimens(&*target, &times(status))?;
            if !mode.contains(draft::ON_THE_WAY) {
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

/// A large file that is being copied, with where it is and where the copy is.
#[derive(Debug)]
struct Part {
    node: Arc<Node<Pending>>,
    target: Arc<OwnedFd>,
    file: CopiedFile,
}

/// A file on its way into a new one.
#[derive(Debug)]
struct CopiedFile {
    input: File,
    output: File,
    status: Stat,
    whole: Whole,
}

impl CopiedFile {
    fn begin(input: File, status: Stat, dir: &OwnedFd, name: &CStr) -> Result<Self> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let output = File::from(sys::openat(dir, name, flags, ON_THE_WAY)?);
        let whole = Whole::new(TransferFiles { input: &input, output: &output }, &status)?;
        Ok(Self { input, output, status, whole })
    }

    /// Copies some more. Returns whether that was all.
    fn step(&mut self, ticket: &dyn Ticket) -> Result<bool> {
        let done = self.whole.step(TransferFiles { input: &self.input, output: &self.output }, ticket)?.is_some();
        if done {
            modes::finish(&self.input, &self.output, &self.status)?;
        }
        Ok(done)
    }

    fn copy_all(mut self, ticket: &dyn Ticket) -> Result<()> {
        while !self.step(ticket)? {
            ticket.check()?;
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
    let status = sys::statat(source, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let leads_to = sys::readlinkat(source, name, Vec::new())?;
    sys::symlinkat(&leads_to, target, name)?;
    sys::utimensat(target, name, &times(&status), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::sandbox::scene::{Scene, as_plain_user};
    use crate::sandbox::sys::fault::meanwhile;
    use crate::sandbox::ticket::fake::{FakeTicket, finish};

    fn copy_tree(scene: &Scene, ticket: &FakeTicket) -> Result<u64> {
        let mut copy = CopyTree::new(scene.read("/near/source"), scene.write("/near/target"), 1);
        finish(|| copy.go_on(ticket))
    }

    /// Directories that nobody may write to, one of them in another one.
    fn put_closed_tree(scene: &Scene) {
        let source = scene.path("/near/source");
        fs::create_dir_all(source.join("closed/deeper/open")).expect("it can be made");
        for path in ["file", "closed/file", "closed/deeper/file"] {
            fs::write(source.join(path), "x").expect("it can be written");
        }
        for path in ["closed/deeper", "closed", "."] {
            fs::set_permissions(source.join(path), fs::Permissions::from_mode(0o555)).expect("it is ours");
        }
    }

    /// Lets its owner remove a directory and all that is below it.
    fn open_up(dir: &Path) {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).expect("it is ours");
        for entry in fs::read_dir(dir).expect("it is ours") {
            let entry = entry.expect("it is ours");
            if entry.file_type().expect("it is ours").is_dir() {
                open_up(&entry.path());
            }
        }
    }

    #[test]
    fn a_copy_that_failed_late_left_its_read_only_directories() {
        let mut skip = 0;
        loop {
            let scene = Scene::new();
            let (near, target) = (scene.path("/near"), scene.path("/near/target"));
            let mut hit = None;
            as_plain_user(&[&near], || {
                put_closed_tree(&scene);
                let take_name = move || {
                    // By then it may be there.
                    let _taken = fs::create_dir(&target);
                    true
                };
                let copy = || copy_tree(&scene, &FakeTicket::default());
                let (copied, call) = meanwhile(skip, take_name, copy);
                hit = call;
                assert!(copied == Err(Error::EXIST) || copied.is_ok(), "{copied:?}");
                assert_eq!(copied.is_ok(), scene.path("/near/target/file").exists());
                assert_eq!(scene.leftovers(), Vec::<PathBuf>::new(), "the name was taken before {call:?}");
                // For whoever removes the directory of this test.
                open_up(&near);
            });
            if hit.is_none() {
                println!("the name was taken before each of {skip} calls");
                return assert!(skip > 50);
            }
            skip += 1;
        }
    }

    #[test]
    fn a_large_file_is_copied_in_parts_with_its_times() {
        let scene = Scene::new();
        let content = vec![b'x'; 2 * usize::try_from(STEP_BYTES).expect("it fits") + 7];
        fs::create_dir_all(scene.path("/near/source/sub")).expect("it can be made");
        for path in ["/near/source/large", "/near/source/sub/large", "/near/source/small"] {
            scene.put(path, if path.ends_with("small") { b"x" } else { &content });
        }
        let copied = copy_tree(&scene, &FakeTicket::default());
        assert_eq!(copied, Ok(5));
        for path in ["", "/large", "/sub", "/sub/large"] {
            let modified = |root: &str| {
                let metadata = fs::metadata(scene.path(&format!("{root}{path}"))).expect("it is there");
                (metadata.len(), metadata.modified().expect("it has one"))
            };
            assert_eq!(modified("/near/source"), modified("/near/target"), "{path}");
        }
        assert!(scene.content("/near/target/sub/large") == Some(content));
    }

    #[test]
    fn a_copy_that_was_canceled_left_a_part() {
        let scene = Scene::new();
        put_closed_tree(&scene);
        let mut checks = 0;
        loop {
            let ticket = FakeTicket { checks: AtomicUsize::new(checks), ..FakeTicket::default() };
            let copied = copy_tree(&scene, &ticket);
            assert_eq!(scene.leftovers(), Vec::<PathBuf>::new());
            match copied {
                Ok(_) => return assert!(checks > 5),
                Err(error) => assert_eq!(error, Error::CANCELED),
            }
            checks += 1;
        }
    }
}
