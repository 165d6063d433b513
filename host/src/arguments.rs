//! What a guest passes to a request, parsed at the edge into values that cannot be wrong.

mod files;

use std::time::Duration;

use wasmtime::component::{ComponentNamedList, ComponentType, Lift, Resource, ResourceTable};

use crate::allowed::Allowed;
use crate::error::{Error, Result};
use crate::limits::RequestLimits;
use crate::sandbox::{
    Advice, AllocateFlags, Allocation, ChangeableFile, CopyFile, CopyTree, ExtentSearch, Grants, ListDir, ListEntries,
    LoadFile, Lock, LockKind, MoveFile, NewTime, NewTimes, OpenDir, OpenFile, OpenFlags, Opening, Permissions, Place, Read,
    Reading, RemoveTree, RenameFlags, RenameHow, ScanDir, Seeking, Sendfile, SlurpFile, StoreFile, SyncRangeFlags, Target,
    WalkNext, Walker, Whence, Write, Writing,
};
use crate::types::{ReaddirxFlags, Status};

/// What parsing looks things up in.
pub(crate) struct Lookup<'a> {
    pub(crate) grants: &'a Grants,
    pub(crate) limits: &'a RequestLimits,
    pub(crate) allowed: &'a Allowed,
    pub(crate) table: &'a mut ResourceTable,
}

type At = Option<Resource<OpenDir>>;

impl Lookup<'_> {
    fn place<R: MadeFor>(&self, at: &At, path: String) -> Result<Place<R>> {
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
pub(crate) trait MadeFor: Send + Sized + 'static {
    fn grant(place: Place<Read>) -> Result<Place<Self>>;
}

impl MadeFor for Read {
    fn grant(place: Place<Read>) -> Result<Place<Self>> {
        Ok(place)
    }
}

impl MadeFor for Write {
    fn grant(place: Place<Read>) -> Result<Place<Self>> {
        place.writable()
    }
}

/// A value that needs no parsing.
pub(crate) trait Plain: ComponentType + Lift + Held + Send + 'static {}

impl Plain for u16 {}
impl Plain for u32 {}
impl Plain for u64 {}
impl Plain for i64 {}
impl Plain for Option<u32> {}
impl Plain for ReaddirxFlags {}
impl Plain for Option<u64> {}
impl Plain for Advice {}
impl Plain for SyncRangeFlags {}
impl Plain for Vec<u8> {}

/// The parameters of a request.
pub(crate) trait Arguments: Held + Send + Sized + 'static {
    /// Their types in the WIT package.
    type Wire: ComponentNamedList + Lift + Send + 'static;

    fn parse(wire: Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self>;
}

impl Arguments for () {
    type Wire = ();

    fn parse((): (), _lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok(())
    }
}

impl<R: MadeFor> Arguments for (Place<R>,) {
    type Wire = (At, String);

    fn parse((at, path): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((lookup.place(&at, path)?,))
    }
}

impl<R: MadeFor, A: Plain> Arguments for (Place<R>, A) {
    type Wire = (At, String, A);

    fn parse((at, path, a): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((lookup.place(&at, path)?, a))
    }
}

impl<R: MadeFor, A: Plain, B: Plain> Arguments for (Place<R>, A, B) {
    type Wire = (At, String, A, B);

    fn parse((at, path, a, b): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((lookup.place(&at, path)?, a, b))
    }
}

impl<R: MadeFor, S: MadeFor> Arguments for (Place<R>, Place<S>) {
    type Wire = (At, String, At, String);

    fn parse((at, path, other_at, other_path): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((lookup.place(&at, path)?, lookup.place(&other_at, other_path)?))
    }
}

impl<R: MadeFor, S: MadeFor, A: Plain> Arguments for (Place<R>, Place<S>, A) {
    type Wire = (At, String, At, String, A);

    fn parse((at, path, other_at, other_path, a): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((lookup.place(&at, path)?, lookup.place(&other_at, other_path)?, a))
    }
}

impl Arguments for (Opening,) {
    type Wire = (At, String, OpenFlags, u16);

    fn parse((at, path, flags, mode): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((Opening::new(lookup.place(&at, path)?, flags, mode)?,))
    }
}

impl Arguments for (OpenFile,) {
    type Wire = (Resource<OpenFile>,);

    fn parse((file,): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((lookup.file(&file)?,))
    }
}

impl<A: Plain, B: Plain> Arguments for (OpenFile, A, B) {
    type Wire = (Resource<OpenFile>, A, B);

    fn parse((file, a, b): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((lookup.file(&file)?, a, b))
    }
}

impl<A: Plain, B: Plain, C: Plain> Arguments for (OpenFile, A, OpenFile, B, C) {
    type Wire = (Resource<OpenFile>, A, Resource<OpenFile>, B, C);

    fn parse((file, a, other, b, c): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((lookup.file(&file)?, a, lookup.file(&other)?, b, c))
    }
}

impl<A: Plain> Arguments for (A,) {
    type Wire = (A,);

    fn parse(wire: Self::Wire, _lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok(wire)
    }
}

impl<A: Plain> Arguments for (OpenFile, A) {
    type Wire = (Resource<OpenFile>, A);

    fn parse((file, a): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((lookup.file(&file)?, a))
    }
}

impl<A: Plain, B: Plain, C: Plain> Arguments for (OpenFile, A, B, C) {
    type Wire = (Resource<OpenFile>, A, B, C);

    fn parse((file, a, b, c): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((lookup.file(&file)?, a, b, c))
    }
}

impl Arguments for (Place<Write>, Permissions) {
    type Wire = (At, String, u16);

    fn parse((at, path, mode): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((lookup.place(&at, path)?, Permissions::parse(mode)?))
    }
}

impl Arguments for (ChangeableFile, Permissions) {
    type Wire = (Resource<OpenFile>, u16);

    fn parse((file, mode): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((ChangeableFile::parse(lookup.file(&file)?)?, Permissions::parse(mode)?))
    }
}

impl Arguments for (Place<Write>, NewTimes) {
    type Wire = (At, String, NewTime, NewTime);

    fn parse((at, path, accessed, modified): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((lookup.place(&at, path)?, NewTimes::parse(accessed, modified)?))
    }
}

impl Arguments for (ChangeableFile, NewTimes) {
    type Wire = (Resource<OpenFile>, NewTime, NewTime);

    fn parse((file, accessed, modified): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((ChangeableFile::parse(lookup.file(&file)?)?, NewTimes::parse(accessed, modified)?))
    }
}

impl Arguments for (Place<Write>, Place<Write>, RenameHow) {
    type Wire = (At, String, At, String, RenameFlags);

    fn parse((old_at, old, new_at, new, flags): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((lookup.place(&old_at, old)?, lookup.place(&new_at, new)?, RenameHow::parse(flags)?))
    }
}

impl Arguments for (Target, Place<Write>) {
    type Wire = (String, At, String);

    fn parse((target, at, path): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        let target = Target::parse(target, lookup.limits.path_bytes_max)?;
        Ok((target, lookup.place(&at, path)?))
    }
}

impl Arguments for (OpenFile, Allocation, u64, u64) {
    type Wire = (Resource<OpenFile>, AllocateFlags, u64, u64);

    fn parse((file, flags, offset, length): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((lookup.file(&file)?, Allocation::parse(flags)?, offset, length))
    }
}

impl Arguments for (OpenFile, Lock) {
    type Wire = (Resource<OpenFile>, u64, u64);

    fn parse((file, offset, length): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((lookup.file(&file)?, Lock::parse(offset, length)?))
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

    fn parse((file, kind, offset, length, waits): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        let range = Lock::parse(offset, length)?;
        Ok((Locking { file: lookup.file(&file)?, kind, range, waits, pause: None },))
    }
}

impl Arguments for (ExtentSearch,) {
    type Wire = (Resource<OpenFile>, u64, Option<u64>);

    fn parse((file, offset, length): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((ExtentSearch::new(lookup.file(&file)?, offset, length, lookup.limits.entries_max)?,))
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

    fn parse((file,): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        let file = lookup.table.delete(file).map_err(|_| Error::BAD_DESCRIPTOR)?;
        Ok((Closing(Some(file)),))
    }
}

impl Arguments for (Reading,) {
    type Wire = (Resource<OpenFile>, Option<u64>, u32);

    fn parse((file, offset, length): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        let limits = lookup.limits;
        // What could never be held is a short read, too.
        let max = limits.read_bytes_max.min(limits.bytes_in_flight_max);
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(max);
        Ok((Reading::new(lookup.file(&file)?, offset, length),))
    }
}

impl Arguments for (Writing,) {
    type Wire = (Resource<OpenFile>, Option<u64>, Vec<u8>);

    fn parse((file, offset, data): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((Writing::new(lookup.file(&file)?, offset, data),))
    }
}

impl Arguments for (Seeking,) {
    type Wire = (Resource<OpenFile>, i64, Whence);

    fn parse((file, offset, from): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((Seeking::new(lookup.file(&file)?, offset, from),))
    }
}

impl Arguments for (ListDir,) {
    type Wire = (At, String);

    fn parse((at, path): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((ListDir::new(lookup.place(&at, path)?),))
    }
}

impl Arguments for (ListEntries,) {
    type Wire = (At, String, ReaddirxFlags);

    fn parse((at, path, flags): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((ListEntries::new(lookup.place(&at, path)?, flags),))
    }
}

impl Arguments for (ScanDir,) {
    type Wire = (At, String, u32);

    fn parse((at, path, maxreq): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((ScanDir::new(lookup.place(&at, path)?, maxreq),))
    }
}

impl Arguments for (WalkNext,) {
    type Wire = (Resource<Walker>, u32);

    fn parse((walker, max): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        let walker = lookup.table.get(&walker).cloned().map_err(|_| Error::BAD_DESCRIPTOR)?;
        Ok((WalkNext::new(walker, max),))
    }
}

impl Arguments for (CopyTree,) {
    type Wire = (At, String, At, String, u32);

    fn parse((at, path, to_at, to_path, maxreq): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((CopyTree::new(lookup.place(&at, path)?, lookup.place(&to_at, to_path)?, maxreq),))
    }
}

impl Arguments for (RemoveTree,) {
    type Wire = (At, String, u32);

    fn parse((at, path, maxreq): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((RemoveTree::new(lookup.place(&at, path)?, maxreq),))
    }
}

/// Memory on account of an argument.
pub(crate) trait Held {
    /// Bytes that it holds beside itself.
    fn bytes(&self) -> usize;

    /// Bytes that the result will hold for it, as far as that is known.
    fn result_bytes(&self) -> usize {
        0
    }
}

/// Arguments that hold nothing.
macro_rules! holds_nothing {
    ($($argument:ty),* $(,)?) => {$(
        impl Held for $argument {
            fn bytes(&self) -> usize {
                0
            }
        }
    )*};
}

holds_nothing! {
    (), u16, u32, u64, i64, Option<u32>, Option<u64>, Status, ReaddirxFlags, Advice, SyncRangeFlags, Allocation, Lock, Locking, ExtentSearch,
    Permissions, NewTimes, RenameHow, OpenFile, ChangeableFile, Closing, Seeking, Sendfile, WalkNext,
}

/// Arguments whose bytes are their own to tell.
macro_rules! holds {
    ($($argument:ty),* $(,)?) => {$(
        impl Held for $argument {
            fn bytes(&self) -> usize {
                Self::bytes(self)
            }
        }
    )*};
}

holds! { LoadFile, SlurpFile, StoreFile, CopyFile, MoveFile, Opening, Target, Writing, ListDir, ListEntries, ScanDir, CopyTree, RemoveTree }

pub(crate) use {holds, holds_nothing};

impl<R> Held for Place<R> {
    fn bytes(&self) -> usize {
        Self::bytes(self)
    }
}

impl Held for Vec<u8> {
    fn bytes(&self) -> usize {
        self.capacity()
    }
}

impl Held for Reading {
    fn bytes(&self) -> usize {
        0
    }

    fn result_bytes(&self) -> usize {
        self.length()
    }
}

/// Several arguments hold what each of them does.
macro_rules! holds_together {
    ($(($($name:ident . $index:tt),+))*) => {$(
        impl<$($name: Held),+> Held for ($($name,)+) {
            fn bytes(&self) -> usize {
                0 $(+ self.$index.bytes())+
            }

            fn result_bytes(&self) -> usize {
                0 $(+ self.$index.result_bytes())+
            }
        }
    )*};
}

holds_together! {
    (A.0)
    (A.0, B.1)
    (A.0, B.1, C.2)
    (A.0, B.1, C.2, D.3)
    (A.0, B.1, C.2, D.3, E.4)
}
