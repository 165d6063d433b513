//! Names that a file or a directory has while it is not whole, or about to go: what they look like, who holds them, and how those
//! are swept that a host left which was killed.
//!
//! Whoever makes something under such a name holds a lock on it (`flock(2)`), which ends with the process. So one that can be
//! locked has no maker any more; that it is an hour old, too, covers the moment between the two. Sweeping takes nothing that the
//! guest could not remove by itself: it is done only in a directory that the guest just writes to.

use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, SeekFrom, Stat};
use rustix::io::Errno;

use super::discard::discard;
use super::modes::times;
use super::node::Id;
use super::storage::Storage;
use super::temporary::{KEPT, PREFIX, hold, with_new_name};
use super::{Wait, procfs, sys};
use crate::error::{Error, Result};

/// What is younger is never swept, in seconds. An hour: no request takes that long between making a name and locking it.
const YOUNG_SECONDS: i64 = 3600;

/// Entries that are looked at for each new temporary name. 256: some 20 µs, and most directories have fewer.
const ENTRIES_MAX: usize = 256;

/// Entries that are looked at when a guest first makes one in a directory. 4,096: some 300 µs.
const FIRST_ENTRIES_MAX: usize = 4096;

/// Names below a directory that are removed at a time. 1,024: some 10 ms.
const DISCARD_MAX: usize = 1024;

/// Directories of which it is remembered where sweeping goes on. 64: more are seldom written to in turn.
const CURSORS_MAX: usize = 64;

/// Bytes of one `getdents64` call: some 256 entries.
const BUFFER_BYTES: usize = 8 << 10;

/// The same file as before: of this content, as far as its size and its time tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seal {
    inode: u64,
    size: i64,
    seconds: i64,
    nanoseconds: u64,
}

impl Seal {
    pub(super) fn of(stat: &Stat) -> Self {
        Self { inode: stat.st_ino, size: stat.st_size, seconds: stat.st_mtime, nanoseconds: stat.st_mtime_nsec }
    }

    /// As a part of a name.
    pub(super) fn suffix(&self) -> String {
        let Self { inode, size, seconds, nanoseconds } = self;
        format!("-{inode:x}-{size:x}-{seconds:x}-{nanoseconds:x}")
    }

    fn parse(suffix: &str) -> Option<Self> {
        let mut fields = suffix.split('-');
        let mut next = || u64::from_str_radix(fields.next()?, 16).ok();
        let (inode, size, seconds, nanoseconds) = (next()?, next()?, next()?, next()?);
        let seal = Self { inode, size: size.cast_signed(), seconds: seconds.cast_signed(), nanoseconds };
        (seal.suffix().strip_prefix('-') == Some(suffix)).then_some(seal)
    }
}

/// What a name of this kind stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leftover {
    /// Something that is not whole.
    Part,
    /// What a move replaced.
    Kept,
    /// What a move has brought elsewhere, if it is still the same.
    Moved(Seal),
}

impl Leftover {
    fn parse(name: &CStr) -> Option<Self> {
        let rest = name.to_str().ok()?.strip_prefix(PREFIX)?;
        let (digits, suffix) = rest.split_at_checked(16)?;
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if !digits.bytes().all(is_digit) {
            return None;
        }
        match suffix {
            "" => Some(Self::Part),
            KEPT => Some(Self::Kept),
            suffix => Seal::parse(suffix.strip_prefix('-')?).map(Self::Moved),
        }
    }
}

/// What one guest's requests know of such names.
#[derive(Debug)]
pub(super) struct Temporaries {
    /// Whether files can be made that have no name at first.
    nameless: AtomicBool,
    /// Where sweeping goes on in directories that it has seen.
    cursors: Mutex<VecDeque<(Id, u64)>>,
}

impl Default for Temporaries {
    fn default() -> Self {
        Self { nameless: AtomicBool::new(true), cursors: Mutex::default() }
    }
}

impl Temporaries {
    /// Opens a new file for writing in a directory, without a name where that works. Returns who it is, and its name if it has
    /// one.
    pub(super) fn open(&self, dir: &OwnedFd, mode: Mode, suffix: &str) -> Result<(File, Id, Option<CString>)> {
        if self.nameless.load(Ordering::Relaxed) {
            match sys::open_nameless(dir, mode) {
                // The file system has no such files; kernels that do not know them see an attempt to write to a directory. Where
                // ext4 says `EPERM`, the directory was removed, and the attempt with a name says so.
                Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::ISDIR | Errno::NOENT | Errno::NOSYS | Errno::PERM) => {}
                result => {
                    let file = File::from(result?);
                    let id = Id::of(&file)?;
                    return Ok((file, id, None));
                }
            }
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (name, fd) = with_new_name(suffix, |name| sys::openat(dir, name, flags, mode))?;
        hold(&fd);
        let id = Id::of(&fd).inspect_err(|_| {
            if let Err(error) = sys::unlinkat(dir, &name, AtFlags::empty()) {
                tracing::warn!(%error, ?name, "an empty file is left");
            }
        })?;
        Ok((fd.into(), id, Some(name)))
    }

    /// From here on every file has a name from the start: one that has none cannot be given any.
    pub(super) fn forgo_nameless(&self) {
        self.nameless.store(false, Ordering::Relaxed);
    }

    /// Removes what hosts have left in a directory that are gone. It looks at a bounded number of entries, at others each time.
    pub(super) fn sweep(&self, dir: &OwnedFd) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.sweep_at(dir, i64::try_from(now).unwrap_or_default());
    }

    /// The same at some time, in seconds as a file has them.
    pub(super) fn sweep_at(&self, dir: &OwnedFd, now: i64) {
        if let Err(error) = self.try_sweep(dir, now) {
            // What a request is to do does not depend on it.
            tracing::debug!(%error, "cannot look for what hosts have left");
        }
    }

    fn try_sweep(&self, dir: &OwnedFd, now: i64) -> Result<()> {
        let id = Id::of(dir)?;
        let cursor = self.cursor(id);
        let (leftovers, next) =
            read(dir, cursor.unwrap_or_default(), if cursor.is_some() { ENTRIES_MAX } else { FIRST_ENTRIES_MAX })?;
        self.set_cursor(id, next);
        if leftovers.is_empty() || !Storage::of(dir).is_local() {
            return Ok(());
        }
        for (name, leftover) in leftovers {
            match remove(dir, &name, leftover, now) {
                Ok(true) => tracing::info!(?name, "removed what a host left that was killed"),
                Ok(false) | Err(Error::NO_ENTRY) => {}
                Err(error) => tracing::warn!(%error, ?name, "cannot remove what a host left that was killed"),
            }
        }
        Ok(())
    }

    fn cursor(&self, id: Id) -> Option<u64> {
        let cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        cursors.iter().find(|(known, _)| *known == id).map(|(_, cursor)| *cursor)
    }

    fn set_cursor(&self, id: Id, cursor: u64) {
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        cursors.retain(|(known, _)| *known != id);
        if cursors.len() >= CURSORS_MAX {
            cursors.pop_front();
        }
        cursors.push_back((id, cursor));
    }
}

/// Leftovers among some entries of a directory, and where to go on; that is the start again after the end.
fn read(dir: &OwnedFd, from: u64, entries_max: usize) -> Result<(Vec<(CString, Leftover)>, u64)> {
    sys::seek(dir, SeekFrom::Start(from))?;
    let mut buffer: Vec<u8> = Vec::with_capacity(BUFFER_BYTES);
    let mut entries = sys::getdents(dir, buffer.spare_capacity_mut())?;
    let (mut leftovers, mut count) = (Vec::new(), 0);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        if let Some(leftover) = Leftover::parse(entry.file_name()) {
            leftovers.push((entry.file_name().to_owned(), leftover));
        }
        count += 1;
        if count >= entries_max {
            return Ok((leftovers, entry.next_entry_cookie()));
        }
    }
    Ok((leftovers, 0))
}

/// Removes one, if it is nobody's. Returns whether it is gone.
fn remove(dir: &OwnedFd, name: &CStr, leftover: Leftover, now: i64) -> Result<bool> {
    let stat = sys::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let is_young = |seconds: i64| now.saturating_sub(seconds) < YOUNG_SECONDS;
    let kind = FileType::from_raw_mode(stat.st_mode);
    let is_meant = match leftover {
        Leftover::Part => (kind.is_file() || kind.is_dir()) && !is_young(stat.st_mtime),
        // Who is replaced is not held by its maker, but it has got this name only a moment before it goes.
        Leftover::Kept => (kind.is_file() || kind.is_symlink()) && !is_young(stat.st_ctime),
        Leftover::Moved(seal) => kind.is_file() && !is_young(stat.st_ctime) && seal == Seal::of(&stat),
    };
    if !is_meant {
        return Ok(false);
    }
    let _held = match leftover {
        Leftover::Moved(_) => None,
        _ if kind.is_symlink() => None,
        Leftover::Part | Leftover::Kept => match take(dir, name, &stat)? {
            Taken::Yes(held) => Some(held),
            // Its maker would have changed it within the hour.
            Taken::Unreadable if !is_young(stat.st_ctime) => None,
            Taken::Unreadable | Taken::No => return Ok(false),
        },
    };
    if kind.is_dir() {
        return remove_directory(dir, name, &stat);
    }
    sys::unlinkat(dir, name, AtFlags::empty())?;
    Ok(true)
}

/// Whether what has a name could be taken from whoever made it.
enum Taken {
    /// Nobody holds it, but this.
    Yes(OwnedFd),
    No,
    Unreadable,
}

fn take(dir: &OwnedFd, name: &CStr, stat: &Stat) -> Result<Taken> {
    let object = sys::openat(dir, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    // It was a file or a directory when its status was asked for.
    if Id::of(&object)? != Id::of_stat(stat) {
        return Ok(Taken::No);
    }
    let fd = match procfs::reopen(&object, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, Wait::Never) {
        Err(error) if error == Errno::ACCESS.into() => return Ok(Taken::Unreadable),
        result => result?,
    };
    match sys::flock(&fd, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Taken::Yes(fd)),
        Err(_) => Ok(Taken::No),
    }
}

/// Removes some of a directory, which stays as old as it is.
fn remove_directory(dir: &OwnedFd, name: &CStr, stat: &Stat) -> Result<bool> {
    let gone = discard(dir, name, Id::of_stat(stat), DISCARD_MAX)?;
    if !gone {
        sys::utimensat(dir, name, &times(stat), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, FileTimes};
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::sandbox::scene::{as_plain_user, open_directory};

    const HOUR: Duration = Duration::from_secs(3600);

    fn now() -> SystemTime {
        SystemTime::now()
    }

    fn seconds(time: SystemTime) -> i64 {
        time.duration_since(UNIX_EPOCH).expect("it is later").as_secs().try_into().expect("it fits")
    }

    fn make_old(path: &Path) {
        let times = FileTimes::new().set_modified(now() - 2 * HOUR);
        File::open(path).expect("it is there").set_times(times).expect("it is ours");
    }

    fn names(path: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(path)
            .expect("it is there")
            .map(|entry| entry.expect("it is read").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn names_are_told_apart() {
        let parse = |name: &str| Leftover::parse(&CString::new(name).expect("there is no NUL in it"));
        let seal = Seal { inode: 7, size: 0, seconds: -3, nanoseconds: 999_999_999 };
        let moved = format!(".aiohost-0123456789abcdef{}", seal.suffix());
        assert_eq!(parse(".aiohost-0123456789abcdef"), Some(Leftover::Part));
        assert_eq!(parse(".aiohost-0123456789abcdef-kept"), Some(Leftover::Kept));
        assert_eq!(parse(&moved), Some(Leftover::Moved(seal)));
        for other in [
            "aiohost-0123456789abcdef",
            ".aiohost-",
            ".aiohost-0123456789abcde",
            ".aiohost-0123456789ABCDEF",
            ".aiohost-0123456789abcdefg",
            ".aiohost-0123456789abcdef0",
            ".aiohost-0123456789abcdef-",
            ".aiohost-0123456789abcdef-keep",
            ".aiohost-0123456789abcdef-1-2-3",
            ".aiohost-0123456789abcdef-1-2-3-4-5",
            ".aiohost-0123456789abcdef-01-2-3-4",
            ".aiohost-0123456789abcdef-+1-2-3-4",
            ".aiohost-012345678\u{e9}abcde",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn only_what_is_old_and_nobodys_is_swept() {
        let root = tempfile::tempdir().expect("a directory");
        let path = |name: &str| root.path().join(name);
        for name in [".aiohost-000000000000000a", ".aiohost-000000000000000b", "mine", ".aiohost-mine"] {
            fs::write(path(name), "x").expect("it can be written");
            make_old(&path(name));
        }
        fs::create_dir_all(path(".aiohost-000000000000000c/sub")).expect("it can be made");
        fs::write(path(".aiohost-000000000000000c/sub/file"), "x").expect("it can be written");
        make_old(&path(".aiohost-000000000000000c"));
        fs::write(path(".aiohost-000000000000000d"), "young").expect("it can be written");
        std::os::unix::fs::symlink("mine", path(".aiohost-000000000000000e")).expect("it can be made");
        // These have only just got their names, as old as what they stand for is.
        for name in [".aiohost-000000000000000f-kept", ".aiohost-000000000000000f-1-1-0-0"] {
            fs::write(path(name), "x").expect("it can be written");
            make_old(&path(name));
        }
        let held = File::open(path(".aiohost-000000000000000b")).expect("it is there");
        hold(&held);
        let dir = open_directory(root.path());
        let temporaries = Temporaries::default();
        temporaries.sweep(&dir);
        let left = [
            ".aiohost-000000000000000b",
            ".aiohost-000000000000000d",
            ".aiohost-000000000000000e",
            ".aiohost-000000000000000f-1-1-0-0",
            ".aiohost-000000000000000f-kept",
            ".aiohost-mine",
            "mine",
        ];
        assert_eq!(names(root.path()), left);
        // Two hours later, and its maker is gone. One that is not what its name says, and a link, stay.
        drop(held);
        temporaries.sweep_at(&dir, seconds(now() + 2 * HOUR));
        assert_eq!(
            names(root.path()),
            [".aiohost-000000000000000e", ".aiohost-000000000000000f-1-1-0-0", ".aiohost-mine", "mine"]
        );
    }

    #[test]
    fn a_large_directory_is_swept_bit_by_bit() {
        let root = tempfile::tempdir().expect("a directory");
        let file = |number: usize| root.path().join(format!("file-{number}"));
        (0..10_000).for_each(|number| drop(File::create(file(number)).expect("it can be made")));
        let name = root.path().join(".aiohost-0000000000000000");
        fs::write(&name, "x").expect("it can be written");
        make_old(&name);
        let (dir, temporaries) = (open_directory(root.path()), Temporaries::default());
        let mut sweeps = 0;
        while name.exists() {
            temporaries.sweep(&dir);
            sweeps += 1;
            assert!(sweeps <= 1 + 10_000 / ENTRIES_MAX, "it is never come by");
        }
    }

    #[test]
    fn a_large_leftover_is_removed_bit_by_bit() {
        let root = tempfile::tempdir().expect("a directory");
        let path = root.path().join(".aiohost-0000000000000000");
        fs::create_dir(&path).expect("it can be made");
        (0..3 * DISCARD_MAX).for_each(|number| fs::write(path.join(number.to_string()), "x").expect("it can be written"));
        make_old(&path);
        let (dir, temporaries) = (open_directory(root.path()), Temporaries::default());
        temporaries.sweep(&dir);
        assert_eq!(names(&path).len(), 2 * DISCARD_MAX);
        (0..3).for_each(|_| temporaries.sweep(&dir));
        assert!(!path.exists());
    }

    #[test]
    fn a_leftover_that_its_owner_may_not_read_was_never_swept() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().expect("a directory");
        let path = root.path().join(".aiohost-0000000000000000");
        as_plain_user(&[root.path()], || {
            fs::create_dir_all(path.join("closed/deep")).expect("it can be made");
            for dir in [path.join("closed"), path.clone()] {
                fs::set_permissions(dir, fs::Permissions::from_mode(0o000)).expect("it is ours");
            }
            Temporaries::default().sweep_at(&open_directory(root.path()), seconds(now() + 2 * HOUR));
        });
        assert!(!path.exists());
    }
}
