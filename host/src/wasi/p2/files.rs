//! `wasi:filesystem` 0.2: each function makes a call of what both versions have, and gives its result in its own records.

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, Host, HostDescriptor,
    HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use super::error::code_of;
use super::input::FileInput;
use super::output::FileOutput;
use super::records;
use crate::ctx::AioCtxView;
use crate::door::Request;
use crate::output::push;
use crate::sandbox::{Content, Reading, WriteTo};
use crate::wasi::filesystem::{Descriptor, DirListing, Fd, Files, Found, cast, request};
use crate::wasi::requests::TERMS;
use crate::wasi::runs::{self, Copied};

const READ: Request<(Reading,), Content> = request("read", runs::READ);
const WRITE: Request<(Copied,), u64> = request("write", runs::WRITE);

/// The guest's handle of a listing.
type Entries = Resource<types::DirectoryEntryStream>;

impl AioCtxView<'_> {
    fn files(&self) -> Files<'_> {
        Files::new(self, TERMS)
    }

    fn listing(&mut self, entries: &Entries) -> FsResult<&mut DirListing> {
        Ok(self.table.get_mut(&cast(entries))?)
    }

    /// Gives the guest a stream.
    fn give_stream<S: Send + 'static>(&mut self, stream: S) -> FsResult<Resource<S>> {
        self.table.push(stream).map_err(FsError::from)
    }
}

impl preopens::Host for AioCtxView<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        Ok(self.give_preopens()?)
    }
}

impl Host for AioCtxView<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn filesystem_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(code_of(self.table.get(&error)?))
    }
}

impl HostDescriptor for AioCtxView<'_> {
    async fn advise(&mut self, fd: Fd, offset: u64, length: u64, advice: types::Advice) -> FsResult<()> {
        Ok(self.files().advise(&fd, offset, length, records::advice(advice)).await?)
    }

    async fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        Ok(self.files().sync_data(&fd).await?)
    }

    async fn get_flags(&mut self, fd: Fd) -> FsResult<DescriptorFlags> {
        Ok(self.files().flags(&fd)?)
    }

    async fn get_type(&mut self, fd: Fd) -> FsResult<DescriptorType> {
        Ok(match self.files().descriptor(&fd)? {
            Descriptor::File(_) => DescriptorType::RegularFile,
            Descriptor::Dir(_) => DescriptorType::Directory,
        })
    }

    async fn set_size(&mut self, fd: Fd, size: u64) -> FsResult<()> {
        Ok(self.files().set_size(&fd, size).await?)
    }

    async fn set_times(&mut self, fd: Fd, accessed: NewTimestamp, modified: NewTimestamp) -> FsResult<()> {
        Ok(self.files().set_times(&fd, records::new_times(accessed, modified)).await?)
    }

    async fn read(&mut self, fd: Fd, length: u64, offset: u64) -> FsResult<(Vec<u8>, bool)> {
        let files = self.files();
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(files.piece_max());
        let reading = files.file(&fd).map(|file| (Reading::new(file.file.clone(), Some(offset), length),));
        let content = files.make(READ, reading).await?;
        let is_end = content.is_empty();
        Ok((content.into_bytes(), is_end))
    }

    async fn write(&mut self, fd: Fd, data: Vec<u8>, offset: u64) -> FsResult<u64> {
        let files = self.files();
        let copied = files.writable(&fd).map(|file| (Copied { file, to: WriteTo::Offset(offset), data },));
        Ok(files.make(WRITE, copied).await?)
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<Entries> {
        let listing = self.files().read_directory(&fd).await?;
        Ok(cast(&push(self.table, listing)?))
    }

    async fn sync(&mut self, fd: Fd) -> FsResult<()> {
        Ok(self.files().sync(&fd).await?)
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        Ok(self.files().create_directory_at(&fd, path).await?)
    }

    async fn stat(&mut self, fd: Fd) -> FsResult<DescriptorStat> {
        Ok(records::stat(&self.files().stat(&fd).await?))
    }

    async fn stat_at(&mut self, fd: Fd, flags: PathFlags, path: String) -> FsResult<DescriptorStat> {
        Ok(records::stat(&self.files().stat_at(&fd, flags, path).await?))
    }

    async fn set_times_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        Ok(self.files().set_times_at(&fd, flags, path, records::new_times(accessed, modified)).await?)
    }

    async fn link_at(&mut self, fd: Fd, flags: PathFlags, path: String, new_fd: Fd, new_path: String) -> FsResult<()> {
        Ok(self.files().link_at((&fd, path), flags, (&new_fd, new_path)).await?)
    }

    async fn open_at(
        &mut self,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
        open_flags: types::OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Fd> {
        let descriptor = self.files().open_at(&fd, path_flags, path, open_flags, flags).await?;
        Ok(self.give(descriptor)?)
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.take_back(&fd)
    }

    async fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        Ok(self.files().readlink_at(&fd, path).await?)
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        Ok(self.files().remove_directory_at(&fd, path).await?)
    }

    async fn rename_at(&mut self, fd: Fd, path: String, new_fd: Fd, new_path: String) -> FsResult<()> {
        Ok(self.files().rename_at((&fd, path), (&new_fd, new_path)).await?)
    }

    async fn symlink_at(&mut self, fd: Fd, target: String, path: String) -> FsResult<()> {
        Ok(self.files().symlink_at(target, &fd, path).await?)
    }

    async fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        Ok(self.files().unlink_file_at(&fd, path).await?)
    }

    fn read_via_stream(&mut self, fd: Fd, offset: u64) -> FsResult<Resource<DynInputStream>> {
        let files = self.files();
        let Descriptor::File(file) = files.descriptor(&fd)? else { return Err(ErrorCode::IsDirectory.into()) };
        let input = FileInput::new(files.asker(), file.file.clone(), offset, files.read_bytes_max());
        let stream: DynInputStream = Box::new(input);
        self.give_stream(stream)
    }

    fn write_via_stream(&mut self, fd: Fd, offset: u64) -> FsResult<Resource<DynOutputStream>> {
        let files = self.files();
        let stream: DynOutputStream = Box::new(FileOutput::at(files.asker(), files.writable(&fd)?, offset));
        self.give_stream(stream)
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        let files = self.files();
        let stream: DynOutputStream = Box::new(FileOutput::at_end(files.asker(), files.writable(&fd)?));
        self.give_stream(stream)
    }

    async fn is_same_object(&mut self, one: Fd, other: Fd) -> wasmtime::Result<bool> {
        self.files().is_same_object(&one, &other).await
    }

    async fn metadata_hash(&mut self, fd: Fd) -> FsResult<MetadataHashValue> {
        Ok(records::metadata_hash(&self.files().metadata_hash(&fd).await?))
    }

    async fn metadata_hash_at(&mut self, fd: Fd, flags: PathFlags, path: String) -> FsResult<MetadataHashValue> {
        Ok(records::metadata_hash(&self.files().metadata_hash_at(&fd, flags, path).await?))
    }
}

impl HostDirectoryEntryStream for AioCtxView<'_> {
    async fn read_directory_entry(&mut self, entries: Entries) -> FsResult<Option<DirectoryEntry>> {
        loop {
            let mut found = None;
            let listing = self.listing(&entries)?;
            match listing.give(1, |kind, name| {
                found = Some(DirectoryEntry { type_: records::descriptor_type(kind), name: name.to_owned() });
            }) {
                Found::Some => return Ok(found),
                Found::End => return Ok(None),
                Found::Unread => {}
            }
            let listing = listing.clone();
            listing.read_on(&self.files().asker()).done().await?;
        }
    }

    fn drop(&mut self, entries: Entries) -> wasmtime::Result<()> {
        self.table.delete::<DirListing>(cast(&entries))?;
        Ok(())
    }
}
