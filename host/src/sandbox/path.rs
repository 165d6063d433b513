//! A guest's path, parsed once into something that cannot be wrong.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::names;
use crate::error::{Error, Result};

/// The bytes of a path from a guest: no NUL, not empty, not too long, and no other way to write another path.
#[derive(Debug)]
pub(super) struct GuestPath(Vec<u8>);

impl GuestPath {
    pub(super) fn parse(path: String, bytes_max: usize) -> Result<Self> {
        // As in Linux, the NUL at the end counts.
        if path.len() >= bytes_max {
            return Err(Error::NAME_TOO_LONG);
        }
        let bytes = names::encode(path)?;
        if bytes.is_empty() {
            return Err(Error::NO_ENTRY);
        }
        if bytes.contains(&0) {
            return Err(Error::INVALID);
        }
        Ok(Self(bytes))
    }

    pub(super) fn is_absolute(&self) -> bool {
        self.0.starts_with(b"/")
    }

    /// The path below the directory it starts from.
    pub(super) fn into_relative(self) -> RelativePath {
        RelativePath(self.0)
    }

    /// What is left of an absolute path below the directory with these components, if it is below it.
    pub(super) fn below(&self, components: &[Vec<u8>]) -> Option<RelativePath> {
        let mut rest: &[u8] = &self.0;
        for component in components {
            rest = skip(rest).strip_prefix(component.as_slice())?;
            if !rest.is_empty() && !rest.starts_with(b"/") {
                return None;
            }
        }
        let rest = skip(rest);
        Some(RelativePath(if rest.is_empty() { b".".to_vec() } else { rest.to_vec() }))
    }
}

/// Skips slashes and `.` components.
fn skip(mut path: &[u8]) -> &[u8] {
    loop {
        path = match path {
            [b'/', rest @ ..] => rest,
            [b'.', b'/', rest @ ..] => rest,
            b"." => b"",
            _ => return path,
        };
    }
}

/// The components of a grant's name.
pub(super) fn components(name: &str) -> Vec<Vec<u8>> {
    let plain = name.split('/').filter(|component| !matches!(*component, "" | "."));
    plain.map(|component| component.as_bytes().to_vec()).collect()
}

/// A path to be resolved below a directory. It may still hold `..`, which the resolver looks after.
#[derive(Debug)]
pub(super) struct RelativePath(Vec<u8>);

/// The last part of a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Last<'a> {
    /// A name to use with one `*at` call in its directory. Without a slash.
    Name(&'a OsStr),
    /// `.`, `..`, or nothing but slashes.
    Dots,
}

/// A path taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Split<'a> {
    /// The directory, if it is another than the one the path starts from.
    pub(super) parent: Option<&'a OsStr>,
    pub(super) last: Last<'a>,
    /// Whether a slash comes after it, which says that it must be a directory.
    pub(super) slash: bool,
}

impl RelativePath {
    pub(super) fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }

    /// The same with what a symbolic link of that name leads to in the place of the last name; none if that leads out for certain.
    pub(super) fn with_last(&self, target: &[u8]) -> Option<Self> {
        if target.starts_with(b"/") {
            return None;
        }
        let parent = self.split().parent.map_or(&b""[..], OsStr::as_bytes);
        Some(Self([parent, target].concat()))
    }

    pub(super) fn split(&self) -> Split<'_> {
        let end = self.0.iter().rposition(|byte| *byte != b'/').map_or(0, |index| index + 1);
        let trimmed = &self.0[..end];
        let start = trimmed.iter().rposition(|byte| *byte == b'/').map_or(0, |index| index + 1);
        let name = &trimmed[start..];
        let last = if matches!(name, b"" | b"." | b"..") { Last::Dots } else { Last::Name(OsStr::from_bytes(name)) };
        let parent = (start > 0).then(|| OsStr::from_bytes(&trimmed[..start]));
        Split { parent, last, slash: end < self.0.len() }
    }
}

/// What is left of a path below a directory; nothing for the directory itself.
pub(super) fn below(dir: &[u8], path: &[u8]) -> Option<Vec<u8>> {
    // Only `/` ends in a slash.
    let rest = path.strip_prefix(dir.strip_suffix(b"/").unwrap_or(dir))?;
    match rest.strip_prefix(b"/") {
        Some(rest) => Some(rest.to_vec()),
        None if rest.is_empty() => Some(Vec::new()),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn below(path: &str, name: &str) -> Option<String> {
        let path = GuestPath::parse(path.to_owned(), 4096).expect("a valid path");
        Some(path.below(&components(name))?.as_os_str().to_str().expect("a test path is UTF-8").to_owned())
    }

    #[test]
    fn bad_paths_are_refused() {
        let parse = |path: &str| GuestPath::parse(path.to_owned(), 4096).map(|_| ()).expect_err("a bad path");
        assert_eq!(parse(""), Error::NO_ENTRY);
        assert_eq!(parse("a\0b"), Error::INVALID);
        assert_eq!(parse("a/\u{f7c3}\u{f7a9}"), Error::ILLEGAL_BYTE_SEQUENCE);
        assert_eq!(parse(&"a/".repeat(2048)), Error::NAME_TOO_LONG);
    }

    #[test]
    fn an_absolute_path_is_taken_apart_by_whole_components() {
        assert_eq!(below("/data/x", "/data").as_deref(), Some("x"));
        assert_eq!(below("//data/.//x/", "data/").as_deref(), Some("x/"));
        assert_eq!(below("/data", "data").as_deref(), Some("."));
        assert_eq!(below("/data/../x", "data").as_deref(), Some("../x"));
        assert_eq!(below("/database/x", "data"), None);
        assert_eq!(below("/x", ".").as_deref(), Some("x"));
    }

    #[test]
    fn a_path_is_split_at_its_last_name() {
        let split = |path: &str| {
            let path = RelativePath(path.as_bytes().to_vec());
            let split = path.split();
            let parent = split.parent.map(|parent| parent.to_str().expect("a test path is UTF-8").to_owned());
            let name = match split.last {
                Last::Name(name) => name.to_str().expect("a test path is UTF-8").to_owned(),
                Last::Dots => "dots".to_owned(),
            };
            (parent, name, split.slash)
        };
        assert_eq!(split("f"), (None, "f".to_owned(), false));
        assert_eq!(split("a/b//f//"), (Some("a/b//".to_owned()), "f".to_owned(), true));
        assert_eq!(split("a/.."), (Some("a/".to_owned()), "dots".to_owned(), false));
        assert_eq!(split("./"), (None, "dots".to_owned(), true));
        let through = |path: &str, target: &str| {
            let path = RelativePath(path.as_bytes().to_vec()).with_last(target.as_bytes())?;
            Some(path.as_os_str().to_str().expect("a test path is UTF-8").to_owned())
        };
        assert_eq!(through("f", "../g").as_deref(), Some("../g"));
        assert_eq!(through("a/b//f", "g/h").as_deref(), Some("a/b//g/h"));
        assert_eq!(through("f", "/g"), None);
    }
}
