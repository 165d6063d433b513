//! Every request, for many in flight: each function returns a [`Request`] at once, and the work goes on while the program does.
//!
//! The functions and their parameters have the names of the host's WIT, which says how each one fails. `at` is the directory
//! that a relative path starts from. `move_` has an underscore, since `move` is a keyword.

use crate::bindings::aiohost::aio::submit;
use crate::types::{
    Advice, AllocateFlags, Extent, Listing, LockKind, NewTime, ReaddirxFlags, RenameFlags, Scan, Status, SyncRangeFlags,
    Volume, WalkEntry, Walker, Whence,
};
use crate::{Dir, File, OpenOptions, Request};

/// Open a file. See [`OpenOptions`].
pub fn open(at: &Dir, path: &str, options: OpenOptions) -> Request<File> {
    let (flags, mode) = options.flags_and_mode();
    Request::new(submit::open(at.at(), path, flags, mode))
}

/// Open a directory.
pub fn open_dir(at: &Dir, path: &str) -> Request<Dir> {
    Request::new(submit::open_dir(at.at(), path))
}

/// Close a file. Fails if the file system could not keep what was written to it.
pub fn close(file: File) -> Request<()> {
    Request::new(submit::close(file.into_handle()))
}

/// Move the position of a file, and return the new one.
pub fn seek(file: &File, offset: i64, from: Whence) -> Request<u64> {
    Request::new(submit::seek(file.handle(), offset, from))
}

/// Read up to `length` bytes, from an offset or at the position of the file. An empty result means the end of the file.
pub fn read(file: &File, offset: Option<u64>, length: u32) -> Request<Vec<u8>> {
    Request::new(submit::read(file.handle(), offset, length))
}

/// Write bytes, at an offset or at the position of the file, and return how many were written.
pub fn write(file: &File, offset: Option<u64>, data: &[u8]) -> Request<u64> {
    Request::new(submit::write(file.handle(), offset, data))
}

/// Copy bytes from one file to another inside the host, and return how many were copied.
pub fn sendfile(output: &File, output_offset: Option<u64>, input: &File, input_offset: u64, length: u64) -> Request<u64> {
    Request::new(submit::sendfile(output.handle(), output_offset, input.handle(), input_offset, length))
}

/// Read a whole file.
pub fn load(at: &Dir, path: &str) -> Request<Vec<u8>> {
    Request::new(submit::load(at.at(), path))
}

/// Open a file, read a part of it and close it. A negative offset counts from its end.
pub fn slurp(at: &Dir, path: &str, offset: i64, length: Option<u32>) -> Request<Vec<u8>> {
    Request::new(submit::slurp(at.at(), path, offset, length))
}

/// Write a whole file in one step: others see the old content or the new one, also after a crash.
pub fn store(at: &Dir, path: &str, data: &[u8], mode: u16) -> Request<()> {
    Request::new(submit::store(at.at(), path, data, mode))
}

/// Copy a file inside the host, and return how many bytes it has.
pub fn copy(at: &Dir, path: &str, to_at: &Dir, to_path: &str) -> Request<u64> {
    Request::new(submit::copy(at.at(), path, to_at.at(), to_path))
}

/// Rename a file, or move it to another file system: copy and then unlink.
pub fn move_(at: &Dir, path: &str, to_at: &Dir, to_path: &str) -> Request<()> {
    Request::new(submit::move_(at.at(), path, to_at.at(), to_path))
}

/// Bring a part of a file into the page cache.
pub fn readahead(file: &File, offset: u64, length: u64) -> Request<()> {
    Request::new(submit::readahead(file.handle(), offset, length))
}

/// The status of what a path leads to.
pub fn stat(at: &Dir, path: &str) -> Request<Status> {
    Request::new(submit::stat(at.at(), path))
}

/// The status of what a path names, and of a symbolic link itself.
pub fn lstat(at: &Dir, path: &str) -> Request<Status> {
    Request::new(submit::lstat(at.at(), path))
}

/// The size of a file system, and what is free of it.
pub fn statvfs(at: &Dir, path: &str) -> Request<Volume> {
    Request::new(submit::statvfs(at.at(), path))
}

/// Set the times at which an object was last read and last changed.
pub fn utime(at: &Dir, path: &str, accessed: NewTime, modified: NewTime) -> Request<()> {
    Request::new(submit::utime(at.at(), path, accessed, modified))
}

/// Set the permission bits of an object.
pub fn chmod(at: &Dir, path: &str, mode: u16) -> Request<()> {
    Request::new(submit::chmod(at.at(), path, mode))
}

/// Set the length of a file.
pub fn truncate(at: &Dir, path: &str, length: u64) -> Request<()> {
    Request::new(submit::truncate(at.at(), path, length))
}

/// The status of a file.
pub fn fstat(file: &File) -> Request<Status> {
    Request::new(submit::fstat(file.handle()))
}

/// `utime` for an open file.
pub fn futime(file: &File, accessed: NewTime, modified: NewTime) -> Request<()> {
    Request::new(submit::futime(file.handle(), accessed, modified))
}

/// `chmod` for an open file.
pub fn fchmod(file: &File, mode: u16) -> Request<()> {
    Request::new(submit::fchmod(file.handle(), mode))
}

/// `truncate` for an open file.
pub fn ftruncate(file: &File, length: u64) -> Request<()> {
    Request::new(submit::ftruncate(file.handle(), length))
}

/// Allocate space on the device for a range of a file, or release it.
pub fn allocate(file: &File, flags: AllocateFlags, offset: u64, length: u64) -> Request<()> {
    Request::new(submit::allocate(file.handle(), flags, offset, length))
}

/// Say how a range of a file will be used.
pub fn advise(file: &File, offset: u64, length: u64, advice: Advice) -> Request<()> {
    Request::new(submit::advise(file.handle(), offset, length, advice))
}

/// The ranges of a file that hold data.
pub fn extents(file: &File, offset: u64, length: Option<u64>) -> Request<Vec<Extent>> {
    Request::new(submit::extents(file.handle(), offset, length))
}

/// Lock a range of a file; with `wait`, wait for the lock.
pub fn lock(file: &File, kind: LockKind, offset: u64, length: u64, wait: bool) -> Request<()> {
    Request::new(submit::lock(file.handle(), kind, offset, length, wait))
}

/// Release locks of this handle.
pub fn unlock(file: &File, offset: u64, length: u64) -> Request<()> {
    Request::new(submit::unlock(file.handle(), offset, length))
}

/// Let a range of one file share the space of another's.
pub fn clone_range(output: &File, output_offset: u64, input: &File, input_offset: u64, length: u64) -> Request<()> {
    Request::new(submit::clone_range(output.handle(), output_offset, input.handle(), input_offset, length))
}

/// Remove a name of anything but a directory.
pub fn unlink(at: &Dir, path: &str) -> Request<()> {
    Request::new(submit::unlink(at.at(), path))
}

/// Remove an empty directory.
pub fn rmdir(at: &Dir, path: &str) -> Request<()> {
    Request::new(submit::rmdir(at.at(), path))
}

/// Make a directory. The mode is usually `0o777`.
pub fn mkdir(at: &Dir, path: &str, mode: u16) -> Request<()> {
    Request::new(submit::mkdir(at.at(), path, mode))
}

/// Rename an object, replacing what has the new name.
pub fn rename(old_at: &Dir, old_path: &str, new_at: &Dir, new_path: &str) -> Request<()> {
    Request::new(submit::rename(old_at.at(), old_path, new_at.at(), new_path))
}

/// `rename` with flags for what becomes of the target.
pub fn rename2(old_at: &Dir, old_path: &str, new_at: &Dir, new_path: &str, flags: RenameFlags) -> Request<()> {
    Request::new(submit::rename2(old_at.at(), old_path, new_at.at(), new_path, flags))
}

/// Give an object an additional name.
pub fn link(old_at: &Dir, old_path: &str, new_at: &Dir, new_path: &str) -> Request<()> {
    Request::new(submit::link(old_at.at(), old_path, new_at.at(), new_path))
}

/// Make a symbolic link.
pub fn symlink(target: &str, at: &Dir, path: &str) -> Request<()> {
    Request::new(submit::symlink(target, at.at(), path))
}

/// The target of a symbolic link, as it is written in the link.
pub fn readlink(at: &Dir, path: &str) -> Request<String> {
    Request::new(submit::readlink(at.at(), path))
}

/// The absolute path of an object, as the plugin sees it.
pub fn realpath(at: &Dir, path: &str) -> Request<String> {
    Request::new(submit::realpath(at.at(), path))
}

/// Make a named pipe, where the host allows it.
pub fn mkfifo(at: &Dir, path: &str, mode: u16) -> Request<()> {
    Request::new(submit::mkfifo(at.at(), path, mode))
}

/// The names in a directory, in no order.
pub fn readdir(at: &Dir, path: &str) -> Request<Vec<String>> {
    Request::new(submit::readdir(at.at(), path))
}

/// The names in a directory, split into directories and others. `maxreq` is usually 0.
pub fn scandir(at: &Dir, path: &str, maxreq: u32) -> Request<Scan> {
    Request::new(submit::scandir(at.at(), path, maxreq))
}

/// The entries of a directory, with flags for what is told of each and for their order.
pub fn readdirx(at: &Dir, path: &str, flags: ReaddirxFlags) -> Request<Listing> {
    Request::new(submit::readdirx(at.at(), path, flags))
}

/// Begin to walk a directory and everything below it. `max_depth` and `maxreq` are usually 0.
pub fn walk(at: &Dir, path: &str, max_depth: u32, maxreq: u32) -> Request<Walker> {
    Request::new(submit::walk(at.at(), path, max_depth, maxreq))
}

/// The next entries of a walk. An empty result means its end.
pub fn walk_next(walker: &Walker, max: u32) -> Request<Vec<WalkEntry>> {
    Request::new(submit::walk_next(walker, max))
}

/// Remove a directory and everything below it, and return how many names were removed.
pub fn rmtree(at: &Dir, path: &str, maxreq: u32) -> Request<u64> {
    Request::new(submit::rmtree(at.at(), path, maxreq))
}

/// Copy a directory and everything below it, and return how many names were made.
pub fn copy_tree(at: &Dir, path: &str, to_at: &Dir, to_path: &str, maxreq: u32) -> Request<u64> {
    Request::new(submit::copy_tree(at.at(), path, to_at.at(), to_path, maxreq))
}

/// Bring what was written to a file, and its status, to the device.
pub fn fsync(file: &File) -> Request<()> {
    Request::new(submit::fsync(file.handle()))
}

/// Bring what was written to a file to the device.
pub fn fdatasync(file: &File) -> Request<()> {
    Request::new(submit::fdatasync(file.handle()))
}

/// Start or await the writing of a range of a file to the device.
pub fn sync_file_range(file: &File, offset: u64, length: u64, flags: SyncRangeFlags) -> Request<()> {
    Request::new(submit::sync_file_range(file.handle(), offset, length, flags))
}

/// Bring everything of the file system that a file is on to the device, where the host allows it.
pub fn syncfs(file: &File) -> Request<()> {
    Request::new(submit::syncfs(file.handle()))
}

/// `fsync` by name, for a file or for a directory.
pub fn pathsync(at: &Dir, path: &str) -> Request<()> {
    Request::new(submit::pathsync(at.at(), path))
}

/// Do nothing, after waiting in the queue like other requests.
pub fn nop() -> Request<()> {
    Request::new(submit::nop())
}

/// Keep a worker of the host busy, where the host allows it.
pub fn busy(time_ms: u64) -> Request<()> {
    Request::new(submit::busy(time_ms))
}
