//! Every request, for many in flight: each function returns a [`Request`] at once, and the work goes on while the program
//! continues.
//!
//! The functions and their parameters have the names of the host's WIT. `at` is the directory that a relative path starts from.
//! `move_` has an underscore, since `move` is a keyword.
//!
//! # Units
//!
//! Offsets and lengths are in bytes. A `mode` has permission bits, at most `0o777`; a new object gets them less the host's
//! umask. `maxreq` is how many directories, or entries, the host may work on in parallel; 0 leaves that to the host.
//!
//! # Errors
//!
//! The functions themselves do not fail: the request does, and reports it to whoever waits for it. The names are those of
//! [`ErrorCode`](crate::ErrorCode), which [`reason`](crate::reason) finds in an [`io::Error`](std::io::Error). Each function
//! lists its errors in addition to these:
//!
//! * Any request: `Canceled`, `TimedOut` (with a deadline), `Io`, `WouldBlock` (over a limit on what may be in flight),
//!   `InsufficientMemory`.
//! * Any request with a path: `NoEntry` and `NotDirectory` (for a part of the path), `Access`, `Loop`, `NameTooLong`, `Invalid`
//!   (a NUL is in it), `IllegalByteSequence`, `NotPermitted` (it leads out of what was granted, or of `at`).
//!
//! # Cancellation
//!
//! Dropping a request, or a future that waits for it, discards its result and does not stop it; a file or directory that it
//! opens is closed. [`Request::cancel`] takes it back: it never runs if it is in the queue, and ends at its next step if it
//! consists of several. What it has done by then stays done, except for what is done in one step, as by [`store`], [`copy`] and
//! [`copy_tree`].
//!
//! # Examples
//!
//! Parts of files:
//!
//! ```no_run
#![doc = include_str!("../examples/ranges.rs")]
//! ```
//!
//! Names:
//!
//! ```no_run
#![doc = include_str!("../examples/names.rs")]
//! ```
//!
//! Attributes:
//!
//! ```no_run
#![doc = include_str!("../examples/attributes.rs")]
//! ```
//!
//! Trees:
//!
//! ```no_run
#![doc = include_str!("../examples/trees.rs")]
//! ```

use crate::bindings::aiohost::aio::submit;
use crate::types::{
    Advice, AllocateFlags, Extent, Listing, LockKind, NewTime, ReaddirxFlags, RenameFlags, Scan, Status, SyncRangeFlags,
    Volume, WalkEntry, Walker, Whence,
};
use crate::{Dir, File, OpenOptions, Request};

/// Open a file. See [`OpenOptions`].
///
/// # Errors
///
/// `IsDirectory` (use [`open_dir`]), `Unsupported` (a FIFO, a socket or a device), `Exist` and `Loop` (with the options that
/// ask for them), `ReadOnly`, `Invalid` (options that contradict each other), `TooManyOpenFiles`, and those of [any request
/// with a path](self#errors).
pub fn open(at: &Dir, path: &str, options: OpenOptions) -> Request<File> {
    let (flags, mode) = options.flags_and_mode();
    Request::new(submit::open(at.at(), path, flags, mode))
}

/// Open a directory.
///
/// # Errors
///
/// `NotDirectory`, `TooManyOpenFiles`, and those of [any request with a path](self#errors).
pub fn open_dir(at: &Dir, path: &str) -> Request<Dir> {
    Request::new(submit::open_dir(at.at(), path))
}

/// Close a file. Fails if the file system could not keep what was written to it.
///
/// # Errors
///
/// `InsufficientSpace` or `Quota`, if the file system finds out only now, and those of [any request](self#errors). The file is
/// closed even then.
pub fn close(file: File) -> Request<()> {
    Request::new(submit::close(file.into_handle()))
}

/// Move the position of a file, and return the new one, in bytes from the start.
///
/// # Errors
///
/// `Invalid` (before the start, or too far), `NoDevice` (a search for data or a hole from the end of the file on), and those of
/// [any request](self#errors).
pub fn seek(file: &File, offset: i64, from: Whence) -> Request<u64> {
    Request::new(submit::seek(file.handle(), offset, from))
}

/// Read up to `length` bytes, from an offset or at the position of the file. An empty result means the end of the file; a short
/// one does not.
///
/// # Errors
///
/// `BadDescriptor` (not open for reading), and those of [any request](self#errors). Asking for more than the host returns at
/// once, 16 MiB unless set otherwise, is not an error: fewer bytes are returned.
pub fn read(file: &File, offset: Option<u64>, length: u32) -> Request<Vec<u8>> {
    Request::new(submit::read(file.handle(), offset, length))
}

/// Write bytes, at an offset or at the position of the file, and return how many were written: fewer than given if the device
/// is full.
///
/// # Errors
///
/// `BadDescriptor` (not open for writing), `InsufficientSpace`, `Quota`, `FileTooLarge`, and those of [any
/// request](self#errors).
pub fn write(file: &File, offset: Option<u64>, data: &[u8]) -> Request<u64> {
    Request::new(submit::write(file.handle(), offset, data))
}

/// Copy up to `length` bytes from one file to another inside the host, and return how many were copied. Without an
/// `output_offset` they are written at the position of `output`.
///
/// # Errors
///
/// `BadDescriptor` (one of the files is not open for this), `Invalid` (the two ranges of one file overlap),
/// `InsufficientSpace`, `Quota`, and those of [any request](self#errors). What was copied before stays copied.
pub fn sendfile(output: &File, output_offset: Option<u64>, input: &File, input_offset: u64, length: u64) -> Request<u64> {
    Request::new(submit::sendfile(output.handle(), output_offset, input.handle(), input_offset, length))
}

/// Read a whole file.
///
/// # Errors
///
/// `IsDirectory`, `Unsupported` (neither a file nor a directory), `FileTooLarge` (more than one read may return: use
/// [`slurp`]), and those of [any request with a path](self#errors).
pub fn load(at: &Dir, path: &str) -> Request<Vec<u8>> {
    Request::new(submit::load(at.at(), path))
}

/// Open a file, read a part of it and close it. A negative offset counts from its end; without a length, everything that
/// follows is read, up to what the host returns at once: 16 MiB unless set otherwise.
///
/// # Errors
///
/// Those of [`load`] except `FileTooLarge`, and `Invalid` (an offset before the start).
pub fn slurp(at: &Dir, path: &str, offset: i64, length: Option<u32>) -> Request<Vec<u8>> {
    Request::new(submit::slurp(at.at(), path, offset, length))
}

/// Write a whole file in one step: others see either the old content or the new, even after a crash.
///
/// # Errors
///
/// `IsDirectory`, `ReadOnly`, `InsufficientSpace`, `Quota`, and those of [any request with a path](self#errors). The old
/// content is then unchanged; only after `Io` may the new one be there.
pub fn store(at: &Dir, path: &str, data: &[u8], mode: u16) -> Request<()> {
    Request::new(submit::store(at.at(), path, data, mode))
}

/// Copy a file inside the host, and return how many bytes it has.
///
/// # Errors
///
/// `Invalid` (both are the same file), `IsDirectory`, `Unsupported` (neither a file nor a directory), `FileTooLarge` (over 1
/// GiB from a file that does not report its size), `InsufficientSpace`, `Quota`, `ReadOnly`, and those of [any request with a
/// path](self#errors).
pub fn copy(at: &Dir, path: &str, to_at: &Dir, to_path: &str) -> Request<u64> {
    Request::new(submit::copy(at.at(), path, to_at.at(), to_path))
}

/// Rename a file, or move it to another file system: copy and then unlink.
///
/// # Errors
///
/// Those of [`rename`] and [`copy`], but `CrossDevice` only for what is not a regular file, and `Busy` (the file changes, or
/// stays open for writing).
pub fn move_(at: &Dir, path: &str, to_at: &Dir, to_path: &str) -> Request<()> {
    Request::new(submit::move_(at.at(), path, to_at.at(), to_path))
}

/// Bring a part of a file into the page cache.
///
/// # Errors
///
/// `BadDescriptor` (not open for reading), and those of [any request](self#errors).
pub fn readahead(file: &File, offset: u64, length: u64) -> Request<()> {
    Request::new(submit::readahead(file.handle(), offset, length))
}

/// The status of what a path leads to.
///
/// # Errors
///
/// Those of [any request with a path](self#errors).
pub fn stat(at: &Dir, path: &str) -> Request<Status> {
    Request::new(submit::stat(at.at(), path))
}

/// The status of what a path names; for a symbolic link, that of the link itself.
///
/// # Errors
///
/// Those of [any request with a path](self#errors).
pub fn lstat(at: &Dir, path: &str) -> Request<Status> {
    Request::new(submit::lstat(at.at(), path))
}

/// The size of a file system, and how much of it is free.
///
/// # Errors
///
/// Those of [any request with a path](self#errors).
pub fn statvfs(at: &Dir, path: &str) -> Request<Volume> {
    Request::new(submit::statvfs(at.at(), path))
}

/// Set the times at which an object was last read and last changed.
///
/// # Errors
///
/// `ReadOnly`, `NotPermitted` (the object is another user's), `Invalid` (over 999,999,999 nanoseconds), and those of [any
/// request with a path](self#errors).
pub fn utime(at: &Dir, path: &str, accessed: NewTime, modified: NewTime) -> Request<()> {
    Request::new(submit::utime(at.at(), path, accessed, modified))
}

/// Set the permission bits of an object.
///
/// # Errors
///
/// `NotPermitted` (bits beyond `0o777`, or the object is another user's), `ReadOnly`, and those of [any request with a
/// path](self#errors).
pub fn chmod(at: &Dir, path: &str, mode: u16) -> Request<()> {
    Request::new(submit::chmod(at.at(), path, mode))
}

/// Set the length of a file, in bytes. What is added reads as zeroes.
///
/// # Errors
///
/// `IsDirectory`, `Unsupported` (neither a file nor a directory), `ReadOnly`, `Invalid` or `FileTooLarge` (too long), and those
/// of [any request with a path](self#errors).
pub fn truncate(at: &Dir, path: &str, length: u64) -> Request<()> {
    Request::new(submit::truncate(at.at(), path, length))
}

/// The status of a file.
///
/// # Errors
///
/// Those of [any request](self#errors).
pub fn fstat(file: &File) -> Request<Status> {
    Request::new(submit::fstat(file.handle()))
}

/// `utime` for an open file.
///
/// # Errors
///
/// `ReadOnly`, `NotPermitted` (the file is another user's), `Invalid` (over 999,999,999 nanoseconds), and those of [any
/// request](self#errors).
pub fn futime(file: &File, accessed: NewTime, modified: NewTime) -> Request<()> {
    Request::new(submit::futime(file.handle(), accessed, modified))
}

/// `chmod` for an open file.
///
/// # Errors
///
/// `NotPermitted` (bits beyond `0o777`, or the file is another user's), `ReadOnly`, and those of [any request](self#errors).
pub fn fchmod(file: &File, mode: u16) -> Request<()> {
    Request::new(submit::fchmod(file.handle(), mode))
}

/// `truncate` for an open file.
///
/// # Errors
///
/// `BadDescriptor` (not open for writing), `Invalid` or `FileTooLarge` (too long), and those of [any request](self#errors).
pub fn ftruncate(file: &File, length: u64) -> Request<()> {
    Request::new(submit::ftruncate(file.handle(), length))
}

/// Allocate space on the device for a range of a file, or release it.
///
/// # Errors
///
/// `BadDescriptor` (not open for writing), `Invalid` (a length of 0, or flags that contradict each other), `InsufficientSpace`,
/// `FileTooLarge`, `Unsupported` (the file system cannot do this), and those of [any request](self#errors).
pub fn allocate(file: &File, flags: AllocateFlags, offset: u64, length: u64) -> Request<()> {
    Request::new(submit::allocate(file.handle(), flags, offset, length))
}

/// Say how a range of a file will be used.
///
/// # Errors
///
/// Those of [any request](self#errors).
pub fn advise(file: &File, offset: u64, length: u64, advice: Advice) -> Request<()> {
    Request::new(submit::advise(file.handle(), offset, length, advice))
}

/// The ranges of a file that hold data, within `length` bytes or up to its end.
///
/// # Errors
///
/// `Overflow` (more ranges than one answer may carry: ask again with a later offset), and those of [any request](self#errors).
pub fn extents(file: &File, offset: u64, length: Option<u64>) -> Request<Vec<Extent>> {
    Request::new(submit::extents(file.handle(), offset, length))
}

/// Lock a range of a file; with `wait`, wait for the lock, however long that takes. A `length` of 0 means everything that
/// follows.
///
/// # Errors
///
/// `WouldBlock` (another handle has it, and `wait` is not set), `BadDescriptor` (a shared lock needs a file open for reading,
/// an exclusive one a file open for writing), `Invalid` (out of range), `NoLock` (the limit on locks is reached), and those of
/// [any request](self#errors).
pub fn lock(file: &File, kind: LockKind, offset: u64, length: u64, wait: bool) -> Request<()> {
    Request::new(submit::lock(file.handle(), kind, offset, length, wait))
}

/// Release locks of this handle. A `length` of 0 means everything that follows.
///
/// # Errors
///
/// `Invalid` (out of range), `NoLock` (a lock has to be split, and the limit on locks is reached), and those of [any
/// request](self#errors).
pub fn unlock(file: &File, offset: u64, length: u64) -> Request<()> {
    Request::new(submit::unlock(file.handle(), offset, length))
}

/// Let a range of one file share the space of a range of another.
///
/// # Errors
///
/// `Unsupported` (the file system cannot share space), `CrossDevice`, `Invalid` (not aligned to blocks, or two ranges of one
/// file that overlap), `BadDescriptor`, `InsufficientSpace`, and those of [any request](self#errors).
pub fn clone_range(output: &File, output_offset: u64, input: &File, input_offset: u64, length: u64) -> Request<()> {
    Request::new(submit::clone_range(output.handle(), output_offset, input.handle(), input_offset, length))
}

/// Remove a name of anything but a directory.
///
/// # Errors
///
/// `IsDirectory`, `ReadOnly`, `Busy`, and those of [any request with a path](self#errors).
pub fn unlink(at: &Dir, path: &str) -> Request<()> {
    Request::new(submit::unlink(at.at(), path))
}

/// Remove an empty directory.
///
/// # Errors
///
/// `NotEmpty`, `ReadOnly`, `Busy`, `Invalid` (the path ends in `.` or `..`), and those of [any request with a
/// path](self#errors).
pub fn rmdir(at: &Dir, path: &str) -> Request<()> {
    Request::new(submit::rmdir(at.at(), path))
}

/// Make a directory. The mode is usually `0o777`.
///
/// # Errors
///
/// `Exist`, `ReadOnly`, `InsufficientSpace`, `TooManyLinks`, and those of [any request with a path](self#errors).
pub fn mkdir(at: &Dir, path: &str, mode: u16) -> Request<()> {
    Request::new(submit::mkdir(at.at(), path, mode))
}

/// Rename an object, replacing what has the new name.
///
/// # Errors
///
/// `CrossDevice`, `NotEmpty` or `Exist` (the target is a directory with entries), `IsDirectory`, `ReadOnly`, `Invalid` (a
/// directory into itself, or a path that ends in `.` or `..`), and those of [any request with a path](self#errors).
pub fn rename(old_at: &Dir, old_path: &str, new_at: &Dir, new_path: &str) -> Request<()> {
    Request::new(submit::rename(old_at.at(), old_path, new_at.at(), new_path))
}

/// `rename` with flags for what becomes of the target.
///
/// # Errors
///
/// Those of [`rename`], and `Exist` (`NO_REPLACE`, and the target is there), `NoEntry` (`EXCHANGE`, and it is not), `Invalid`
/// (both flags), `Unsupported` (the file system does not support flags).
pub fn rename2(old_at: &Dir, old_path: &str, new_at: &Dir, new_path: &str, flags: RenameFlags) -> Request<()> {
    Request::new(submit::rename2(old_at.at(), old_path, new_at.at(), new_path, flags))
}

/// Give an object an additional name.
///
/// # Errors
///
/// `Exist`, `CrossDevice`, `NotPermitted` (a directory), `TooManyLinks`, `ReadOnly`, `InsufficientSpace`, and those of [any
/// request with a path](self#errors).
pub fn link(old_at: &Dir, old_path: &str, new_at: &Dir, new_path: &str) -> Request<()> {
    Request::new(submit::link(old_at.at(), old_path, new_at.at(), new_path))
}

/// Make a symbolic link.
///
/// # Errors
///
/// `Exist`, `NotPermitted` (an absolute target), `NoEntry` (an empty target), `Invalid` (a NUL in it), `NameTooLong`,
/// `ReadOnly`, `InsufficientSpace`, and those of [any request with a path](self#errors).
pub fn symlink(target: &str, at: &Dir, path: &str) -> Request<()> {
    Request::new(submit::symlink(target, at.at(), path))
}

/// The target of a symbolic link, as it is written in the link.
///
/// # Errors
///
/// `Invalid` (not a symbolic link), `NotPermitted` (its target is absolute), and those of [any request with a
/// path](self#errors).
pub fn readlink(at: &Dir, path: &str) -> Request<String> {
    Request::new(submit::readlink(at.at(), path))
}

/// The absolute path of an object, as the plugin sees it.
///
/// # Errors
///
/// Those of [any request with a path](self#errors).
pub fn realpath(at: &Dir, path: &str) -> Request<String> {
    Request::new(submit::realpath(at.at(), path))
}

/// Make a named pipe, where the host allows it.
///
/// # Errors
///
/// `NotPermitted` (the host does not allow it), `Exist`, `ReadOnly`, `InsufficientSpace`, and those of [any request with a
/// path](self#errors).
pub fn mkfifo(at: &Dir, path: &str, mode: u16) -> Request<()> {
    Request::new(submit::mkfifo(at.at(), path, mode))
}

/// The names in a directory, in no particular order.
///
/// # Errors
///
/// `Overflow` (more entries than one answer may carry: use [`walk`]), and those of [any request with a path](self#errors).
pub fn readdir(at: &Dir, path: &str) -> Request<Vec<String>> {
    Request::new(submit::readdir(at.at(), path))
}

/// The names in a directory, split into directories and others. `maxreq` is usually 0.
///
/// # Errors
///
/// `Overflow` (more entries than one answer may carry: use [`walk`]), and those of [any request with a path](self#errors).
pub fn scandir(at: &Dir, path: &str, maxreq: u32) -> Request<Scan> {
    Request::new(submit::scandir(at.at(), path, maxreq))
}

/// The entries of a directory, with flags for what is told of each and for their order.
///
/// # Errors
///
/// `Overflow` (more entries than one answer may carry: use [`walk`]), and those of [any request with a path](self#errors).
pub fn readdirx(at: &Dir, path: &str, flags: ReaddirxFlags) -> Request<Listing> {
    Request::new(submit::readdirx(at.at(), path, flags))
}

/// Begin to walk a directory and everything below it. `max_depth` and `maxreq` are usually 0.
///
/// # Errors
///
/// `NotDirectory`, `TooManyOpenFiles`, and those of [any request with a path](self#errors).
pub fn walk(at: &Dir, path: &str, max_depth: u32, maxreq: u32) -> Request<Walker> {
    Request::new(submit::walk(at.at(), path, max_depth, maxreq))
}

/// The next entries of a walk: at most `max`, or as many as the host chooses if that is 0. An empty result means its end.
///
/// # Errors
///
/// Those of [any request](self#errors). A directory that cannot be read is not a failure: its entry comes a second time, with
/// the error.
pub fn walk_next(walker: &Walker, max: u32) -> Request<Vec<WalkEntry>> {
    Request::new(submit::walk_next(walker, max))
}

/// Remove a directory and everything below it, and return how many names were removed.
///
/// # Errors
///
/// `NotDirectory` (also for a symbolic link to one), `ReadOnly`, `Busy`, `Access`, and those of [any request with a
/// path](self#errors). The first error is reported, after everything that could be removed is gone.
pub fn rmtree(at: &Dir, path: &str, maxreq: u32) -> Request<u64> {
    Request::new(submit::rmtree(at.at(), path, maxreq))
}

/// Copy a directory and everything below it, and return how many names were made.
///
/// # Errors
///
/// `Exist` (the target is there), `NotDirectory`, `Invalid` (the target is inside the directory itself), `Unsupported` (a FIFO,
/// a socket or a device is in it), `InsufficientSpace`, `Quota`, `ReadOnly`, and those of [any request with a
/// path](self#errors). Nothing is left of the copy then.
pub fn copy_tree(at: &Dir, path: &str, to_at: &Dir, to_path: &str, maxreq: u32) -> Request<u64> {
    Request::new(submit::copy_tree(at.at(), path, to_at.at(), to_path, maxreq))
}

/// Bring what was written to a file, and its status, to the device.
///
/// # Errors
///
/// `Io`, `InsufficientSpace`, `Quota` (the file system could not keep an earlier write), and those of [any
/// request](self#errors).
pub fn fsync(file: &File) -> Request<()> {
    Request::new(submit::fsync(file.handle()))
}

/// Bring what was written to a file to the device.
///
/// # Errors
///
/// Those of [`fsync`].
pub fn fdatasync(file: &File) -> Request<()> {
    Request::new(submit::fdatasync(file.handle()))
}

/// Start or await the writing of a range of a file to the device. A `length` of 0 means everything that follows.
///
/// # Errors
///
/// `Io`, `InsufficientSpace`, `Invalid` (out of range), and those of [any request](self#errors).
pub fn sync_file_range(file: &File, offset: u64, length: u64, flags: SyncRangeFlags) -> Request<()> {
    Request::new(submit::sync_file_range(file.handle(), offset, length, flags))
}

/// Bring the whole file system that a file is on to the device, where the host allows it.
///
/// # Errors
///
/// `NotPermitted` (the host does not allow it), `Io`, `InsufficientSpace`, and those of [any request](self#errors).
pub fn syncfs(file: &File) -> Request<()> {
    Request::new(submit::syncfs(file.handle()))
}

/// `fsync` by name, for a file or for a directory.
///
/// # Errors
///
/// Those of [`fsync`], `Unsupported` (neither a file nor a directory), and those of [any request with a path](self#errors).
pub fn pathsync(at: &Dir, path: &str) -> Request<()> {
    Request::new(submit::pathsync(at.at(), path))
}

/// Do nothing, after waiting in the queue like other requests.
///
/// # Errors
///
/// Those of [any request](self#errors).
pub fn nop() -> Request<()> {
    Request::new(submit::nop())
}

/// Keep a worker of the host busy for `time_ms` milliseconds, where the host allows it.
///
/// # Errors
///
/// `NotPermitted` (the host does not allow it), and those of [any request](self#errors).
pub fn busy(time_ms: u64) -> Request<()> {
    Request::new(submit::busy(time_ms))
}
