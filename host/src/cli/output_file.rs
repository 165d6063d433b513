//! The files that commands write: a regular file is replaced in one step, a pipe or a character device is written to, and anything
//! else is refused.
//!
//! A symbolic link is followed, and what it leads to is replaced: the link stays. `-` is standard output. `/dev/stdout` and its
//! like are the descriptors that this process was given, and not files to be opened anew.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, PROC_SUPER_MAGIC};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use super::remedy::Remedied;
use super::replacement::{Arrived, Place, Replacement};
use super::streams;

/// Links that are followed one after the other, as in the kernel.
const LINKS_MAX: usize = 40;

/// Where a command is going to write. It is looked at before the work, so that a mistake is told at once.
pub(super) struct OutputFile {
    /// As it was asked for.
    path: PathBuf,
    target: Target,
}

enum Target {
    /// The name of a regular file, or of nothing yet.
    Name(Place),
    /// What takes whatever is written to it.
    Stream(File),
    /// A stream whose reader may leave when it has seen enough.
    StandardOutput,
}

/// Content on its way. Dropping it leaves everything as it was.
pub(super) struct Staged<'a> {
    path: PathBuf,
    content: StagedContent<'a>,
}

enum StagedContent<'a> {
    Name(Replacement),
    Stream(Target, &'a [u8]),
}

impl OutputFile {
    /// What there is at a path. A pipe is opened, so that its reader waits for what comes.
    pub(super) fn at(path: &Path) -> anyhow::Result<Self> {
        let target = find(path).map_err(|error| problem(path, error))?;
        Ok(Self { path: path.to_owned(), target })
    }

    /// Whether a regular file is there, which is going to be replaced.
    pub(super) fn replaces(&self) -> bool {
        matches!(&self.target, Target::Name(place) if matches!(place.look(), Ok(Some(_))))
    }

    /// Whether it is this file.
    pub(super) fn is(&self, file: &Metadata) -> bool {
        let Target::Name(place) = &self.target else { return false };
        matches!(place.look(), Ok(Some(stat)) if (stat.st_dev, stat.st_ino) == (file.dev(), file.ino()))
    }

    /// Writes it.
    pub(super) fn write(self, content: &[u8]) -> anyhow::Result<()> {
        self.stage(content)?.arrive()?;
        Ok(())
    }

    /// Writes it as far as nobody sees it yet.
    pub(super) fn stage(self, content: &[u8]) -> anyhow::Result<Staged<'_>> {
        let content = match self.target {
            Target::Name(place) => {
                StagedContent::Name(Replacement::new(place, content).map_err(|error| problem(&self.path, error))?)
            }
            stream => StagedContent::Stream(stream, content),
        };
        Ok(Staged { path: self.path, content })
    }
}

impl Staged<'_> {
    /// The rest of it.
    pub(super) fn arrive(self) -> anyhow::Result<Arrived> {
        let arrived = match self.content {
            StagedContent::Name(replacement) => replacement.arrive(),
            StagedContent::Stream(target, content) => target.write(content).map(|()| Arrived::Replaced),
        };
        arrived.map_err(|error| problem(&self.path, error))
    }
}

impl Target {
    fn write(&self, content: &[u8]) -> io::Result<()> {
        match self {
            Self::Stream(file) => streams::write_all(file.as_fd(), content)?,
            Self::StandardOutput => match streams::write_all(io::stdout().as_fd(), content) {
                Ok(()) | Err(Errno::PIPE) => {}
                Err(error) => return Err(error.into()),
            },
            Self::Name(_) => return Err(ErrorKind::InvalidInput.into()),
        }
        Ok(())
    }
}

fn find(path: &Path) -> io::Result<Target> {
    if path == Path::new("-") {
        return Ok(Target::StandardOutput);
    }
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        let place = Place::of(&path)?;
        let Some(stat) = place.look()? else { return Ok(Target::Name(place)) };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => return Ok(Target::Name(place)),
            FileType::Symlink if is_in_proc(&place)? => return own_descriptor(&place),
            FileType::Symlink => path.set_file_name(read_link(&place)?),
            kind => return open_stream(&place, kind),
        }
    }
    Err(Errno::LOOP.into())
}

fn read_link(place: &Place) -> io::Result<PathBuf> {
    let target = rustix::fs::readlinkat(place.dir(), place.name(), Vec::new())?;
    Ok(OsString::from_vec(target.into_bytes()).into())
}

fn is_in_proc(place: &Place) -> io::Result<bool> {
    Ok(rustix::fs::fstatfs(place.dir())?.f_type == PROC_SUPER_MAGIC)
}

/// A descriptor that this process was started with. To open it anew would be another thing: a file would be written from its
/// start again, and a socket cannot be opened.
fn own_descriptor(place: &Place) -> io::Result<Target> {
    let identity = |stat: rustix::fs::Stat| (stat.st_dev, stat.st_ino);
    let own = rustix::fs::open("/proc/self/fd", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let is_own = identity(rustix::fs::fstat(&own)?) == identity(rustix::fs::fstat(place.dir())?);
    let number = place.name().to_str().and_then(|name| name.parse().ok()).filter(|_| is_own);
    match number {
        Some(1) => Ok(Target::StandardOutput),
        Some(number) => {
            let process = pidfd_open(getpid(), PidfdFlags::empty())?;
            Ok(Target::Stream(pidfd_getfd(process, number, PidfdGetfdFlags::empty())?.into()))
        }
        None => Err(refused("it belongs to a process")),
    }
}

/// Opens what takes whatever is written to it, if it does so without waiting for somebody.
fn open_stream(place: &Place, kind: FileType) -> io::Result<Target> {
    match kind {
        FileType::Fifo | FileType::CharacterDevice => {}
        FileType::Directory => return Err(Errno::ISDIR.into()),
        FileType::BlockDevice => return Err(refused("it is a block device")),
        FileType::Socket => return Err(refused("it is a socket")),
        _ => return Err(refused("it is of no kind that can be written")),
    }
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(place.dir(), place.name(), flags, Mode::empty()) {
        Err(Errno::NXIO) if kind == FileType::Fifo => return Err(refused("it is a FIFO that nobody reads")),
        file => file?,
    };
    // Something else may have taken its name.
    if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != kind {
        return Err(refused("it is not what it was a moment ago"));
    }
    Ok(Target::Stream(file.into()))
}

fn refused(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, why)
}

fn problem(path: &Path, error: io::Error) -> anyhow::Error {
    let help = help(path, &error);
    anyhow::Error::new(error).context(Remedied { what: format!("cannot write {}", path.display()), help })
}

/// What to do about a file that cannot be written.
pub(super) fn help(path: &Path, error: &io::Error) -> String {
    let text = match error.kind() {
        ErrorKind::NotFound => match path.parent() {
            // Such as those of /proc.
            Some(parent) if parent.is_dir() => "the directory it is in takes no new files: name one in another directory",
            parent => return format!("make the directory first: mkdir -p '{}'", parent.unwrap_or(path).display()),
        },
        ErrorKind::InvalidInput => "name a regular file, a pipe that is read from, or - for standard output",
        ErrorKind::IsADirectory => "name a file in it",
        ErrorKind::NotADirectory => "a part of the path is a file: name another one",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "the directory it is in must be writable, since the file is replaced: name one in another directory"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room, or name a file on another disk; nothing was changed",
        ErrorKind::FileTooLarge => "raise the limit for the size of files, which `ulimit -f` shows; nothing was changed",
        ErrorKind::BrokenPipe => "whoever was reading has gone",
        _ => "name another file",
    };
    text.to_owned()
}
