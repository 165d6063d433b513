//! What the guest's descriptors stand for, and how they are given and taken back.
//!
//! The bindings name the descriptors of `wasmtime_wasi`. A handle is a number and a type, which says nothing of what is at that number:
//! here it is a [`Descriptor`].

use std::sync::Arc;

use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor as NamedByBindings;
use wasmtime_wasi::p2::bindings::filesystem::types::DescriptorFlags;

use super::failure::CallOutcome;
use super::looked::LastLook;
use crate::ctx::AioCtxView;
use crate::error::{Error, Result as AioResult};
use crate::output::push;
use crate::sandbox::{OpenDir, OpenFile, Rights};
use crate::sched::Manner;
use crate::wasi::preopens::preopens;

/// The guest's handle of a descriptor, in either version.
pub(crate) type Fd = Resource<NamedByBindings>;

/// What a descriptor stands for.
#[derive(Debug)]
pub(crate) enum Descriptor {
    File(FileDescriptor),
    Dir(DirDescriptor),
}

#[derive(Debug)]
pub(crate) struct FileDescriptor {
    pub(crate) file: OpenFile,
    /// What it was opened for.
    pub(crate) flags: DescriptorFlags,
    pub(super) looked: Arc<LastLook>,
}

#[derive(Debug)]
pub(crate) struct DirDescriptor {
    pub(crate) dir: OpenDir,
    pub(crate) flags: DescriptorFlags,
    pub(super) looked: Arc<LastLook>,
}

impl Descriptor {
    pub(super) fn of_file(file: OpenFile, flags: DescriptorFlags) -> Self {
        Self::File(FileDescriptor { file, flags, looked: Arc::default() })
    }

    pub(super) fn of_dir(dir: OpenDir, flags: DescriptorFlags) -> Self {
        Self::Dir(DirDescriptor { dir, flags, looked: Arc::default() })
    }

    /// The last look at it, or at something below it.
    pub(super) fn looked(&self) -> &Arc<LastLook> {
        match self {
            Self::File(file) => &file.looked,
            Self::Dir(dir) => &dir.looked,
        }
    }
}

/// The same handle, of another type.
pub(crate) fn cast<A: 'static, B: 'static>(handle: &Resource<A>) -> Resource<B> {
    if handle.owned() { Resource::new_own(handle.rep()) } else { Resource::new_borrow(handle.rep()) }
}

impl FileDescriptor {
    /// The file, if it was opened for writing.
    pub(crate) fn writable(&self) -> CallOutcome<OpenFile> {
        if self.flags.contains(DescriptorFlags::WRITE) { Ok(self.file.clone()) } else { Err(Error::BAD_DESCRIPTOR.into()) }
    }
}

impl AioCtxView<'_> {
    /// Gives the guest a descriptor.
    pub(crate) fn give(&mut self, descriptor: Descriptor) -> AioResult<Fd> {
        Ok(cast(&push(self.table, descriptor)?))
    }

    /// What is dropped hands its descriptor to the reaper, but where the guest has its thread to itself: that closes it as fast as the
    /// reaper could be woken.
    pub(crate) fn take_back(&mut self, fd: &Fd) -> wasmtime::Result<()> {
        let descriptor = self.table.delete::<Descriptor>(cast(fd))?;
        if let Descriptor::File(FileDescriptor { file, .. }) = descriptor
            && file.is_local()
            && self.ctx.caller().may_wait_here(&Manner::default())
        {
            // Nobody is told of how that goes.
            let _ = file.close();
        }
        Ok(())
    }

    /// Gives the guest a descriptor of each directory that it was granted.
    pub(crate) fn give_preopens(&mut self) -> AioResult<Vec<(Fd, String)>> {
        let directories = preopens(self.ctx).into_iter();
        let given = directories.map(|(dir, name)| {
            let flags = match dir.rights() {
                Rights::Read => DescriptorFlags::READ,
                Rights::ReadWrite => DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY,
            };
            Ok((self.give(Descriptor::of_dir(dir, flags))?, name))
        });
        given.collect()
    }
}
