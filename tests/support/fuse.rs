//! A file system in user space that answers when a test says so: at once, late, never, or with an error.
//!
//! It speaks the protocol of `/dev/fuse` itself and keeps its files in memory. What it is mounted on is removed with it, and
//! whoever waits for an answer then gets an error.
//!
//! The server is in the process of the test. A thread of that process that waits for an answer cannot be ended by anything but the
//! answer, so a test in whose process that happens must not leave without dropping this.
#![allow(dead_code, reason = "each suite that has this module uses a part of it")]

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use files::{Files, ROOT, Request, WRITE_BYTES_MAX};

#[path = "fuse_files.rs"]
mod files;

/// How long a request may keep a test waiting before the test has failed. Far more than any takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A kind of request that the kernel sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Op {
    Lookup,
    GetAttr,
    SetAttr,
    MkDir,
    Unlink,
    RmDir,
    Rename,
    Open,
    Read,
    Write,
    StatFs,
    Release,
    Fsync,
    Flush,
    OpenDir,
    ReadDir,
    ReleaseDir,
    FsyncDir,
    Create,
    Rename2,
}

/// Their numbers in the protocol.
const OPS: [(u32, Op); 20] = [
    (1, Op::Lookup),
    (3, Op::GetAttr),
    (4, Op::SetAttr),
    (9, Op::MkDir),
    (10, Op::Unlink),
    (11, Op::RmDir),
    (12, Op::Rename),
    (14, Op::Open),
    (15, Op::Read),
    (16, Op::Write),
    (17, Op::StatFs),
    (18, Op::Release),
    (20, Op::Fsync),
    (25, Op::Flush),
    (27, Op::OpenDir),
    (28, Op::ReadDir),
    (29, Op::ReleaseDir),
    (30, Op::FsyncDir),
    (35, Op::Create),
    (45, Op::Rename2),
];

/// When and how a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    AtOnce,
    After(Duration),
    /// Not before the test sets another answer for it.
    Never,
    /// At once, with this error number, and nothing is done.
    Fails(i32),
}

/// A mounted file system.
pub(crate) struct Fuse {
    shared: Arc<Shared>,
    dir: TempDir,
    server: Option<thread::JoinHandle<()>>,
}

struct Shared {
    device: File,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    files: Files,
    /// The last that fits decides.
    rules: Vec<Rule>,
    /// Requests that came, the unanswered ones too.
    seen: BTreeMap<Op, usize>,
    closing: bool,
}

struct Rule {
    op: Op,
    name: Option<String>,
    answer: Answer,
}

impl Fuse {
    /// An empty one. Where none can be mounted it says why, and the test has to leave.
    pub(crate) fn mount() -> Option<Self> {
        match Self::try_mount() {
            Ok(fuse) => Some(fuse),
            Err(error) => {
                println!("skipped: a file system in user space cannot be mounted here: {error}");
                None
            }
        }
    }

    fn try_mount() -> std::io::Result<Self> {
        let dir = TempDir::new()?;
        let device = File::options().read(true).write(true).open("/dev/fuse")?;
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions", device.as_raw_fd());
        let text = |text: &[u8]| CString::new(text).expect("it has no zero byte");
        let (target, options) = (text(dir.path().as_os_str().as_bytes()), text(options.as_bytes()));
        // SAFETY: all are strings that end in zero.
        let mounted =
            unsafe { libc::mount(c"slow".as_ptr(), target.as_ptr(), c"fuse.slow".as_ptr(), 0, options.as_ptr().cast()) };
        if mounted != 0 {
            return Err(std::io::Error::last_os_error());
        }
        let state = State { files: Files::new(), rules: Vec::new(), seen: BTreeMap::new(), closing: false };
        let shared = Arc::new(Shared { device, state: Mutex::new(state), changed: Condvar::new() });
        let server = Arc::clone(&shared);
        let server = Some(thread::spawn(move || server.serve()));
        Ok(Self { shared, dir, server })
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A path in it. To use it from this process may wait.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Puts a file into its root, without a request.
    pub(crate) fn put(&self, name: &str, data: &[u8]) {
        self.shared.state().files.put(name, data);
    }

    /// What is in a file of its root, without a request.
    pub(crate) fn get(&self, name: &str) -> Option<Vec<u8>> {
        let mut state = self.shared.state();
        let number = *state.files.node(ROOT).ok()?.entries.get(name)?;
        Some(state.files.node(number).ok()?.data.clone())
    }

    /// The names in its root, without a request.
    pub(crate) fn names(&self) -> Vec<String> {
        self.shared.state().files.node(ROOT).expect("there is a root").entries.keys().cloned().collect()
    }

    /// Sets how requests of a kind are answered, those that wait already too.
    pub(crate) fn answer(&self, op: Op, answer: Answer) {
        self.add_rule(Rule { op, name: None, answer });
    }

    /// The same for what is about one name: that of the file, or the one that is looked up or made.
    pub(crate) fn answer_for(&self, name: &str, op: Op, answer: Answer) {
        self.add_rule(Rule { op, name: Some(name.to_owned()), answer });
    }

    fn add_rule(&self, rule: Rule) {
        self.shared.state().rules.push(rule);
        self.shared.changed.notify_all();
    }

    /// Answers everything, what waits too, from now on.
    pub(crate) fn answer_all(&self) {
        self.shared.state().rules.clear();
        self.shared.changed.notify_all();
    }

    /// Sets how long the kernel believes what it was told of names and of attributes: an hour and not at all, unless set.
    pub(crate) fn set_validity(&self, names: Duration, attributes: Duration) {
        self.shared.state().files.validity = [names, attributes];
    }

    /// The flags that files were opened with, one after the other.
    pub(crate) fn flags(&self) -> Vec<u32> {
        self.shared.state().files.flags.clone()
    }

    /// How many requests of a kind there were.
    pub(crate) fn seen(&self, op: Op) -> usize {
        self.shared.state().seen.get(&op).copied().unwrap_or(0)
    }

    /// Waits until there were so many requests of a kind.
    pub(crate) fn wait_for(&self, op: Op, count: usize) {
        let waited = self
            .shared
            .changed
            .wait_timeout_while(self.shared.state(), PATIENCE, |state| state.seen.get(&op).copied().unwrap_or(0) < count);
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "there were no {count} requests {op:?}: {:?}", state.seen);
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        self.shared.state().closing = true;
        self.shared.changed.notify_all();
        let target = CString::new(self.dir.path().as_os_str().as_bytes()).expect("it has no zero byte");
        // SAFETY: it is a string that ends in zero. With force, what waits for an answer gets an error.
        let unmounted = unsafe { libc::umount2(target.as_ptr(), libc::MNT_FORCE | libc::MNT_DETACH) };
        if unmounted == 0
            && let Some(server) = self.server.take()
        {
            // A panic of its own was printed when it happened.
            let _ = server.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(self: &Arc<Self>) {
        let mut buffer = vec![0; usize::try_from(WRITE_BYTES_MAX).expect("it is small") + 8192];
        loop {
            let length = match (&self.device).read(&mut buffer) {
                Ok(length) => length,
                // A request was taken back before it was read.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Interrupted) => continue,
                // It was unmounted.
                Err(_) => return,
            };
            let request = Request::parse(&buffer[..length]);
            let waits = {
                let mut state = self.state();
                if let Some(op) = request.op() {
                    *state.seen.entry(op).or_default() += 1;
                }
                !matches!(state.rule(&request), Answer::AtOnce | Answer::Fails(_))
            };
            self.changed.notify_all();
            if waits {
                let shared = Arc::clone(self);
                thread::spawn(move || shared.answer(&request));
            } else {
                self.answer(&request);
            }
        }
    }

    /// Waits until the request may be answered, and answers it.
    fn answer(&self, request: &Request) {
        let start = Instant::now();
        let mut state = self.state();
        let reply = loop {
            let wait = match state.rule(request) {
                _ if state.closing => return,
                Answer::AtOnce => break state.files.perform(request),
                Answer::Fails(error) => break Some(Err(error)),
                Answer::Never => PATIENCE,
                Answer::After(delay) => match delay.checked_sub(start.elapsed()) {
                    None | Some(Duration::ZERO) => break state.files.perform(request),
                    Some(left) => left,
                },
            };
            state = self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        };
        drop(state);
        let Some(reply) = reply else { return };
        let (error, data) = match reply {
            Ok(data) => (0, data),
            Err(error) => (-error, Vec::new()),
        };
        let length = u32::try_from(16 + data.len()).expect("answers are short");
        let mut bytes = Vec::from(length.to_ne_bytes());
        bytes.extend(error.to_ne_bytes());
        bytes.extend(request.unique.to_ne_bytes());
        bytes.extend(data);
        // Whoever asked may be gone.
        let _ = (&self.device).write(&bytes);
    }
}

impl State {
    fn rule(&self, request: &Request) -> Answer {
        let Some(op) = request.op() else { return Answer::AtOnce };
        let name = self.files.subject(request);
        let fits = |rule: &&Rule| rule.op == op && (rule.name.is_none() || rule.name.as_deref() == name);
        self.rules.iter().rev().find(fits).map_or(Answer::AtOnce, |rule| rule.answer)
    }
}
