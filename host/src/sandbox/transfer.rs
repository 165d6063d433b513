//! Copying bytes from file to file inside the kernel, or through a buffer where it will not.

use std::fs::File;

use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::limits::STEP_BYTES;
use crate::sched::Ticket;

/// Bytes of the buffer where the kernel does not copy by itself. 128 KiB: larger ones leave the processor's cache.
const BUFFER_BYTES: usize = 128 << 10;

/// Copies up to `length` bytes between offsets of two files, and returns how many: fewer at the end of the input only.
pub(super) fn copy_range(
    (input, output): (&File, &File),
    (mut from, mut to): (u64, u64),
    length: u64,
    ticket: &Ticket,
) -> Result<u64> {
    let signed = |offset: u64| i64::try_from(offset).map_err(|_| Error::INVALID);
    // Beyond the largest offset there is nothing to copy.
    let length = length.min(i64::MAX.abs_diff(signed(from)?)).min(i64::MAX.abs_diff(signed(to)?));
    if overlap(input, output, from, to, length)? {
        return Err(Error::INVALID);
    }
    let mut left = length;
    let mut in_kernel = true;
    while left > 0 {
        ticket.check()?;
        let step = usize::try_from(left.min(STEP_BYTES)).expect("a step fits");
        let copied = if in_kernel { kernel_step(input, output, from, to, step)? } else { None };
        let copied = match copied {
            Some(copied) => copied,
            None => {
                in_kernel = false;
                buffer_step(input, output, from, to, step)?
            }
        };
        if copied == 0 {
            break;
        }
        ticket.advance(copied, 0);
        from += copied;
        to += copied;
        left -= copied;
    }
    Ok(length - left)
}

/// One `copy_file_range(2)`. None where it does not work: between some file systems, on some of them, and in append mode. It
/// also says 0 of a file in `/proc` that has content, so the end of the input is left to `read`.
fn kernel_step(input: &File, output: &File, mut from: u64, mut to: u64, step: usize) -> Result<Option<u64>> {
    match rustix::fs::copy_file_range(input, Some(&mut from), output, Some(&mut to), step) {
        Ok(0) | Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::BADF | Errno::PERM) => Ok(None),
        Ok(copied) => Ok(Some(u64::try_from(copied).expect("a count fits"))),
        Err(Errno::INTR) => kernel_step(input, output, from, to, step),
        Err(errno) => Err(errno.into()),
    }
}

fn buffer_step(input: &File, output: &File, from: u64, to: u64, step: usize) -> Result<u64> {
    let mut buffer = Vec::with_capacity(step.min(BUFFER_BYTES));
    rustix::io::retry_on_intr(|| rustix::io::pread(input, rustix::buffer::spare_capacity(&mut buffer), from))?;
    let mut written = 0;
    while written < buffer.len() {
        let at = to + u64::try_from(written).expect("a count fits");
        let count = rustix::io::retry_on_intr(|| rustix::io::pwrite(output, &buffer[written..], at))?;
        if count == 0 {
            return Err(Error::IO);
        }
        written += count;
    }
    Ok(u64::try_from(written).expect("a count fits"))
}

/// Whether both are the same file, and the two ranges in it overlap.
fn overlap(input: &File, output: &File, from: u64, to: u64, length: u64) -> Result<bool> {
    let (one, other) = (rustix::fs::fstat(input)?, rustix::fs::fstat(output)?);
    let same = (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino);
    let length = length.min(one.st_size.cast_unsigned().saturating_sub(from));
    Ok(same && from < to.saturating_add(length) && to < from.saturating_add(length))
}
