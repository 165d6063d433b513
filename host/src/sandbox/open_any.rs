//! Opening what a path leads to, whether that is a file or a directory, as `open(2)` does.

use rustix::fs::OFlags;

use super::dir::OpenDir;
use super::file::OpenFile;
use super::place::{OpenFlags, Opening, Place};
use super::{Read, Wait};
use crate::error::{Error, Result};

/// Permission bits of a file that is made. The file system takes away what the process's mask says.
const MODE: u16 = 0o666;

/// What was opened.
#[derive(Debug)]
pub(crate) enum FileOrDir {
    File(OpenFile),
    Dir(OpenDir),
}

/// What it is opened as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenKind {
    /// A file, or a directory if it is to be read only.
    Any,
    Dir,
}

/// Something that is to be opened.
#[derive(Debug)]
pub(crate) enum OpeningAny {
    File(Opening),
    /// A file or a directory.
    Any(Opening, OFlags),
    Dir(Place<Read>, OFlags),
    /// A directory that is to be written, as none can be: what is wrong with the path is told first.
    WrittenDir(Place<Read>, OFlags),
}

impl OpeningAny {
    pub(crate) fn new(place: Place<Read>, flags: OpenFlags, kind: OpenKind) -> Result<Self> {
        let has = |flag| flags & flag == flag;
        let link = if has(OpenFlags::NO_FOLLOW) { OFlags::NOFOLLOW } else { OFlags::empty() };
        let changes = [OpenFlags::WRITE, OpenFlags::CREATE, OpenFlags::TRUNCATE].into_iter().any(has);
        match kind {
            OpenKind::Dir if has(OpenFlags::CREATE) || has(OpenFlags::TRUNCATE) => Err(Error::INVALID),
            OpenKind::Dir if has(OpenFlags::WRITE) => Ok(Self::WrittenDir(place, link)),
            OpenKind::Dir => Ok(Self::Dir(place, link)),
            OpenKind::Any => {
                let opening = Opening::lenient(place, flags, MODE)?;
                Ok(if changes { Self::File(opening) } else { Self::Any(opening, link) })
            }
        }
    }

    /// Bytes of memory that its path holds.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::File(opening) | Self::Any(opening, _) => opening.bytes(),
            Self::Dir(place, _) | Self::WrittenDir(place, _) => place.bytes(),
        }
    }

    pub(crate) fn open(&self, wait: Wait) -> Result<FileOrDir> {
        match self {
            Self::File(opening) => opening.open(wait).map(FileOrDir::File),
            Self::Any(opening, link) => match opening.open(wait) {
                Err(Error::IS_DIRECTORY) => opening.open_dir(*link, wait).map(FileOrDir::Dir),
                result => result.map(FileOrDir::File),
            },
            Self::Dir(place, link) => place.open_dir_as(*link, wait).map(FileOrDir::Dir),
            Self::WrittenDir(place, link) => place.open_dir_as(*link, wait).and(Err(Error::IS_DIRECTORY)),
        }
    }
}
