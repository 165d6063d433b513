//! Operations on a range of an open file that move no data: space, holes, advice, and writing back.

use std::num::NonZeroU64;
use std::time::Duration;

use rustix::fs::{FallocateFlags, SeekFrom};
use rustix::io::Errno;
use wasmtime::component::{ComponentType, Lift, Lower, flags};

use super::entries::Meter;
use super::file::{OpenFile, checked};
use super::sys;
use super::ticket::Ticket;
use crate::error::{Error, Result};
use crate::sched::Flow;
use crate::types::Extent;

// `aiohost:aio/types.allocate-flags`.
flags! {
    AllocateFlags {
        #[component(name = "keep-size")]
        const KEEP_SIZE;
        #[component(name = "punch-hole")]
        const PUNCH_HOLE;
        #[component(name = "collapse-range")]
        const COLLAPSE_RANGE;
        #[component(name = "zero-range")]
        const ZERO_RANGE;
        #[component(name = "insert-range")]
        const INSERT_RANGE;
        #[component(name = "unshare-range")]
        const UNSHARE_RANGE;
    }
}

// `aiohost:aio/types.sync-range-flags`.
flags! {
    SyncRangeFlags {
        #[component(name = "wait-before")]
        const WAIT_BEFORE;
        #[component(name = "write")]
        const WRITE;
        #[component(name = "wait-after")]
        const WAIT_AFTER;
    }
}

/// How a range will be used: `aiohost:aio/types.advice`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum Advice {
    #[component(name = "normal")]
    Normal,
    #[component(name = "sequential")]
    Sequential,
    #[component(name = "random")]
    Random,
    #[component(name = "no-reuse")]
    NoReuse,
    #[component(name = "will-need")]
    WillNeed,
    #[component(name = "dont-need")]
    DontNeed,
}

/// What `allocate` does: flags that do not contradict each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allocation(FallocateFlags);

impl Allocation {
    pub(crate) fn parse(flags: AllocateFlags) -> Result<Self> {
        let has = |flag| flags & flag == flag;
        let mut system = FallocateFlags::empty();
        for (flag, value) in [
            (AllocateFlags::PUNCH_HOLE, FallocateFlags::PUNCH_HOLE),
            (AllocateFlags::COLLAPSE_RANGE, FallocateFlags::COLLAPSE_RANGE),
            (AllocateFlags::ZERO_RANGE, FallocateFlags::ZERO_RANGE),
            (AllocateFlags::INSERT_RANGE, FallocateFlags::INSERT_RANGE),
            (AllocateFlags::UNSHARE_RANGE, FallocateFlags::UNSHARE_RANGE),
        ] {
            if has(flag) {
                // One thing at a time.
                if !system.is_empty() {
                    return Err(Error::INVALID);
                }
                system = value;
            }
        }
        let keeps = has(AllocateFlags::KEEP_SIZE);
        let must_keep = system == FallocateFlags::PUNCH_HOLE;
        let cannot_keep = matches!(system, FallocateFlags::COLLAPSE_RANGE | FallocateFlags::INSERT_RANGE);
        if must_keep && !keeps || cannot_keep && keeps {
            return Err(Error::INVALID);
        }
        Ok(Self(if keeps { system | FallocateFlags::KEEP_SIZE } else { system }))
    }
}

impl OpenFile {
    pub(crate) fn allocate(&self, allocation: Allocation, offset: u64, length: u64) -> Result<()> {
        if !self.is_writable() {
            return Err(Error::BAD_DESCRIPTOR);
        }
        sys::retry_on_intr(|| sys::fallocate(self.as_file(), allocation.0, offset, length))?;
        Ok(())
    }

    pub(crate) fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<()> {
        let offset = checked(offset)?;
        let left = i64::MAX.unsigned_abs() - offset;
        // Beyond the largest offset there is nothing to advise on, but a length of 0 is all of it.
        let length = NonZeroU64::new(length).map(|length| length.get().min(left));
        if length == Some(0) {
            return Ok(());
        }
        let advice = match advice {
            Advice::Normal => rustix::fs::Advice::Normal,
            Advice::Sequential => rustix::fs::Advice::Sequential,
            Advice::Random => rustix::fs::Advice::Random,
            Advice::NoReuse => rustix::fs::Advice::NoReuse,
            Advice::WillNeed => rustix::fs::Advice::WillNeed,
            Advice::DontNeed => rustix::fs::Advice::DontNeed,
        };
        sys::fadvise(self.as_file(), offset, length.and_then(NonZeroU64::new), advice)?;
        Ok(())
    }

    /// Lets a range of this file share the space of one of `input`.
    pub(crate) fn clone_range(&self, offset: u64, input: &Self, input_offset: u64, length: u64) -> Result<()> {
        if !input.is_readable() || !self.is_writable() {
            return Err(Error::BAD_DESCRIPTOR);
        }
        let (offset, input_offset) = (checked(offset)?, checked(input_offset)?);
        sys::retry_on_intr(|| sys::clone_range_unchecked(self.as_file(), offset, input.as_file(), input_offset, length))?;
        Ok(())
    }

    pub(crate) fn sync_range(&self, offset: u64, length: u64, flags: SyncRangeFlags) -> Result<()> {
        let mut system = 0;
        for (flag, value) in [
            (SyncRangeFlags::WAIT_BEFORE, libc::SYNC_FILE_RANGE_WAIT_BEFORE),
            (SyncRangeFlags::WRITE, libc::SYNC_FILE_RANGE_WRITE),
            (SyncRangeFlags::WAIT_AFTER, libc::SYNC_FILE_RANGE_WAIT_AFTER),
        ] {
            if flags & flag == flag {
                system |= value;
            }
        }
        sys::retry_on_intr(|| sys::sync_file_range_unchecked(self.as_file(), offset, length, system))?;
        Ok(())
    }
}

/// A search for data, with how many ranges one answer may carry.
#[derive(Debug)]
pub(crate) struct ExtentSearch {
    file: OpenFile,
    at: u64,
    end: u64,
    max: usize,
    found: Vec<Extent>,
    meter: Meter,
    start: u64,
}

impl ExtentSearch {
    pub(crate) fn new(file: OpenFile, offset: u64, length: Option<u64>, max: usize) -> Result<Self> {
        let at = checked(offset)?;
        let end = at.saturating_add(length.unwrap_or(u64::MAX)).min(i64::MAX.unsigned_abs());
        Ok(Self { file, at, end, max, found: Vec::new(), meter: Meter::default(), start: at })
    }

    /// Gives the ranges that hold data.
    pub(crate) fn go_on(&mut self, ticket: &dyn Ticket) -> Flow<Result<Vec<Extent>>> {
        loop {
            for _ in 0..SEARCH_STEPS {
                match self.step(ticket) {
                    Ok(true) => {}
                    Ok(false) => return Flow::Done(Ok(std::mem::take(&mut self.found))),
                    Err(error) => {
                        // It may be begun again.
                        (self.at, self.found, self.meter) = (self.start, Vec::new(), Meter::default());
                        return Flow::Done(Err(error));
                    }
                }
            }
            if ticket.is_wanted() {
                return Flow::Again(Duration::ZERO);
            }
        }
    }

    /// Looks for one range. False at the end.
    fn step(&mut self, ticket: &dyn Ticket) -> Result<bool> {
        ticket.check()?;
        if self.at >= self.end {
            return Ok(false);
        }
        // The descriptor's own position is nobody's: see `file`.
        let seek = |from| match sys::seek(self.file.as_file(), from) {
            // There is no more data. Also if it was cut off just now.
            Err(Errno::NXIO) => Ok(None),
            result => result.map(Some),
        };
        let Some(start) = seek(SeekFrom::Data(self.at))?.filter(|start| *start < self.end) else { return Ok(false) };
        let Some(hole) = seek(SeekFrom::Hole(start))? else { return Ok(false) };
        // The data may have become a hole meanwhile.
        if hole > start {
            if self.found.len() == self.max {
                return Err(Error::OVERFLOW);
            }
            // The list grows to twice its length at most.
            self.meter.add(2 * size_of::<Extent>(), ticket)?;
            self.found.push(Extent { offset: start, length: hole.min(self.end) - start });
        }
        self.at = hole;
        Ok(true)
    }
}

/// Ranges that are looked for between two looks at whether the worker is wanted elsewhere. 1,024: about a millisecond.
const SEARCH_STEPS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_contradict_each_other_are_refused() {
        use AllocateFlags as Flags;
        let parse = |flags| Allocation::parse(flags).map(|allocation| allocation.0.bits()).ok();
        assert_eq!(parse(Flags::empty()), Some(0));
        assert_eq!(parse(Flags::KEEP_SIZE), Some(1));
        assert_eq!(parse(Flags::KEEP_SIZE | Flags::PUNCH_HOLE), Some(3));
        assert_eq!(parse(Flags::COLLAPSE_RANGE), Some(8));
        assert_eq!(parse(Flags::ZERO_RANGE), Some(16));
        assert_eq!(parse(Flags::KEEP_SIZE | Flags::ZERO_RANGE), Some(17));
        assert_eq!(parse(Flags::INSERT_RANGE), Some(32));
        assert_eq!(parse(Flags::UNSHARE_RANGE), Some(64));
        assert_eq!(parse(Flags::PUNCH_HOLE), None);
        assert_eq!(parse(Flags::COLLAPSE_RANGE | Flags::INSERT_RANGE), None);
        assert_eq!(parse(Flags::COLLAPSE_RANGE | Flags::KEEP_SIZE), None);
        assert_eq!(parse(Flags::PUNCH_HOLE | Flags::ZERO_RANGE | Flags::KEEP_SIZE), None);
    }
}
