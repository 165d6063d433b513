//! What a guest passes to a request, parsed at the edge into values that cannot be wrong.

use std::time::Duration;

use wasmtime::component::{ComponentNamedList, ComponentType, Lift, Resource, ResourceTable};

use crate::error::{Error, Result};
use crate::gated::Allowed;
use crate::limits::Limits;
use crate::sandbox::{
    Advice, AllocateFlags, Allocation, ChangeableFile, Grants, Lock, LockKind, NewTime, NewTimes, OpenDir, OpenFile, OpenFlags,
    Opening, Permissions, Place, Read, RenameFlags, RenameHow, SyncRangeFlags, Target, Walker, Whence, Write,
};
use crate::types::ReaddirxFlags;

/// What parsing looks things up in.
pub(crate) struct Guest<'a> {
    pub(crate) grants: &'a Grants,
    pub(crate) limits: &'a Limits,
    pub(crate) allowed: &'a Allowed,
    pub(crate) table: &'a mut ResourceTable,
}

type At = Option<Resource<OpenDir>>;

impl Guest<'_> {
    fn place<R: Right>(&self, at: &At, path: String) -> Result<Place<R>> {
        let at = match at {
            // The component model has checked the handle, so it is in the table.
            Some(dir) => Some(self.table.get(dir).map_err(|_| Error::BAD_DESCRIPTOR)?),
            None => None,
        };
        R::grant(Place::find(self.grants, at, path)?)
    }

    fn file(&self, file: &Resource<OpenFile>) -> Result<OpenFile> {
        self.table.get(file).cloned().map_err(|_| Error::BAD_DESCRIPTOR)
    }
}

/// A right that a place may be asked for with.
pub(crate) trait Right: Send + Sized + 'static {
    fn grant(place: Place<Read>) -> Result<Place<Self>>;
}

impl Right for Read {
    fn grant(place: Place<Read>) -> Result<Place<Self>> {
        Ok(place)
    }
}

impl Right for Write {
    fn grant(place: Place<Read>) -> Result<Place<Self>> {
        place.writable()
    }
}

/// A value that needs no parsing.
pub(crate) trait Plain: ComponentType + Lift + Send + 'static {
    /// Bytes of memory it holds, for the books.
    fn bytes(&self) -> usize {
        0
    }
}

impl Plain for u16 {}
impl Plain for u32 {}
impl Plain for u64 {}
impl Plain for i64 {}
impl Plain for Option<u32> {}
impl Plain for ReaddirxFlags {}
impl Plain for Option<u64> {}
impl Plain for Advice {}
impl Plain for SyncRangeFlags {}
impl Plain for Whence {}

impl Plain for Vec<u8> {
    fn bytes(&self) -> usize {
        self.len()
    }
}

/// The parameters of a request.
pub(crate) trait Arguments: Send + Sized + 'static {
    /// Their types in the WIT package.
    type Wire: ComponentNamedList + Lift + Send + 'static;

    fn parse(wire: Self::Wire, guest: &mut Guest<'_>) -> Result<Self>;

    /// Bytes of memory they hold, for the books.
    fn bytes(&self) -> usize {
        0
    }
}

impl Arguments for () {
    type Wire = ();

    fn parse((): (), _guest: &mut Guest<'_>) -> Result<Self> {
        Ok(())
    }
}

impl<R: Right> Arguments for (Place<R>,) {
    type Wire = (At, String);

    fn parse((at, path): Self::Wire, guest: &mut Guest<'_>) -> Result<Self> {
        Ok((guest.place(&at, path)?,))
    }
}

impl<R: Right, A: Plain> Arguments for (Place<R>, A) {
    type Wire = (At, String, A);

    fn parse((at, path, a): Self::Wire, guest: &mut Guest<'_>) -> Result<Self> {
        Ok((guest.place(&at, path)?, a))
    }
}

impl<R: Right, A: Plain, B: Plain> Arguments for (Place<R>, A, B) {
    type Wire = (At, String, A, B);

    fn parse((at, path, a, b): Self::Wire, guest: &mut Guest<'_>) -> Result<Self> {
        Ok((guest.place(&at, path)?, a, b))
    }

    fn bytes(&self) -> usize {
        self.1.bytes() + self.2.bytes()
    }
}

impl<R: Right, S: Right> Arguments for (Place<R>, Place<S>) {
    type Wire = (At, String, At, String);

    fn parse((at, path, other_at, other_path): Self::Wire, guest: &mut Guest<'_>) -> Result<Self> {
        Ok((guest.place(&at, path)?, guest.place(&other_at, other_path)?))
    }
}

impl<R: Right, S: Right, A: Plain> Arguments for (Place<R>, Place<S>, A) {
    type Wire = (At, String, At, String, A);

    fn parse((at, path, other_at, other_path, a): Self::Wire, guest: &mut Guest<'_>) -> Result<Self> {
        Ok((guest.place(&at, path)?, guest.place(&other_at, other_path)?, a))
    }
}

impl Arguments for (Walker, u32) {
    type Wire = (Resource<Walker>, u32);

    fn parse((walker, max): Self::Wire, guest: &mut Guest<'_>) -> Result<Self> {
        Ok((guest.table.get(&walker).cloned().map_err(|_| Error::BAD_DESCRIPTOR)?, max))
    }
}

impl Arguments for (Opening,) {
    type Wire = (At, String, OpenFlags, u16);

    fn parse((at, path, flags, mode): Self::Wire, guest: &mut Guest<'_>) -> Result<Self> {
        Ok((Opening::new(guest.place(&at, path)?, flags, mode)?,))
    }
}

impl Arguments for (OpenFile,) {
    type Wire = (Resource<OpenFile>,);

    fn parse((file,): Self::Wire, guest: &mut Guest<'_>) -> Result<Self> {
        Ok((guest.file(&file)?,))
    }
}

impl<A: Plain, B: Plain> Arguments for (OpenFile, A, B) {
    type Wire = (Resource<OpenFile>, A, B);

    fn parse((file, a, b): Self::Wire, guest: &mut Guest<'_>) -> Result<Self> {
        Ok((guest.file(&file)?, a, b))
    }

    fn bytes(&self) -> usize {
        self.1.bytes() + self.2.bytes()
    }
}

impl<A: Plain, B: Plain, C: Plain> Arguments for (OpenFile, A, OpenFile, B, C) {
    type Wire = (Resource<OpenFile>, A, Resource<OpenFile>, B, C);

    fn parse((file, a, other, b, c): Self::Wire, guest: &mut Guest<'_>) -> Result<Self> {
        Ok((guest.file(&file)?, a, guest.file(&other)?, b, c))
    }
}

impl<A: Plain> Arguments for (A,) {
    type Wire = (A,);

    fn parse(wire: Self::Wire, _guest: &mut Guest<'_>) -> Result<Self> {
        Ok(wire)
    }
}

impl<A: Plain> Arguments for (OpenFile, A) {
    type Wire = (Resource<OpenFile>, A);

    fn parse((file, a): Self::Wire, guest: &mut Guest<'_>) -> Result<Self> {
        Ok((guest.file(&file)?, a))
    }
}

impl<A: Plain, B: Plain, C: Plain> Arguments for (OpenFile, A, B, C) {
    type Wire = (Resource<OpenFile>, A, B, C);

    fn parse((file, a, b, c): Self::Wire, guest: &mut Guest<'_>) -> Result<Self> {
        Ok((guest.file(&file)?, a, b, c))
    }
}

impl Arguments for (Place<Write>, Permissions) {
    type Wire = (At, String, u16);

    fn parse((at, path, mode): Self::Wire, guest: &mut Guest<'_>) -> Result<Self> {
        Ok((guest.place(&at, path)?, Permissions::parse(mode)?))
    }
}

impl Arguments for (ChangeableFile, Permissions) {
    type Wire = (Resource<OpenFile>, u16);

    fn parse((file, mode): Self::Wire, guest: &mut Guest<'_>) -> Result<Self> {
        Ok((ChangeableFile::parse(guest.file(&file)?)?, Permissions::parse(mode)?))
    }
}

impl Arguments for (Place<Write>, NewTimes) {
    type Wire = (At, String, NewTime, NewTime);

    fn parse((at, path, accessed, modified): Self::Wire, guest: &mut Guest<'_>) -> Result<Self> {
        Ok((guest.place(&at, path)?, NewTimes::parse(accessed, modified)?))
    }
}

impl Arguments for (ChangeableFile, NewTimes) {
    type Wire = (Resource<OpenFile>, NewTime, NewTime);

    fn parse((file, accessed, modified): Self::Wire, guest: &mut Guest<'_>) -> Result<Self> {
        Ok((ChangeableFile::parse(guest.file(&file)?)?, NewTimes::parse(accessed, modified)?))
    }
}

impl Arguments for (Place<Write>, Place<Write>, RenameHow) {
    type Wire = (At, String, At, String, RenameFlags);

    fn parse((old_at, old, new_at, new, flags): Self::Wire, guest: &mut Guest<'_>) -> Result<Self> {
        Ok((guest.place(&old_at, old)?, guest.place(&new_at, new)?, RenameHow::parse(flags)?))
    }
}

impl Arguments for (Target, Place<Write>) {
    type Wire = (String, At, String);

    fn parse((target, at, path): Self::Wire, guest: &mut Guest<'_>) -> Result<Self> {
        let target = Target::parse(target, guest.limits.path_bytes_max)?;
        Ok((target, guest.place(&at, path)?))
    }
}

impl Arguments for (OpenFile, Allocation, u64, u64) {
    type Wire = (Resource<OpenFile>, AllocateFlags, u64, u64);

    fn parse((file, flags, offset, length): Self::Wire, guest: &mut Guest<'_>) -> Result<Self> {
        Ok((guest.file(&file)?, Allocation::parse(flags)?, offset, length))
    }
}

impl Arguments for (OpenFile, Lock) {
    type Wire = (Resource<OpenFile>, u64, u64);

    fn parse((file, offset, length): Self::Wire, guest: &mut Guest<'_>) -> Result<Self> {
        Ok((guest.file(&file)?, Lock::parse(offset, length)?))
    }
}

/// A lock that is asked for.
pub(crate) struct Locking {
    pub(crate) file: OpenFile,
    pub(crate) kind: LockKind,
    pub(crate) range: Lock,
    pub(crate) waits: bool,
    /// How long it waited after the last attempt.
    pub(crate) pause: Option<Duration>,
}

impl Arguments for (Locking,) {
    type Wire = (Resource<OpenFile>, LockKind, u64, u64, bool);

    fn parse((file, kind, offset, length, waits): Self::Wire, guest: &mut Guest<'_>) -> Result<Self> {
        let range = Lock::parse(offset, length)?;
        Ok((Locking { file: guest.file(&file)?, kind, range, waits, pause: None },))
    }
}

/// A search for data, with how many ranges one answer may carry.
pub(crate) struct ExtentSearch {
    pub(crate) file: OpenFile,
    pub(crate) offset: u64,
    pub(crate) length: Option<u64>,
    pub(crate) extents_max: usize,
}

impl Arguments for (ExtentSearch,) {
    type Wire = (Resource<OpenFile>, u64, Option<u64>);

    fn parse((file, offset, length): Self::Wire, guest: &mut Guest<'_>) -> Result<Self> {
        Ok((ExtentSearch { file: guest.file(&file)?, offset, length, extents_max: guest.limits.entries_max },))
    }
}

/// A file that the guest gives up.
pub(crate) struct Closing(Option<OpenFile>);

impl Closing {
    /// The file. There is one until it is taken.
    pub(crate) fn take(&mut self) -> Result<OpenFile> {
        self.0.take().ok_or(Error::BAD_DESCRIPTOR)
    }

    pub(crate) fn may_wait(&self) -> bool {
        self.0.as_ref().is_some_and(OpenFile::close_may_wait)
    }
}

impl Arguments for (Closing,) {
    type Wire = (Resource<OpenFile>,);

    fn parse((file,): Self::Wire, guest: &mut Guest<'_>) -> Result<Self> {
        let file = guest.table.delete(file).map_err(|_| Error::BAD_DESCRIPTOR)?;
        Ok((Closing(Some(file)),))
    }
}

/// A read, with its length brought down to what one read may return.
pub(crate) struct Reading {
    pub(crate) file: OpenFile,
    pub(crate) offset: Option<u64>,
    pub(crate) length: usize,
}

impl Arguments for (Reading,) {
    type Wire = (Resource<OpenFile>, Option<u64>, u32);

    fn parse((file, offset, length): Self::Wire, guest: &mut Guest<'_>) -> Result<Self> {
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(guest.limits.read_bytes_max);
        Ok((Reading { file: guest.file(&file)?, offset, length },))
    }

    fn bytes(&self) -> usize {
        self.0.length
    }
}
