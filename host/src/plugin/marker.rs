//! The mark of a directory that is a cache of aiohost's: `CACHEDIR.TAG`, by which programs that make backups know a cache,
//! too. In a directory without it nothing is ever read, made or removed.

use std::fs::DirBuilder;
use std::io::{ErrorKind, Read, Result, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir};

use super::private;

/// As all programs call it.
pub(super) const NAME: &str = "CACHEDIR.TAG";

/// What stands in it. The first line is that of <https://bford.info/cachedir/>, and the second one tells each of our caches from the
/// others, and from those of other programs.
pub(super) struct Mark(pub(super) &'static str);

const LINES_THAT_COUNT: usize = 2;

/// A tag that is larger is none of ours.
const TEXT_BYTES_MAX: u64 = 4096;

/// Opens the cache in this directory, which is made if it is not there and marked if it is empty.
pub(super) fn open(path: &Path, mark: &Mark) -> Result<OwnedFd> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let dir = private::open_dir(path)?;
    if is_marked(&dir, mark)? {
        return Ok(dir);
    }
    if !is_empty(&dir)? {
        // Another process may have marked it between the two looks.
        if is_marked(&dir, mark)? {
            return Ok(dir);
        }
        let why = format!("it is not empty and has no {NAME} of aiohost's; remove it if it is a cache of an older aiohost");
        return Err(private::refuse(&why));
    }
    put(mark, &dir)?;
    Ok(dir)
}

fn is_marked(dir: &OwnedFd, mark: &Mark) -> Result<bool> {
    let mut text = String::new();
    match private::open(dir, NAME, TEXT_BYTES_MAX) {
        Ok((mut file, _)) => file.read_to_string(&mut text)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(private::refuse(&format!("its {NAME} is none of aiohost's: {error}"))),
    };
    Ok(text.lines().take(LINES_THAT_COUNT).eq(mark.0.lines().take(LINES_THAT_COUNT)))
}

/// A tag that is being made by another process does not count.
fn is_empty(dir: impl AsFd) -> Result<bool> {
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        let is_tag_to_be = name.strip_prefix(NAME.as_bytes()).is_some_and(|rest| rest.ends_with(b".tmp"));
        if name != b"." && name != b".." && !is_tag_to_be {
            return Ok(false);
        }
    }
    Ok(true)
}

fn put(mark: &Mark, dir: &OwnedFd) -> Result<()> {
    let temporary = format!("{NAME}.{}.tmp", private::random_digits()?);
    let mut file = private::create(dir, &temporary)?;
    let written = file.write_all(mark.0.as_bytes()).and_then(|()| Ok(rustix::fs::renameat(dir, &temporary, dir, NAME)?));
    if written.is_err() {
        // The first error is the one to tell of.
        let _ = rustix::fs::unlinkat(dir, temporary.as_str(), AtFlags::empty());
    }
    written
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    const MARK: Mark = Mark("Signature: 8a477f597d28d172789f06886806bc55\n# Ours.\n");

    fn open(path: &Path) -> Result<OwnedFd> {
        super::open(path, &MARK)
    }

    fn entries(path: &Path) -> Vec<String> {
        let entries = fs::read_dir(path).expect("a directory").map(|entry| entry.expect("an entry").file_name());
        entries.map(|name| name.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_new_or_empty_directory_is_marked() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let new = dir.path().join("a/code");
        for path in [&new, &new, &dir.path().join("empty")] {
            let _ = fs::create_dir(path);
            open(path).expect("a cache");
            assert_eq!(entries(path), [NAME]);
        }
        assert_eq!(fs::metadata(&new).expect("it was made").permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_directory_of_somebody_elses_is_left_as_it_is() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path();
        for (name, content) in
            [("thesis.tex", ""), (NAME, "Signature: 8a477f597d28d172789f06886806bc55\n# Another cache.\n"), (NAME, "")]
        {
            fs::write(path.join(name), content).expect("a file of our own");
            assert!(open(path).is_err(), "{name}");
            assert_eq!(entries(path), [name]);
            assert_eq!(fs::read_to_string(path.join(name)).expect("it is still there"), content);
            fs::remove_file(path.join(name)).expect("a file of our own");
        }
        open(path).expect("it is empty now");
    }

    #[test]
    fn a_mark_that_is_a_link_is_none() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let real = dir.path().join("real");
        open(&real).expect("a cache");
        let other = dir.path().join("other");
        fs::create_dir(&other).expect("a new directory");
        symlink(real.join(NAME), other.join(NAME)).expect("a new link");
        assert!(open(&other).is_err());
        symlink(&real, dir.path().join("link")).expect("a new link");
        assert!(open(&dir.path().join("link")).is_err() && open(&dir.path().join("link/")).is_err());
    }

    #[test]
    fn a_directory_that_others_may_write_is_not_used() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("a directory of our own");
        assert!(open(dir.path()).is_err());
        assert!(entries(dir.path()).is_empty());
    }

    #[test]
    fn of_many_that_mark_a_directory_at_a_time_all_may_use_it() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for round in 0..20 {
            let path = dir.path().join(round.to_string());
            std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| open(&path).map(|_| ()))).collect();
                for thread in threads {
                    thread.join().expect("no panic").expect("a cache");
                }
            });
            assert_eq!(entries(&path), [NAME]);
        }
    }
}
