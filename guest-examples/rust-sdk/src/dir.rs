//! A directory, and operations on the names in it.

use std::io;

use crate::types::{self, Status};
use crate::{File, OpenOptions, blocking};

/// A directory that paths start from: the working directory, or one that was opened. Its methods are like the functions of
/// `std::fs` and return when the work is done; [`submit`](crate::submit) has the same requests for many in flight.
///
/// No path leads out of it, neither through `..` nor through a symbolic link.
///
/// # Examples
///
/// ```no_run
#[doc = include_str!("../examples/directories.rs")]
/// ```
#[derive(Debug)]
pub struct Dir {
    handle: Option<types::Dir>,
}

impl Dir {
    /// The working directory: the first one that the plugin was granted. Only from here does an absolute path lead to the
    /// others.
    pub fn current() -> Self {
        Self { handle: None }
    }

    /// Open a directory, starting from the working directory.
    ///
    /// # Errors
    ///
    /// Those of [`submit::open_dir`](crate::submit::open_dir).
    pub fn open(path: &str) -> io::Result<Self> {
        Self::current().open_dir(path)
    }

    /// Open a directory.
    ///
    /// # Errors
    ///
    /// Those of [`submit::open_dir`](crate::submit::open_dir).
    pub fn open_dir(&self, path: &str) -> io::Result<Self> {
        Ok(blocking::open_dir(self.at(), path)?.into())
    }

    /// Open a file for reading. To open it in another way, use [`OpenOptions::open_at`].
    ///
    /// # Errors
    ///
    /// Those of [`submit::open`](crate::submit::open).
    pub fn open_file(&self, path: &str) -> io::Result<File> {
        OpenOptions::new().read(true).open_at(self, path)
    }

    /// Read a whole file, of at most the size that the host returns at once: 16 MiB unless set otherwise.
    ///
    /// # Errors
    ///
    /// Those of [`submit::load`](crate::submit::load).
    pub fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        Ok(blocking::load(self.at(), path)?)
    }

    /// Write a whole file in one step: others see either the old content or the new, even after a crash. A new file has the
    /// permission bits `0o666`, less the host's umask.
    ///
    /// # Errors
    ///
    /// Those of [`submit::store`](crate::submit::store).
    pub fn write(&self, path: &str, data: &[u8]) -> io::Result<()> {
        Ok(blocking::store(self.at(), path, data, 0o666)?)
    }

    /// The names in a directory, in no particular order.
    ///
    /// # Errors
    ///
    /// Those of [`submit::readdir`](crate::submit::readdir).
    pub fn read_dir(&self, path: &str) -> io::Result<Vec<String>> {
        Ok(blocking::readdir(self.at(), path)?)
    }

    /// The status of what a path leads to.
    ///
    /// # Errors
    ///
    /// Those of [`submit::stat`](crate::submit::stat).
    pub fn metadata(&self, path: &str) -> io::Result<Status> {
        Ok(blocking::stat(self.at(), path)?)
    }

    /// The same, but of a symbolic link itself.
    ///
    /// # Errors
    ///
    /// Those of [`submit::lstat`](crate::submit::lstat).
    pub fn symlink_metadata(&self, path: &str) -> io::Result<Status> {
        Ok(blocking::lstat(self.at(), path)?)
    }

    /// Make a directory.
    ///
    /// # Errors
    ///
    /// Those of [`submit::mkdir`](crate::submit::mkdir).
    pub fn create_dir(&self, path: &str) -> io::Result<()> {
        Ok(blocking::mkdir(self.at(), path, 0o777)?)
    }

    /// Remove a file, or anything else that is not a directory.
    ///
    /// # Errors
    ///
    /// Those of [`submit::unlink`](crate::submit::unlink).
    pub fn remove_file(&self, path: &str) -> io::Result<()> {
        Ok(blocking::unlink(self.at(), path)?)
    }

    /// Remove an empty directory.
    ///
    /// # Errors
    ///
    /// Those of [`submit::rmdir`](crate::submit::rmdir).
    pub fn remove_dir(&self, path: &str) -> io::Result<()> {
        Ok(blocking::rmdir(self.at(), path)?)
    }

    /// Remove a directory and everything below it, and return how many names were removed.
    ///
    /// # Errors
    ///
    /// Those of [`submit::rmtree`](crate::submit::rmtree).
    pub fn remove_dir_all(&self, path: &str) -> io::Result<u64> {
        Ok(blocking::rmtree(self.at(), path, 0)?)
    }

    /// Rename an object within this directory, replacing what has the new name.
    ///
    /// # Errors
    ///
    /// Those of [`submit::rename`](crate::submit::rename).
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(blocking::rename(self.at(), from, self.at(), to)?)
    }

    /// Copy a file inside the host, and return how many bytes it has. A file that has the new name is replaced in one step.
    ///
    /// # Errors
    ///
    /// Those of [`submit::copy`](crate::submit::copy).
    pub fn copy(&self, from: &str, to: &str) -> io::Result<u64> {
        Ok(blocking::copy(self.at(), from, self.at(), to)?)
    }

    /// Give an object an additional name.
    ///
    /// # Errors
    ///
    /// Those of [`submit::link`](crate::submit::link).
    pub fn hard_link(&self, original: &str, link: &str) -> io::Result<()> {
        Ok(blocking::link(self.at(), original, self.at(), link)?)
    }

    /// Make a symbolic link.
    ///
    /// # Errors
    ///
    /// Those of [`submit::symlink`](crate::submit::symlink).
    pub fn symlink(&self, target: &str, link: &str) -> io::Result<()> {
        Ok(blocking::symlink(target, self.at(), link)?)
    }

    /// The target of a symbolic link, as it is written in the link.
    ///
    /// # Errors
    ///
    /// Those of [`submit::readlink`](crate::submit::readlink).
    pub fn read_link(&self, path: &str) -> io::Result<String> {
        Ok(blocking::readlink(self.at(), path)?)
    }

    /// The absolute path of an object, as the plugin sees it.
    ///
    /// # Errors
    ///
    /// Those of [`submit::realpath`](crate::submit::realpath).
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
