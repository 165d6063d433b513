//! How a file is opened.

use std::io;

use crate::types::OpenFlags;
use crate::{Dir, File, blocking};

/// How a file is opened, like `OpenOptions` of `std`. Options that contradict each other are reported by the host when the file
/// is opened. The program at [`File`] has examples.
#[derive(Clone, Copy, Debug)]
pub struct OpenOptions {
    flags: OpenFlags,
    mode: u16,
}

impl OpenOptions {
    /// Options with nothing set: at least one of `read`, `write` and `append` is needed.
    #[expect(clippy::new_without_default, reason = "it is the start of a chain of calls, as in std")]
    pub fn new() -> Self {
        Self { flags: OpenFlags::empty(), mode: 0o666 }
    }

    /// Open it for reading.
    pub fn read(self, on: bool) -> Self {
        self.set(OpenFlags::READ, on)
    }

    /// Open it for writing.
    pub fn write(self, on: bool) -> Self {
        self.set(OpenFlags::WRITE, on)
    }

    /// Open it for writing at its end, regardless of any offset.
    pub fn append(self, on: bool) -> Self {
        self.set(OpenFlags::APPEND, on)
    }

    /// Truncate it to length 0.
    pub fn truncate(self, on: bool) -> Self {
        self.set(OpenFlags::TRUNCATE, on)
    }

    /// Create it if it is not there.
    pub fn create(self, on: bool) -> Self {
        self.set(OpenFlags::CREATE, on)
    }

    /// Create it, and fail if it is there.
    pub fn create_new(self, on: bool) -> Self {
        self.set(OpenFlags::CREATE | OpenFlags::EXCLUSIVE, on)
    }

    /// Fail if the last part of the path is a symbolic link.
    pub fn no_follow(self, on: bool) -> Self {
        self.set(OpenFlags::NO_FOLLOW, on)
    }

    /// Permission bits of a new file, less the host's umask; at most `0o777`, and `0o666` unless set.
    pub fn mode(self, mode: u16) -> Self {
        Self { mode, ..self }
    }

    /// Open the file, starting from the working directory.
    ///
    /// # Errors
    ///
    /// Those of [`submit::open`](crate::submit::open).
    pub fn open(self, path: &str) -> io::Result<File> {
        self.open_at(&Dir::current(), path)
    }

    /// Open the file, starting from this directory.
    ///
    /// # Errors
    ///
    /// Those of [`submit::open`](crate::submit::open).
    pub fn open_at(self, at: &Dir, path: &str) -> io::Result<File> {
        Ok(blocking::open(at.at(), path, self.flags, self.mode)?.into())
    }

    pub(crate) fn flags_and_mode(self) -> (OpenFlags, u16) {
        (self.flags, self.mode)
    }

    fn set(mut self, flags: OpenFlags, on: bool) -> Self {
        if on {
            self.flags |= flags;
        } else {
            self.flags &= !flags;
        }
        self
    }
}
