//! A directory, and what is done by name in it.

use std::io;

use crate::types::{self, Status};
use crate::{File, OpenOptions, blocking};

/// A directory that paths start from: the working directory, or one that was opened. Its calls are those of `std::fs` and return
/// when the work is done; [`submit`](crate::submit) has the same for many in flight.
///
/// No path leads out of it, neither by `..` nor by a symbolic link.
#[derive(Debug)]
pub struct Dir {
    handle: Option<types::Dir>,
}

impl Dir {
    /// The working directory: the first one that the plugin was granted. From it alone, an absolute path leads to the others.
    pub fn current() -> Self {
        Self { handle: None }
    }

    /// Open a directory, starting from the working directory.
    pub fn open(path: &str) -> io::Result<Self> {
        Self::current().open_dir(path)
    }

    /// Open a directory.
    pub fn open_dir(&self, path: &str) -> io::Result<Self> {
        Ok(blocking::open_dir(self.at(), path)?.into())
    }

    /// Open a file for reading. For anything else there is [`OpenOptions::open_at`].
    pub fn open_file(&self, path: &str) -> io::Result<File> {
        OpenOptions::new().read(true).open_at(self, path)
    }

    /// Read a whole file.
    pub fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        Ok(blocking::load(self.at(), path)?)
    }

    /// Write a whole file in one step: others see the old content or the new one, also after a crash.
    pub fn write(&self, path: &str, data: &[u8]) -> io::Result<()> {
        Ok(blocking::store(self.at(), path, data, 0o666)?)
    }

    /// The names in a directory, in no order.
    pub fn read_dir(&self, path: &str) -> io::Result<Vec<String>> {
        Ok(blocking::readdir(self.at(), path)?)
    }

    /// The status of what a path leads to.
    pub fn metadata(&self, path: &str) -> io::Result<Status> {
        Ok(blocking::stat(self.at(), path)?)
    }

    /// The same, but of a symbolic link itself.
    pub fn symlink_metadata(&self, path: &str) -> io::Result<Status> {
        Ok(blocking::lstat(self.at(), path)?)
    }

    /// Make a directory.
    pub fn create_dir(&self, path: &str) -> io::Result<()> {
        Ok(blocking::mkdir(self.at(), path, 0o777)?)
    }

    /// Remove a file, or anything else that is not a directory.
    pub fn remove_file(&self, path: &str) -> io::Result<()> {
        Ok(blocking::unlink(self.at(), path)?)
    }

    /// Remove an empty directory.
    pub fn remove_dir(&self, path: &str) -> io::Result<()> {
        Ok(blocking::rmdir(self.at(), path)?)
    }

    /// Remove a directory and everything below it, and return how many names were removed.
    pub fn remove_dir_all(&self, path: &str) -> io::Result<u64> {
        Ok(blocking::rmtree(self.at(), path, 0)?)
    }

    /// Rename an object within this directory, replacing what has the new name.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(blocking::rename(self.at(), from, self.at(), to)?)
    }

    /// Copy a file inside the host, and return how many bytes it has.
    pub fn copy(&self, from: &str, to: &str) -> io::Result<u64> {
        Ok(blocking::copy(self.at(), from, self.at(), to)?)
    }

    /// Give an object an additional name.
    pub fn hard_link(&self, original: &str, link: &str) -> io::Result<()> {
        Ok(blocking::link(self.at(), original, self.at(), link)?)
    }

    /// Make a symbolic link.
    pub fn symlink(&self, target: &str, link: &str) -> io::Result<()> {
        Ok(blocking::symlink(target, self.at(), link)?)
    }

    /// The target of a symbolic link, as it is written in the link.
    pub fn read_link(&self, path: &str) -> io::Result<String> {
        Ok(blocking::readlink(self.at(), path)?)
    }

    /// The absolute path of an object, as the plugin sees it.
    pub fn canonicalize(&self, path: &str) -> io::Result<String> {
        Ok(blocking::realpath(self.at(), path)?)
    }

    /// The handle, for the parameter `at` of functions of the bindings.
    pub fn at(&self) -> Option<&types::Dir> {
        self.handle.as_ref()
    }
}

impl From<types::Dir> for Dir {
    fn from(handle: types::Dir) -> Self {
        Self { handle: Some(handle) }
    }
}
