//! Copying bytes from file to file inside the kernel, or through a buffer where it will not: step by step, and never more than
//! there was at the start, so that it ends however fast the input grows.

use std::fs::File;

use rustix::fs::{SeekFrom, Stat};
use rustix::io::Errno;

use super::storage::Storage;
use super::sys;
use super::ticket::Ticket;
use crate::error::{Error, Result};
use crate::limits::STEP_BYTES;

/// Bytes of the buffer where the kernel does not copy by itself. 128 KiB: larger ones leave the processor's cache.
const BUFFER_BYTES: usize = 128 << 10;

/// Bytes that are read of a file that does not say how many it has. 1 GiB: far more than anything in `/proc` or `/sys` that
/// comes to an end; some there never do. Less for tests, which read as much.
const UNSIZED_BYTES_MAX: u64 = if cfg!(test) { 1 << 20 } else { 1 << 30 };

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

/// What is copied, and to where.
#[derive(Clone, Copy, Debug)]
pub(super) struct TransferFiles<'a> {
    pub(super) input: &'a File,
    pub(super) output: &'a File,
}

/// A range of one file on its way to a range of another.
#[derive(Debug)]
pub(super) struct Span {
    way: Way,
    from: u64,
    to: u64,
    left: u64,
    copied: u64,
}

impl Span {
    /// Up to `length` bytes between offsets of two open files, or up to where the input ends now.
    pub(super) fn new(files: TransferFiles<'_>, from: u64, to: u64, length: u64) -> Result<Self> {
        let signed = |offset: u64| i64::try_from(offset).map_err(|_| Error::INVALID);
        // Beyond the largest offset there is nothing to copy.
        let length = length.min(i64::MAX.abs_diff(signed(from)?)).min(i64::MAX.abs_diff(signed(to)?));
        let (input, output) = (sys::fstat(files.input)?, sys::fstat(files.output)?);
        let left = if is_unsized(files.input, &input) {
            length.min(UNSIZED_BYTES_MAX)
        } else {
            length.min(input.st_size.cast_unsigned().saturating_sub(from))
        };
        let is_same = (input.st_dev, input.st_ino) == (output.st_dev, output.st_ino);
        if is_same && from < to.saturating_add(left) && to < from.saturating_add(left) {
            return Err(Error::INVALID);
        }
        Ok(Self { way: Way::Kernel, from, to, left, copied: 0 })
    }

    fn whole(way: Way, at: u64, left: u64) -> Self {
        Self { way, from: at, to: at, left, copied: 0 }
    }

    /// How many bytes there are still to copy, if the input does not become shorter.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    pub(super) fn copied(&self) -> u64 {
        self.copied
    }

    /// Copies some more. Returns whether that was all: all that was asked for, or all that there is.
    pub(super) fn step(&mut self, files: TransferFiles<'_>, ticket: &dyn Ticket) -> Result<bool> {
        if self.left == 0 {
            return Ok(true);
        }
        let most = usize::try_from(self.left.min(STEP_BYTES)).expect("a step fits");
        let copied = match self.way {
            Way::Kernel => kernel_step(files, self.from, self.to, most)?,
            Way::Sendfile => sendfile_step(files, self.from, self.to, most)?,
            Way::Buffer => Some(buffer_step(files, self.from, self.to, most)?),
        };
        match copied {
            // Only a read says for certain that this is the end: see `kernel_step`.
            None => self.way = Way::Buffer,
            Some(0) => return Ok(true),
            Some(copied) => {
                ticket.advance(copied, 0);
                self.from += copied;
                self.to += copied;
                self.left -= copied;
                self.copied += copied;
            }
        }
        Ok(self.left == 0)
    }
}

/// Whether a file says nothing of its size: those of `/proc` and `/sys` say that it is 0. Of a file on a disk that is true, also
/// if it is growing.
fn is_unsized(file: &File, status: &Stat) -> bool {
    status.st_size == 0 && !Storage::of(file).is_local()
}

/// A whole file on its way into an empty one that nobody else has. Holes stay holes.
#[derive(Debug)]
pub(super) struct Whole {
    next: Next,
    way: Way,
    /// How much of the input is copied: what it had at the start, unless it has become shorter.
    size: u64,
    /// How far it is copied.
    at: u64,
    has_holes: bool,
    is_unsized: bool,
}

#[derive(Debug)]
enum Next {
    /// To let the files share the space.
    Share,
    /// To look for more.
    Look,
    /// To go on with this.
    Copy(Span),
}

impl Whole {
    /// `status` is that of the input.
    pub(super) fn new(files: TransferFiles<'_>, status: &Stat) -> Result<Self> {
        let is_same_device = status.st_dev == sys::fstat(files.output)?.st_dev;
        let is_unsized = is_unsized(files.input, status);
        let size = if is_unsized { UNSIZED_BYTES_MAX } else { status.st_size.cast_unsigned() };
        let way = match () {
            () if is_unsized => Way::Buffer,
            () if is_same_device => Way::Kernel,
            () => Way::Sendfile,
        };
        let has_holes = i128::from(status.st_blocks) * 512 < i128::from(status.st_size);
        let next = if is_same_device && size > 0 && !is_unsized { Next::Share } else { Next::Look };
        Ok(Self { next, way, size, at: 0, has_holes, is_unsized })
    }

    /// Copies some more. Returns the length of the file once all of it is copied.
    pub(super) fn step(&mut self, files: TransferFiles<'_>, ticket: &dyn Ticket) -> Result<Option<u64>> {
        match &mut self.next {
            Next::Share => {
                if let Some(size) = share(files)? {
                    ticket.advance(size, 0);
                    return Ok(Some(size));
                }
                self.next = Next::Look;
            }
            Next::Copy(span) => {
                if !span.step(files, ticket)? {
                    return Ok(None);
                }
                self.at = span.from;
                if span.left() > 0 {
                    // It was cut shorter meanwhile, or it had not said how long it is.
                    self.size = self.at;
                    self.is_unsized = false;
                }
                self.next = Next::Look;
            }
            Next::Look if self.at < self.size => self.look(files.input)?,
            Next::Look => return self.finish(files.output).map(Some),
        }
        Ok(None)
    }

    /// Finds the next bytes to copy.
    fn look(&mut self, input: &File) -> Result<()> {
        let end = if self.has_holes { self.next_data(input)? } else { self.size };
        if self.at < end {
            self.next = Next::Copy(Span::whole(self.way, self.at, end - self.at));
        }
        Ok(())
    }

    /// Goes on to where there is data, and returns where it ends.
    fn next_data(&mut self, input: &File) -> Result<u64> {
        match sys::seek(input, SeekFrom::Data(self.at)) {
            Ok(data) => self.at = data.min(self.size),
            // There is nothing but a hole up to the end, which may have come nearer.
            Err(Errno::NXIO) => {
                self.size = self.size.min(sys::fstat(input)?.st_size.cast_unsigned()).max(self.at);
                self.at = self.size;
            }
            // This file system cannot tell.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => {
                self.has_holes = false;
                return Ok(self.size);
            }
            Err(errno) => return Err(errno.into()),
        }
        if self.at == self.size {
            return Ok(self.size);
        }
        match sys::seek(input, SeekFrom::Hole(self.at)) {
            Ok(hole) => Ok(hole.min(self.size)),
            // It was cut here meanwhile.
            Err(Errno::NXIO) => {
                self.size = self.at;
                Ok(self.size)
            }
            Err(errno) => Err(errno.into()),
        }
    }

    fn finish(&self, output: &File) -> Result<u64> {
        if self.is_unsized {
            return Err(Error::FILE_TOO_LARGE);
        }
        if self.has_holes {
            // A hole at the end is made by no write.
            sys::ftruncate(output, self.at)?;
        }
        Ok(self.at)
    }
}

/// Lets the files share the space, where the file system knows how. Returns the length then.
fn share(files: TransferFiles<'_>) -> Result<Option<u64>> {
    match sys::ioctl_ficlone(files.output, files.input) {
        Ok(()) => Ok(Some(sys::fstat(files.output)?.st_size.cast_unsigned())),
        Err(Errno::OPNOTSUPP | Errno::XDEV | Errno::INVAL | Errno::NOTTY | Errno::NOSYS) => Ok(None),
        Err(_) => {
            // A part of it may be there, with holes that the input has not by now.
            sys::ftruncate(files.output, 0)?;
            Ok(None)
        }
    }
}

/// One `copy_file_range(2)`. None where it does not work: between some file systems, on some of them, and in append mode. It
/// also says 0 of a file in `/proc` that has content, so the end of the input is left to `read`.
fn kernel_step(files: TransferFiles<'_>, from: u64, to: u64, most: usize) -> Result<Option<u64>> {
    match sys::copy_file_range(files.input, from, files.output, to, most) {
        Ok(0) | Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::BADF | Errno::PERM) => Ok(None),
        Ok(copied) => Ok(Some(u64::try_from(copied).expect("a count fits"))),
        Err(errno) => Err(errno.into()),
    }
}

/// One `sendfile(2)`. None where it does not work, and at what looks like the end.
fn sendfile_step(files: TransferFiles<'_>, from: u64, to: u64, most: usize) -> Result<Option<u64>> {
    sys::seek(files.output, SeekFrom::Start(to))?;
    match sys::sendfile(files.output, files.input, from, most) {
        Ok(0) | Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(None),
        Ok(copied) => Ok(Some(u64::try_from(copied).expect("a count fits"))),
        Err(errno) => Err(errno.into()),
    }
}

fn buffer_step(files: TransferFiles<'_>, from: u64, to: u64, most: usize) -> Result<u64> {
    let mut buffer = Vec::with_capacity(most.min(BUFFER_BYTES));
    sys::retry_on_intr(|| sys::pread(files.input, rustix::buffer::spare_capacity(&mut buffer), from))?;
    // The allocator may have given more than was asked for.
    buffer.truncate(most);
    let mut written = 0;
    while written < buffer.len() {
        let at = to + u64::try_from(written).expect("a count fits");
        match sys::pwrite(files.output, &buffer[written..], at)? {
            0 => return Err(Error::IO),
            count => written += count,
        }
    }
    Ok(u64::try_from(written).expect("a count fits"))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write;
    use std::os::unix::fs::{FileExt, MetadataExt};
    use std::path::PathBuf;

    use super::*;
    use crate::sandbox::scene::Scene;
    use crate::sandbox::steps::InSteps;
    use crate::sandbox::sys::fault::{meanwhile, without};
    use crate::sandbox::ticket::fake::{FakeTicket, finish};
    use crate::sandbox::{CopyFile, OpenFlags, Sendfile};

    /// Ways to copy, by what the system lacks.
    const WAYS: [&[&str]; 4] =
        [&[], &["ioctl_ficlone"], &["ioctl_ficlone", "copy_file_range"], &["copy_file_range", "sendfile"]];

    fn copy(scene: &Scene, to: &str) -> Result<u64> {
        let mut copy = CopyFile::new(scene.read("/near/source"), scene.write(to));
        finish(|| copy.go_on(&FakeTicket::default()))
    }

    /// Another program that appends to a file, and never is done.
    fn grow(path: PathBuf) -> impl FnMut() -> bool {
        move || {
            let mut file = OpenOptions::new().append(true).open(&path).expect("it is there");
            file.write_all(&[b'!'; 100_000]).expect("it can be written");
            false
        }
    }

    #[test]
    fn a_copy_ran_after_a_file_that_grows() {
        for missing in WAYS {
            for (to, content) in [("/near/target", vec![b'x'; 300_000]), ("/far/target", Vec::new())] {
                let scene = Scene::new();
                scene.put("/near/source", &content);
                let path = scene.path("/near/source");
                // It begins when the file was opened.
                let (copied, hit) = without(missing, || meanwhile(30, grow(path), || copy(&scene, to)));
                assert_eq!(copied, Ok(content.len() as u64), "without {missing:?}, at {hit:?}");
                assert_eq!(scene.content(to), Some(content));
            }
        }
    }

    #[test]
    fn sendfile_within_a_file_never_came_to_its_end() {
        for missing in WAYS {
            for (flags, offset) in [(OpenFlags::WRITE, Some(10)), (OpenFlags::APPEND, Some(1000)), (OpenFlags::APPEND, None)] {
                let scene = Scene::new();
                scene.put("/near/file", b"0123456789");
                let file = scene.open("/near/file", OpenFlags::READ | flags);
                let mut sendfile = Sendfile::new(file.clone(), offset, file, 0, u64::MAX);
                let copied = without(missing, || finish(|| sendfile.go_on(&FakeTicket::default())));
                assert_eq!(copied, Ok(10), "{flags:?} at {offset:?} without {missing:?}");
                assert_eq!(scene.content("/near/file").as_deref(), Some(&b"01234567890123456789"[..]));
            }
        }
    }

    #[test]
    fn sendfile_ran_after_a_file_that_grows() {
        let scene = Scene::new();
        scene.put("/near/source", b"0123456789");
        let input = scene.open("/near/source", OpenFlags::READ);
        let output = scene.open("/near/target", OpenFlags::WRITE | OpenFlags::CREATE);
        let path = scene.path("/near/source");
        let mut sendfile = Sendfile::new(output, None, input, 3, u64::MAX);
        let (copied, _) = meanwhile(2, grow(path), || finish(|| sendfile.go_on(&FakeTicket::default())));
        assert_eq!(copied, Ok(7));
    }

    #[test]
    fn a_file_cut_while_its_holes_are_looked_for_was_no_device() {
        for skip in 0..60 {
            let scene = Scene::new();
            let path = scene.path("/near/source");
            let file = File::create(&path).expect("it can be made");
            file.write_all_at(b"start", 0).expect("it can be written");
            file.write_all_at(b"end", 1 << 20).expect("it can be written");
            let cut = move || {
                file.set_len(3).expect("it can be cut");
                true
            };
            let (copied, hit) = without(&["ioctl_ficlone"], || meanwhile(skip, cut, || copy(&scene, "/near/target")));
            assert!(copied.is_ok(), "cut before {hit:?}: {copied:?}");
            let target = fs::metadata(scene.path("/near/target")).expect("it was copied");
            assert_eq!(Ok(target.size()), copied);
        }
    }

    #[test]
    fn a_file_that_says_nothing_of_its_size_is_read_to_its_end_if_it_has_one() {
        let (scene, ticket) = (Scene::new(), FakeTicket::default());
        let copied = |path: &str| {
            let input = File::open(path).expect("procfs is mounted");
            let output = File::create(scene.path("/near/target")).expect("it can be made");
            let files = TransferFiles { input: &input, output: &output };
            let mut whole = Whole::new(files, &sys::fstat(&input)?)?;
            loop {
                if let Some(length) = whole.step(files, &ticket)? {
                    return Ok(length);
                }
            }
        };
        let version = fs::read("/proc/version").expect("procfs is mounted");
        assert_eq!(copied("/proc/version"), Ok(version.len() as u64));
        assert_eq!(scene.content("/near/target"), Some(version));
        assert_eq!(copied("/proc/self/pagemap"), Err(Error::FILE_TOO_LARGE));
    }

    #[test]
    fn a_long_copy_gives_its_worker_back() {
        let scene = Scene::new();
        let content = vec![b'x'; 3 * usize::try_from(STEP_BYTES).expect("it fits") + 1];
        scene.put("/near/source", &content);
        let ticket = FakeTicket::default();
        let mut copy = CopyFile::new(scene.read("/near/source"), scene.write("/near/target"));
        let copied = without(&["ioctl_ficlone"], || finish(|| copy.go_on(&ticket)));
        assert_eq!(copied, Ok(content.len() as u64));
        assert!(scene.content("/near/target") == Some(content), "other bytes came");
        assert!(ticket.wanted.into_inner() >= 4);
    }
}
