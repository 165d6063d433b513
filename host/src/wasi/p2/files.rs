//! `wasi:filesystem` 0.2: each function parses what it is given, and goes through the door.

use futures::future::Either;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, Host, HostDescriptor,
    HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use super::descriptor::{Descriptor, DirDescriptor, Entries, Fd, FileDescriptor, Listing};
use super::error::code_of;
use super::input::FileInput;
use super::output::FileOutput;
use super::records;
use super::requests::{OnEither, OnLink, request, status, status_at};
use super::steps::Asker;
use crate::ctx::AioCtxView;
use crate::door::Request;
use crate::error::Result as AioResult;
use crate::output::Answer;
use crate::sandbox::{
    Advice, ChangeableFile, Content, Cursor, FileOrDir, NewTimes, OpenDir, OpenFile, OpeningAny, Place, Read, Reading, Rights,
    Target, Visited, Write, WriteTo,
};
use crate::wasi::preopens::preopens;
use crate::wasi::requests::make;
use crate::wasi::runs::{self, Copied, CursorAt, both, listing_memory};

const ADVISE: Request<(OpenFile, u64, u64, Advice), ()> = request("advise", runs::ADVISE);
const SYNC: OnEither<()> = OnEither { file: request("sync", runs::FSYNC), dir: request("sync", runs::SYNC_DIR) };
const SYNC_DATA: OnEither<()> =
    OnEither { file: request("sync-data", runs::DATASYNC), dir: request("sync-data", runs::SYNC_DIR) };
const SET_SIZE: Request<(OpenFile, u64), ()> = request("set-size", runs::TRUNCATE);
const SET_TIMES: Request<(ChangeableFile, NewTimes), ()> = request("set-times", runs::FUTIME);
const SET_TIMES_DIR: Request<(Place<Write>, NewTimes), ()> = request("set-times", runs::UTIME);
const SET_TIMES_AT: OnLink<(Place<Write>, NewTimes), ()> =
    OnLink { followed: request("set-times-at", runs::UTIME), itself: request("set-times-at", runs::LUTIME) };
const READ: Request<(Reading,), Content> = request("read", runs::READ);
const WRITE: Request<(Copied,), u64> = request("write", runs::WRITE);
const READ_DIRECTORY: Request<(Place<Read>,), OpenDir> = request("read-directory", runs::OPEN_DIR);
const READ_DIRECTORY_ENTRY: Request<(CursorAt,), ()> = request("read-directory-entry", runs::FILL);
const CREATE_DIRECTORY_AT: Request<(Place<Write>,), ()> = request("create-directory-at", runs::MKDIR);
const LINK_AT: Request<(Place<Write>, Place<Write>), ()> = request("link-at", runs::LINK);
const OPEN_AT: Request<(OpeningAny,), FileOrDir> = request("open-at", runs::OPEN);
const READLINK_AT: Request<(Place<Read>,), String> = request("readlink-at", runs::READLINK);
const REMOVE_DIRECTORY_AT: Request<(Place<Write>,), ()> = request("remove-directory-at", runs::RMDIR);
const RENAME_AT: Request<(Place<Write>, Place<Write>), ()> = request("rename-at", runs::RENAME);
const SYMLINK_AT: Request<(Target, Place<Write>), ()> = request("symlink-at", runs::SYMLINK);
const UNLINK_FILE_AT: Request<(Place<Write>,), ()> = request("unlink-file-at", runs::UNLINK);

impl AioCtxView<'_> {
    /// Makes a request on a descriptor, whatever that is.
    fn on_either<O: Answer>(
        &self,
        fd: &Fd,
        request: &OnEither<O>,
    ) -> FsResult<impl Future<Output = AioResult<O>> + Send + use<O>> {
        Ok(match self.descriptor(fd)? {
            Descriptor::File(file) => Either::Left(make(self.ctx, request.file, Ok((file.file.clone(),)))),
            Descriptor::Dir(dir) => Either::Right(make(self.ctx, request.dir, self.itself(dir).map(|place| (place,)))),
        })
    }

    /// Bytes that one read may return.
    fn read_bytes_max(&self) -> usize {
        self.ctx.limits.read_bytes_max.min(self.ctx.limits.bytes_in_flight_max)
    }

    fn asker(&self) -> Asker {
        Asker::new(self.ctx.caller())
    }
}

impl preopens::Host for AioCtxView<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        let mut list = Vec::new();
        for (dir, name) in preopens(self.ctx) {
            let flags = match dir.rights() {
                Rights::Read => DescriptorFlags::READ,
                Rights::ReadWrite => DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY,
            };
            list.push((self.give(Descriptor::Dir(DirDescriptor { dir, flags }))?, name));
        }
        Ok(list)
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
        let file = self.file(&fd)?.file.clone();
        Ok(make(self.ctx, ADVISE, Ok((file, offset, length, records::advice(advice)))).await?)
    }

    async fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        Ok(self.on_either(&fd, &SYNC_DATA)?.await?)
    }

    async fn get_flags(&mut self, fd: Fd) -> FsResult<DescriptorFlags> {
        Ok(match self.descriptor(&fd)? {
            Descriptor::File(file) => file.flags,
            Descriptor::Dir(dir) => dir.flags,
        })
    }

    async fn get_type(&mut self, fd: Fd) -> FsResult<DescriptorType> {
        Ok(match self.descriptor(&fd)? {
            Descriptor::File(_) => DescriptorType::RegularFile,
            Descriptor::Dir(_) => DescriptorType::Directory,
        })
    }

    async fn set_size(&mut self, fd: Fd, size: u64) -> FsResult<()> {
        let file = self.file(&fd)?.writable()?;
        Ok(make(self.ctx, SET_SIZE, Ok((file, size))).await?)
    }

    async fn set_times(&mut self, fd: Fd, accessed: NewTimestamp, modified: NewTimestamp) -> FsResult<()> {
        let times = records::new_times(accessed, modified);
        let made = match self.descriptor(&fd)? {
            Descriptor::File(file) => {
                Either::Left(make(self.ctx, SET_TIMES, both(ChangeableFile::parse(file.file.clone()), times)))
            }
            Descriptor::Dir(dir) => {
                Either::Right(make(self.ctx, SET_TIMES_DIR, both(self.itself(dir).and_then(Place::writable), times)))
            }
        };
        Ok(made.await?)
    }

    async fn read(&mut self, fd: Fd, length: u64, offset: u64) -> FsResult<(Vec<u8>, bool)> {
        let file = self.file(&fd)?.file.clone();
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(self.read_bytes_max());
        let content = make(self.ctx, READ, Ok((Reading::new(file, Some(offset), length),))).await?;
        let is_end = content.is_empty();
        Ok((content.into_bytes(), is_end))
    }

    async fn write(&mut self, fd: Fd, data: Vec<u8>, offset: u64) -> FsResult<u64> {
        let file = self.file(&fd)?.writable()?;
        Ok(make(self.ctx, WRITE, Ok((Copied { file, to: WriteTo::Offset(offset), data },))).await?)
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<Entries> {
        let place = self.place(&fd, ".".to_owned())?;
        let memory = listing_memory(self.ctx)?;
        // Of its own, since two listings would have one position.
        let dir = make(self.ctx, READ_DIRECTORY, place.map(|place| (place,))).await?;
        let cursor = Cursor::new(dir, self.ctx.grants.identity_key(), memory);
        Ok(self.give_listing(Listing { cursor, at: 0 })?)
    }

    async fn sync(&mut self, fd: Fd) -> FsResult<()> {
        Ok(self.on_either(&fd, &SYNC)?.await?)
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let place = self.writable_place(&fd, path)?;
        Ok(make(self.ctx, CREATE_DIRECTORY_AT, place.map(|place| (place,))).await?)
    }

    async fn stat(&mut self, fd: Fd) -> FsResult<DescriptorStat> {
        Ok(records::stat(&self.on_either(&fd, &const { status("stat") })?.await?))
    }

    async fn stat_at(&mut self, fd: Fd, flags: PathFlags, path: String) -> FsResult<DescriptorStat> {
        let place = self.place(&fd, path)?;
        let request = const { status_at("stat-at") }.choose(records::follows(flags));
        Ok(records::stat(&make(self.ctx, request, place.map(|place| (place,))).await?))
    }

    async fn set_times_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let place = self.writable_place(&fd, path)?;
        let request = SET_TIMES_AT.choose(records::follows(flags));
        Ok(make(self.ctx, request, both(place, records::new_times(accessed, modified))).await?)
    }

    async fn link_at(&mut self, fd: Fd, flags: PathFlags, path: String, new_fd: Fd, new_path: String) -> FsResult<()> {
        // Linux can do it, other systems cannot, and no host of WASI does.
        if records::follows(flags) {
            return Err(ErrorCode::Invalid.into());
        }
        let places = both(self.writable_place(&fd, path)?, self.writable_place(&new_fd, new_path)?);
        Ok(make(self.ctx, LINK_AT, places).await?)
    }

    async fn open_at(
        &mut self,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
        open_flags: types::OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Fd> {
        let place = self.place(&fd, path)?;
        let how = records::opened(path_flags, open_flags, flags)?;
        let opening = place.and_then(|place| OpeningAny::new(place, how.flags, how.kind));
        let descriptor = match make(self.ctx, OPEN_AT, opening.map(|opening| (opening,))).await? {
            FileOrDir::File(file) => Descriptor::File(FileDescriptor { file, flags: how.file }),
            FileOrDir::Dir(dir) => Descriptor::Dir(DirDescriptor { dir, flags: how.dir }),
        };
        Ok(self.give(descriptor)?)
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.take_back(&fd)
    }

    async fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        let place = self.place(&fd, path)?;
        Ok(make(self.ctx, READLINK_AT, place.map(|place| (place,))).await?)
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let place = self.writable_place(&fd, path)?;
        Ok(make(self.ctx, REMOVE_DIRECTORY_AT, place.map(|place| (place,))).await?)
    }

    async fn rename_at(&mut self, fd: Fd, path: String, new_fd: Fd, new_path: String) -> FsResult<()> {
        let places = both(self.writable_place(&fd, path)?, self.writable_place(&new_fd, new_path)?);
        Ok(make(self.ctx, RENAME_AT, places).await?)
    }

    async fn symlink_at(&mut self, fd: Fd, target: String, path: String) -> FsResult<()> {
        let place = self.writable_place(&fd, path)?;
        let target = Target::parse(target, self.ctx.limits.path_bytes_max);
        Ok(make(self.ctx, SYMLINK_AT, both(target, place)).await?)
    }

    async fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let place = self.writable_place(&fd, path)?;
        Ok(make(self.ctx, UNLINK_FILE_AT, place.map(|place| (place,))).await?)
    }

    fn read_via_stream(&mut self, fd: Fd, offset: u64) -> FsResult<Resource<DynInputStream>> {
        let Descriptor::File(file) = self.descriptor(&fd)? else { return Err(ErrorCode::IsDirectory.into()) };
        let stream: DynInputStream = Box::new(FileInput::new(self.asker(), file.file.clone(), offset, self.read_bytes_max()));
        self.give_stream(stream)
    }

    fn write_via_stream(&mut self, fd: Fd, offset: u64) -> FsResult<Resource<DynOutputStream>> {
        let file = self.file(&fd)?.writable()?;
        let stream: DynOutputStream = Box::new(FileOutput::at(self.asker(), file, offset));
        self.give_stream(stream)
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        let file = self.file(&fd)?.writable()?;
        let stream: DynOutputStream = Box::new(FileOutput::at_end(self.asker(), file));
        self.give_stream(stream)
    }

    async fn is_same_object(&mut self, one: Fd, other: Fd) -> wasmtime::Result<bool> {
        let request = const { status("is-same-object") };
        let looked_at = [self.on_either(&one, &request), self.on_either(&other, &request)];
        let mut identities = Vec::new();
        for made in looked_at {
            let status = match made {
                Ok(made) => made.await.map_err(FsError::from),
                Err(error) => Err(error),
            };
            match status.map_err(FsError::downcast) {
                Ok(status) => identities.push(status.identity),
                // What cannot be looked at is not known to be the same.
                Err(Ok(_)) => return Ok(false),
                Err(Err(trap)) => return Err(trap),
            }
        }
        Ok(identities[0] == identities[1])
    }

    async fn metadata_hash(&mut self, fd: Fd) -> FsResult<MetadataHashValue> {
        Ok(records::metadata_hash(&self.on_either(&fd, &const { status("metadata-hash") })?.await?))
    }

    async fn metadata_hash_at(&mut self, fd: Fd, flags: PathFlags, path: String) -> FsResult<MetadataHashValue> {
        let place = self.place(&fd, path)?;
        let request = const { status_at("metadata-hash-at") }.choose(records::follows(flags));
        Ok(records::metadata_hash(&make(self.ctx, request, place.map(|place| (place,))).await?))
    }
}

impl HostDirectoryEntryStream for AioCtxView<'_> {
    async fn read_directory_entry(&mut self, entries: Entries) -> FsResult<Option<DirectoryEntry>> {
        loop {
            let listing = self.listing(&entries)?;
            let mut found = None;
            let visited = listing.cursor.visit(listing.at, |entry| {
                if found.is_some() {
                    return false;
                }
                if entry.name != "." && entry.name != ".." {
                    let entry_type = records::descriptor_type(entry.kind);
                    found = Some((entry.next, DirectoryEntry { type_: entry_type, name: entry.name.clone() }));
                }
                true
            });
            if let Some((next, entry)) = found {
                listing.at = next;
                return Ok(Some(entry));
            }
            let Visited::More(from) = visited else { return Ok(None) };
            listing.at = from;
            let cursor = listing.cursor.clone();
            make(self.ctx, READ_DIRECTORY_ENTRY, Ok((CursorAt { cursor, from },))).await?;
        }
    }

    fn drop(&mut self, entries: Entries) -> wasmtime::Result<()> {
        self.take_back_listing(&entries)
    }
}
