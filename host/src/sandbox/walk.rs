//! A walk through a directory and everything below it, some entries at a time.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use rustix::fs::SeekFrom;

use super::dir::Token;
use super::entries::{Meter, is_directory_unchecked, read_piece, width};
use super::node::{Kept, Node};
use super::place::Place;
use super::status::file_type;
use super::ticket::{SharedWork, Ticket};
use super::{Read, names, sys};
use crate::error::{Error, Result};
use crate::limits::{WALK_BYTES_MAX, WALK_ENTRIES_MAX, WALK_PENDING_MAX};
use crate::sched::Flow;
use crate::types::{FileType, WalkEntry};

/// How long a request waits while another goes on with its walk. 1 ms: about what a piece of a walk takes.
const TURN_PAUSE: Duration = Duration::from_millis(1);

/// The guest's handle of a walk: `aiohost:aio/types.walker`. Requests on the walk share it.
#[derive(Clone, Debug)]
pub(crate) struct Walker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Held by the one request that goes on with the walk.
    turn: Mutex<()>,
    shared: Arc<Shared>,
    width: usize,
    _token: Token,
}

/// What the workers of one request share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    kept: Kept<u32>,
    depth_max: u32,
}

#[derive(Debug)]
struct State {
    todo: Vec<Job>,
    /// What was found and not given yet, in the order in which it was found.
    found: VecDeque<Piece>,
    entries: usize,
    bytes: usize,
    wanted: usize,
    busy: usize,
    stopped: bool,
}

/// A directory to be read on from here. What its node notes is how deep it lies.
#[derive(Debug)]
struct Job {
    node: Arc<Node<u32>>,
    offset: u64,
}

/// Entries of one directory. Their names lie one behind the other, so that an entry costs no memory of its own.
#[derive(Debug, Default)]
struct Piece {
    /// The path of the directory, with a slash behind it if it is not the one that is walked.
    prefix: String,
    names: String,
    /// Where each name ends, and its kind.
    entries: Vec<(usize, FileType)>,
    next: usize,
    /// The directory itself cannot be read; there are no entries then.
    error: Option<Error>,
}

impl Place<Read> {
    /// Begins a walk.
    pub(crate) fn walk(&self, max_depth: u32, maxreq: u32) -> Result<Walker> {
        let token = self.shared.quota.take()?;
        let root = Node::root(self.open_to_list()?, 1);
        let state = State {
            todo: vec![Job { node: root, offset: 0 }],
            found: VecDeque::new(),
            entries: 0,
            bytes: 0,
            wanted: 0,
            busy: 0,
            stopped: false,
        };
        let depth_max = if max_depth == 0 { u32::MAX } else { max_depth };
        let shared = Shared { state: Mutex::new(state), changed: Condvar::new(), kept: Kept::new(), depth_max };
        let inner = Inner { turn: Mutex::new(()), shared: Arc::new(shared), width: width(maxreq), _token: token };
        Ok(Walker(Arc::new(inner)))
    }
}

impl Walker {
    /// The next entries; none at the end. While another request is at it, this one is to try again.
    pub(crate) fn next(&self, max: u32, ticket: &dyn Ticket) -> Flow<Vec<WalkEntry>> {
        match self.0.turn.try_lock() {
            Ok(_turn) => self.go_on(max, ticket).into(),
            Err(TryLockError::Poisoned(error)) => {
                let _turn = error.into_inner();
                self.go_on(max, ticket).into()
            }
            Err(TryLockError::WouldBlock) => Flow::Again(TURN_PAUSE),
        }
    }

    fn go_on(&self, max: u32, ticket: &dyn Ticket) -> Result<Vec<WalkEntry>> {
        let wanted = match usize::try_from(max).unwrap_or(usize::MAX) {
            0 => WALK_ENTRIES_MAX,
            max => max.min(WALK_ENTRIES_MAX),
        };
        let shared = Arc::clone(&self.0.shared);
        shared.begin(wanted);
        if !shared.has_enough() {
            let work: SharedWork = Arc::new(move |ticket| shared.work(ticket));
            ticket.wide(self.0.width, &work)?;
        }
        ticket.check()?;
        // Between requests a walk holds no more than the directory that it began with.
        self.0.shared.kept.close();
        let entries = self.0.shared.state().take(wanted, ticket)?;
        ticket.advance(0, u64::try_from(entries.len()).expect("a length fits"));
        Ok(entries)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, wanted: usize) {
        let mut state = self.state();
        state.wanted = wanted;
        state.stopped = false;
    }

    fn has_enough(&self) -> bool {
        self.state().has_enough()
    }

    /// Reads directories until there is enough, or nothing more.
    fn work(&self, ticket: &dyn Ticket) {
        let mut state = self.state();
        while !state.stopped && !state.has_enough() {
            if let Some(job) = state.todo.pop() {
                state.busy += 1;
                drop(state);
                let busy = Busy(self);
                if ticket.check().is_err() {
                    // What was not read is left for another request.
                    let mut state = self.state();
                    state.todo.push(job);
                    state.stopped = true;
                } else {
                    self.step(job);
                }
                drop(busy);
                state = self.state();
            } else if state.busy > 0 {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else {
                return;
            }
        }
    }

    /// Reads some of a directory.
    fn step(&self, Job { node, offset }: Job) {
        let mut piece = Piece { prefix: path(&node), ..Piece::default() };
        let mut below = Vec::new();
        let next = self.read(&node, offset, &mut piece, &mut below);
        let mut state = self.state();
        let room = WALK_PENDING_MAX.saturating_sub(state.todo.len());
        let refused: Vec<Job> = if below.len() > room { below.split_off(room) } else { Vec::new() };
        state.add(piece);
        match next {
            Ok(None) => {}
            Ok(Some(offset)) => state.todo.push(Job { node, offset }),
            Err(error) => state.add(unreadable(&node, error)),
        }
        state.todo.append(&mut below);
        refused.iter().for_each(|job| state.add(unreadable(&job.node, Error::OVERFLOW)));
    }

    fn read(&self, node: &Arc<Node<u32>>, offset: u64, piece: &mut Piece, below: &mut Vec<Job>) -> Result<Option<u64>> {
        let fd = node.open()?;
        // The directory that is walked may have been read before.
        if offset != 0 || node.parent().is_none() {
            sys::seek(&*fd, SeekFrom::Start(offset))?;
        }
        let next = read_piece(&fd, |entry| {
            names::decode_into(&mut piece.names, entry.file_name().to_bytes());
            let kind = kind_of(&fd, entry)?;
            piece.entries.push((piece.names.len(), kind));
            if kind == FileType::Directory && node.data < self.depth_max {
                below.push(Job { node: node.child(entry.file_name(), node.data.saturating_add(1)), offset: 0 });
            }
            Ok(())
        })?;
        if !below.is_empty() || next.is_some() {
            node.keep(&fd, &self.kept);
        }
        Ok(next)
    }
}

fn kind_of(dir: &OwnedFd, entry: &rustix::fs::RawDirEntry<'_>) -> Result<FileType> {
    let kind = file_type(entry.file_type());
    if kind == FileType::Unknown && is_directory_unchecked(dir, entry.file_name())? {
        return Ok(FileType::Directory);
    }
    Ok(kind)
}

/// The path of a directory below the one that is walked, with a slash behind it.
fn path(node: &Arc<Node<u32>>) -> String {
    let mut names = Vec::new();
    let mut node = node;
    while let Some(parent) = node.parent() {
        names.push(node.name());
        node = parent;
    }
    let mut path = String::new();
    for name in names.into_iter().rev() {
        names::decode_into(&mut path, name.to_bytes());
        path.push('/');
    }
    path
}

fn unreadable(node: &Arc<Node<u32>>, error: Error) -> Piece {
    Piece { prefix: path(node), error: Some(error), ..Piece::default() }
}

/// Somebody reads a directory; others may wait for what is in it.
struct Busy<'a>(&'a Shared);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.state().busy -= 1;
        self.0.changed.notify_all();
    }
}

impl State {
    fn has_enough(&self) -> bool {
        self.entries >= self.wanted || self.bytes >= WALK_BYTES_MAX
    }

    fn add(&mut self, piece: Piece) {
        if piece.is_empty() {
            return;
        }
        self.entries += piece.length();
        self.bytes += piece.bytes();
        self.found.push_back(piece);
    }

    /// Takes entries, as many as are wanted and as fit on the guest's books.
    fn take(&mut self, wanted: usize, ticket: &dyn Ticket) -> Result<Vec<WalkEntry>> {
        let mut entries = Vec::with_capacity(wanted.min(self.entries));
        let mut meter = Meter::new(ticket);
        let mut bytes = 0;
        while entries.len() < wanted
            && bytes < WALK_BYTES_MAX
            && let Some(piece) = self.found.front_mut()
        {
            let size = piece.next_bytes();
            match meter.add(size + size_of::<WalkEntry>()) {
                Ok(()) => {}
                Err(error) if entries.is_empty() => return Err(error),
                Err(_) => break,
            }
            entries.push(piece.take());
            bytes += size;
            self.entries -= 1;
            self.bytes -= size;
            if piece.is_empty() {
                self.found.pop_front();
            }
        }
        Ok(entries)
    }
}

impl Piece {
    fn length(&self) -> usize {
        self.entries.len() - self.next + usize::from(self.error.is_some())
    }

    fn is_empty(&self) -> bool {
        self.length() == 0
    }

    /// Bytes of the paths that are left in it.
    fn bytes(&self) -> usize {
        self.names.len() - self.start() + self.length() * self.prefix.len()
    }

    /// Where the next name begins.
    fn start(&self) -> usize {
        self.next.checked_sub(1).map_or(0, |before| self.entries[before].0)
    }

    fn next_bytes(&self) -> usize {
        let name = self.entries.get(self.next).map_or(0, |(end, _)| end - self.start());
        self.prefix.len() + name
    }

    fn take(&mut self) -> WalkEntry {
        let Some((end, kind)) = self.entries.get(self.next).copied() else {
            let path = match self.prefix.strip_suffix('/') {
                Some(path) => path.to_owned(),
                // The directory that is walked.
                None => String::from("."),
            };
            return WalkEntry { path, kind: FileType::Directory, error: self.error.take() };
        };
        let name = &self.names[self.start()..end];
        let mut path = String::with_capacity(self.prefix.len() + name.len());
        path.push_str(&self.prefix);
        path.push_str(name);
        self.next += 1;
        WalkEntry { path, kind, error: None }
    }
}
