//! A folder of files that can be made again, each with the name of a hash: what the code cache and the cache of images have in common.
//!
//! All is done by the open directory and single names that are not followed; nothing is removed whose name is not exactly one of ours.

use std::fs::File;
use std::io::{ErrorKind, Result};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, FlockOperation, flock};

use super::marker::{self, Mark};
use super::private;

/// Age at which a file that was left half written is removed, where nobody has a lock on it: a minute, so that whoever makes one has
/// long locked it.
const UNLOCKED: Duration = Duration::from_secs(60);

/// The same where locks tell nothing, as on some file systems of networks. No compilation takes an hour, and no image is fetched for that
/// long.
pub(super) const ABANDONED: Duration = Duration::from_secs(60 * 60);

/// Digits of a hash in hexadecimal, of 32 bytes.
const HASH_DIGITS: usize = 64;

/// A folder that aiohost has marked, with files `HASH.SUFFIX`.
pub(super) struct CacheFolder {
    pub(super) path: PathBuf,
    pub(super) dir: OwnedFd,
    suffix: &'static str,
    /// Bytes that the files may take together.
    pub(super) bytes_max: u64,
}

/// A file on its way to be an entry. It is removed unless it is finished.
pub(super) struct NewEntry<'a> {
    folder: &'a CacheFolder,
    temporary: String,
    name: String,
    pub(super) file: File,
    is_finished: bool,
}

impl CacheFolder {
    /// Uses a directory, which is made if it is not there and marked if it is empty.
    pub(super) fn open(path: &Path, mark: &Mark, suffix: &'static str, bytes_max: u64) -> Result<Self> {
        Ok(Self { path: path.to_owned(), dir: marker::open(path, mark)?, suffix, bytes_max })
    }

    /// The name of the file for a hash in hexadecimal.
    pub(super) fn file(&self, hash: &str) -> String {
        format!("{hash}.{}", self.suffix)
    }

    /// Begins a file of so many bytes.
    pub(super) fn add(&self, hash: &str, bytes: u64) -> Result<NewEntry<'_>> {
        // First of all, so that there is room.
        self.tidy()?;
        if bytes > self.bytes_max {
            return Err(ErrorKind::FileTooLarge.into());
        }
        let temporary = format!("{hash}.{}.tmp", private::random_digits()?);
        let file = private::create(&self.dir, &temporary)?;
        // It goes with this process, however that ends. Where there are no locks it is left to the time.
        let _ = flock(&file, FlockOperation::NonBlockingLockExclusive);
        Ok(NewEntry { folder: self, temporary, name: self.file(hash), file, is_finished: false })
    }

    /// Removes a file. If it stays it is found to be bad again next time.
    pub(super) fn remove(&self, name: &str) {
        let _ = rustix::fs::unlinkat(&self.dir, name, AtFlags::empty());
    }

    /// Removes what was used longest ago until the rest fits, and what was left half written.
    fn tidy(&self) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.dir)? {
            let entry = entry?;
            let Some((name, kind)) = entry.file_name().to_str().ok().and_then(|name| Some((name, self.kind(name)?))) else {
                continue;
            };
            // Another process may tidy up, too.
            let Ok(status) = rustix::fs::statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let used = (u64::try_from(status.st_mtime).unwrap_or(0), status.st_mtime_nsec);
            match kind {
                Kind::Entry => entries.push((used, u64::try_from(status.st_size).unwrap_or(0), name.to_owned())),
                Kind::Temporary => {
                    if self.is_abandoned(name, now.saturating_sub(Duration::from_secs(used.0))) {
                        self.remove(name);
                    }
                }
            }
        }
        entries.sort();
        let mut bytes: u64 = entries.iter().fold(0, |sum, (_, bytes, _)| bytes.saturating_add(sum));
        for (_, entry_bytes, name) in entries {
            if bytes <= self.bytes_max {
                break;
            }
            bytes = bytes.saturating_sub(entry_bytes);
            self.remove(&name);
        }
        Ok(())
    }

    /// Whether nobody writes a file any more.
    fn is_abandoned(&self, name: &str, age: Duration) -> bool {
        let is_unlocked = || {
            private::open(&self.dir, name, u64::MAX)
                .is_ok_and(|(file, _)| flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok())
        };
        age > ABANDONED || (age > UNLOCKED && is_unlocked())
    }

    /// What a file is, by its name. Nothing if it is none of ours.
    fn kind(&self, name: &str) -> Option<Kind> {
        if let Some(rest) = name.strip_suffix(".tmp") {
            let (stem, digits) = rest.rsplit_once('.')?;
            let is_ours = (is_hash(stem) || stem == marker::NAME) && (1..=16).contains(&digits.len()) && is_hex(digits);
            return is_ours.then_some(Kind::Temporary);
        }
        let (stem, suffix) = name.rsplit_once('.')?;
        (suffix == self.suffix && is_hash(stem)).then_some(Kind::Entry)
    }
}

impl NewEntry<'_> {
    /// Gives the file its name, once it is whole.
    pub(super) fn finish(mut self) -> Result<()> {
        let dir = &self.folder.dir;
        rustix::fs::renameat(dir, &self.temporary, dir, &self.name)?;
        self.is_finished = true;
        self.folder.tidy()
    }
}

impl Drop for NewEntry<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            self.folder.remove(&self.temporary);
        }
    }
}

/// Whether a text is a hash in hexadecimal, as it stands in the name of a file.
pub(super) fn is_hash(text: &str) -> bool {
    text.len() == HASH_DIGITS && is_hex(text)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

enum Kind {
    /// `HASH.SUFFIX`.
    Entry,
    /// `HASH.DIGITS.tmp`, on its way to be an entry, or the like for the mark.
    Temporary,
}
