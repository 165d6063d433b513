//! System calls that rustix has no function for, or none that does without initialized memory.

use std::fs::File;
use std::os::fd::AsRawFd;

use rustix::io::{Errno, ReadWriteFlags, Result};

/// `preadv2(2)` of up to `length` bytes to the end of `data`, which must have room for them. Returns how many were read.
///
/// A cached read takes less than a microsecond, of which filling the buffer with zeroes first would be a good part.
pub(super) fn read_at_unchecked(
    file: &File,
    data: &mut Vec<u8>,
    length: usize,
    at: u64,
    flags: ReadWriteFlags,
) -> Result<usize> {
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

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
