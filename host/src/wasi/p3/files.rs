//! `wasi:filesystem` 0.3: each function makes a call of what both versions have, and gives its result in its own records.

use futures::channel::oneshot;
use wasmtime::AsContextMut;
use wasmtime::component::{Access, Accessor, FutureReader, StreamReader};
use wasmtime_wasi::p3::bindings::filesystem::preopens;
use wasmtime_wasi::p3::bindings::filesystem::types::{
    self, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, Host, HostDescriptor,
    HostDescriptorWithStore, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p3::filesystem::{FilesystemError, FilesystemResult};

use super::entries::Entries;
use super::records;
use crate::ctx::AioCtxView;
use crate::error::{Error, Result as AioResult};
use crate::sandbox::{OpenFile, WriteTo};
use crate::streams::{FileReader, FileWriter, Transfer};
use crate::wasi::filesystem::{CallOutcome, Descriptor, Failure, Fd, Files, Filesystem, kind};
use crate::wasi::requests::CONCURRENT_TERMS;

/// What becomes of a stream, for the guest.
type End = FutureReader<Result<(), ErrorCode>>;

/// A stream that the guest reads, and what becomes of it.
type Reader<T> = (StreamReader<T>, End);

/// Makes a call while the guest's state is at hand, and then waits without it.
async fn ask<T: 'static, O, F: Future<Output = O>>(store: &Accessor<T, Filesystem>, call: impl FnOnce(Files<'_>) -> F) -> O {
    store.with(|mut access| call(Files::new(&access.get(), CONCURRENT_TERMS))).await
}

/// The end of a stream that its host's end will tell.
fn end<T: Send + 'static>(store: impl AsContextMut, receiver: oneshot::Receiver<AioResult<T>>) -> wasmtime::Result<End> {
    FutureReader::new(store, async move {
        // The host's end of the stream answers before it goes, unless the store goes with it.
        let result = receiver.await.unwrap_or(Err(Error::CANCELED));
        wasmtime::error::Ok(result.map(|_| ()).map_err(ErrorCode::from))
    })
}

/// The end of a stream that never began, or a trap.
fn failed(store: impl AsContextMut, failure: Failure) -> wasmtime::Result<End> {
    match failure {
        Failure::Code(error) => FutureReader::new(store, async move { wasmtime::error::Ok(Err(ErrorCode::from(error))) }),
        Failure::Trap(trap) => Err(trap),
    }
}

/// What a guest writes, from its stream into a file.
fn write<T: 'static>(
    mut store: Access<'_, T, Filesystem>,
    fd: &Fd,
    mut data: StreamReader<u8>,
    name: &'static str,
    to: WriteTo,
) -> wasmtime::Result<End> {
    let view = store.get();
    let file = Files::new(&view, CONCURRENT_TERMS).writable(fd);
    match file.map(|file| FileWriter::new(Transfer::of_requests(file, view.ctx.caller(), kind(name)), to)) {
        Ok((writer, receiver)) => {
            data.pipe(&mut store, writer)?;
            end(store, receiver)
        }
        Err(failure) => {
            data.close(&mut store)?;
            failed(store, failure)
        }
    }
}

impl preopens::Host for AioCtxView<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        Ok(self.give_preopens()?)
    }
}

impl Host for AioCtxView<'_> {
    fn convert_error_code(&mut self, error: FilesystemError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }
}

impl HostDescriptor for AioCtxView<'_> {
    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.take_back(&fd)
    }
}

impl<T: 'static> HostDescriptorWithStore<T> for Filesystem {
    fn read_via_stream(mut store: Access<'_, T, Self>, fd: Fd, offset: u64) -> wasmtime::Result<Reader<u8>> {
        let view = store.get();
        let files = Files::new(&view, CONCURRENT_TERMS);
        let file: CallOutcome<OpenFile> = match files.descriptor(&fd) {
            Ok(Descriptor::File(file)) => Ok(file.file.clone()),
            Ok(Descriptor::Dir(_)) => Err(Error::IS_DIRECTORY.into()),
            Err(failure) => Err(failure),
        };
        match file.map(|file| FileReader::new(Transfer::of_requests(file, view.ctx.caller(), kind("read-via-stream")), offset))
        {
            Ok((reader, receiver)) => Ok((StreamReader::new(&mut store, reader)?, end(store, receiver)?)),
            Err(failure) => Ok((StreamReader::new(&mut store, std::iter::empty())?, failed(store, failure)?)),
        }
    }

    fn write_via_stream(store: Access<'_, T, Self>, fd: Fd, data: StreamReader<u8>, offset: u64) -> wasmtime::Result<End> {
        write(store, &fd, data, "write-via-stream", WriteTo::Offset(offset))
    }

    fn append_via_stream(store: Access<'_, T, Self>, fd: Fd, data: StreamReader<u8>) -> wasmtime::Result<End> {
        write(store, &fd, data, "append-via-stream", WriteTo::EndAlone)
    }

    fn read_directory(mut store: Access<'_, T, Self>, fd: Fd) -> wasmtime::Result<Reader<DirectoryEntry>> {
        let view = store.get();
        let files = Files::new(&view, CONCURRENT_TERMS);
        let (entries, receiver) = Entries::new(files.asker(), files.read_directory(&fd));
        Ok((StreamReader::new(&mut store, entries)?, end(store, receiver)?))
    }

    async fn advise(
        store: &Accessor<T, Self>,
        fd: Fd,
        offset: u64,
        length: u64,
        advice: types::Advice,
    ) -> FilesystemResult<()> {
        Ok(ask(store, |files| files.advise(&fd, offset, length, records::advice(advice))).await?)
    }

    async fn sync_data(store: &Accessor<T, Self>, fd: Fd) -> FilesystemResult<()> {
        Ok(ask(store, |files| files.sync_data(&fd)).await?)
    }

    async fn get_flags(store: &Accessor<T, Self>, fd: Fd) -> FilesystemResult<DescriptorFlags> {
        Ok(records::told_flags(store.with(|mut access| Files::new(&access.get(), CONCURRENT_TERMS).flags(&fd))?))
    }

    async fn get_type(store: &Accessor<T, Self>, fd: Fd) -> FilesystemResult<DescriptorType> {
        store.with(|mut access| {
            Ok(match Files::new(&access.get(), CONCURRENT_TERMS).descriptor(&fd)? {
                Descriptor::File(_) => DescriptorType::RegularFile,
                Descriptor::Dir(_) => DescriptorType::Directory,
            })
        })
    }

    async fn set_size(store: &Accessor<T, Self>, fd: Fd, size: u64) -> FilesystemResult<()> {
        Ok(ask(store, |files| files.set_size(&fd, size)).await?)
    }

    async fn set_times(
        store: &Accessor<T, Self>,
        fd: Fd,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FilesystemResult<()> {
        Ok(ask(store, |files| files.set_times(&fd, records::new_times(accessed, modified))).await?)
    }

    async fn sync(store: &Accessor<T, Self>, fd: Fd) -> FilesystemResult<()> {
        Ok(ask(store, |files| files.sync(&fd)).await?)
    }

    async fn create_directory_at(store: &Accessor<T, Self>, fd: Fd, path: String) -> FilesystemResult<()> {
        Ok(ask(store, |files| files.create_directory_at(&fd, path)).await?)
    }

    async fn stat(store: &Accessor<T, Self>, fd: Fd) -> FilesystemResult<DescriptorStat> {
        Ok(records::stat(&ask(store, |files| files.stat(&fd)).await?))
    }

    async fn stat_at(store: &Accessor<T, Self>, fd: Fd, flags: PathFlags, path: String) -> FilesystemResult<DescriptorStat> {
        Ok(records::stat(&ask(store, |files| files.stat_at(&fd, records::path_flags(flags), path)).await?))
    }

    async fn set_times_at(
        store: &Accessor<T, Self>,
        fd: Fd,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FilesystemResult<()> {
        let times = records::new_times(accessed, modified);
        Ok(ask(store, |files| files.set_times_at(&fd, records::path_flags(flags), path, times)).await?)
    }

    async fn link_at(
        store: &Accessor<T, Self>,
        fd: Fd,
        flags: PathFlags,
        path: String,
        new_fd: Fd,
        new_path: String,
    ) -> FilesystemResult<()> {
        Ok(ask(store, |files| files.link_at((&fd, path), records::path_flags(flags), (&new_fd, new_path))).await?)
    }

    async fn open_at(
        store: &Accessor<T, Self>,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FilesystemResult<Fd> {
        let (open_flags, flags) = (records::open_flags(open_flags), records::descriptor_flags(flags));
        let opened = ask(store, |files| files.open_at(&fd, records::path_flags(path_flags), path, open_flags, flags)).await?;
        Ok(store.with(|mut access| access.get().give(opened))?)
    }

    async fn readlink_at(store: &Accessor<T, Self>, fd: Fd, path: String) -> FilesystemResult<String> {
        Ok(ask(store, |files| files.readlink_at(&fd, path)).await?)
    }

    async fn remove_directory_at(store: &Accessor<T, Self>, fd: Fd, path: String) -> FilesystemResult<()> {
        Ok(ask(store, |files| files.remove_directory_at(&fd, path)).await?)
    }

    async fn rename_at(store: &Accessor<T, Self>, fd: Fd, path: String, new_fd: Fd, new_path: String) -> FilesystemResult<()> {
        Ok(ask(store, |files| files.rename_at((&fd, path), (&new_fd, new_path))).await?)
    }

    async fn symlink_at(store: &Accessor<T, Self>, fd: Fd, target: String, path: String) -> FilesystemResult<()> {
        Ok(ask(store, |files| files.symlink_at(target, &fd, path)).await?)
    }

    async fn unlink_file_at(store: &Accessor<T, Self>, fd: Fd, path: String) -> FilesystemResult<()> {
        Ok(ask(store, |files| files.unlink_file_at(&fd, path)).await?)
    }

    async fn is_same_object(store: &Accessor<T, Self>, one: Fd, other: Fd) -> wasmtime::Result<bool> {
        ask(store, |files| files.is_same_object(&one, &other)).await
    }

    async fn metadata_hash(store: &Accessor<T, Self>, fd: Fd) -> FilesystemResult<MetadataHashValue> {
        Ok(records::metadata_hash(&ask(store, |files| files.metadata_hash(&fd)).await?))
    }

    async fn metadata_hash_at(
        store: &Accessor<T, Self>,
        fd: Fd,
        flags: PathFlags,
        path: String,
    ) -> FilesystemResult<MetadataHashValue> {
        let status = ask(store, |files| files.metadata_hash_at(&fd, records::path_flags(flags), path)).await?;
        Ok(records::metadata_hash(&status))
    }
}
