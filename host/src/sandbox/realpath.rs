//! The path of an object as the guest would write it without symbolic links, `.` and `..`.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Mode, OFlags};

use super::path::{below, components};
use super::place::Place;
use super::resolve::{OpenHow, Start, open_beneath};
use super::{Read, Rights, Wait, names, procfs, sys};
use crate::error::{Error, Result};

/// How often it is looked again when something was renamed meanwhile. Each time is independent, so 16 are enough for any load
/// but an attack, under which the request is tried again later.
const RETRIES: usize = 16;

impl Place<Read> {
    /// The kernel is asked where the object is, and where the grant is, and the answer is tried out: if the object is there, it
    /// is right, whatever was renamed since the grant or a directory was opened.
    pub(crate) fn realpath(&self) -> Result<String> {
        let root = &self.base.root;
        for _ in 0..RETRIES {
            let object = self.open(OFlags::PATH, Mode::empty(), Wait::May)?;
            let path = procfs::path(&object)?;
            let Some(below) = below(&procfs::path(&**root.file)?, &path) else {
                // A directory that the guest holds was moved out of the grant.
                return Err(Error::NOT_PERMITTED);
            };
            let name = if below.is_empty() { OsStr::new(".") } else { OsStr::from_bytes(&below) };
            let flags = OFlags::PATH | OFlags::NOFOLLOW;
            let how = OpenHow { flags, mode: Mode::empty(), rights: Rights::Read, wait: Wait::May };
            match open_beneath(&self.shared.paths, Start { dir: &root.file, storage: root.storage }, name, how) {
                Ok(found) if same(&found.fd, &object)? => return Ok(absolute(&root.name, &below)),
                // It is another's path by now, or it was removed and has none.
                Ok(_) | Err(Error::NO_ENTRY | Error::NOT_DIRECTORY) if is_gone(&object)? => return Err(Error::NO_ENTRY),
                Ok(_) | Err(Error::NO_ENTRY | Error::NOT_DIRECTORY) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::NOT_YET)
    }
}

/// The path that starts with the name of a grant.
fn absolute(grant: &str, below: &[u8]) -> String {
    let mut path = String::new();
    for component in components(grant) {
        path.push('/');
        path.push_str(&String::from_utf8_lossy(&component));
    }
    if !below.is_empty() {
        path.push('/');
        path.push_str(&names::decode(below));
    }
    if path.is_empty() { "/".to_owned() } else { path }
}

fn same(one: impl AsFd, other: impl AsFd) -> Result<bool> {
    let (one, other) = (sys::fstat(one)?, sys::fstat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

/// Whether an object has no name any more.
fn is_gone(object: impl AsFd) -> Result<bool> {
    Ok(sys::fstat(object)?.st_nlink == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_counts_by_whole_components() {
        assert_eq!(below(b"/srv/data", b"/srv/data/x/y").as_deref(), Some(&b"x/y"[..]));
        assert_eq!(below(b"/srv/data", b"/srv/data").as_deref(), Some(&b""[..]));
        assert_eq!(below(b"/", b"/x").as_deref(), Some(&b"x"[..]));
        assert_eq!(below(b"/", b"/").as_deref(), Some(&b""[..]));
        assert_eq!(below(b"/srv/data", b"/srv/database"), None);
        assert_eq!(below(b"/srv/data", b"/srv"), None);
        assert_eq!(below(b"/srv/data (deleted)", b"/srv/data/x"), None);
    }

    #[test]
    fn a_path_starts_with_the_name_of_the_grant() {
        assert_eq!(absolute("/data", b"x/y"), "/data/x/y");
        assert_eq!(absolute("data/", b""), "/data");
        assert_eq!(absolute(".", b"x"), "/x");
        assert_eq!(absolute(".", b""), "/");
        assert_eq!(absolute("/in", b"caf\xe9"), "/in/caf\u{f7e9}");
    }
}
