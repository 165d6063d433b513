//! System calls that rustix has no function for, or none that does without initialized memory, and the one that it calls unsafe.

use std::ffi::{c_int, c_short, c_uint};
use std::fs::File;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

use rustix::fs::Mode;
use rustix::io::{Errno, ReadWriteFlags, Result};

use super::fault;

/// `preadv2(2)` of up to `length` bytes to the end of `data`, which must have room for them. Returns how many were read.
///
/// A cached read takes less than a microsecond, of which filling the buffer with zeroes first would be a good part.
pub(in crate::sandbox) fn read_at_unchecked(
    file: &File,
    data: &mut Vec<u8>,
    length: usize,
    at: u64,
    flags: ReadWriteFlags,
) -> Result<usize> {
    fault::before("preadv2")?;
    let spare = data.spare_capacity_mut();
    assert!(length <= spare.len(), "the caller has reserved room");
    let vector = libc::iovec { iov_base: spare.as_mut_ptr().cast(), iov_len: length };
    let at = i64::try_from(at).map_err(|_| Errno::INVAL)?;
    // SAFETY: the descriptor is open, and the vector describes spare room of `data`, which is borrowed for the call.
    let count = unsafe { libc::preadv2(file.as_raw_fd(), &raw const vector, 1, at, flags.bits().cast_signed()) };
    let count = usize::try_from(count).map_err(|_| last_error())?;
    // SAFETY: the kernel has written so many bytes from the start of the spare room on.
    unsafe { data.set_len(data.len() + count) };
    Ok(count)
}

/// `close(2)`, with what the file system says. The descriptor is gone whatever that is.
pub(in crate::sandbox) fn close(fd: OwnedFd) -> Result<()> {
    // SAFETY: the descriptor is owned by nobody else from here on.
    match unsafe { rustix::io::try_close(fd.into_raw_fd()) } {
        // Linux has closed it all the same.
        Err(Errno::INTR) => Ok(()),
        result => result,
    }
}

/// `fchmodat2(2)` with `AT_EMPTY_PATH`: also of a descriptor opened with `O_PATH`.
pub(in crate::sandbox) fn chmod_fd_unchecked(fd: RawFd, mode: Mode) -> Result<()> {
    fault::before("fchmodat2")?;
    // SAFETY: the path is a string that ends, and the call writes no memory.
    let status = unsafe { libc::syscall(libc::SYS_fchmodat2, fd, c"".as_ptr(), mode.bits(), libc::AT_EMPTY_PATH) };
    if status == 0 { Ok(()) } else { Err(last_error()) }
}

/// `fcntl(2)` with `F_OFD_SETLK`. `kind` is `F_RDLCK`, `F_WRLCK` or `F_UNLCK`.
pub(in crate::sandbox) fn set_lock_unchecked(file: &File, kind: c_int, start: i64, length: i64) -> Result<()> {
    fault::before("fcntl")?;
    let kind = c_short::try_from(kind).expect("the kinds are small numbers");
    let whence = c_short::try_from(libc::SEEK_SET).expect("it is 0");
    // Of another process there is nothing to say: `l_pid` must be 0.
    let lock = libc::flock { l_type: kind, l_whence: whence, l_start: start, l_len: length, l_pid: 0 };
    // SAFETY: the descriptor is open, and the call only reads the lock.
    done(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) })
}

/// `fcntl(2)` with `F_SETLEASE`: nobody may open the file for writing, nor cut it, without waiting for the lease to be given up.
/// Fails with `EAGAIN` if somebody has it open for that. It ends when the file is closed.
///
/// Whoever waits makes the kernel send a signal, of its own accord one that ends the process. This asks for one that nobody
/// minds: it is for urgent data of sockets, and ignored unless it is handled.
pub(in crate::sandbox) fn take_read_lease(file: &File) -> Result<()> {
    // Of `F_LINUX_SPECIFIC_BASE`, and missing from libc.
    const F_SETSIG: c_int = 10;
    super::again("take_read_lease", || {
        // SAFETY: the descriptor is open, and there are no pointers.
        done(unsafe { libc::fcntl(file.as_raw_fd(), F_SETSIG, libc::SIGURG) })?;
        // SAFETY: as above.
        done(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) })
    })
}

/// `fcntl(2)` with `F_GETLEASE`: whether the file still has the lease, and nobody waits for it to be given up.
pub(in crate::sandbox) fn has_read_lease(file: &File) -> Result<bool> {
    super::again("has_read_lease", || {
        // SAFETY: the descriptor is open, and there are no pointers.
        let kind = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLEASE) };
        done(kind).map(|()| kind == libc::F_RDLCK)
    })
}

/// `sync_file_range(2)`. The range must not be negative as the kernel sees it.
pub(in crate::sandbox) fn sync_file_range_unchecked(file: &File, offset: u64, length: u64, flags: c_uint) -> Result<()> {
    fault::before("sync_file_range")?;
    let (Ok(offset), Ok(length)) = (i64::try_from(offset), i64::try_from(length)) else { return Err(Errno::INVAL) };
    // SAFETY: the descriptor is open, and there are no pointers.
    done(unsafe { libc::sync_file_range(file.as_raw_fd(), offset, length, flags) })
}

/// `struct file_clone_range` of `ioctl_ficlonerange(2)`.
#[repr(C)]
struct CloneRange {
    input: i64,
    input_offset: u64,
    length: u64,
    output_offset: u64,
}

/// `ioctl(2)` with `FICLONERANGE`.
pub(in crate::sandbox) fn clone_range_unchecked(
    output: &File,
    output_offset: u64,
    input: &File,
    input_offset: u64,
    length: u64,
) -> Result<()> {
    fault::before("ficlonerange")?;
    // _IOW(0x94, 13, struct file_clone_range)
    const FICLONERANGE: libc::Ioctl = 0x4020_940d;
    let range = CloneRange { input: input.as_raw_fd().into(), input_offset, length, output_offset };
    // SAFETY: both descriptors are open, and the call only reads the range.
    done(unsafe { libc::ioctl(output.as_raw_fd(), FICLONERANGE, &raw const range) })
}

fn done(status: c_int) -> Result<()> {
    if status == -1 { Err(last_error()) } else { Ok(()) }
}

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
