//! Functions of preview 1 on a descriptor.

use std::io::IoSlice;

use super::Preview1View;
use super::descriptors::{APPEND, DATA_SYNC, FDFLAGS, FileSlot, NONBLOCK, READ_SYNC, SYNC, Slot, StandardFd};
use super::errno::{CallFailure, Errno, Result};
use super::memory::{GuestMemory, Pieces};
use super::records::{self, FileKind, SeekWhence};
use super::requests::{kind, request};
use crate::door::{Entry, Request, Run, transfer_here};
use crate::error::{Error, Result as AioResult};
use crate::output::Number;
use crate::sandbox::{
    Advice, AllocateFlags, Allocation, ChangeableFile, Content, MovesPosition, NewTimes, OpenFile, Place, Read, Reading,
    Seeking, Wait, Whence, Write, WriteTo,
};
use crate::sched::{Kind, Submission};
use crate::types::Status;
use crate::wasi::requests::TERMS;
use crate::wasi::runs::{self, Copied};

const ADVISE: Request<(OpenFile, u64, u64, Advice), ()> = request("fd_advise", runs::ADVISE);
const ALLOCATE: Request<(OpenFile, Allocation, u64, u64), ()> =
    request("fd_allocate", Run::Worker(|(file, how, offset, length), _| file.allocate(*how, *offset, *length)));
const DATASYNC: Request<(OpenFile,), ()> = request("fd_datasync", runs::DATASYNC);
const FSYNC: Request<(OpenFile,), ()> = request("fd_sync", runs::FSYNC);
const SYNC_DIR: Request<(Place<Read>,), ()> = request("fd_sync", runs::SYNC_DIR);
const STAT: Request<(OpenFile,), Status> = request("fd_filestat_get", runs::FSTAT);
const STAT_DIR: Request<(Place<Read>,), Status> = request("fd_filestat_get", runs::STAT);
const TRUNCATE: Request<(OpenFile, u64), ()> = request("fd_filestat_set_size", runs::TRUNCATE);
const FUTIME: Request<(ChangeableFile, NewTimes), ()> = request("fd_filestat_set_times", runs::FUTIME);
const UTIME_DIR: Request<(Place<Write>, NewTimes), ()> = request("fd_filestat_set_times", runs::UTIME);
const READ: Request<(Reading,), Content> = request("fd_read", runs::READ);
const PREAD: Request<(Reading,), Content> = request("fd_pread", runs::READ);
const WRITE: Request<(Copied,), u64> = request("fd_write", runs::WRITE);
const PWRITE: Request<(Copied,), u64> = request("fd_pwrite", runs::WRITE);
const SEEK: Request<(Seeking,), Number> = request(
    "fd_seek",
    Run::InlineOrAgain(
        |(seeking,)| seeking.seek_now().map(Number),
        |(seeking,), ticket| seeking.go_on(ticket).map(|sought| sought.map(Number)),
    ),
);
const CLOSE: Request<(ClosingSlot,), ()> = Request {
    kind: kind("fd_close"),
    run: Run::Inline(|(closing,): &mut (ClosingSlot,), wait| closing.close(wait)),
    entry: Entry::LetIn,
};

/// Bytes of a write at most where it cannot be done on the guest's own thread, and so has to be copied first. 1 MiB: what comes
/// after them is written by the next call.
const COPY_BYTES_MAX: usize = 1 << 20;

/// A file that the guest gives up.
#[derive(Debug)]
pub(super) struct ClosingSlot(Option<OpenFile>);

impl ClosingSlot {
    fn close(&mut self, wait: Wait) -> AioResult<()> {
        match (&self.0, wait) {
            (Some(file), Wait::Never) if file.close_may_wait() => Err(Error::WOULD_BLOCK),
            // Nobody is told of how that goes, so the reaper closes it.
            (_, Wait::Never) => {
                self.0 = None;
                Ok(())
            }
            (_, Wait::May) => self.0.take().map_or(Ok(()), OpenFile::close),
        }
    }
}

impl<T: Preview1View> GuestMemory<'_, T> {
    fn open_file(&mut self, fd: u32) -> Result<OpenFile> {
        Ok(self.descriptors().file(fd)?.file.clone())
    }

    fn seeking(&mut self, fd: u32, offset: i64, whence: u32) -> Result<Seeking> {
        let whence = match records::whence(whence)? {
            SeekWhence::Set => Whence::Start,
            SeekWhence::Current => Whence::Current,
            SeekWhence::End => Whence::End,
        };
        Ok(Seeking::new(self.descriptors().seekable(fd)?.file.clone(), offset, whence))
    }

    /// The directory itself, as a place to make requests on.
    fn dir_itself(&mut self, fd: u32) -> Result<AioResult<Place<Read>>> {
        self.place(fd, ".".to_owned())
    }
}

pub(super) async fn advise<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    fd: u32,
    offset: u64,
    length: u64,
    advice: u32,
) -> Result<()> {
    let advice = records::advice(advice)?;
    if let Slot::Dir(_) = guest.descriptors().get(fd)? {
        return Err(Errno::BADF.into());
    }
    let file = guest.open_file(fd)?;
    guest.make(ADVISE, Ok((file, offset, length, advice))).await
}

pub(super) async fn allocate<T: Preview1View>(guest: &mut GuestMemory<'_, T>, fd: u32, offset: u64, length: u64) -> Result<()> {
    let file = guest.descriptors().file(fd)?;
    if !file.writes {
        return Err(Errno::BADF.into());
    }
    let file = file.file.clone();
    guest.make(ALLOCATE, Allocation::parse(AllocateFlags::empty()).map(|how| (file, how, offset, length))).await
}

pub(super) async fn close<T: Preview1View>(guest: &mut GuestMemory<'_, T>, fd: u32) -> Result<()> {
    let closed = guest.descriptors().remove(fd)?;
    finish(guest, Some(closed)).await
}

/// Closes what a number stood for.
async fn finish<T: Preview1View>(guest: &mut GuestMemory<'_, T>, descriptor: Option<Slot>) -> Result<()> {
    match descriptor {
        Some(Slot::File(file)) => guest.make(CLOSE, Ok((ClosingSlot(Some(file.file)),))).await,
        // What is dropped hands its descriptor to the reaper.
        Some(Slot::Dir(_) | Slot::Standard(_)) | None => Ok(()),
    }
}

pub(super) async fn renumber<T: Preview1View>(guest: &mut GuestMemory<'_, T>, from: u32, to: u32) -> Result<()> {
    let closed = guest.descriptors().renumber(from, to)?;
    // That is done, whatever the file says as it is closed.
    match finish(guest, closed).await {
        Err(CallFailure::Errno(_)) => Ok(()),
        result => result,
    }
}

pub(super) async fn datasync<T: Preview1View>(guest: &mut GuestMemory<'_, T>, fd: u32) -> Result<()> {
    synchronize(guest, fd, DATASYNC).await
}

pub(super) async fn sync<T: Preview1View>(guest: &mut GuestMemory<'_, T>, fd: u32) -> Result<()> {
    synchronize(guest, fd, FSYNC).await
}

async fn synchronize<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    fd: u32,
    request: Request<(OpenFile,), ()>,
) -> Result<()> {
    match guest.descriptors().get(fd)? {
        Slot::Dir(_) => {
            let place = guest.dir_itself(fd)?;
            guest.make(SYNC_DIR, place.map(|place| (place,))).await
        }
        _ => {
            let file = guest.open_file(fd)?;
            guest.make(request, Ok((file,))).await
        }
    }
}

pub(super) async fn fdstat_get<T: Preview1View>(guest: &mut GuestMemory<'_, T>, fd: u32, at: u32) -> Result<()> {
    let kind = match guest.descriptors().get(fd)? {
        Slot::Standard(standard) => {
            let standard = *standard;
            FileKind::of_stream(guest.is_terminal(standard)?)
        }
        Slot::File(_) => FileKind::RegularFile,
        Slot::Dir(_) => FileKind::Directory,
    };
    let record = match guest.descriptors().get(fd)? {
        Slot::Standard(StandardFd::Input) => records::fdstat(kind, 0, records::STREAM_READS, records::STREAM_READS),
        Slot::Standard(_) => records::fdstat(kind, 0, records::STREAM_WRITES, records::STREAM_WRITES),
        Slot::File(file) => {
            let rights = records::file_rights(file.reads, file.writes);
            records::fdstat(kind, file.flags, rights, rights)
        }
        Slot::Dir(dir) => {
            let (own, below) = records::dir_rights(dir.is_writable());
            records::fdstat(kind, 0, own, below)
        }
    };
    guest.write(at, &record)
}

pub(super) async fn fdstat_set_flags<T: Preview1View>(guest: &mut GuestMemory<'_, T>, fd: u32, flags: u32) -> Result<()> {
    let flags = u16::try_from(flags).map_err(|_| Errno::INVAL)?;
    let synchronous = DATA_SYNC | READ_SYNC | SYNC;
    let Slot::File(file) = guest.descriptors().get_mut(fd)? else { return Err(Errno::BADF.into()) };
    // Whether writes wait for the device is decided when a file is opened.
    if flags & !FDFLAGS != 0 || flags & synchronous & !file.flags != 0 {
        return Err(Errno::INVAL.into());
    }
    file.flags = flags & (APPEND | NONBLOCK) | file.flags & synchronous;
    Ok(())
}

/// Rights cannot be taken back: what a guest may do is decided by what it was granted.
pub(super) async fn fdstat_set_rights<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    fd: u32,
    _base: u64,
    _inheriting: u64,
) -> Result<()> {
    guest.descriptors().get(fd)?;
    Err(Errno::NOTSUP.into())
}

pub(super) async fn filestat_get<T: Preview1View>(guest: &mut GuestMemory<'_, T>, fd: u32, at: u32) -> Result<()> {
    let status = match guest.descriptors().get(fd)? {
        Slot::Standard(standard) => {
            let standard = *standard;
            let kind = FileKind::of_stream(guest.is_terminal(standard)?);
            return guest.write(at, &records::stream_filestat(kind));
        }
        Slot::File(file) => {
            let file = file.file.clone();
            guest.make(STAT, Ok((file,))).await?
        }
        Slot::Dir(_) => {
            let place = guest.dir_itself(fd)?;
            guest.make(STAT_DIR, place.map(|place| (place,))).await?
        }
    };
    guest.write(at, &records::filestat(&status))
}

pub(super) async fn filestat_set_size<T: Preview1View>(guest: &mut GuestMemory<'_, T>, fd: u32, size: u64) -> Result<()> {
    let file = guest.open_file(fd)?;
    if i64::try_from(size).is_err() {
        return Err(Errno::INVAL.into());
    }
    guest.make(TRUNCATE, Ok((file, size))).await
}

pub(super) async fn filestat_set_times<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    fd: u32,
    accessed: u64,
    modified: u64,
    which: u32,
) -> Result<()> {
    let times = records::new_times(accessed, modified, which)?;
    if let Slot::Dir(_) = guest.descriptors().get(fd)? {
        let place = guest.dir_itself(fd)?;
        return guest.make(UTIME_DIR, place.and_then(Place::writable).map(|place| (place, times))).await;
    }
    let file = guest.open_file(fd)?;
    guest.make(FUTIME, ChangeableFile::parse(file).map(|file| (file, times))).await
}

pub(super) async fn prestat_get<T: Preview1View>(guest: &mut GuestMemory<'_, T>, fd: u32, at: u32) -> Result<()> {
    let length = preopen(guest, fd)?.len();
    guest.write_u32(at, 0)?;
    guest.write_count(at.saturating_add(4), length)
}

pub(super) async fn prestat_dir_name<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    fd: u32,
    at: u32,
    length: u32,
) -> Result<()> {
    let name = preopen(guest, fd)?;
    if name.len() > usize::try_from(length).unwrap_or(usize::MAX) {
        return Err(Errno::NAMETOOLONG.into());
    }
    guest.write(at, name.as_bytes())
}

fn preopen<T: Preview1View>(guest: &mut GuestMemory<'_, T>, fd: u32) -> Result<String> {
    match guest.descriptors().get(fd)? {
        Slot::Dir(dir) => Ok(dir.preopen.clone().ok_or(Errno::BADF)?),
        Slot::File(_) | Slot::Standard(_) => Err(Errno::BADF.into()),
    }
}

/// A read that need not wait, or may wait on this thread; none if it may not but would have to.
pub(super) fn read_now<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    fd: u32,
    list: u32,
    count: u32,
    at: u32,
) -> Result<Option<()>> {
    let Slot::File(file) = guest.descriptors().get(fd)? else { return Ok(None) };
    let file = readable(file)?;
    let pieces = guest.pieces(list, count)?;
    let Some(read) = read_here(guest, &file, None, &pieces, READ.kind)? else { return Ok(None) };
    guest.write_count(at, read).map(Some)
}

pub(super) async fn read<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    fd: u32,
    list: u32,
    count: u32,
    at: u32,
) -> Result<()> {
    let pieces = guest.pieces(list, count)?;
    let read = match guest.descriptors().get(fd)? {
        Slot::Standard(StandardFd::Input) => guest.read_input(&pieces).await?,
        Slot::Standard(_) => return Err(Errno::BADF.into()),
        Slot::Dir(_) => return Err(Errno::BADF.into()),
        Slot::File(file) => {
            let file = readable(file)?;
            read_elsewhere(guest, file, None, &pieces, READ).await?
        }
    };
    guest.write_count(at, read)
}

/// As [`read_now`].
pub(super) fn pread_now<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    fd: u32,
    list: u32,
    count: u32,
    offset: u64,
    at: u32,
) -> Result<Option<()>> {
    let file = readable(guest.descriptors().seekable(fd)?)?;
    let pieces = guest.pieces(list, count)?;
    let Some(read) = read_here(guest, &file, Some(offset), &pieces, PREAD.kind)? else { return Ok(None) };
    guest.write_count(at, read).map(Some)
}

pub(super) async fn pread<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    fd: u32,
    list: u32,
    count: u32,
    offset: u64,
    at: u32,
) -> Result<()> {
    let pieces = guest.pieces(list, count)?;
    let file = readable(guest.descriptors().seekable(fd)?)?;
    let read = read_elsewhere(guest, file, Some(offset), &pieces, PREAD).await?;
    guest.write_count(at, read)
}

/// Files of preview 1 are read and written only as their descriptors say.
fn readable(file: &FileSlot) -> Result<OpenFile> {
    if file.reads { Ok(file.file.clone()) } else { Err(Errno::BADF.into()) }
}

/// Reads into the guest's memory on its own thread; none if it would have to wait for that, and may not.
fn read_here<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    file: &OpenFile,
    offset: Option<u64>,
    pieces: &Pieces,
    kind: Kind,
) -> Result<Option<usize>> {
    let (memory, data) = guest.parts();
    let done = transfer_here(data.aio().ctx.caller(), &Submission::call(kind), pieces.length, TERMS, |wait| {
        let mut read = 0;
        for piece in pieces.iter() {
            let at = offset.map(|offset| offset.saturating_add(number(read)));
            let count = match file.read_into(at, &mut memory[piece.clone()], wait) {
                // What was read is told; the error comes again.
                Err(_) if read > 0 => break,
                result => result?,
            };
            read += count;
            if count < piece.len() {
                break;
            }
        }
        Ok(number(read))
    });
    let read = done.transpose().map_err(Errno::from)?;
    Ok(read.map(|read| usize::try_from(read).expect("it fits in the guest's memory")))
}

/// The same by memory of the host's, where it may wait.
async fn read_elsewhere<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    file: OpenFile,
    offset: Option<u64>,
    pieces: &Pieces,
    request: Request<(Reading,), Content>,
) -> Result<usize> {
    let limits = &guest.caller.data_mut().aio().ctx.limits;
    let length = pieces.length.min(limits.read_bytes_max).min(limits.bytes_in_flight_max);
    let content = guest.make(request, Ok((Reading::new(file, offset, length),))).await?.into_bytes();
    guest.scatter(pieces, &content);
    Ok(content.len())
}

/// A count of bytes.
fn number(bytes: usize) -> u64 {
    u64::try_from(bytes).expect("a count fits")
}

/// As [`read_now`].
pub(super) fn write_now<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    fd: u32,
    list: u32,
    count: u32,
    at: u32,
) -> Result<Option<()>> {
    let Slot::File(file) = guest.descriptors().get(fd)? else { return Ok(None) };
    let to = file.end();
    let file = writable(file)?;
    let pieces = guest.pieces(list, count)?;
    let Some(written) = write_here(guest, &file, to, &pieces, WRITE.kind)? else { return Ok(None) };
    guest.write_count(at, written).map(Some)
}

pub(super) async fn write<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    fd: u32,
    list: u32,
    count: u32,
    at: u32,
) -> Result<()> {
    let pieces = guest.pieces(list, count)?;
    let written = match guest.descriptors().get(fd)? {
        Slot::Standard(StandardFd::Input) => return Err(Errno::BADF.into()),
        Slot::Standard(standard) => {
            let standard = *standard;
            guest.write_output(standard, &pieces).await?
        }
        Slot::Dir(_) => return Err(Errno::BADF.into()),
        Slot::File(file) => {
            let to = file.end();
            let file = writable(file)?;
            write_elsewhere(guest, file, to, &pieces, WRITE).await?
        }
    };
    guest.write_count(at, written)
}

/// As [`read_now`].
pub(super) fn pwrite_now<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    fd: u32,
    list: u32,
    count: u32,
    offset: u64,
    at: u32,
) -> Result<Option<()>> {
    let file = guest.descriptors().seekable(fd)?;
    let to = file.place(offset);
    let file = writable(file)?;
    let pieces = guest.pieces(list, count)?;
    let Some(written) = write_here(guest, &file, to, &pieces, PWRITE.kind)? else { return Ok(None) };
    guest.write_count(at, written).map(Some)
}

pub(super) async fn pwrite<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    fd: u32,
    list: u32,
    count: u32,
    offset: u64,
    at: u32,
) -> Result<()> {
    let pieces = guest.pieces(list, count)?;
    let file = guest.descriptors().seekable(fd)?;
    let to = file.place(offset);
    let file = writable(file)?;
    let written = write_elsewhere(guest, file, to, &pieces, PWRITE).await?;
    guest.write_count(at, written)
}

fn writable(file: &FileSlot) -> Result<OpenFile> {
    if file.writes { Ok(file.file.clone()) } else { Err(Errno::BADF.into()) }
}

impl FileSlot {
    /// Where a write goes that names no place.
    fn end(&self) -> WriteTo {
        if self.flags & APPEND != 0 { WriteTo::End } else { WriteTo::Position }
    }

    /// Where one goes that does. As in Linux, what is opened to append is not written elsewhere.
    fn place(&self, offset: u64) -> WriteTo {
        if self.flags & APPEND != 0 { WriteTo::EndAlone } else { WriteTo::Offset(offset) }
    }
}

/// Writes from the guest's memory on its own thread, if it may wait there.
fn write_here<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    file: &OpenFile,
    to: WriteTo,
    pieces: &Pieces,
    kind: Kind,
) -> Result<Option<usize>> {
    let (memory, data) = guest.parts();
    let done = transfer_here(data.aio().ctx.caller(), &Submission::call(kind), pieces.length, TERMS, |wait| match wait {
        Wait::Never => Err(Error::WOULD_BLOCK),
        Wait::May => write_pieces(file, to, pieces, memory),
    });
    Ok(done.transpose().map_err(Errno::from)?.map(taken))
}

/// The same by memory of the host's, where it may wait.
async fn write_elsewhere<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    file: OpenFile,
    to: WriteTo,
    pieces: &Pieces,
    request: Request<(Copied,), u64>,
) -> Result<usize> {
    let data = guest.gather(pieces, COPY_BYTES_MAX);
    Ok(taken(guest.make(request, Ok((Copied { file, to, data },))).await?))
}

/// How much was written.
fn taken(bytes: u64) -> usize {
    usize::try_from(bytes).expect("it came out of the guest's memory")
}

/// Several pieces at the end of a file are one write, so that no other one comes between them.
fn write_pieces(file: &OpenFile, to: WriteTo, pieces: &Pieces, memory: &[u8]) -> AioResult<u64> {
    let several = || pieces.iter().map(|piece| IoSlice::new(&memory[piece.clone()])).collect::<Vec<_>>();
    let mut written = 0;
    for piece in pieces.iter() {
        let to = match to {
            WriteTo::End if pieces.are_several() => return file.append_from(&several(), MovesPosition::Yes),
            WriteTo::EndAlone if pieces.are_several() => return file.append_from(&several(), MovesPosition::No),
            WriteTo::Offset(offset) => WriteTo::Offset(offset.saturating_add(written)),
            to => to,
        };
        let count = match file.write_from(to, &memory[piece.clone()]) {
            Err(_) if written > 0 => break,
            result => result?,
        };
        written += count;
        if count < number(piece.len()) {
            break;
        }
    }
    Ok(written)
}

pub(super) async fn seek<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    fd: u32,
    offset: i64,
    whence: u32,
    at: u32,
) -> Result<()> {
    let seeking = guest.seeking(fd, offset, whence)?;
    let position = guest.make(SEEK, Ok((seeking,))).await?;
    guest.write_u64(at, position.0)
}

/// As [`read_now`].
pub(super) fn seek_now<T: Preview1View>(
    guest: &mut GuestMemory<'_, T>,
    fd: u32,
    offset: i64,
    whence: u32,
    at: u32,
) -> Result<Option<()>> {
    let seeking = guest.seeking(fd, offset, whence)?;
    let Some(position) = guest.make_now(SEEK, (seeking,))? else { return Ok(None) };
    guest.write_u64(at, position.0).map(Some)
}

pub(super) async fn tell<T: Preview1View>(guest: &mut GuestMemory<'_, T>, fd: u32, at: u32) -> Result<()> {
    seek(guest, fd, 0, records::CURRENT, at).await
}

/// As [`read_now`].
pub(super) fn tell_now<T: Preview1View>(guest: &mut GuestMemory<'_, T>, fd: u32, at: u32) -> Result<Option<()>> {
    seek_now(guest, fd, 0, records::CURRENT, at)
}
