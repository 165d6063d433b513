//! Further names of an object, and symbolic links.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, Mode, OFlags};

use super::place::Place;
use super::{Read, Wait, Write, names, sys};
use crate::error::{Error, Result};

/// What a symbolic link leads to: no NUL, not empty, not absolute.
#[derive(Debug)]
pub(crate) struct Target(Vec<u8>);

impl Target {
    /// Bytes of memory that it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.0.capacity()
    }

    pub(crate) fn parse(target: String, bytes_max: usize) -> Result<Self> {
        if target.len() >= bytes_max {
            return Err(Error::NAME_TOO_LONG);
        }
        let bytes = names::encode(target)?;
        match bytes.first() {
            None => Err(Error::NO_ENTRY),
            _ if bytes.contains(&0) => Err(Error::INVALID),
            // It would lead somewhere for the host's programs, and nowhere for the guest.
            Some(b'/') => Err(Error::NOT_PERMITTED),
            Some(_) => Ok(Self(bytes)),
        }
    }
}

impl Place<Write> {
    /// Gives the object another name. Both ends are of type `Place<Write>`: a name in a directory that was granted for writing is
    /// a way to write, so the object must be of such a directory already.
    pub(crate) fn link(&self, new: &Self) -> Result<()> {
        // `.` and `..` are directories, which have no further names.
        let from = self.entry(Error::NOT_PERMITTED)?;
        from.check_slash()?;
        let to = match new.entry(Error::EXIST) {
            Ok(to) => to,
            Err(error) => {
                // As with `linkat(2)`, what is wrong with the old name is told first.
                sys::statat(&from.dir, from.name, AtFlags::SYMLINK_NOFOLLOW)?;
                return Err(error);
            }
        };
        to.check_new()?;
        sys::linkat(&from.dir, from.name, &to.dir, to.name, AtFlags::empty())?;
        Ok(())
    }

    pub(crate) fn symlink(&self, target: &Target) -> Result<()> {
        let entry = self.entry(Error::EXIST)?;
        entry.check_new()?;
        sys::symlinkat(OsStr::from_bytes(&target.0), &entry.dir, entry.name)?;
        Ok(())
    }
}

impl Place<Read> {
    /// What a symbolic link leads to.
    pub(crate) fn readlink(&self) -> Result<String> {
        let entry = self.entry(Error::INVALID)?;
        if entry.slash {
            // What it leads to has to be a directory, and that is no link.
            self.open(OFlags::PATH | OFlags::DIRECTORY, Mode::empty(), Wait::May)?;
            return Err(Error::INVALID);
        }
        // It asks again with more room until all of it is there.
        let target = sys::readlinkat(&entry.dir, entry.name, Vec::with_capacity(256))?.into_bytes();
        if target.starts_with(b"/") {
            return Err(Error::NOT_PERMITTED);
        }
        Ok(names::decode(&target))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_targets_are_refused() {
        let parse = |target: &str| Target::parse(target.to_owned(), 4096).map(|_| ()).err();
        assert_eq!(parse(""), Some(Error::NO_ENTRY));
        assert_eq!(parse("a\0b"), Some(Error::INVALID));
        assert_eq!(parse("/a"), Some(Error::NOT_PERMITTED));
        assert_eq!(parse("\u{f7c3}\u{f7a9}"), Some(Error::ILLEGAL_BYTE_SEQUENCE));
        assert_eq!(parse(&"a".repeat(4096)), Some(Error::NAME_TOO_LONG));
        assert_eq!(parse(&"a".repeat(4095)), None);
        assert_eq!(parse("../../a//"), None);
    }
}
