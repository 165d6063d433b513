//! A file that is copied by its name.

use std::fs::File;

use rustix::fs::{AtFlags, FileType, Mode, Stat};
use rustix::io::Errno;

use super::claim::{Claim, Claiming};
use super::descriptor::Quota;
use super::modes::finish;
use super::node::Id;
use super::place::{NameIn, Place};
use super::replace::{Arrival, Replacement, Then};
use super::steps::{InSteps, Step};
use super::ticket::Ticket;
use super::transfer::{TransferFiles, Whole};
use super::{Read, Write, replace, sys};
use crate::error::{Error, Result};
use crate::limits::STEP_BYTES;

/// For the time of copying: only its owner may look at what is not whole.
pub(super) const ON_THE_WAY: Mode = Mode::from_raw_mode(0o600);

/// Copies a regular file, with its permission bits and times, and brings that to the device. Comes to how many bytes it has.
pub(crate) struct CopyFile {
    from: Place<Read>,
    to: Place<Write>,
    copying: Option<Copying>,
    claim: Claim,
}

impl CopyFile {
    /// Bytes of memory that its paths hold.
    pub(crate) fn bytes(&self) -> usize {
        self.from.bytes() + self.to.bytes()
    }

    pub(crate) fn new(from: Place<Read>, to: Place<Write>) -> Self {
        Self { from, to, copying: None, claim: Claim::new(Copying::DESCRIPTORS) }
    }
}

impl Claiming for CopyFile {
    fn claim(&mut self) -> Option<(&mut Claim, &Quota)> {
        Some((&mut self.claim, &self.to.shared.quota))
    }
}

impl InSteps for CopyFile {
    type Output = u64;

    fn step(&mut self, ticket: &dyn Ticket) -> Result<Step<u64>> {
        let Some(copying) = &mut self.copying else {
            self.copying = Some(Copying::begin(self.from.open_regular()?, &self.to, Then::Arrive)?);
            return Ok(Step::More);
        };
        let Some(bytes) = copying.step(ticket)? else { return Ok(Step::More) };
        ticket.check()?;
        match copying.new.arrive()? {
            Arrival::There => {
                copying.new.sync_name()?;
                Ok(Step::Done(bytes))
            }
            Arrival::WriteAgain => {
                self.start_over();
                Ok(Step::More)
            }
        }
    }

    fn start_over(&mut self) {
        self.copying = None;
    }
}

/// A file on its way to another one.
pub(super) struct Copying {
    pub(super) input: File,
    /// Of the input, before it was read, which may change when it was last read.
    pub(super) status: Stat,
    pub(super) new: Replacement,
    whole: Whole,
}

impl Copying {
    /// How many it has open.
    pub(super) const DESCRIPTORS: usize = 1 + replace::DESCRIPTORS;

    pub(super) fn begin(input: File, to: &Place<Write>, then: Then) -> Result<Self> {
        let status = sys::fstat(&input)?;
        let new = Replacement::begin(&to.shared, &target(to, &status)?, ON_THE_WAY, then)?;
        let whole = Whole::new(TransferFiles { input: &input, output: new.file() }, &status)?;
        Ok(Self { input, status, new, whole })
    }

    /// Copies some more. Returns how many bytes there are once all of it is on the device, and lacks only its name.
    pub(super) fn step(&mut self, ticket: &dyn Ticket) -> Result<Option<u64>> {
        let files = TransferFiles { input: &self.input, output: self.new.file() };
        let Some(bytes) = self.whole.step(files, ticket)? else {
            self.begin_to_sync();
            return Ok(None);
        };
        finish(&self.input, self.new.file(), &self.status)?;
        sys::fsync(self.new.file())?;
        Ok(Some(bytes))
    }

    /// Lets the device begin with what is there of a large file, so that bringing it there in the end is no long call.
    fn begin_to_sync(&self) {
        if self.status.st_size.cast_unsigned() > STEP_BYTES {
            // Whatever fails here fails in the end, too.
            let _begun = sys::sync_file_range_unchecked(self.new.file(), 0, 0, libc::SYNC_FILE_RANGE_WRITE);
        }
    }
}

/// Where a copy goes, if it may go there at all: an early answer to what would otherwise be found out when all is copied.
fn target<'a>(place: &'a Place<Write>, input: &Stat) -> Result<NameIn<'a>> {
    let to = place.entry(Error::IS_DIRECTORY)?;
    to.check_slash()?;
    match sys::statat(&to.dir, to.name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode).is_dir() => Err(Error::IS_DIRECTORY),
        Ok(stat) if Id::of_stat(&stat) == Id::of_stat(input) => Err(Error::INVALID),
        Ok(_) | Err(Errno::NOENT) => Ok(to),
        Err(errno) => Err(errno.into()),
    }
}
