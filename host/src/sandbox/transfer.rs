//! Copying bytes from file to file inside the kernel, or through a buffer where it will not.

use std::fs::File;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::sys;
use super::ticket::Ticket;
use crate::error::{Error, Result};
use crate::limits::STEP_BYTES;

/// Bytes of the buffer where the kernel does not copy by itself. 128 KiB: larger ones leave the processor's cache.
const BUFFER_BYTES: usize = 128 << 10;

/// Copies up to `length` bytes between offsets of two files, and returns how many: fewer at the end of the input only.
pub(super) fn copy_range(
    (input, output): (&File, &File),
    (from, to): (u64, u64),
    length: u64,
    ticket: &dyn Ticket,
) -> Result<u64> {
    let signed = |offset: u64| i64::try_from(offset).map_err(|_| Error::INVALID);
    // Beyond the largest offset there is nothing to copy.
    let length = length.min(i64::MAX.abs_diff(signed(from)?)).min(i64::MAX.abs_diff(signed(to)?));
    if overlap(input, output, from, to, length)? {
        return Err(Error::INVALID);
    }
    copy_span(Way::Kernel, (input, output), (from, to), length, ticket)
}

/// How bytes are moved. Each way is left for the next once it does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// `copy_file_range(2)`, inside one file system.
    Kernel,
    /// `sendfile(2)`, between file systems. It writes at the position of the output, so only for a file that nobody else has.
    Sendfile,
    /// Through a buffer.
    Buffer,
}

/// Copies up to `length` bytes, and returns how many: fewer at the end of the input only.
fn copy_span(
    mut way: Way,
    (input, output): (&File, &File),
    (mut from, mut to): (u64, u64),
    length: u64,
    ticket: &dyn Ticket,
) -> Result<u64> {
    let mut left = length;
    while left > 0 {
        ticket.check()?;
        let step = usize::try_from(left.min(STEP_BYTES)).expect("a step fits");
        let copied = match way {
            Way::Kernel => kernel_step(input, output, from, to, step)?,
            Way::Sendfile => sendfile_step(input, output, from, to, step)?,
            Way::Buffer => Some(buffer_step(input, output, from, to, step)?),
        };
        match copied {
            // Only a read says for certain that this is the end: see `kernel_step`.
            None => way = Way::Buffer,
            Some(0) => break,
            Some(copied) => {
                ticket.advance(copied, 0);
                from += copied;
                to += copied;
                left -= copied;
            }
        }
    }
    Ok(length - left)
}

/// Copies a whole file, up to wherever its end is by then, into an empty one that nobody else has. Holes stay holes. Returns the
/// length.
pub(super) fn copy_file(input: &File, output: &File, ticket: &dyn Ticket) -> Result<u64> {
    let (from, to) = (sys::fstat(input)?, sys::fstat(output)?);
    let size = from.st_size.cast_unsigned();
    // The files share the space, where the file system knows how. A file in `/proc` says it has no size, and is read.
    if size > 0 && sys::ioctl_ficlone(output, input).is_ok() {
        let copied = sys::fstat(output)?.st_size.cast_unsigned();
        ticket.advance(copied, 0);
        return Ok(copied);
    }
    let way = if from.st_dev == to.st_dev { Way::Kernel } else { Way::Sendfile };
    let has_holes = i128::from(from.st_blocks) * 512 < i128::from(from.st_size);
    let mut at = if has_holes { copy_sparse(way, (input, output), size, ticket)? } else { 0 };
    // All of it, or what has come since.
    at += copy_span(way, (input, output), (at, at), i64::MAX.abs_diff(i64::try_from(at).map_err(|_| Error::INVALID)?), ticket)?;
    Ok(at)
}

/// Copies the data up to `size`, and none of the holes. Returns how far that went.
fn copy_sparse(way: Way, files: (&File, &File), size: u64, ticket: &dyn Ticket) -> Result<u64> {
    let (input, output) = files;
    let mut at = 0;
    while at < size {
        let data = match sys::seek(input, SeekFrom::Data(at)) {
            Ok(data) => data.min(size),
            // There is nothing but a hole up to the end.
            Err(Errno::NXIO) => size,
            // This file system cannot tell.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(at),
            Err(errno) => return Err(errno.into()),
        };
        let hole = if data == size { size } else { sys::seek(input, SeekFrom::Hole(data))?.min(size) };
        let copied = copy_span(way, files, (data, data), hole - data, ticket)?;
        // It was cut shorter meanwhile.
        if copied < hole - data {
            return Ok(data + copied);
        }
        at = hole;
    }
    // A hole at the end is made by no write.
    sys::ftruncate(output, at)?;
    Ok(at)
}

/// One `copy_file_range(2)`. None where it does not work: between some file systems, on some of them, and in append mode. It
/// also says 0 of a file in `/proc` that has content, so the end of the input is left to `read`.
fn kernel_step(input: &File, output: &File, mut from: u64, mut to: u64, step: usize) -> Result<Option<u64>> {
    match sys::copy_file_range(input, Some(&mut from), output, Some(&mut to), step) {
        Ok(0) | Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::BADF | Errno::PERM) => Ok(None),
        Ok(copied) => Ok(Some(u64::try_from(copied).expect("a count fits"))),
        Err(Errno::INTR) => kernel_step(input, output, from, to, step),
        Err(errno) => Err(errno.into()),
    }
}

/// One `sendfile(2)`. None where it does not work, and at what looks like the end.
fn sendfile_step(input: &File, output: &File, mut from: u64, to: u64, step: usize) -> Result<Option<u64>> {
    sys::seek(output, SeekFrom::Start(to))?;
    match sys::retry_on_intr(|| sys::sendfile(output, input, Some(&mut from), step)) {
        Ok(0) | Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(None),
        Ok(copied) => Ok(Some(u64::try_from(copied).expect("a count fits"))),
        Err(errno) => Err(errno.into()),
    }
}

fn buffer_step(input: &File, output: &File, from: u64, to: u64, step: usize) -> Result<u64> {
    let mut buffer = Vec::with_capacity(step.min(BUFFER_BYTES));
    sys::retry_on_intr(|| sys::pread(input, rustix::buffer::spare_capacity(&mut buffer), from))?;
    let mut written = 0;
    while written < buffer.len() {
        let at = to + u64::try_from(written).expect("a count fits");
        let count = sys::retry_on_intr(|| sys::pwrite(output, &buffer[written..], at))?;
        if count == 0 {
            return Err(Error::IO);
        }
        written += count;
    }
    Ok(u64::try_from(written).expect("a count fits"))
}

/// Whether both are the same file, and the two ranges in it overlap.
fn overlap(input: &File, output: &File, from: u64, to: u64, length: u64) -> Result<bool> {
    let (one, other) = (sys::fstat(input)?, sys::fstat(output)?);
    let same = (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino);
    let length = length.min(one.st_size.cast_unsigned().saturating_sub(from));
    Ok(same && from < to.saturating_add(length) && to < from.saturating_add(length))
}
