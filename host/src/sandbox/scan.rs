//! The names in a directory, split into directories and others.
//!
//! Most file systems name the kind of an entry. Where one does not, several workers ask for the status of those entries.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::fs::FileType;

use super::claim::{Claim, Claiming, take_turn};
use super::descriptor::Quota;
use super::entries::{Pass, footprint, is_directory_unchecked, width};
use super::jobs::{self, Jobs, SharedWork};
use super::place::Place;
use super::ticket::Ticket;
use super::{Read, names};
use crate::error::Result;
use crate::sched::Flow;
use crate::types::Scan;

/// Names that are looked up in one job. 64: a tenth of a millisecond where the file system answers from memory.
const JOB_NAMES: usize = 64;

/// A directory that is scanned.
#[derive(Debug)]
pub(crate) struct ScanDir {
    place: Place<Read>,
    maxreq: u32,
    stage: Stage,
    claim: Claim,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Start,
    Reading(Pass, Scan, Vec<CString>),
    /// What is known, while the other kinds are looked up.
    LookingUp(Scan, Arc<Unknown>),
}

/// Names whose kinds are looked up by many.
#[derive(Debug)]
struct Unknown {
    dir: OwnedFd,
    names: Vec<CString>,
    /// For each name whether it is a directory's: 0 or 1.
    kinds: Vec<AtomicU8>,
    jobs: Jobs<usize>,
}

impl Claiming for ScanDir {
    fn claim(&mut self) -> Option<(&mut Claim, &Quota)> {
        Some((&mut self.claim, &self.place.shared.quota))
    }
}

impl ScanDir {
    /// Bytes of memory that its path holds.
    pub(crate) fn bytes(&self) -> usize {
        self.place.bytes()
    }

    pub(crate) fn new(place: Place<Read>, maxreq: u32) -> Self {
        Self { place, maxreq, stage: Stage::Start, claim: Claim::new(1) }
    }

    pub(crate) fn go_on(&mut self, ticket: &dyn Ticket) -> Flow<Result<Scan>> {
        take_turn(self, ticket, |scan, _| scan.turn(ticket))
    }

    fn turn(&mut self, ticket: &dyn Ticket) -> Flow<Result<Scan>> {
        match std::mem::take(&mut self.stage) {
            Stage::Start => match self.place.open_to_list() {
                Ok(dir) => self.read(Pass::new(dir), Scan { directories: Vec::new(), others: Vec::new() }, Vec::new(), ticket),
                Err(error) => Flow::Done(Err(error)),
            },
            Stage::Reading(pass, scan, unknown) => self.read(pass, scan, unknown, ticket),
            Stage::LookingUp(scan, unknown) => self.look_up(scan, unknown, ticket),
        }
    }

    fn read(&mut self, mut pass: Pass, mut scan: Scan, mut unknown: Vec<CString>, ticket: &dyn Ticket) -> Flow<Result<Scan>> {
        let flow = pass.go_on(self.place.shared.entries_max, ticket, |entry, meter| {
            if entry.file_type() == FileType::Unknown {
                meter.add(2 * footprint("") + 2 * entry.file_name().count_bytes(), ticket)?;
                unknown.push(entry.file_name().to_owned());
                return Ok(());
            }
            let name = names::decode(entry.file_name().to_bytes());
            meter.add(footprint(&name), ticket)?;
            let list = if entry.file_type().is_dir() { &mut scan.directories } else { &mut scan.others };
            list.push(name);
            Ok(())
        });
        match flow {
            Flow::Done(Err(error)) => Flow::Done(Err(error)),
            Flow::Done(Ok(())) if unknown.is_empty() => Flow::Done(Ok(scan)),
            Flow::Done(Ok(())) => self.look_up(scan, Unknown::new(pass.dir, unknown, width(self.maxreq)), ticket),
            Flow::Again(time) => {
                self.stage = Stage::Reading(pass, scan, unknown);
                Flow::Again(time)
            }
            Flow::Parked => Flow::Parked,
        }
    }

    fn look_up(&mut self, scan: Scan, unknown: Arc<Unknown>, ticket: &dyn Ticket) -> Flow<Result<Scan>> {
        match jobs::go_on(&unknown, ticket) {
            Flow::Done(()) => Flow::Done(unknown.jobs.outcome().map(|()| unknown.told_apart(scan))),
            Flow::Again(time) => {
                self.stage = Stage::LookingUp(scan, unknown);
                Flow::Again(time)
            }
            Flow::Parked => {
                self.stage = Stage::LookingUp(scan, unknown);
                Flow::Parked
            }
        }
    }
}

impl SharedWork for Unknown {
    type Job = usize;

    fn jobs(&self) -> &Jobs<usize> {
        &self.jobs
    }

    fn step(&self, first: usize, ticket: &dyn Ticket) {
        for (name, kind) in std::iter::zip(&self.names, &self.kinds).skip(first).take(JOB_NAMES) {
            match ticket.check().and_then(|()| is_directory_unchecked(&self.dir, name)) {
                Ok(directory) => kind.store(u8::from(directory), Ordering::Relaxed),
                Err(error) => return self.jobs.stop(error),
            }
        }
    }
}

impl Unknown {
    fn new(dir: OwnedFd, names: Vec<CString>, width: usize) -> Arc<Self> {
        let kinds = names.iter().map(|_| AtomicU8::new(0)).collect();
        let jobs = Jobs::new(0, width);
        jobs.push((1..names.len().div_ceil(JOB_NAMES)).map(|job| job * JOB_NAMES));
        Arc::new(Self { dir, names, kinds, jobs })
    }

    fn told_apart(&self, mut scan: Scan) -> Scan {
        for (name, kind) in std::iter::zip(&self.names, &self.kinds) {
            let list = if kind.load(Ordering::Relaxed) == 1 { &mut scan.directories } else { &mut scan.others };
            list.push(names::decode(name.to_bytes()));
        }
        scan
    }
}
