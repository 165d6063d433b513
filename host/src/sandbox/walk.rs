//! A walk through a directory and everything below it, some entries at a time.
//!
//! What a walk still has to visit and what it has found are the guest's memory. Where there is none left, a directory is left half
//! read and taken up again later, at the entry where it was.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::{RawDirEntry, SeekFrom};

use super::claim::{Claim, Claiming, take_turn};
use super::descriptor::{Quota, Token};
use super::entries::{Meter, Seen, is_directory_unchecked, read_piece, width};
use super::jobs::{self, Jobs, SharedWork};
use super::node::{KeptDirs, Node};
use super::place::Place;
use super::status::file_type;
use super::ticket::Ticket;
use super::turn::Turn;
use super::{Read, names, sys};
use crate::budget::{Budget, Reservation};
use crate::error::{Error, Result};
use crate::limits::{TREE_HANDLES_MAX, WALK_BYTES_MAX, WALK_ENTRIES_MAX, WALK_PENDING_MAX};
use crate::sched::Flow;
use crate::types::{FileType, WalkEntry};

/// The guest's handle of a walk: `aiohost:aio/types.walker`. Requests on the walk share it.
#[derive(Clone, Debug)]
pub struct Walker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Taken by the one request that goes on with the walk.
    turn: Budget,
    walk: Arc<Walk>,
    quota: Quota,
    /// There until it is dropped.
    token: Option<Token>,
}

/// What the workers of one request share.
#[derive(Debug)]
struct Walk {
    jobs: Jobs<Job>,
    found: Mutex<Found>,
    /// How many entries the request wants that goes on with it; 0 between requests.
    wanted: AtomicUsize,
    kept: KeptDirs<u32>,
    depth_max: u32,
    memory: Budget,
}

/// What was found and not given yet, in the order in which it was found.
#[derive(Debug, Default)]
struct Found {
    /// Entries that were given to a request whose result nobody took.
    returned: VecDeque<WalkEntry>,
    returned_memory: Vec<Reservation>,
    pieces: VecDeque<Piece>,
    entries: usize,
    bytes: usize,
}

/// A directory to be read on from here. What its node notes is how deep it lies.
#[derive(Debug)]
struct Job {
    node: Arc<Node<u32>>,
    offset: u64,
}

/// Entries of one directory. Their names lie one behind the other, so that an entry costs no memory of its own.
#[derive(Debug)]
struct Piece {
    /// The path of the directory, with a slash behind it if it is not the one that is walked.
    prefix: String,
    names: String,
    /// Where each name ends, and its kind.
    entries: Vec<(usize, FileType)>,
    next: usize,
    /// The directory itself cannot be read; there are no entries then.
    error: Option<Error>,
    memory: Reservation,
}

impl Place<Read> {
    /// Begins a walk.
    pub(crate) fn walk(&self, max_depth: u32, maxreq: u32, ticket: &dyn Ticket) -> Result<Walker> {
        let token = self.shared.quota.take()?;
        let root = Node::root(self.open_tree()?, 1);
        let walk = Walk {
            jobs: Jobs::new(Job { node: root, offset: 0 }, width(maxreq)),
            found: Mutex::default(),
            wanted: AtomicUsize::new(0),
            kept: KeptDirs::new(TREE_HANDLES_MAX),
            depth_max: if max_depth == 0 { u32::MAX } else { max_depth },
            memory: ticket.memory(),
        };
        let quota = self.shared.quota.clone();
        Ok(Walker(Arc::new(Inner { turn: Budget::new(1), walk: Arc::new(walk), quota, token: Some(token) })))
    }
}

impl Drop for Inner {
    /// It holds directories open, and may hold much else.
    fn drop(&mut self) {
        self.quota.discard(Arc::clone(&self.walk), self.token.take());
    }
}

/// A request that goes on with a walk.
#[derive(Debug)]
pub(crate) struct WalkNext {
    walker: Walker,
    wanted: usize,
    turn: Turn,
    claim: Claim,
}

/// The entries that a request was given. Those that nobody takes go back to the walk.
#[derive(Debug)]
pub(crate) struct Walked {
    pub(crate) entries: Vec<WalkEntry>,
    walker: Walker,
}

impl Walked {
    pub(crate) fn give_back(&mut self) {
        if self.entries.is_empty() {
            return;
        }
        let walk = &self.walker.0.walk;
        let bytes: usize = self.entries.iter().map(footprint).sum();
        let mut memory = walk.memory.nothing();
        // They are there already.
        memory.count(bytes);
        let mut found = walk.found();
        for entry in std::mem::take(&mut self.entries).into_iter().rev() {
            found.returned.push_front(entry);
        }
        found.returned_memory.push(memory);
    }

    pub(crate) fn bytes_held(&self) -> usize {
        self.entries.iter().map(footprint).sum()
    }
}

impl WalkNext {
    pub(crate) fn new(walker: Walker, max: u32) -> Self {
        let wanted = match usize::try_from(max).unwrap_or(usize::MAX) {
            0 => WALK_ENTRIES_MAX,
            max => max.min(WALK_ENTRIES_MAX),
        };
        Self { walker, wanted, turn: Turn::default(), claim: Claim::between(1, TREE_HANDLES_MAX) }
    }

    /// Gives the next entries; none at the end. Waits while another request goes on with the walk.
    pub(crate) fn go_on(&mut self, ticket: &dyn Ticket) -> Flow<Result<Walked>> {
        if !self.turn.is_taken() {
            if let Err(error) = ticket.check() {
                return Flow::Done(Err(error));
            }
            if !self.turn.take_or_wait(&self.walker.0.turn, ticket) {
                return Flow::Parked;
            }
        }
        let flow = take_turn(self, ticket, |next, has_most| next.turn(if has_most { TREE_HANDLES_MAX } else { 1 }, ticket));
        if matches!(flow, Flow::Done(_)) {
            // The next request may go on.
            self.turn = Turn::default();
        }
        flow
    }

    /// `kept` is how many directories may stay open.
    fn turn(&mut self, kept: usize, ticket: &dyn Ticket) -> Flow<Result<Walked>> {
        let walk = Arc::clone(&self.walker.0.walk);
        let is_wanted = ticket.check();
        walk.kept.limit(kept);
        // One that is canceled waits for those that help it, which have directories open.
        walk.wanted.store(if is_wanted.is_ok() { self.wanted } else { 0 }, Ordering::Relaxed);
        match jobs::go_on(&walk, ticket) {
            Flow::Done(()) => {}
            Flow::Again(time) => return Flow::Again(time),
            Flow::Parked => return Flow::Parked,
        }
        walk.wanted.store(0, Ordering::Relaxed);
        // Between requests a walk holds no more than the directory that it began with.
        walk.kept.close();
        match is_wanted.and_then(|()| walk.jobs.outcome()).and_then(|()| walk.found().take(self.wanted, ticket)) {
            Ok(entries) if entries.is_empty() && walk.jobs.waiting() > 0 => {
                // There was no memory for a single entry. Begun again once there is some.
                ticket.reserve(walk.hunger()).map_or_else(|error| Flow::Done(Err(error)), |()| Flow::Again(Duration::ZERO))
            }
            Ok(entries) => {
                let mut walked = Walked { entries, walker: self.walker.clone() };
                // Whoever goes on next is not to begin behind entries that nobody gets.
                if let Err(error) = ticket.check() {
                    walked.give_back();
                    return Flow::Done(Err(error));
                }
                ticket.advance(0, u64::try_from(walked.entries.len()).expect("a length fits"));
                Flow::Done(Ok(walked))
            }
            Err(error) => Flow::Done(Err(error)),
        }
    }
}

impl Claiming for WalkNext {
    /// Beside the directory that the walk began with, which counts as long as there is the walker.
    fn claim(&mut self) -> Option<(&mut Claim, &Quota)> {
        Some((&mut self.claim, &self.walker.0.quota))
    }
}

impl SharedWork for Walk {
    type Job = Job;

    fn jobs(&self) -> &Jobs<Job> {
        &self.jobs
    }

    fn has_enough(&self) -> bool {
        let found = self.found();
        let entries = found.entries + found.returned.len();
        entries >= self.wanted.load(Ordering::Relaxed) || found.bytes >= WALK_BYTES_MAX
    }

    /// Reads some of a directory.
    fn step(&self, Job { node, offset }: Job, ticket: &dyn Ticket) {
        let Some(mut piece) = Piece::new(&node, &self.memory) else { return self.leave(Job { node, offset }) };
        if ticket.check().is_err() {
            return self.leave(Job { node, offset });
        }
        let mut below = Vec::new();
        let room = WALK_PENDING_MAX.saturating_sub(self.jobs.waiting()).max(1);
        let read = self.read(&node, offset, room, &mut piece, &mut below);
        let failed = read.err().map(|error| piece.failed(error));
        piece.fit();
        // Not one entry more: for want of memory.
        let is_stuck = read == Ok(Some(offset)) && below.is_empty();
        {
            let mut found = self.found();
            found.add(piece);
            if let Some(failed) = failed {
                found.add(failed);
            }
        }
        if is_stuck {
            return self.leave(Job { node, offset });
        }
        // Under what is in it, so that this does not grow with the directory.
        self.jobs.push(read.ok().flatten().map(|offset| Job { node, offset }));
        self.jobs.push(below);
    }
}

impl Walk {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was not read is left for another request, or for when there is memory.
    fn leave(&self, job: Job) {
        self.wanted.store(0, Ordering::Relaxed);
        self.jobs.push([job]);
    }

    /// Bytes that it needs to go on.
    fn hunger(&self) -> usize {
        2 * PIECE_BYTES
    }

    /// Reads entries into a piece, and finds up to `room` directories to be read.
    fn read(
        &self,
        node: &Arc<Node<u32>>,
        offset: u64,
        room: usize,
        piece: &mut Piece,
        below: &mut Vec<Job>,
    ) -> Result<Option<u64>> {
        let fd = node.open()?;
        // The directory that is walked may have been read before.
        if offset != 0 || node.parent().is_none() {
            sys::seek(&*fd, SeekFrom::Start(offset))?;
        }
        let next = read_piece(&fd, |entry| {
            let kind = kind_of(&fd, entry)?;
            let is_to_be_read = kind == FileType::Directory && node.data < self.depth_max;
            let child = || node.child(entry.file_name(), node.data.saturating_add(1), &self.memory);
            let child = if is_to_be_read { Some(child()) } else { None };
            if matches!(child, Some(None)) || !piece.push(entry, kind) {
                return Ok(Seen::Later);
            }
            below.extend(child.flatten().map(|node| Job { node, offset: 0 }));
            Ok(if below.len() >= room { Seen::Last } else { Seen::Taken })
        })?;
        if !below.is_empty() || next.is_some() {
            node.keep(&fd, &self.kept);
        }
        Ok(next)
    }
}

fn kind_of(dir: &OwnedFd, entry: &RawDirEntry<'_>) -> Result<FileType> {
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

/// Memory that an entry takes in an answer.
fn footprint(entry: &WalkEntry) -> usize {
    size_of::<WalkEntry>() + entry.path.len().next_multiple_of(16) + 16
}

impl Found {
    fn add(&mut self, piece: Piece) {
        if piece.is_empty() {
            return;
        }
        self.entries += piece.length();
        self.bytes += piece.bytes();
        self.pieces.push_back(piece);
    }

    /// Takes entries, as many as are wanted and as the guest's memory limit has room for.
    fn take(&mut self, wanted: usize, ticket: &dyn Ticket) -> Result<Vec<WalkEntry>> {
        let mut meter = Meter::default();
        let mut entries: Vec<WalkEntry> = Vec::new();
        let mut bytes = 0;
        while entries.len() < wanted && bytes < WALK_BYTES_MAX {
            let size = match (self.returned.front(), self.pieces.front()) {
                (Some(entry), _) => entry.path.len(),
                (None, Some(piece)) => piece.next_bytes(),
                (None, None) => break,
            };
            // The list grows to twice its length at most.
            match meter.add(2 * size_of::<WalkEntry>() + size.next_multiple_of(16) + 16, ticket) {
                Ok(()) => {}
                Err(error) if entries.is_empty() => return Err(error),
                Err(_) => break,
            }
            entries.extend(self.take_one());
            bytes += size;
        }
        Ok(entries)
    }

    fn take_one(&mut self) -> Option<WalkEntry> {
        if let Some(entry) = self.returned.pop_front() {
            if self.returned.is_empty() {
                self.returned_memory.clear();
            }
            return Some(entry);
        }
        let piece = self.pieces.front_mut()?;
        self.entries -= 1;
        self.bytes -= piece.next_bytes();
        let entry = piece.take();
        if piece.is_empty() {
            self.pieces.pop_front();
        }
        Some(entry)
    }
}

/// Bytes by which the memory of a piece grows. 4 KiB: some hundred entries.
const PIECE_BYTES: usize = 4 << 10;

impl Piece {
    /// An empty one for this directory; none if there is no memory for it.
    fn new(node: &Arc<Node<u32>>, memory: &Budget) -> Option<Self> {
        let prefix = path(node);
        let memory = memory.try_take(PIECE_BYTES + prefix.len())?;
        Some(Self { prefix, names: String::new(), entries: Vec::new(), next: 0, error: None, memory })
    }

    /// Adds an entry; false if there is no memory for it.
    fn push(&mut self, entry: &RawDirEntry<'_>, kind: FileType) -> bool {
        // A name grows to three times its length at most, where all of it is escaped, and the lists to twice theirs.
        let next = 3 * entry.file_name().count_bytes() + size_of::<(usize, FileType)>();
        let needed = 2 * (self.names.len() + self.entries.len() * size_of::<(usize, FileType)>() + next) + self.prefix.len();
        if needed > self.memory.amount() && !self.memory.grow((needed - self.memory.amount()).max(PIECE_BYTES)) {
            return false;
        }
        names::decode_into(&mut self.names, entry.file_name().to_bytes());
        self.entries.push((self.names.len(), kind));
        true
    }

    /// Gives back what it does not need: it gets no more entries.
    fn fit(&mut self) {
        self.names.shrink_to_fit();
        self.entries.shrink_to_fit();
        let lists = self.names.len() + self.entries.len() * size_of::<(usize, FileType)>();
        self.memory.shrink_to(size_of::<Self>() + self.prefix.len() + lists);
    }

    /// Tells that the directory cannot be read, or not to its end.
    fn failed(&self, error: Error) -> Self {
        let mut memory = self.memory.same();
        memory.count(self.prefix.len());
        Self { prefix: self.prefix.clone(), names: String::new(), entries: Vec::new(), next: 0, error: Some(error), memory }
    }

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
