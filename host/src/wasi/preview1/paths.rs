//! Functions of preview 1 that go by a path.

use super::Preview1View;
use super::descriptors::{DATA_SYNC, DirSlot, FDFLAGS, FileSlot, READ_SYNC, SYNC, Slot};
use super::errno::{Errno, Result};
use super::memory::GuestMemory;
use super::records;
use super::requests::request;
use crate::door::Request;
use crate::error::Result as AioResult;
use crate::sandbox::{FileOrDir, NewTimes, OpenFlags, OpenKind, OpeningAny, Place, Read, Target, Write};
use crate::types::Status;
use crate::wasi::runs::{self, both};

const OPEN: Request<(OpeningAny,), FileOrDir> = request("path_open", runs::OPEN);
const STAT: Request<(Place<Read>,), Status> = request("path_filestat_get", runs::STAT);
const LSTAT: Request<(Place<Read>,), Status> = request("path_filestat_get", runs::LSTAT);
const UTIME: Request<(Place<Write>, NewTimes), ()> = request("path_filestat_set_times", runs::UTIME);
const LUTIME: Request<(Place<Write>, NewTimes), ()> = request("path_filestat_set_times", runs::LUTIME);
const MKDIR: Request<(Place<Write>,), ()> = request("path_create_directory", runs::MKDIR);
const LINK: Request<(Place<Write>, Place<Write>), ()> = request("path_link", runs::LINK);
const READLINK: Request<(Place<Read>,), String> = request("path_readlink", runs::READLINK);
const RMDIR: Request<(Place<Write>,), ()> = request("path_remove_directory", runs::RMDIR);
const RENAME: Request<(Place<Write>, Place<Write>), ()> = request("path_rename", runs::RENAME);
const SYMLINK: Request<(Target, Place<Write>), ()> = request("path_symlink", runs::SYMLINK);
const UNLINK: Request<(Place<Write>,), ()> = request("path_unlink_file", runs::UNLINK);

impl<T: Preview1View> GuestMemory<'_, T> {
    /// What a path below a directory names.
    pub(super) fn place(&mut self, fd: u32, path: String) -> Result<AioResult<Place<Read>>> {
        let (descriptors, ctx) = self.tables();
        Ok(Place::find(&ctx.grants, Some(&descriptors.dir(fd)?.dir), path))
    }

    fn place_of(&mut self, fd: u32, path: u32, length: u32) -> Result<AioResult<Place<Read>>> {
        let path = self.text(path, length)?;
        self.place(fd, path)
    }

    fn writable_place(&mut self, fd: u32, path: u32, length: u32) -> Result<AioResult<Place<Write>>> {
        Ok(self.place_of(fd, path, length)?.and_then(Place::writable))
    }
}

/// The parameters of `path_open` that say how.
#[derive(Clone, Copy, Debug)]
pub(super) struct LookupHow {
    pub(super) lookup: u32,
    pub(super) oflags: u32,
    pub(super) rights: u64,
    pub(super) fdflags: u32,
}

pub(super) async fn open<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    fd: u32,
    (path, length): (u32, u32),
    how: LookupHow,
    at: u32,
) -> Result<()> {
    let (mut flags, is_dir) = records::open_flags(how.oflags)?;
    let access = records::access(how.rights);
    let fdflags = u16::try_from(how.fdflags).ok().filter(|flags| flags & !FDFLAGS == 0).ok_or(Errno::INVAL)?;
    let wanted = [
        (access.reads, OpenFlags::READ),
        (access.writes, OpenFlags::WRITE),
        (!records::follows(how.lookup)?, OpenFlags::NO_FOLLOW),
        (fdflags & DATA_SYNC != 0, OpenFlags::DATA_SYNC),
        (fdflags & (SYNC | READ_SYNC) != 0, OpenFlags::SYNC),
    ];
    flags |= runs::flags(wanted);
    if is_dir && how.oflags != records::DIRECTORY {
        return Err(Errno::INVAL.into());
    }
    if let Slot::File(_) = guest.descriptors().get(fd)? {
        return Err(Errno::NOTDIR.into());
    }
    let kind = if is_dir { OpenKind::Dir } else { OpenKind::Any };
    let place = guest.place_of(fd, path, length)?;
    let opening = place.and_then(|place| OpeningAny::new(place, flags, kind)).map(|opening| (opening,));
    let descriptor = match guest.make(OPEN, opening).await? {
        FileOrDir::File(file) => Slot::File(FileSlot { file, reads: access.reads, writes: access.writes, flags: fdflags }),
        FileOrDir::Dir(dir) => Slot::Dir(DirSlot { dir, preopen: None, listing: None }),
    };
    // Where it goes is looked at first: a number that the guest does not learn would stay open.
    guest.bytes_mut(at, 4)?;
    let fd = guest.descriptors().push(descriptor)?;
    guest.write_u32(at, fd)
}

pub(super) async fn filestat_get<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    fd: u32,
    lookup: u32,
    path: (u32, u32),
    at: u32,
) -> Result<()> {
    let request = if records::follows(lookup)? { STAT } else { LSTAT };
    let place = guest.place_of(fd, path.0, path.1)?;
    let status = guest.make(request, place.map(|place| (place,))).await?;
    guest.write(at, &records::filestat(&status))
}

pub(super) async fn filestat_set_times<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    fd: u32,
    lookup: u32,
    path: (u32, u32),
    times: NewTimes,
) -> Result<()> {
    let request = if records::follows(lookup)? { UTIME } else { LUTIME };
    let place = guest.writable_place(fd, path.0, path.1)?;
    guest.make(request, place.map(|place| (place, times))).await
}

pub(super) async fn create_directory<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    fd: u32,
    path: u32,
    length: u32,
) -> Result<()> {
    let place = guest.writable_place(fd, path, length)?;
    guest.make(MKDIR, place.map(|place| (place,))).await
}

pub(super) async fn link<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    (fd, lookup): (u32, u32),
    path: (u32, u32),
    new_fd: u32,
    new_path: (u32, u32),
) -> Result<()> {
    // Linux can do it, other systems cannot, and no host of preview 1 does.
    if records::follows(lookup)? {
        return Err(Errno::INVAL.into());
    }
    let old = guest.writable_place(fd, path.0, path.1)?;
    let new = guest.writable_place(new_fd, new_path.0, new_path.1)?;
    guest.make(LINK, both(old, new)).await
}

pub(super) async fn readlink<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    fd: u32,
    path: (u32, u32),
    (buffer, room): (u32, u32),
    at: u32,
) -> Result<()> {
    let place = guest.place_of(fd, path.0, path.1)?;
    let target = guest.make(READLINK, place.map(|place| (place,))).await?;
    // As in `readlink(2)`, what does not fit is left out.
    let count = target.len().min(usize::try_from(room).unwrap_or(usize::MAX));
    guest.write(buffer, &target.as_bytes()[..count])?;
    guest.write_count(at, count)
}

pub(super) async fn remove_directory<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    fd: u32,
    path: u32,
    length: u32,
) -> Result<()> {
    let place = guest.writable_place(fd, path, length)?;
    guest.make(RMDIR, place.map(|place| (place,))).await
}

pub(super) async fn rename<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    fd: u32,
    path: (u32, u32),
    new_fd: u32,
    new_path: (u32, u32),
) -> Result<()> {
    let old = guest.writable_place(fd, path.0, path.1)?;
    let new = guest.writable_place(new_fd, new_path.0, new_path.1)?;
    guest.make(RENAME, both(old, new)).await
}

pub(super) async fn symlink<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    target: (u32, u32),
    fd: u32,
    path: (u32, u32),
) -> Result<()> {
    let target = guest.text(target.0, target.1)?;
    let max = guest.caller.data_mut().aio().ctx.limits.path_bytes_max;
    let place = guest.writable_place(fd, path.0, path.1)?;
    guest.make(SYMLINK, both(Target::parse(target, max), place)).await
}

pub(super) async fn unlink_file<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    fd: u32,
    path: u32,
    length: u32,
) -> Result<()> {
    let place = guest.writable_place(fd, path, length)?;
    guest.make(UNLINK, place.map(|place| (place,))).await
}
