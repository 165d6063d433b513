//! Calls on descriptors, as both versions of `wasi:filesystem` have them: each finds what it is about, and goes through the door.
//!
//! A call is made up to where it would have to wait while the guest's state is at hand; what is returned waits without it. Flags are
//! those of 0.2, which 0.3 has taken over.

use std::sync::Arc;

use futures::future::Either;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};

use super::descriptor::{Descriptor, DirDescriptor, Fd, FileDescriptor, cast};
use super::failure::{CallOutcome, Failure};
use super::listing::DirListing;
use super::looked::{Asked, Question};
use super::opening::{follows, opened};
use super::requests::{self, OnEither, StatusAt, StatusOf};
use super::steps::Asker;
use crate::arguments::Held;
use crate::ctx::{AioCtx, AioCtxView};
use crate::door::{Request, Terms};
use crate::error::{Error, Result as AioResult};
use crate::output::Answer;
use crate::sandbox::{Advice, ChangeableFile, Cursor, FileOrDir, NewTimes, OpenFile, OpeningAny, Place, Read, Target, Write};
use crate::sched::Manner;
use crate::types::Status;
use crate::wasi::requests::make;
use crate::wasi::runs::{both, listing_memory};

/// The files of one guest, called on the terms of one version.
#[derive(Clone, Copy)]
pub(crate) struct Files<'a> {
    ctx: &'a AioCtx,
    table: &'a ResourceTable,
    terms: Terms,
}

/// What descriptors stand for.
impl<'a> Files<'a> {
    pub(crate) fn new(view: &'a AioCtxView<'_>, terms: Terms) -> Self {
        Self { ctx: view.ctx, table: view.table, terms }
    }

    pub(crate) fn descriptor(self, fd: &Fd) -> CallOutcome<&'a Descriptor> {
        Ok(self.table.get(&cast(fd))?)
    }

    /// The open file. A directory is wrong for what only files can do.
    pub(crate) fn file(self, fd: &Fd) -> CallOutcome<&'a FileDescriptor> {
        match self.descriptor(fd)? {
            Descriptor::File(file) => Ok(file),
            Descriptor::Dir(_) => Err(Error::BAD_DESCRIPTOR.into()),
        }
    }

    /// The same, if it was opened for writing.
    pub(crate) fn writable(self, fd: &Fd) -> CallOutcome<OpenFile> {
        self.file(fd)?.writable()
    }

    /// What a path below a directory names.
    fn place(self, fd: &Fd, path: String) -> CallOutcome<Place<Read>> {
        match self.descriptor(fd)? {
            Descriptor::Dir(dir) => Ok(Place::find(&self.ctx.grants, Some(&dir.dir), path)?),
            Descriptor::File(_) => Err(Error::NOT_DIRECTORY.into()),
        }
    }

    fn writable_place(self, fd: &Fd, path: String) -> CallOutcome<Place<Write>> {
        Ok(self.place(fd, path)?.writable()?)
    }

    /// The directory itself, as a place to make requests on.
    fn itself(self, dir: &DirDescriptor) -> AioResult<Place<Read>> {
        Place::find(&self.ctx.grants, Some(&dir.dir), ".".to_owned())
    }

    /// What it was opened for.
    pub(crate) fn flags(self, fd: &Fd) -> CallOutcome<DescriptorFlags> {
        Ok(match self.descriptor(fd)? {
            Descriptor::File(file) => file.flags,
            Descriptor::Dir(dir) => dir.flags,
        })
    }

    /// Bytes that one read may return.
    pub(crate) fn read_bytes_max(self) -> usize {
        self.ctx.limits.read_bytes_max.min(self.ctx.limits.bytes_in_flight_max)
    }

    /// The same where the next read costs no more than a system call: what is copied twice is to stay in the processor's caches
    /// meanwhile.
    pub(crate) fn piece_max(self) -> usize {
        /// 64 KiB: a sixth faster than 1 MiB at a time.
        const PIECE: usize = 64 << 10;

        let is_alone = self.ctx.caller().may_wait_here(&Manner::default());
        self.read_bytes_max().min(if is_alone { PIECE } else { usize::MAX })
    }

    /// The guest, for what makes requests by itself.
    pub(crate) fn asker(self) -> Asker {
        Asker::new(self.ctx.caller(), self.terms)
    }

    /// Takes a request through the door, also if something is wrong with what it is about: it is counted all the same.
    pub(crate) fn make<A: Held + Send + 'static, O: Answer>(
        self,
        request: Request<A, O>,
        arguments: CallOutcome<A>,
    ) -> impl Future<Output = CallOutcome<O>> + Send + use<A, O> {
        let made = match arguments {
            Ok(arguments) => Ok(make(self.ctx, request, Ok(arguments), self.terms)),
            Err(Failure::Code(error)) => Ok(make(self.ctx, request, Err(error), self.terms)),
            Err(Failure::Trap(trap)) => Err(Failure::Trap(trap)),
        };
        async move { Ok(made?.await?) }
    }

    /// Asks for the status of what a descriptor stands for, or of what is at a path below it.
    fn ask(self, fd: &Fd, path: &str, follows: bool) -> Asked {
        let last = self.descriptor(fd).map(|descriptor| Arc::clone(descriptor.looked()));
        // Guests of WASI 0.3 may do something else meanwhile.
        let call = if self.terms.waits_in_numbers { None } else { self.ctx.call() };
        Asked::new(last.ok(), Question::new(path, follows), call)
    }

    fn look_here(self, request: StatusOf, fd: &Fd) -> impl Future<Output = CallOutcome<Status>> + Send + use<> {
        let asked = self.ask(fd, "", true);
        match asked.answer() {
            Some(status) => Either::Left(self.make(request.known, Ok((status,)))),
            None => Either::Right(asked.note(self.make_on_either(request.look, fd))),
        }
    }

    fn look_at(
        self,
        request: StatusAt,
        fd: &Fd,
        flags: PathFlags,
        path: String,
    ) -> impl Future<Output = CallOutcome<Status>> + Send + use<> {
        let asked = self.ask(fd, &path, follows(flags));
        match asked.answer() {
            Some(status) => Either::Left(self.make(request.known, Ok((status,)))),
            None => {
                let place = self.place(fd, path).map(|place| (place,));
                Either::Right(asked.note(self.make(request.look.choose(flags), place)))
            }
        }
    }

    /// The same on a descriptor, whatever that is.
    fn make_on_either<O: Answer>(self, request: OnEither<O>, fd: &Fd) -> impl Future<Output = CallOutcome<O>> + Send + use<O> {
        match self.descriptor(fd) {
            Ok(Descriptor::Dir(dir)) => {
                Either::Right(self.make(request.dir, self.itself(dir).map(|place| (place,)).map_err(Failure::from)))
            }
            Ok(Descriptor::File(file)) => Either::Left(self.make(request.file, Ok((file.file.clone(),)))),
            Err(failure) => Either::Left(self.make(request.file, Err(failure))),
        }
    }
}

/// Calls on a descriptor.
impl Files<'_> {
    pub(crate) fn advise(
        self,
        fd: &Fd,
        offset: u64,
        length: u64,
        advice: Advice,
    ) -> impl Future<Output = CallOutcome<()>> + Send + use<> {
        self.make(requests::ADVISE, self.file(fd).map(|file| (file.file.clone(), offset, length, advice)))
    }

    pub(crate) fn sync(self, fd: &Fd) -> impl Future<Output = CallOutcome<()>> + Send + use<> {
        self.make_on_either(requests::SYNC, fd)
    }

    pub(crate) fn sync_data(self, fd: &Fd) -> impl Future<Output = CallOutcome<()>> + Send + use<> {
        self.make_on_either(requests::SYNC_DATA, fd)
    }

    pub(crate) fn set_size(self, fd: &Fd, size: u64) -> impl Future<Output = CallOutcome<()>> + Send + use<> {
        self.make(requests::SET_SIZE, self.writable(fd).map(|file| (file, size)))
    }

    pub(crate) fn set_times(self, fd: &Fd, times: AioResult<NewTimes>) -> impl Future<Output = CallOutcome<()>> + Send + use<> {
        match self.descriptor(fd) {
            Ok(Descriptor::Dir(dir)) => {
                let arguments = both(self.itself(dir).and_then(Place::writable), times);
                Either::Right(self.make(requests::SET_TIMES_DIR, arguments.map_err(Failure::from)))
            }
            Ok(Descriptor::File(file)) => {
                let arguments = both(ChangeableFile::parse(file.file.clone()), times);
                Either::Left(self.make(requests::SET_TIMES, arguments.map_err(Failure::from)))
            }
            Err(failure) => Either::Left(self.make(requests::SET_TIMES, Err(failure))),
        }
    }

    pub(crate) fn stat(self, fd: &Fd) -> impl Future<Output = CallOutcome<Status>> + Send + use<> {
        self.look_here(requests::STAT, fd)
    }

    pub(crate) fn metadata_hash(self, fd: &Fd) -> impl Future<Output = CallOutcome<Status>> + Send + use<> {
        self.look_here(requests::METADATA_HASH, fd)
    }

    pub(crate) fn is_same_object(self, one: &Fd, other: &Fd) -> impl Future<Output = wasmtime::Result<bool>> + Send + use<> {
        let statuses = [one, other].map(|fd| self.make_on_either(requests::IS_SAME_OBJECT, fd));
        async move {
            let mut identities = Vec::new();
            for status in statuses {
                match status.await {
                    Ok(status) => identities.push(status.identity),
                    // What cannot be looked at is not known to be the same.
                    Err(Failure::Code(_)) => return Ok(false),
                    Err(Failure::Trap(trap)) => return Err(trap),
                }
            }
            Ok(identities[0] == identities[1])
        }
    }

    /// Begins to list a directory.
    pub(crate) fn read_directory(self, fd: &Fd) -> impl Future<Output = CallOutcome<DirListing>> + Send + use<> {
        let (key, member) = (self.ctx.grants.identity_key(), Arc::clone(&self.ctx.member));
        // Of its own, since two listings would have one position.
        let made = self.make(requests::READ_DIRECTORY, self.place(fd, ".".to_owned()).map(|place| (place,)));
        async move {
            let dir = made.await?;
            Ok(DirListing::new(Cursor::new(dir, key, listing_memory(&member)?)))
        }
    }
}

/// Calls with a path below a directory.
impl Files<'_> {
    pub(crate) fn create_directory_at(self, fd: &Fd, path: String) -> impl Future<Output = CallOutcome<()>> + Send + use<> {
        self.make(requests::CREATE_DIRECTORY_AT, self.writable_place(fd, path).map(|place| (place,)))
    }

    pub(crate) fn stat_at(
        self,
        fd: &Fd,
        flags: PathFlags,
        path: String,
    ) -> impl Future<Output = CallOutcome<Status>> + Send + use<> {
        self.look_at(requests::STAT_AT, fd, flags, path)
    }

    pub(crate) fn metadata_hash_at(
        self,
        fd: &Fd,
        flags: PathFlags,
        path: String,
    ) -> impl Future<Output = CallOutcome<Status>> + Send + use<> {
        self.look_at(requests::METADATA_HASH_AT, fd, flags, path)
    }

    pub(crate) fn set_times_at(
        self,
        fd: &Fd,
        flags: PathFlags,
        path: String,
        times: AioResult<NewTimes>,
    ) -> impl Future<Output = CallOutcome<()>> + Send + use<> {
        let arguments = self.writable_place(fd, path).and_then(|place| Ok((place, times?)));
        self.make(requests::SET_TIMES_AT.choose(flags), arguments)
    }

    pub(crate) fn link_at(
        self,
        (fd, path): (&Fd, String),
        flags: PathFlags,
        (new_fd, new_path): (&Fd, String),
    ) -> impl Future<Output = CallOutcome<()>> + Send + use<> {
        // Linux can follow a link here, other systems cannot, and no host of WASI does.
        let places = if follows(flags) {
            Err(Error::INVALID.into())
        } else {
            self.writable_place(fd, path).and_then(|old| Ok((old, self.writable_place(new_fd, new_path)?)))
        };
        self.make(requests::LINK_AT, places)
    }

    pub(crate) fn open_at(
        self,
        fd: &Fd,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> impl Future<Output = CallOutcome<Descriptor>> + Send + use<> {
        let how = opened(path_flags, open_flags, flags);
        let opening = match &how {
            Ok(how) => self.place(fd, path).and_then(|place| Ok((OpeningAny::new(place, how.flags, how.kind)?,))),
            Err(error) => Err((*error).into()),
        };
        let made = self.make(requests::OPEN_AT, opening);
        async move {
            let opened = made.await?;
            let how = how?;
            Ok(match opened {
                FileOrDir::File(file) => Descriptor::of_file(file, how.file),
                FileOrDir::Dir(dir) => Descriptor::of_dir(dir, how.dir),
            })
        }
    }

    pub(crate) fn readlink_at(self, fd: &Fd, path: String) -> impl Future<Output = CallOutcome<String>> + Send + use<> {
        self.make(requests::READLINK_AT, self.place(fd, path).map(|place| (place,)))
    }

    pub(crate) fn remove_directory_at(self, fd: &Fd, path: String) -> impl Future<Output = CallOutcome<()>> + Send + use<> {
        self.make(requests::REMOVE_DIRECTORY_AT, self.writable_place(fd, path).map(|place| (place,)))
    }

    pub(crate) fn rename_at(
        self,
        (fd, path): (&Fd, String),
        (new_fd, new_path): (&Fd, String),
    ) -> impl Future<Output = CallOutcome<()>> + Send + use<> {
        let places = self.writable_place(fd, path).and_then(|old| Ok((old, self.writable_place(new_fd, new_path)?)));
        self.make(requests::RENAME_AT, places)
    }

    pub(crate) fn symlink_at(
        self,
        target: String,
        fd: &Fd,
        path: String,
    ) -> impl Future<Output = CallOutcome<()>> + Send + use<> {
        let target = Target::parse(target, self.ctx.limits.path_bytes_max);
        let arguments = target.map_err(Failure::from).and_then(|target| Ok((target, self.writable_place(fd, path)?)));
        self.make(requests::SYMLINK_AT, arguments)
    }

    pub(crate) fn unlink_file_at(self, fd: &Fd, path: String) -> impl Future<Output = CallOutcome<()>> + Send + use<> {
        self.make(requests::UNLINK_FILE_AT, self.writable_place(fd, path).map(|place| (place,)))
    }
}
