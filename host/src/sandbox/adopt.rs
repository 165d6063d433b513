//! Files and directories that an application opens for a guest, and those of a guest that it takes over.

use std::fs::File;
use std::io;
use std::sync::Arc;

use rustix::fs::OFlags;

use super::descriptor::CountedFd;
use super::dir::{Base, OpenDir, Root};
use super::file::OpenFile;
use super::grant::Grants;
use super::regular::{check_directory, check_regular};
use super::storage::Storage;
use super::{Rights, sys};
use crate::error::{Error, Result};

impl Grants {
    /// A file that is open, as one that the guest has opened: it counts against the guest's limit, and may be used for what it was
    /// opened for.
    pub(crate) fn adopt_file(&self, file: File) -> Result<OpenFile> {
        check_regular(&file)?;
        let storage = storage_of(&file)?;
        let access = sys::fcntl_getfl(&file)?;
        if access.contains(OFlags::PATH) {
            return Err(Error::BAD_DESCRIPTOR);
        }
        let rights = if access & OFlags::ACCMODE == OFlags::RDONLY { Rights::Read } else { Rights::ReadWrite };
        let shared = &self.shared;
        let file = CountedFd::new(file.into(), shared.quota.take_at_once()?, &shared.quota);
        Ok(OpenFile::new(file, storage, access, rights, &shared.locks, shared.key.clone()))
    }

    /// The same of a directory, from which the guest reaches all that is below it, and nothing else.
    pub(crate) fn adopt_dir(&self, dir: File, name: &str, rights: Rights) -> Result<OpenDir> {
        check_directory(&dir)?;
        let storage = storage_of(&dir)?;
        let file = Arc::new(CountedFd::new(dir.into(), self.shared.quota.take_at_once()?, &self.shared.quota));
        let root = Arc::new(Root { file: Arc::clone(&file), storage, name: name.to_owned() });
        Ok(OpenDir { base: Base { file, storage, rights, root } })
    }
}

fn storage_of(object: &File) -> Result<Storage> {
    let storage = Storage::of(object);
    if storage.holds_files() { Ok(storage) } else { Err(Error::NOT_PERMITTED) }
}

impl OpenFile {
    /// The same file for the application. Both have one position, and it stays open when the guest closes its own.
    ///
    /// # Errors
    ///
    /// If there are no descriptors left.
    pub fn try_clone_to_std(&self) -> io::Result<File> {
        self.as_file().try_clone()
    }
}

impl OpenDir {
    /// The same directory for the application.
    ///
    /// # Errors
    ///
    /// If there are no descriptors left.
    pub fn try_clone_to_std(&self) -> io::Result<cap_std::fs::Dir> {
        self.base.file.try_clone().map(cap_std::fs::Dir::from_std_file)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsRawFd;

    use rustix::fs::{CWD, Mode};

    use super::*;
    use crate::sandbox::Wait;
    use crate::{AioCtx, AioEngine, RequestLimits};

    #[test]
    fn what_an_application_gives_is_a_file_of_the_guests_and_counts() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("file");
        fs::write(&path, "content").expect("a new file");
        let limits = RequestLimits { open_files_max: 1, ..RequestLimits::default() };
        let ctx = AioCtx::builder().limits(limits).build(&AioEngine::new());
        let open = || File::open(&path).expect("it is there");
        let file = ctx.grants.adopt_file(open()).expect("the first one");
        assert_eq!(file.read(0, 100, Wait::May), Ok(b"content".to_vec()));
        assert_eq!(file.rights(), Rights::Read);
        assert_eq!(ctx.grants.adopt_file(open()).map(drop), Err(Error::TOO_MANY_OPEN_FILES));
        let clone = file.try_clone_to_std().expect("a descriptor is left");
        drop(file);
        assert_eq!(clone.metadata().expect("it is open").len(), 7);
        // Its place is free once it is closed, which another thread does.
        while ctx.grants.adopt_file(open()).is_err() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn two_guests_at_the_ceiling_of_their_engine_never_had_more_open_and_each_had_something() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("file");
        fs::write(&path, "content").expect("a new file");
        let open = || File::open(&path).expect("it is there");
        let engine = AioEngine::builder().open_files_max(16).build();
        let guests = [(); 2].map(|()| AioCtx::builder().build(&engine));
        let mut files = [Vec::new(), Vec::new()];
        loop {
            let before = files.each_ref().map(Vec::len);
            for (files, guest) in files.iter_mut().zip(&guests) {
                files.extend(guest.grants.adopt_file(open()));
            }
            let now = files.each_ref().map(Vec::len);
            assert_eq!(now[0] + now[1], engine.open_files());
            if now == before {
                break;
            }
        }
        let [of_one, of_other] = files;
        assert!((13..=16).contains(&engine.open_files()) && of_one.len().abs_diff(of_other.len()) <= 1, "{engine:?}");
        let one_more = guests[0].grants.adopt_file(open()).map(drop);
        assert_eq!(one_more, Err(Error::TOO_MANY_OPEN_FILES));
        let before = of_other.len();
        drop(of_one);
        // Another thread closes them.
        while engine.open_files() > before {
            std::thread::yield_now();
        }
        let more = [(); 2].map(|()| guests[1].grants.adopt_file(open()).expect("the other guest has closed its files"));
        assert_eq!(engine.open_files(), before + more.len());
    }

    #[test]
    fn what_is_no_file_is_not_given() {
        let ctx = AioCtx::builder().build(&AioEngine::new());
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::write(dir.path().join("file"), "").expect("a new file");
        let path_only = sys::openat(CWD, &dir.path().join("file"), OFlags::PATH, Mode::empty()).expect("it is there");
        let directory = File::open(dir.path()).expect("it is there");
        let (reader, _writer) = io::pipe().expect("descriptors are left");
        let refused = [
            (directory.try_clone().expect("a descriptor is left"), Error::IS_DIRECTORY),
            (path_only.into(), Error::BAD_DESCRIPTOR),
            (File::from(std::os::fd::OwnedFd::from(reader)), Error::UNSUPPORTED),
            (File::open("/proc/self/status").expect("procfs is mounted"), Error::NOT_PERMITTED),
            (File::open("/dev/null").expect("it is there"), Error::UNSUPPORTED),
        ];
        for (file, error) in refused {
            assert_eq!(ctx.grants.adopt_file(file).map(drop), Err(error));
        }
        let file = File::open(dir.path().join("file")).expect("it is there");
        assert_eq!(ctx.grants.adopt_dir(file, "x", Rights::Read).map(drop), Err(Error::NOT_DIRECTORY));
        let given = ctx.grants.adopt_dir(directory, "x", Rights::Read).expect("a directory");
        assert!(given.try_clone_to_std().expect("a descriptor is left").as_raw_fd() > 2);
    }
}
