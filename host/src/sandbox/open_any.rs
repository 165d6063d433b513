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

#[cfg(test)]
mod tests {
    use super::super::Resolver;
    use super::super::scene::Scene;
    use super::*;

    #[test]
    fn a_file_that_is_only_read_was_not_made_by_the_portable_resolver() {
        for resolver in [Resolver::Openat2, Resolver::Portable] {
            let scene = Scene::resolved_by(resolver);
            let open = |path: &str, flags: OpenFlags| {
                let opening = OpeningAny::new(scene.read(path), OpenFlags::READ | flags, OpenKind::Any)?;
                opening.open(Wait::May).map(drop)
            };
            let made = OpenFlags::CREATE;
            assert_eq!(open("/near/new", made), Ok(()), "{resolver:?}");
            assert_eq!(open("/near/new", made), Ok(()), "{resolver:?}");
            assert_eq!(open("/near/new", made | OpenFlags::EXCLUSIVE), Err(Error::EXIST), "{resolver:?}");
            assert_eq!(open("/near/other", made | OpenFlags::EXCLUSIVE), Ok(()), "{resolver:?}");
            scene.put("/near/long", b"text");
            assert_eq!(open("/near/long", OpenFlags::TRUNCATE), Ok(()), "{resolver:?}");
            assert_eq!(scene.content("/near/long").as_deref(), Some(&b""[..]), "{resolver:?}");
            assert_eq!(open("/near/missing", OpenFlags::TRUNCATE), Err(Error::NO_ENTRY), "{resolver:?}");
            // By a link that leads nowhere yet, and not out.
            std::os::unix::fs::symlink("there", scene.path("/near/link")).expect("it can be made");
            std::os::unix::fs::symlink("../../out", scene.path("/near/leads-out")).expect("it can be made");
            assert_eq!(open("/near/link", made), Ok(()), "{resolver:?}");
            assert!(scene.path("/near/there").exists(), "{resolver:?}");
            assert_eq!(open("/near/leads-out", made), Err(Error::NOT_PERMITTED), "{resolver:?}");
        }
    }
}
