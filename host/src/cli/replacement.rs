//! A file that takes a name in one step, once it is whole and on the disk: whoever opens the name gets what was there before or
//! all of the new content, and of a failure nothing is left.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::process::{Gid, Resource, Uid, getrlimit};

/// Names that are tried for a file on its way, each of them random. That one is taken will hardly ever happen. 16: if so many are,
/// somebody takes them on purpose.
const TRIES: usize = 16;

/// What a new file gets; the umask takes from it.
const MODE: Mode = Mode::from_raw_mode(0o666);

/// A name in a directory.
pub(super) struct Place {
    dir: OwnedFd,
    name: OsString,
}

/// A file on its way to its name. Dropping it removes it.
pub(super) struct Replacement {
    place: Place,
    file: File,
    /// The name that it has meanwhile, if it has one.
    meanwhile: Option<OsString>,
}

/// Whether the name was taken before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrived {
    New,
    Replaced,
}

impl Place {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let is_folder = path.as_os_str().as_encoded_bytes().ends_with(b"/");
        let name = path.file_name().filter(|_| !is_folder).ok_or(Errno::ISDIR)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        let dir = rustix::fs::open(parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { dir, name: name.to_owned() })
    }

    pub(super) fn dir(&self) -> &OwnedFd {
        &self.dir
    }

    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }

    /// What has the name, if anything does. A symbolic link is not followed.
    pub(super) fn look(&self) -> io::Result<Option<Stat>> {
        match rustix::fs::statat(&self.dir, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Without this the name may be gone after a crash, which is no reason to call it a failure.
    fn sync(&self) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let synced = rustix::fs::openat(&self.dir, ".", flags, Mode::empty()).and_then(rustix::fs::fsync);
        if let Err(error) = synced {
            tracing::debug!(%error, "cannot sync the directory of a new file");
        }
    }
}

impl Replacement {
    /// A file with this content, on the disk and out of sight.
    pub(super) fn new(place: Place, content: &[u8]) -> io::Result<Self> {
        fits(content)?;
        let mut replacement = Self::nameless(place).or_else(|(place, _)| Self::named(place))?;
        replacement.file.write_all(content)?;
        replacement.file.sync_all()?;
        Ok(replacement)
    }

    /// A file that is in no directory: even if this process is killed, nothing is left of it.
    fn nameless(place: Place) -> Result<Self, (Place, Errno)> {
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        match rustix::fs::openat(&place.dir, ".", flags, MODE) {
            Ok(file) => Ok(Self { place, file: file.into(), meanwhile: None }),
            Err(error) => Err((place, error)),
        }
    }

    /// The same for file systems that cannot do that: under a name that nobody can guess, and that nobody has.
    fn named(place: Place) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (name, file) = with_new_name(|name| rustix::fs::openat(&place.dir, name, flags, MODE))?;
        Ok(Self { place, file: file.into(), meanwhile: Some(name) })
    }

    /// Gives it the owner and the mode of the file that has the name now.
    pub(super) fn like_before(self) -> io::Result<Self> {
        if let Some(stat) = self.place.look()? {
            // The mode last: a change of the owner takes bits from it.
            rustix::fs::fchown(&self.file, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
            rustix::fs::fchmod(&self.file, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
        }
        Ok(self)
    }

    /// Gives it the name, in the place of the regular file that has it.
    pub(super) fn arrive(mut self) -> io::Result<Arrived> {
        let before = self.place.look()?;
        let is_regular = |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if !before.as_ref().is_none_or(is_regular) {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it is no regular file any more"));
        }
        if self.meanwhile.is_none() {
            match self.link(&self.place.name) {
                Ok(()) => {
                    self.place.sync();
                    return Ok(Arrived::New);
                }
                Err(Errno::EXIST) => self.take_a_name()?,
                Err(error) => {
                    tracing::debug!(%error, "a file without a name cannot be given one; it is written once more");
                    self.copy_to_a_name()?;
                }
            }
        }
        let Some(meanwhile) = &self.meanwhile else { return Err(Errno::NOENT.into()) };
        rustix::fs::renameat(&self.place.dir, meanwhile, &self.place.dir, &self.place.name)?;
        self.meanwhile = None;
        self.place.sync();
        Ok(before.map_or(Arrived::New, |_| Arrived::Replaced))
    }

    fn take_a_name(&mut self) -> io::Result<()> {
        let (name, ()) = with_new_name(|name| self.link(name))?;
        self.meanwhile = Some(name);
        Ok(())
    }

    fn copy_to_a_name(&mut self) -> io::Result<()> {
        let dir = self.place.dir.try_clone()?;
        let mut named = Self::named(Place { dir, name: self.place.name.clone() })?;
        self.file.rewind()?;
        io::copy(&mut self.file, &mut named.file)?;
        named.file.sync_all()?;
        *self = named;
        Ok(())
    }

    /// Gives a file without a name one that nothing has.
    fn link(&self, name: &OsStr) -> rustix::io::Result<()> {
        let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        match rustix::fs::linkat(CWD, path, &self.place.dir, name, AtFlags::SYMLINK_FOLLOW) {
            // There is no /proc here.
            Err(Errno::NOENT) => rustix::fs::linkat(&self.file, "", &self.place.dir, name, AtFlags::EMPTY_PATH),
            result => result,
        }
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if let Some(name) = &self.meanwhile
            && let Err(error) = rustix::fs::unlinkat(&self.place.dir, name, AtFlags::empty())
        {
            tracing::warn!(%error, ?name, "a file that was not finished is left");
        }
    }
}

/// Makes something of a name that nothing has yet, and gives the name.
pub(super) fn with_new_name<T>(mut make: impl FnMut(&OsStr) -> rustix::io::Result<T>) -> io::Result<(OsString, T)> {
    for _ in 0..TRIES {
        // Each `RandomState` has other keys, which nobody else knows.
        let name = OsString::from(format!(".aiohost-{:016x}", RandomState::new().hash_one(std::process::id())));
        match make(&name) {
            Err(Errno::EXIST) => {}
            result => return Ok((name, result?)),
        }
    }
    Err(Errno::EXIST.into())
}

/// A file over the limit would end this process before it could tell why.
pub(super) fn fits(content: &[u8]) -> io::Result<()> {
    let limit = getrlimit(Resource::Fsize).current;
    match u64::try_from(content.len()) {
        Ok(bytes) if limit.is_none_or(|limit| bytes <= limit) => Ok(()),
        _ => Err(Errno::FBIG.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).expect("a directory of our own");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Both ways to a new file, of which the second one is for file systems that cannot do the first.
    const WAYS: [fn(Place) -> io::Result<Replacement>; 2] =
        [|place| Replacement::nameless(place).map_err(|(_, error)| error.into()), Replacement::named];

    #[test]
    fn a_name_is_taken_at_once_and_nothing_else_is_left() {
        for way in WAYS {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let path = dir.path().join("file");
            for (content, arrived) in [("new", Arrived::New), ("newer", Arrived::Replaced)] {
                let mut replacement = way(Place::of(&path).expect("a place")).expect("a new file");
                replacement.file.write_all(content.as_bytes()).expect("space");
                assert_eq!(replacement.arrive().expect("it arrives"), arrived);
                assert_eq!(fs::read_to_string(&path).expect("it is there"), content);
                assert_eq!(names(dir.path()), ["file"]);
            }
        }
    }

    #[test]
    fn what_does_not_arrive_is_gone() {
        for way in WAYS {
            let dir = tempfile::tempdir().expect("a temporary directory");
            fs::create_dir(dir.path().join("taken")).expect("a directory of our own");
            drop(way(Place::of(&dir.path().join("file")).expect("a place")).expect("a new file"));
            let replacement = way(Place::of(&dir.path().join("taken")).expect("a place")).expect("a new file");
            assert!(replacement.arrive().is_err());
            assert_eq!(names(dir.path()), ["taken"]);
        }
    }

    #[test]
    fn a_file_without_a_name_that_cannot_be_given_one_is_written_once_more() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("file");
        let mut replacement = Replacement::new(Place::of(&path).expect("a place"), b"content").expect("a new file");
        replacement.copy_to_a_name().expect("space");
        assert_eq!(replacement.arrive().expect("it arrives"), Arrived::New);
        assert_eq!(fs::read(&path).expect("it is there"), b"content");
        assert_eq!(names(dir.path()), ["file"]);
    }

    #[test]
    fn a_new_file_has_the_mode_that_the_umask_leaves() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::write(dir.path().join("other"), "").expect("a file of our own");
        let mode = |name: &str| fs::metadata(dir.path().join(name)).expect("it is there").permissions().mode();
        for (way, name) in WAYS.into_iter().zip(["a", "b"]) {
            let replacement = way(Place::of(&dir.path().join(name)).expect("a place")).expect("a new file");
            replacement.arrive().expect("it arrives");
            assert_eq!(mode(name), mode("other"));
        }
    }

    #[test]
    fn a_path_that_names_a_folder_is_no_place_for_a_file() {
        for path in ["/", "..", "a/..", "a/"] {
            let error = Place::of(Path::new(path)).map(|_| ()).expect_err(path);
            assert_eq!(error.kind(), ErrorKind::IsADirectory, "{path}");
        }
        assert!(Place::of(Path::new("file")).is_ok());
    }

    #[test]
    fn a_name_is_no_guess() {
        let mut tried = Vec::new();
        let made = with_new_name(|name| {
            tried.push(name.to_owned());
            if tried.len() < 3 { Err(Errno::EXIST) } else { Ok(()) }
        });
        assert!(made.is_ok());
        let mut different = tried.clone();
        different.sort();
        different.dedup();
        assert_eq!(different.len(), tried.len());
        assert!(with_new_name(|_| Err::<(), _>(Errno::EXIST)).is_err());
    }
}
