//! Every system call on files that the sandbox makes: nothing outside of this folder makes one.
//!
//! A function has the name, the parameters and the result of the call; what rustix has is passed on, and `raw` has the rest. A
//! call that a signal came between is made again. A test can let each of them fail, see `fault`. In a build without tests there
//! is nothing else between the caller and the kernel.

#[cfg(test)]
pub(super) mod fault;
mod raw;

use std::ffi::{CStr, CString};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::num::NonZeroU64;
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::Buffer;
use rustix::fs::{
    Advice, AtFlags, Dev, FallocateFlags, FileType, FlockOperation, Mode, OFlags, RawDir, RenameFlags, ResolveFlags, SeekFrom,
    Stat, StatFs, StatVfs, Statx, StatxFlags, Timestamps,
};
use rustix::io::{Errno, ReadWriteFlags, Result};
use rustix::path::Arg;

pub(super) use raw::{
    chmod_fd_unchecked, clone_range_unchecked, close, has_read_lease, read_at_unchecked, set_lock_unchecked,
    sync_file_range_unchecked, take_read_lease,
};
pub(super) use rustix::io::retry_on_intr;

/// Nothing is injected in a build without tests.
#[cfg(not(test))]
mod fault {
    #[inline(always)]
    pub(super) fn before(_call: &'static str) -> rustix::io::Result<()> {
        Ok(())
    }

    #[inline(always)]
    pub(super) fn shortened(_call: &'static str, length: usize) -> usize {
        length
    }
}

/// Makes a call, and makes it again where a signal came between: nobody has to think of that.
#[inline]
fn again<T>(call: &'static str, mut make: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match fault::before(call).and_then(|()| make()) {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// A name or a path, as a call that may be made twice takes it.
pub(super) trait PathName: Arg + Copy {}

impl<T: Arg + Copy> PathName for T {}

type Length = Option<NonZeroU64>;

/// Calls that are passed on as they are.
macro_rules! calls {
    ($(fn $name:ident($($parameter:ident: $kind:tt $($bound:ident)?),*) -> $result:tt = $call:path;)*) => {$(
        #[inline]
        pub(super) fn $name($($parameter: $kind $($bound)?),*) -> Result<$result> {
            again(stringify!($name), || $call($(argument!($parameter: $kind $($bound)?)),*))
        }
    )*};
}

/// What is passed on for a parameter, which has to be there for another time.
macro_rules! argument {
    ($parameter:ident: impl AsFd) => {
        &$parameter
    };
    ($parameter:ident: $($kind:tt)*) => {
        $parameter
    };
}

// By name.
calls! {
    fn openat(dir: impl AsFd, path: impl PathName, flags: OFlags, mode: Mode) -> OwnedFd = rustix::fs::openat;
    fn openat2(dir: impl AsFd, path: impl PathName, flags: OFlags, mode: Mode, resolve: ResolveFlags) -> OwnedFd = rustix::fs::openat2;
    fn statat(dir: impl AsFd, path: impl PathName, flags: AtFlags) -> Stat = rustix::fs::statat;
    fn statx(dir: impl AsFd, path: impl PathName, flags: AtFlags, mask: StatxFlags) -> Statx = rustix::fs::statx;
    fn mkdirat(dir: impl AsFd, path: impl PathName, mode: Mode) -> () = rustix::fs::mkdirat;
    fn mknodat(dir: impl AsFd, path: impl PathName, kind: FileType, mode: Mode, device: Dev) -> () = rustix::fs::mknodat;
    fn symlinkat(target: impl PathName, dir: impl AsFd, path: impl PathName) -> () = rustix::fs::symlinkat;
    fn linkat(from: impl AsFd, old: impl PathName, to: impl AsFd, new: impl PathName, flags: AtFlags) -> () = rustix::fs::linkat;
    fn unlinkat(dir: impl AsFd, path: impl PathName, flags: AtFlags) -> () = rustix::fs::unlinkat;
    fn renameat(from: impl AsFd, old: impl PathName, to: impl AsFd, new: impl PathName) -> () = rustix::fs::renameat;
    fn renameat_with(from: impl AsFd, old: impl PathName, to: impl AsFd, new: impl PathName, flags: RenameFlags) -> () =
        rustix::fs::renameat_with;
    fn chmodat(dir: impl AsFd, path: impl PathName, mode: Mode, flags: AtFlags) -> () = rustix::fs::chmodat;
    fn utimensat(dir: impl AsFd, path: impl PathName, times: &Timestamps, flags: AtFlags) -> () = rustix::fs::utimensat;
}

/// Bytes of an extended attribute.
pub(super) fn fgetxattr_length(fd: impl AsFd, name: &CStr) -> Result<usize> {
    again("fgetxattr", || rustix::fs::fgetxattr(&fd, name, &mut [0_u8; 0][..]))
}

// By descriptor: what belongs to an object beside its content.
calls! {
    fn fstat(fd: impl AsFd) -> Stat = rustix::fs::fstat;
    fn fstatfs(fd: impl AsFd) -> StatFs = rustix::fs::fstatfs;
    fn fstatvfs(fd: impl AsFd) -> StatVfs = rustix::fs::fstatvfs;
    fn fchmod(fd: impl AsFd, mode: Mode) -> () = rustix::fs::fchmod;
    fn fcntl_getfl(fd: impl AsFd) -> OFlags = rustix::fs::fcntl_getfl;
    fn futimens(fd: impl AsFd, times: &Timestamps) -> () = rustix::fs::futimens;
    fn ftruncate(fd: impl AsFd, length: u64) -> () = rustix::fs::ftruncate;
    fn fallocate(fd: impl AsFd, flags: FallocateFlags, offset: u64, length: u64) -> () = rustix::fs::fallocate;
    fn fadvise(fd: impl AsFd, offset: u64, length: Length, advice: Advice) -> () = rustix::fs::fadvise;
    fn seek(fd: impl AsFd, from: SeekFrom) -> u64 = rustix::fs::seek;
    fn fsync(fd: impl AsFd) -> () = rustix::fs::fsync;
    fn fdatasync(fd: impl AsFd) -> () = rustix::fs::fdatasync;
    fn syncfs(fd: impl AsFd) -> () = rustix::fs::syncfs;
    fn ioctl_ficlone(output: impl AsFd, input: impl AsFd) -> () = rustix::fs::ioctl_ficlone;
    fn flock(fd: impl AsFd, operation: FlockOperation) -> () = rustix::fs::flock;
}

#[inline]
pub(super) fn readlinkat(dir: impl AsFd, path: impl PathName, room: Vec<u8>) -> Result<CString> {
    let mut room = Some(room);
    again("readlinkat", || rustix::fs::readlinkat(&dir, path, room.take().unwrap_or_default()))
}

/// Opens a file without a name in a directory.
#[inline]
pub(super) fn open_nameless(dir: impl AsFd, mode: Mode) -> Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
    again("open_nameless", || rustix::fs::openat(&dir, c".", flags, mode))
}

/// A read that does not wait gives `EINTR` as any other: it is not made again.
#[inline]
pub(super) fn preadv2(fd: impl AsFd, buffers: &mut [IoSliceMut<'_>], at: u64, flags: ReadWriteFlags) -> Result<usize> {
    fault::before("preadv2")?;
    rustix::io::preadv2(fd, buffers, at, flags)
}

#[inline]
pub(super) fn pread<B: Buffer<u8>>(fd: impl AsFd, buffer: B, at: u64) -> Result<B::Output> {
    fault::before("pread")?;
    rustix::io::pread(fd, buffer, at)
}

#[inline]
pub(super) fn write(fd: impl AsFd, data: &[u8]) -> Result<usize> {
    again("write", || rustix::io::write(&fd, &data[..fault::shortened("write", data.len())]))
}

#[inline]
pub(super) fn pwrite(fd: impl AsFd, data: &[u8], at: u64) -> Result<usize> {
    again("pwrite", || rustix::io::pwrite(&fd, &data[..fault::shortened("pwrite", data.len())], at))
}

/// Writes pieces at the end of a file, wherever that is by then, and nothing of others' between them.
#[inline]
pub(super) fn append(fd: impl AsFd, pieces: &[IoSlice<'_>]) -> Result<usize> {
    again("append", || match pieces {
        [piece] => {
            let piece = &piece[..fault::shortened("append", piece.len())];
            rustix::io::pwritev2(&fd, &[IoSlice::new(piece)], 0, ReadWriteFlags::APPEND)
        }
        pieces => rustix::io::pwritev2(&fd, pieces, 0, ReadWriteFlags::APPEND),
    })
}

/// `copy_file_range(2)` between offsets of two files.
#[inline]
pub(super) fn copy_file_range(input: impl AsFd, from: u64, output: impl AsFd, to: u64, length: usize) -> Result<usize> {
    let call = "copy_file_range";
    again(call, || {
        let (mut from, mut to) = (from, to);
        rustix::fs::copy_file_range(&input, Some(&mut from), &output, Some(&mut to), fault::shortened(call, length))
    })
}

/// `sendfile(2)` from an offset, to the position of the output.
#[inline]
pub(super) fn sendfile(output: impl AsFd, input: impl AsFd, from: u64, length: usize) -> Result<usize> {
    let call = "sendfile";
    again(call, || rustix::fs::sendfile(&output, &input, Some(&mut { from }), fault::shortened(call, length)))
}

/// `getdents64(2)`: the entries of a directory from its position on, as many as the buffer holds at a time.
#[inline]
pub(super) fn getdents<Fd: AsFd>(dir: Fd, buffer: &mut [MaybeUninit<u8>]) -> Result<RawDir<'_, Fd>> {
    again("getdents", || Ok(()))?;
    Ok(RawDir::new(dir, buffer))
}

/// Whether `renameat2(2)` is not there, or not with this flag: by the kernel, the file system, or a filter of system calls. If it
/// was refused for what it is, so is the call that is made in its place.
pub(super) fn knows_no_flags(errno: Errno) -> bool {
    matches!(errno, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM)
}
