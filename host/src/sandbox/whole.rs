//! Whole files, or parts of them, that are read in one request.

use std::fs::File;

use rustix::fs::OFlags;
use rustix::io::{Errno, ReadWriteFlags};

use super::claim::{Claim, Claiming};
use super::descriptor::Quota;
use super::place::Place;
use super::steps::{InSteps, Step};
use super::ticket::Ticket;
use super::{Read, Right, Wait, sys};
use crate::error::{Error, Result};
use crate::limits::STEP_BYTES;

/// Bytes by which the room for a file that does not tell its size grows first. 4 KiB: most files in `/proc` have less.
const ROOM_BYTES: usize = 4 << 10;

impl<R: Right> Place<R> {
    /// Opens a regular file for reading. What else there is is not opened at all: even that would be noticed at the other end
    /// of a FIFO.
    pub(super) fn open_regular(&self) -> Result<File> {
        Ok(self.reopen_file(OFlags::RDONLY, Wait::May)?.into())
    }
}

/// All of a file.
pub(crate) struct LoadFile {
    place: Place<Read>,
    loading: Option<Loading>,
    claim: Claim,
}

impl LoadFile {
    /// Bytes of memory that its path holds.
    pub(crate) fn bytes(&self) -> usize {
        self.place.bytes()
    }

    pub(crate) fn new(place: Place<Read>) -> Self {
        Self { place, loading: None, claim: Claim::new(1) }
    }
}

impl Claiming for LoadFile {
    fn claim(&mut self) -> Option<(&mut Claim, &Quota)> {
        Some((&mut self.claim, &self.place.shared.quota))
    }
}

impl InSteps for LoadFile {
    type Output = Vec<u8>;

    fn step(&mut self, ticket: &dyn Ticket) -> Result<Step<Vec<u8>>> {
        let max = self.place.shared.read_bytes_max;
        let Some(loading) = &mut self.loading else {
            // One byte more tells a file that is too large from one that just fits.
            self.loading = Some(Loading::begin(self.place.open_regular()?, 0, max.saturating_add(1))?);
            return Ok(Step::More);
        };
        if !loading.step(ticket)? {
            return Ok(Step::More);
        }
        if loading.data.len() > max {
            return Err(Error::FILE_TOO_LARGE);
        }
        Ok(Step::Done(std::mem::take(&mut loading.data)))
    }

    fn start_over(&mut self) {
        self.loading = None;
    }
}

/// A part of a file: up to `length` bytes from `offset` on, which counts from the end if it is negative.
pub(crate) struct SlurpFile {
    place: Place<Read>,
    offset: i64,
    length: Option<u32>,
    loading: Option<Loading>,
    claim: Claim,
}

impl SlurpFile {
    /// Bytes of memory that its path holds.
    pub(crate) fn bytes(&self) -> usize {
        self.place.bytes()
    }

    pub(crate) fn new(place: Place<Read>, offset: i64, length: Option<u32>) -> Self {
        Self { place, offset, length, loading: None, claim: Claim::new(1) }
    }

    fn begin(&self) -> Result<Loading> {
        let file = self.place.open_regular()?;
        let start = match u64::try_from(self.offset) {
            Ok(start) => start,
            Err(_) => {
                let size = sys::fstat(&file)?.st_size.cast_unsigned();
                size.checked_sub(self.offset.unsigned_abs()).ok_or(Error::INVALID)?
            }
        };
        let max = self.place.shared.read_bytes_max;
        let length = self.length.map_or(max, |length| usize::try_from(length).unwrap_or(usize::MAX).min(max));
        Loading::begin(file, start, length)
    }
}

impl Claiming for SlurpFile {
    fn claim(&mut self) -> Option<(&mut Claim, &Quota)> {
        Some((&mut self.claim, &self.place.shared.quota))
    }
}

impl InSteps for SlurpFile {
    type Output = Vec<u8>;

    fn step(&mut self, ticket: &dyn Ticket) -> Result<Step<Vec<u8>>> {
        let Some(loading) = &mut self.loading else {
            self.loading = Some(self.begin()?);
            return Ok(Step::More);
        };
        if !loading.step(ticket)? {
            return Ok(Step::More);
        }
        Ok(Step::Done(std::mem::take(&mut loading.data)))
    }

    fn start_over(&mut self) {
        self.loading = None;
    }
}

/// `length` bytes from `start` on, or all up to the end of the file, on their way into memory. What the file says of its size is
/// only a hint: files in `/proc` say 0, and others grow.
struct Loading {
    file: File,
    start: u64,
    length: usize,
    /// By how much the room for the data grows next.
    room: usize,
    data: Vec<u8>,
}

impl Loading {
    fn begin(file: File, start: u64, length: usize) -> Result<Self> {
        let size = sys::fstat(&file)?.st_size.cast_unsigned();
        let expected = usize::try_from(size.saturating_sub(start)).unwrap_or(usize::MAX);
        // One byte more, so that the end is seen without growing.
        let room = expected.saturating_add(1).min(length);
        Ok(Self { file, start, length, room, data: Vec::new() })
    }

    /// Reads some more. Returns whether that was all.
    fn step(&mut self, ticket: &dyn Ticket) -> Result<bool> {
        if self.data.len() == self.length {
            return Ok(true);
        }
        self.make_room(ticket)?;
        let at = self.start.saturating_add(u64::try_from(self.data.len()).expect("a length fits"));
        // Beyond the largest offset there is nothing to read.
        let addressable = usize::try_from(i64::MAX.unsigned_abs().saturating_sub(at)).unwrap_or(usize::MAX);
        let step = usize::try_from(STEP_BYTES).expect("a step fits").min(addressable);
        let most = step.min(self.length - self.data.len()).min(self.data.capacity() - self.data.len());
        let flags = ReadWriteFlags::empty();
        let count = sys::retry_on_intr(|| sys::read_at_unchecked(&self.file, &mut self.data, most, at, flags))?;
        ticket.advance(u64::try_from(count).expect("a count fits"), 0);
        Ok(count == 0)
    }

    fn make_room(&mut self, ticket: &dyn Ticket) -> Result<()> {
        if self.data.len() < self.data.capacity() {
            return Ok(());
        }
        let more = self.room.max(ROOM_BYTES).min(self.length - self.data.len());
        ticket.reserve(more)?;
        self.data.try_reserve_exact(more).map_err(|_| Errno::NOMEM)?;
        self.room = self.data.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::sandbox::scene::Scene;
    use crate::sandbox::ticket::fake::{FakeTicket, finish};
    use crate::sched::Flow;

    #[test]
    fn a_load_without_room_is_given_up_and_can_be_run_again() {
        let scene = Scene::new();
        let content: Vec<u8> = (0..=u8::MAX).cycle().take(20_000).collect();
        scene.put("/near/file", &content);
        let mut load = LoadFile::new(scene.read("/near/file"));
        let full = FakeTicket { room: AtomicUsize::new(20_000), ..FakeTicket::default() };
        assert_eq!(finish(|| load.go_on(&full)), Err(Error::WOULD_BLOCK));
        assert!(load.loading.is_none(), "it holds nothing");
        let room = FakeTicket { room: AtomicUsize::new(20_001), ..FakeTicket::default() };
        assert_eq!(finish(|| load.go_on(&room)), Ok(content));
    }

    #[test]
    fn a_load_is_made_of_steps() {
        let scene = Scene::new();
        scene.put("/near/file", &vec![b'x'; 12 << 20]);
        let mut load = LoadFile::new(scene.read("/near/file"));
        let mut calls = 0;
        let data = finish(|| {
            calls += 1;
            let flow = load.go_on(&FakeTicket::default());
            assert_eq!(matches!(flow, Flow::Done(_)), calls == 4, "opened, two steps, and the end");
            flow
        });
        assert_eq!(data.map(|data| data.len()), Ok(12 << 20));
        let mut slurp = SlurpFile::new(scene.read("/near/file"), -5, None);
        assert_eq!(finish(|| slurp.go_on(&FakeTicket::default())), Ok(b"xxxxx".to_vec()));
    }
}
