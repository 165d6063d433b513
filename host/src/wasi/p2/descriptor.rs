//! What the guest's descriptors of WASI 0.2 stand for, and how they are found.
//!
//! The bindings name the descriptors of `wasmtime_wasi`. A handle is a number and a type, which says nothing of what is at that number:
//! here it is a [`Descriptor`].

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::filesystem::types::{self, DescriptorFlags, ErrorCode};
use wasmtime_wasi::p2::{FsError, FsResult};

use crate::ctx::AioCtxView;
use crate::error::Result as AioResult;
use crate::output::push;
use crate::sandbox::{Cursor, OpenDir, OpenFile, Place, Read, Write};

/// The guest's handle of a descriptor.
pub(super) type Fd = Resource<types::Descriptor>;

/// The guest's handle of a listing.
pub(super) type Entries = Resource<types::DirectoryEntryStream>;

/// What a descriptor stands for.
#[derive(Debug)]
pub(super) enum Descriptor {
    File(FileDescriptor),
    Dir(DirDescriptor),
}

#[derive(Debug)]
pub(super) struct FileDescriptor {
    pub(super) file: OpenFile,
    /// What it was opened for.
    pub(super) flags: DescriptorFlags,
}

#[derive(Debug)]
pub(super) struct DirDescriptor {
    pub(super) dir: OpenDir,
    pub(super) flags: DescriptorFlags,
}

/// A listing, and the place in it.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) cursor: Cursor,
    pub(super) at: u64,
}

/// The same handle, of another type.
fn cast<A: 'static, B: 'static>(handle: &Resource<A>) -> Resource<B> {
    if handle.owned() { Resource::new_own(handle.rep()) } else { Resource::new_borrow(handle.rep()) }
}

impl FileDescriptor {
    /// The file, if it was opened for writing.
    pub(super) fn writable(&self) -> FsResult<OpenFile> {
        if self.flags.contains(DescriptorFlags::WRITE) { Ok(self.file.clone()) } else { Err(ErrorCode::BadDescriptor.into()) }
    }
}

impl AioCtxView<'_> {
    pub(super) fn descriptor(&self, fd: &Fd) -> FsResult<&Descriptor> {
        Ok(self.table.get(&cast(fd))?)
    }

    /// The open file. A directory is wrong for what only files can do.
    pub(super) fn file(&self, fd: &Fd) -> FsResult<&FileDescriptor> {
        match self.descriptor(fd)? {
            Descriptor::File(file) => Ok(file),
            Descriptor::Dir(_) => Err(ErrorCode::BadDescriptor.into()),
        }
    }

    /// What a path below a directory names.
    pub(super) fn place(&self, fd: &Fd, path: String) -> FsResult<AioResult<Place<Read>>> {
        match self.descriptor(fd)? {
            Descriptor::Dir(dir) => Ok(Place::find(&self.ctx.grants, Some(&dir.dir), path)),
            Descriptor::File(_) => Err(ErrorCode::NotDirectory.into()),
        }
    }

    pub(super) fn writable_place(&self, fd: &Fd, path: String) -> FsResult<AioResult<Place<Write>>> {
        Ok(self.place(fd, path)?.and_then(Place::writable))
    }

    /// The directory itself, as a place to make requests on.
    pub(super) fn itself(&self, dir: &DirDescriptor) -> AioResult<Place<Read>> {
        Place::find(&self.ctx.grants, Some(&dir.dir), ".".to_owned())
    }

    /// Gives the guest a descriptor.
    pub(super) fn give(&mut self, descriptor: Descriptor) -> AioResult<Fd> {
        Ok(cast(&push(self.table, descriptor)?))
    }

    pub(super) fn give_listing(&mut self, listing: Listing) -> AioResult<Entries> {
        Ok(cast(&push(self.table, listing)?))
    }

    pub(super) fn listing(&mut self, entries: &Entries) -> FsResult<&mut Listing> {
        Ok(self.table.get_mut(&cast(entries))?)
    }

    /// What is dropped hands its descriptor to the reaper.
    pub(super) fn take_back(&mut self, fd: &Fd) -> wasmtime::Result<()> {
        self.table.delete::<Descriptor>(cast(fd))?;
        Ok(())
    }

    pub(super) fn take_back_listing(&mut self, entries: &Entries) -> wasmtime::Result<()> {
        self.table.delete::<Listing>(cast(entries))?;
        Ok(())
    }

    /// Gives the guest a stream.
    pub(super) fn give_stream<S: Send + 'static>(&mut self, stream: S) -> FsResult<Resource<S>> {
        self.table.push(stream).map_err(FsError::from)
    }
}
