//! A file that is replaced by one with other content, in one step.

use rustix::fs::Mode;

use super::claim::{Claim, Claiming};
use super::descriptor::Quota;
use super::place::{Place, permissions};
use super::replace::{Arrival, DESCRIPTORS, Replacement, Then};
use super::steps::{InSteps, Step};
use super::ticket::Ticket;
use super::{Write, sys};
use crate::error::{Error, Result};
use crate::limits::STEP_BYTES;

/// Replaces a file by one with this content, and brings that to the device.
pub(crate) struct StoreFile {
    place: Place<Write>,
    data: Vec<u8>,
    mode: Mode,
    storing: Option<Storing>,
    claim: Claim,
}

struct Storing {
    new: Replacement,
    written: usize,
}

impl StoreFile {
    pub(crate) fn new(place: Place<Write>, data: Vec<u8>, mode: u16) -> Self {
        Self { place, data, mode: permissions(mode), storing: None, claim: Claim::new(DESCRIPTORS) }
    }

    /// Bytes of memory it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.place.bytes() + self.data.capacity()
    }

    fn begin(&self) -> Result<Storing> {
        let entry = self.place.entry(Error::IS_DIRECTORY)?;
        entry.check_slash()?;
        if entry.slash {
            return Err(Error::IS_DIRECTORY);
        }
        let new = Replacement::begin(&self.place.shared, &entry, self.mode, Then::Arrive)?;
        Ok(Storing { new, written: 0 })
    }
}

impl Claiming for StoreFile {
    fn claim(&mut self) -> Option<(&mut Claim, &Quota)> {
        Some((&mut self.claim, &self.place.shared.quota))
    }
}

impl InSteps for StoreFile {
    type Output = ();

    fn step(&mut self, ticket: &dyn Ticket) -> Result<Step<()>> {
        let Some(storing) = &mut self.storing else {
            self.storing = Some(self.begin()?);
            return Ok(Step::More);
        };
        let left = &self.data[storing.written..];
        if !left.is_empty() {
            storing.written += write_some(storing.new.file(), left, ticket)?;
            return Ok(Step::More);
        }
        sys::fsync(storing.new.file())?;
        ticket.check()?;
        match storing.new.arrive()? {
            Arrival::There => {
                storing.new.sync_name()?;
                Ok(Step::Done(()))
            }
            Arrival::WriteAgain => {
                self.start_over();
                Ok(Step::More)
            }
        }
    }

    fn start_over(&mut self) {
        self.storing = None;
    }
}

/// Writes as much as a step may take, and returns how much that was.
fn write_some(file: &std::fs::File, data: &[u8], ticket: &dyn Ticket) -> Result<usize> {
    let most = data.len().min(usize::try_from(STEP_BYTES).expect("a step fits"));
    match sys::write(file, &data[..most])? {
        0 => Err(Error::IO),
        count => {
            ticket.advance(u64::try_from(count).expect("a count fits"), 0);
            Ok(count)
        }
    }
}
