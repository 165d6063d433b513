//! A file that is moved by its name: renamed, or to another file system copied and then removed.
//!
//! What was not copied is never removed, whoever does what meanwhile:
//!
//! * From before the first byte is read up to the end, a lease (`F_SETLEASE` in `fcntl(2)`) keeps everybody from opening the file
//!   for writing, and from cutting it, by whatever name. It is not to be had while somebody has the file open for that; and when
//!   somebody wants to, this learns of it, gives the lease up and starts again. So it does not depend on how exact times are.
//! * Where there are no leases, or the file is another user's, its size and its times before and after must be the same. Then a
//!   program that had the file open all the time may still write to it between the last look and the removal.
//! * A name cannot be removed on the condition that it stands for a certain file. So the old name is first changed, in one step,
//!   for one that nobody uses; only then is it looked at, and removed or changed back.
//! * By that time the copy and its name are on the device. So at any moment, also after a crash, the old name or the new one has
//!   the whole content. The name in between tells what it must stand for, and is swept only if it does: see `leftovers`.

use std::ffi::{CStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;

use super::claim::{Claim, Claiming};
use super::copy::Copying;
use super::descriptor::Quota;
use super::leftovers::Seal;
use super::node::Id;
use super::place::Place;
use super::regular::open_regular_unchecked;
use super::replace::{Arrival, Then};
use super::steps::{InSteps, Step};
use super::storage::Storage;
use super::temporary::with_new_name;
use super::ticket::Ticket;
use super::{Write, sys};
use crate::error::{Error, Result};

/// How often a file is copied that changes meanwhile. 3: one that still does is in use.
const TRIES_MAX: u32 = 3;

/// How long to wait for one who wanted to write, before the file is copied again. 10 ms: most are done by then.
const CHANGED_PAUSE: Duration = Duration::from_millis(10);

/// How long to wait for those who have the file open for writing, at first; twice as long each time. 1 ms: a worker closes one in
/// less.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// The longest of these; about a second in all. A file that was just written may still have to be closed, by the host itself.
const LAST_PAUSE: Duration = Duration::from_millis(512);

/// How long ago a change must be for another one to have another time, where only times tell. 20 ms: two ticks of the slowest
/// clock that a kernel has for them.
const TICK: Duration = Duration::from_millis(20);

/// Renames, or copies a regular file to another file system and then removes it.
pub(crate) struct MoveFile {
    from: Place<Write>,
    to: Place<Write>,
    moving: Option<Moving>,
    tries: u32,
    pause: Duration,
    claim: Claim,
}

impl MoveFile {
    /// Bytes of memory that its paths hold.
    pub(crate) fn bytes(&self) -> usize {
        self.from.bytes() + self.to.bytes()
    }

    pub(crate) fn new(from: Place<Write>, to: Place<Write>) -> Self {
        let claim = Claim::new(Moving::DESCRIPTORS);
        Self { from, to, moving: None, tries: 0, pause: FIRST_PAUSE, claim }
    }

    fn begin(&mut self) -> Result<Step<()>> {
        match self.from.rename(&self.to) {
            Err(Error::CROSS_DEVICE) => {}
            result => return result.map(Step::Done),
        }
        let source = Source::open(&self.from)?;
        let Some((input, guard)) = source.guarded()? else { return self.wait() };
        let copying = Copying::begin(input, &self.to, Then::Place)?;
        if guard == Guard::Times && is_recent(&copying.status) {
            return self.wait();
        }
        self.moving = Some(Moving { source, guard, copying });
        Ok(Step::More)
    }

    /// Somebody has the file open for writing, or has just changed it.
    fn wait(&mut self) -> Result<Step<()>> {
        if self.pause > LAST_PAUSE {
            return Err(Errno::BUSY.into());
        }
        let pause = self.pause;
        self.pause *= 2;
        Ok(Step::Later(pause))
    }

    /// The file is not what it was, or not where it was.
    fn changed(&mut self) -> Result<Step<()>> {
        self.moving = None;
        self.tries += 1;
        if self.tries == TRIES_MAX { Err(Errno::BUSY.into()) } else { Ok(Step::Later(CHANGED_PAUSE)) }
    }
}

impl Claiming for MoveFile {
    fn claim(&mut self) -> Option<(&mut Claim, &Quota)> {
        Some((&mut self.claim, &self.to.shared.quota))
    }
}

impl InSteps for MoveFile {
    type Output = ();

    fn step(&mut self, ticket: &dyn Ticket) -> Result<Step<()>> {
        let Some(moving) = &mut self.moving else { return self.begin() };
        if !moving.is_guarded()? {
            return self.changed();
        }
        if moving.copying.step(ticket)?.is_none() {
            return Ok(Step::More);
        }
        ticket.check()?;
        match self.moving.take().map(Moving::finish).transpose()? {
            Some(Outcome::Moved) => Ok(Step::Done(())),
            Some(Outcome::Changed) => self.changed(),
            Some(Outcome::WriteAgain) | None => Ok(Step::More),
        }
    }

    fn start_over(&mut self) {
        self.moving = None;
        (self.tries, self.pause) = (0, FIRST_PAUSE);
    }
}

/// The name that a file is to lose.
struct Source {
    dir: OwnedFd,
    name: OsString,
}

/// What tells that a file has not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guard {
    /// Nobody can change it unnoticed.
    Lease,
    /// Its size and its times.
    Times,
}

impl Source {
    fn open(place: &Place<Write>) -> Result<Self> {
        let entry = place.entry(Error::INVALID)?;
        let dir = sys::openat(&entry.dir, c".", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { dir, name: entry.name.to_owned() })
    }

    fn stat(&self) -> Result<Stat> {
        Ok(sys::statat(&self.dir, &*self.name, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Opens the file, which nobody can write to unnoticed from then on; none while somebody has it open for that.
    fn guarded(&self) -> Result<Option<(File, Guard)>> {
        if !FileType::from_raw_mode(self.stat()?.st_mode).is_file() {
            return Err(Error::CROSS_DEVICE);
        }
        let input = open_regular_unchecked(&self.dir, &*self.name)?;
        match sys::take_read_lease(&input) {
            Ok(()) => Ok(Some((input, Guard::Lease))),
            // Elsewhere this may as well say that there are no leases.
            Err(Errno::AGAIN) if Storage::of(&input).is_local() => Ok(None),
            Err(_) => Ok(Some((input, Guard::Times))),
        }
    }

    /// Changes the name for another one, in one step.
    fn take_aside(&self, aside: &CStr) -> rustix::io::Result<()> {
        match sys::renameat_with(&self.dir, &*self.name, &self.dir, aside, RenameFlags::NOREPLACE) {
            // Nothing has a name that nobody can know.
            Err(errno) if sys::knows_no_flags(errno) => sys::renameat(&self.dir, &*self.name, &self.dir, aside),
            result => result,
        }
    }

    /// Changes it back, if nothing has come to have the old name.
    fn put_back(&self, aside: &CStr) -> rustix::io::Result<()> {
        match sys::renameat_with(&self.dir, aside, &self.dir, &*self.name, RenameFlags::NOREPLACE) {
            Err(errno) if sys::knows_no_flags(errno) => match self.stat() {
                Err(Error::NO_ENTRY) => sys::renameat(&self.dir, aside, &self.dir, &*self.name),
                _ => Err(Errno::EXIST),
            },
            result => result,
        }
    }
}

/// A file on its way to another file system.
struct Moving {
    source: Source,
    guard: Guard,
    copying: Copying,
}

/// What has come of a file that was copied.
enum Outcome {
    Moved,
    /// It was changed meanwhile, and has the name that it had.
    Changed,
    WriteAgain,
}

impl Moving {
    /// How many it has open: the directory of the old name as well.
    const DESCRIPTORS: usize = 1 + Copying::DESCRIPTORS;

    /// Whether nobody has changed the file, as far as it can be told at any time.
    fn is_guarded(&self) -> Result<bool> {
        Ok(self.guard == Guard::Times || sys::has_read_lease(&self.copying.input)?)
    }

    /// Whether the file is what it was when it was opened, and still has its name.
    fn is_as_it_was(&self) -> Result<bool> {
        let (before, now) = (&self.copying.status, sys::fstat(&self.copying.input)?);
        let changed = |stat: &Stat| (stat.st_ctime, stat.st_ctime_nsec);
        if !self.is_guarded()? || Seal::of(before) != Seal::of(&now) || changed(before) != changed(&now) {
            return Ok(false);
        }
        match self.source.stat() {
            Ok(named) => Ok(Id::of_stat(&named) == Id::of_stat(before)),
            Err(Error::NO_ENTRY) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gives the copy its name, and takes the old one away.
    fn finish(mut self) -> Result<Outcome> {
        if !self.is_as_it_was()? {
            return Ok(Outcome::Changed);
        }
        // Up to the end, whatever fails takes the copy away again.
        if self.copying.new.place()? == Arrival::WriteAgain {
            return Ok(Outcome::WriteAgain);
        }
        self.copying.new.sync_name()?;
        let seal = Seal::of(&self.copying.status);
        let (aside, ()) = match with_new_name(&seal.suffix(), |aside| self.source.take_aside(aside)) {
            Err(Error::NO_ENTRY) => return Ok(Outcome::Changed),
            result => result?,
        };
        let failure = match self.is_what_was_copied(&aside, &seal) {
            Ok(true) => match sys::unlinkat(&self.source.dir, &aside, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {
                    self.copying.new.settle();
                    return Ok(Outcome::Moved);
                }
                Err(errno) => Some(errno.into()),
            },
            Ok(false) => None,
            Err(error) => Some(error),
        };
        if let Err(error) = self.source.put_back(&aside) {
            // The copy stays: it may be all that is left of what it was made of.
            tracing::warn!(%error, ?aside, "a file that could not be moved is left under this name");
            self.copying.new.settle();
            return Err(failure.unwrap_or_else(|| Errno::BUSY.into()));
        }
        failure.map_or(Ok(Outcome::Changed), Err)
    }

    /// Whether a name, which nobody else uses, is that of the file as it was copied. Its change of names has changed its `ctime`.
    fn is_what_was_copied(&self, aside: &CStr, seal: &Seal) -> Result<bool> {
        let stat = sys::statat(&self.source.dir, aside, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Id::of_stat(&stat) == Id::of_stat(&self.copying.status) && Seal::of(&stat) == *seal && self.is_guarded()?)
    }
}

/// Whether a file was changed so short a time ago that another change may have the same time.
fn is_recent(stat: &Stat) -> bool {
    let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) else { return false };
    let (Ok(seconds), Ok(nanoseconds)) = (u64::try_from(stat.st_ctime), u32::try_from(stat.st_ctime_nsec)) else {
        return false;
    };
    // A time that has not come yet says nothing.
    now.checked_sub(Duration::new(seconds, nanoseconds)).is_some_and(|age| age < TICK)
}

#[cfg(test)]
mod tests;
