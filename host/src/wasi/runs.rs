//! What requests of WASI do, whichever function of whichever version they are made by.

use crate::arguments::{Held, holds, holds_nothing};
use crate::budget::Reservation;
use crate::door::Run;
use crate::error::{Error, Result};
use crate::output::{Answer, Member, Output};
use crate::sandbox::{
    Advice, ChangeableFile, Content, Cursor, FileOrDir, NewTimes, OpenDir, OpenFile, OpenFlags, OpeningAny, Place, Read,
    Reading, Target, Write, WriteTo,
};
use crate::types::Status;

pub(super) const ADVISE: Run<(OpenFile, u64, u64, Advice), ()> =
    Run::Worker(|(file, offset, length, advice), _| file.advise(*offset, *length, *advice));
pub(super) const DATASYNC: Run<(OpenFile,), ()> = Run::Worker(|(file,), _| file.fdatasync());
pub(super) const FSYNC: Run<(OpenFile,), ()> = Run::Worker(|(file,), _| file.fsync());
pub(super) const SYNC_DIR: Run<(Place<Read>,), ()> = Run::Worker(|(place,), _| place.sync());
pub(super) const FSTAT: Run<(OpenFile,), Status> = Run::Inline(|(file,), wait| file.stat(wait));
pub(super) const KNOWN_STATUS: Run<(Status,), Status> = Run::Inline(|(status,), _| Ok(*status));
pub(super) const STAT: Run<(Place<Read>,), Status> = Run::Inline(|(place,), wait| place.stat(wait));
pub(super) const LSTAT: Run<(Place<Read>,), Status> = Run::Inline(|(place,), wait| place.lstat(wait));
pub(super) const TRUNCATE: Run<(OpenFile, u64), ()> = Run::Worker(|(file, length), _| file.truncate(*length));
pub(super) const FUTIME: Run<(ChangeableFile, NewTimes), ()> = Run::Worker(|(file, times), _| file.utime(times));
pub(super) const UTIME: Run<(Place<Write>, NewTimes), ()> = Run::Worker(|(place, times), _| place.utime(times));
pub(super) const LUTIME: Run<(Place<Write>, NewTimes), ()> = Run::Worker(|(place, times), _| place.lutime(times));
pub(super) const READ: Run<(Reading,), Content> =
    Run::InlineOrAgain(|(reading,)| reading.read_now(), |(reading,), ticket| reading.go_on(ticket));
pub(super) const WRITE: Run<(Copied,), u64> = Run::Worker(|(copied,), _| copied.write());
pub(super) const OPEN: Run<(OpeningAny,), FileOrDir> = Run::Inline(|(opening,), wait| opening.open(wait));
pub(super) const OPEN_DIR: Run<(Place<Read>,), OpenDir> = Run::Inline(|(place,), wait| place.open_dir(wait));
pub(super) const FILL: Run<(CursorAt,), ()> = Run::Worker(|(place,), _| place.cursor.fill(place.from));
pub(super) const MKDIR: Run<(Place<Write>,), ()> = Run::Worker(|(place,), _| place.mkdir(DIR_MODE));
pub(super) const LINK: Run<(Place<Write>, Place<Write>), ()> = Run::Worker(|(old, new), _| old.link(new));
pub(super) const READLINK: Run<(Place<Read>,), String> = Run::Worker(|(place,), _| place.readlink());
pub(super) const RMDIR: Run<(Place<Write>,), ()> = Run::Worker(|(place,), _| place.rmdir());
pub(super) const RENAME: Run<(Place<Write>, Place<Write>), ()> = Run::Worker(|(old, new), _| old.rename(new));
pub(super) const SYMLINK: Run<(Target, Place<Write>), ()> = Run::Worker(|(target, place), _| place.symlink(target));
pub(super) const UNLINK: Run<(Place<Write>,), ()> = Run::Worker(|(place,), _| place.unlink());

/// Permission bits of a directory that is made.
const DIR_MODE: u16 = 0o777;

holds! { OpeningAny, Copied }
holds_nothing! { CursorAt }

/// A write of bytes that are the host's own.
#[derive(Debug)]
pub(super) struct Copied {
    pub(super) file: OpenFile,
    pub(super) to: WriteTo,
    pub(super) data: Vec<u8>,
}

impl Copied {
    fn bytes(&self) -> usize {
        self.data.capacity()
    }

    fn write(&self) -> Result<u64> {
        match self.file.write_from(self.to, &self.data) {
            // Another request has the position.
            Err(Error::WOULD_BLOCK) => Err(Error::NOT_YET),
            result => result,
        }
    }
}

/// A place in a listing.
#[derive(Debug)]
pub(super) struct CursorAt {
    pub(super) cursor: Cursor,
    pub(super) from: u64,
}

/// Memory for the listing of one directory.
pub(super) fn listing_memory(member: &Member) -> Result<Reservation> {
    member.memory().try_take(Cursor::BYTES).ok_or_else(|| rustix::io::Errno::NOMEM.into())
}

/// The flags that are wanted.
pub(super) fn flags(wanted: impl IntoIterator<Item = (bool, OpenFlags)>) -> OpenFlags {
    let mut flags = OpenFlags::empty();
    for (is_wanted, flag) in wanted {
        if is_wanted {
            flags |= flag;
        }
    }
    flags
}

/// Both arguments of a request, or what is wrong with the first of them that is wrong.
pub(super) fn both<A, B>(one: Result<A>, other: Result<B>) -> Result<(A, B)> {
    Ok((one?, other?))
}

impl Answer for FileOrDir {
    type Wire = ();

    fn into_output(self) -> Output {
        match self {
            Self::File(file) => Output::File(file),
            Self::Dir(dir) => Output::Dir(dir),
        }
    }

    fn from_output(output: Output) -> Option<Self> {
        match output {
            Output::File(file) => Some(Self::File(file)),
            Output::Dir(dir) => Some(Self::Dir(dir)),
            _ => None,
        }
    }

    /// Only functions that have a table of their own ask for it.
    fn into_wire(self, _table: &mut wasmtime::component::ResourceTable) -> Result<()> {
        Err(Error::UNSUPPORTED)
    }
}
