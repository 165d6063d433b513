//! Every system call on files that the sandbox makes: nothing outside of this folder makes one.
//!
//! A function has the name, the parameters and the result of the call; what rustix has is passed on, and `raw` has the rest. A
//! test can let each of them fail, see `fault`. In a build without tests there is nothing between the caller and the kernel.

#[cfg(test)]
pub(super) mod fault;
mod raw;

use std::ffi::CString;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::num::NonZeroU64;
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::Buffer;
use rustix::fs::{
    Advice, AtFlags, Dev, FallocateFlags, FileType, Mode, OFlags, RawDir, RenameFlags, ResolveFlags, SeekFrom, Stat, StatFs,
    StatVfs, Statx, StatxFlags, Timestamps,
};
use rustix::io::{ReadWriteFlags, Result};
use rustix::path::Arg;

pub(super) use raw::{
    chmod_fd_unchecked, clone_range_unchecked, close, read_at_unchecked, set_lock_unchecked, sync_file_range_unchecked,
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

/// Calls that are passed on as they are.
macro_rules! calls {
    ($(fn $name:ident($($parameter:ident: $kind:ty),*) -> $result:ty = $call:path;)*) => {$(
        #[inline]
        pub(super) fn $name($($parameter: $kind),*) -> Result<$result> {
            fault::before(stringify!($name))?;
            $call($($parameter),*)
        }
    )*};
}

// By name.
calls! {
    fn openat(dir: impl AsFd, path: impl Arg, flags: OFlags, mode: Mode) -> OwnedFd = rustix::fs::openat;
    fn openat2(dir: impl AsFd, path: impl Arg, flags: OFlags, mode: Mode, resolve: ResolveFlags) -> OwnedFd = rustix::fs::openat2;
    fn statat(dir: impl AsFd, path: impl Arg, flags: AtFlags) -> Stat = rustix::fs::statat;
    fn statx(dir: impl AsFd, path: impl Arg, flags: AtFlags, mask: StatxFlags) -> Statx = rustix::fs::statx;
    fn mkdirat(dir: impl AsFd, path: impl Arg, mode: Mode) -> () = rustix::fs::mkdirat;
    fn mknodat(dir: impl AsFd, path: impl Arg, kind: FileType, mode: Mode, device: Dev) -> () = rustix::fs::mknodat;
    fn symlinkat(target: impl Arg, dir: impl AsFd, path: impl Arg) -> () = rustix::fs::symlinkat;
    fn linkat(from: impl AsFd, old: impl Arg, to: impl AsFd, new: impl Arg, flags: AtFlags) -> () = rustix::fs::linkat;
    fn unlinkat(dir: impl AsFd, path: impl Arg, flags: AtFlags) -> () = rustix::fs::unlinkat;
    fn renameat(from: impl AsFd, old: impl Arg, to: impl AsFd, new: impl Arg) -> () = rustix::fs::renameat;
    fn renameat_with(from: impl AsFd, old: impl Arg, to: impl AsFd, new: impl Arg, flags: RenameFlags) -> () =
        rustix::fs::renameat_with;
    fn readlinkat(dir: impl AsFd, path: impl Arg, reuse: Vec<u8>) -> CString = rustix::fs::readlinkat;
    fn chmodat(dir: impl AsFd, path: impl Arg, mode: Mode, flags: AtFlags) -> () = rustix::fs::chmodat;
    fn utimensat(dir: impl AsFd, path: impl Arg, times: &Timestamps, flags: AtFlags) -> () = rustix::fs::utimensat;
}

// By descriptor: what belongs to an object beside its content.
calls! {
    fn fstat(fd: impl AsFd) -> Stat = rustix::fs::fstat;
    fn fstatfs(fd: impl AsFd) -> StatFs = rustix::fs::fstatfs;
    fn fstatvfs(fd: impl AsFd) -> StatVfs = rustix::fs::fstatvfs;
    fn fchmod(fd: impl AsFd, mode: Mode) -> () = rustix::fs::fchmod;
    fn futimens(fd: impl AsFd, times: &Timestamps) -> () = rustix::fs::futimens;
    fn ftruncate(fd: impl AsFd, length: u64) -> () = rustix::fs::ftruncate;
    fn fallocate(fd: impl AsFd, flags: FallocateFlags, offset: u64, length: u64) -> () = rustix::fs::fallocate;
    fn fadvise(fd: impl AsFd, offset: u64, length: Option<NonZeroU64>, advice: Advice) -> () = rustix::fs::fadvise;
    fn seek(fd: impl AsFd, from: SeekFrom) -> u64 = rustix::fs::seek;
    fn fsync(fd: impl AsFd) -> () = rustix::fs::fsync;
    fn fdatasync(fd: impl AsFd) -> () = rustix::fs::fdatasync;
    fn syncfs(fd: impl AsFd) -> () = rustix::fs::syncfs;
    fn ioctl_ficlone(output: impl AsFd, input: impl AsFd) -> () = rustix::fs::ioctl_ficlone;
    fn preadv2(fd: impl AsFd, buffers: &mut [IoSliceMut<'_>], at: u64, flags: ReadWriteFlags) -> usize = rustix::io::preadv2;
}

#[inline]
pub(super) fn pread<B: Buffer<u8>>(fd: impl AsFd, buffer: B, at: u64) -> Result<B::Output> {
    fault::before("pread")?;
    rustix::io::pread(fd, buffer, at)
}

#[inline]
pub(super) fn write(fd: impl AsFd, data: &[u8]) -> Result<usize> {
    fault::before("write")?;
    rustix::io::write(fd, &data[..fault::shortened("write", data.len())])
}

#[inline]
pub(super) fn pwrite(fd: impl AsFd, data: &[u8], at: u64) -> Result<usize> {
    fault::before("pwrite")?;
    rustix::io::pwrite(fd, &data[..fault::shortened("pwrite", data.len())], at)
}

#[inline]
pub(super) fn copy_file_range(
    input: impl AsFd,
    from: Option<&mut u64>,
    output: impl AsFd,
    to: Option<&mut u64>,
    length: usize,
) -> Result<usize> {
    fault::before("copy_file_range")?;
    rustix::fs::copy_file_range(input, from, output, to, fault::shortened("copy_file_range", length))
}

#[inline]
pub(super) fn sendfile(output: impl AsFd, input: impl AsFd, from: Option<&mut u64>, length: usize) -> Result<usize> {
    fault::before("sendfile")?;
    rustix::fs::sendfile(output, input, from, fault::shortened("sendfile", length))
}

/// `getdents64(2)`: the entries of a directory from its position on, as many as the buffer holds at a time.
#[inline]
pub(super) fn getdents<Fd: AsFd>(dir: Fd, buffer: &mut [MaybeUninit<u8>]) -> Result<RawDir<'_, Fd>> {
    fault::before("getdents")?;
    Ok(RawDir::new(dir, buffer))
}
