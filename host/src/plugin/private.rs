//! Files and directories that must be this user's alone, opened without following a link and looked at before they are used.

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, Stat};

/// How often a file is opened anew that another process has just replaced. 100: each time somebody has replaced it once more.
const REPLACED_MAX: usize = 100;

/// Opens a file of this user's alone by its name in a directory, and gives its length. What is not one is not waited for, and
/// not one byte of it is read.
pub(super) fn open(dir: impl AsFd, name: &str, bytes_max: u64) -> Result<(File, u64)> {
    let (file, status) = open_named(dir.as_fd(), name)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err(refuse("it is no regular file"));
    }
    check_is_ours(&status)?;
    if status.st_nlink != 1 {
        return Err(refuse("it has another name as well, a hard link"));
    }
    let bytes = u64::try_from(status.st_size).unwrap_or(u64::MAX);
    if bytes > bytes_max {
        return Err(refuse("it is larger than any that was made here"));
    }
    Ok((file, bytes))
}

/// Opens what has the name. One that was replaced since it was opened has no name any more.
fn open_named(dir: BorrowedFd<'_>, name: &str) -> Result<(File, Stat)> {
    // A FIFO would wait for a writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut left = REPLACED_MAX;
    loop {
        let file = File::from(rustix::fs::openat(dir, name, flags, Mode::empty()).map_err(|errno| match errno {
            rustix::io::Errno::LOOP => refuse("it is a symbolic link"),
            errno => errno.into(),
        })?);
        let status = rustix::fs::fstat(&file)?;
        left -= 1;
        if status.st_nlink > 0 || left == 0 {
            return Ok((file, status));
        }
    }
}

/// Makes a file of this user's alone, which nothing with that name may be.
pub(super) fn create(dir: impl AsFd, name: &str) -> Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::openat(dir, name, flags, Mode::RUSR | Mode::WUSR)?))
}

/// Opens a directory of this user's alone, which must not be a symbolic link.
pub(super) fn open_dir(path: &std::path::Path) -> Result<OwnedFd> {
    // With a slash behind it a link would be followed.
    let path: std::path::PathBuf = path.components().collect();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = rustix::fs::open(path.as_path(), flags, Mode::empty()).map_err(|errno| match errno {
        rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR => refuse("it is no directory, or a symbolic link"),
        errno => errno.into(),
    })?;
    check_is_ours(&rustix::fs::fstat(&dir)?)?;
    Ok(dir)
}

/// 16 digits that nobody can guess, for the name of a file that is to be another's in a moment.
pub(super) fn random_digits() -> Result<String> {
    let mut bytes = [0; 8];
    fill_random(&mut bytes)?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}

pub(super) fn fill_random(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|error| Error::other(format!("the system has no random numbers: {error}")))
}

fn check_is_ours(status: &Stat) -> Result<()> {
    if status.st_uid != rustix::process::geteuid().as_raw() || status.st_mode & 0o022 != 0 {
        return Err(refuse("it belongs to another user, or others may write to it"));
    }
    Ok(())
}

pub(super) fn refuse(why: &str) -> Error {
    Error::new(ErrorKind::PermissionDenied, why)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn a_file_that_another_one_replaced_meanwhile_was_taken_for_a_hard_link() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let (path, next) = (root.path().join("file"), root.path().join("next"));
        let replace = || {
            fs::write(&next, "content").expect("it can be written");
            fs::set_permissions(&next, Permissions::from_mode(0o600)).expect("it is ours");
            fs::rename(&next, &path).expect("they are in one directory");
        };
        replace();
        let dir = open_dir(root.path()).expect("it is ours");
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                (0..20_000).for_each(|_| replace());
                ended.store(true, Ordering::Relaxed);
            });
            while !ended.load(Ordering::Relaxed) {
                let (_, bytes) = open(&dir, "file", 100).expect("it is always there");
                assert_eq!(bytes, 7);
            }
        });
        fs::hard_link(&path, &next).expect("the file system has them");
        assert!(open(&dir, "file", 100).is_err(), "it is one");
    }
}
