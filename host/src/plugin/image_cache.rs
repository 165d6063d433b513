//! Blobs of images on disk, beside the code cache, so that what was fetched from a registry by its digest is fetched once.
//!
//! A blob gets its name once it is whole and its digest is right, and is held against the digest again whenever it is read. Whoever could
//! write here could make a run fetch it anew, and no more. The command uses it if it was built with the feature `registry`.

use std::fs::File;
use std::io::{self, Error, ErrorKind, Read as _, Result, Seek as _, Write};
use std::path::Path;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use super::cache_folder::{CacheFolder, NewEntry, is_hash};
use super::marker::Mark;
use super::{places, private};

/// Bytes that the blobs may take together. 1 GiB, as compiled code has.
const IMAGE_BYTES_MAX: u64 = 1 << 30;

const MARK: Mark = Mark(
    "\
Signature: 8a477f597d28d172789f06886806bc55
# This is the cache of images of aiohost.
# It holds what aiohost fetched from registries, and may be removed at any time.
# See https://bford.info/cachedir/ for what this file is.
",
);

/// A directory of blobs, each by its digest.
///
/// ```no_run
/// use std::io::{Read, Write};
///
/// use aiohost::plugin::ImageCache;
///
/// # fn main() -> std::io::Result<()> {
/// let cache = ImageCache::open()?;
/// // The SHA-256 of `hello`.
/// let digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
/// let mut blob = cache.add(digest, 5)?;
/// blob.write_all(b"hello")?;
/// blob.finish()?;
/// let mut text = String::new();
/// cache.get(digest).expect("it was just added").read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// // Another one, in a place of its own.
/// let other = ImageCache::open_at("/var/cache/images".as_ref())?;
/// assert!(other.get(digest).is_none());
/// # Ok(())
/// # }
/// ```
pub struct ImageCache(CacheFolder);

/// A blob that is being written. Nothing is left of it unless it is finished.
pub struct NewBlob<'a> {
    entry: NewEntry<'a>,
    digest: String,
    hasher: Sha256,
    left: u64,
}

impl ImageCache {
    /// Opens the user's cache: `$AIOHOST_CACHE/images`, `$XDG_CACHE_HOME/aiohost/images` or `$HOME/.cache/aiohost/images`. It is made
    /// if it is not there.
    ///
    /// # Errors
    ///
    /// If none of these variables is an absolute path, or the directory is not this user's alone.
    pub fn open() -> Result<Self> {
        let dir = places::image_dirs(&places::variable).into_iter().next();
        let none = || Error::new(ErrorKind::NotFound, "none of AIOHOST_CACHE, XDG_CACHE_HOME and HOME is an absolute path");
        Self::open_at(&dir.ok_or_else(none)?)
    }

    /// Opens the cache in a directory, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// If it cannot be made, or contains something else.
    pub fn open_at(dir: &Path) -> Result<Self> {
        Self::with(dir, IMAGE_BYTES_MAX)
    }

    fn with(dir: &Path, bytes_max: u64) -> Result<Self> {
        CacheFolder::open(dir, &MARK, "blob", bytes_max).map(Self)
    }

    /// The blob with this SHA-256 (in hexadecimal), if the cache has it. A damaged blob is removed.
    pub fn get(&self, sha256: &str) -> Option<File> {
        let name = is_hash(sha256).then(|| self.0.file(sha256))?;
        match self.intact(&name, sha256) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                let path = self.0.path.join(&name);
                tracing::warn!(path = %path.display(), %error, "a blob of the cache of images is not used; fetching it again");
                self.0.remove(&name);
                None
            }
        }
    }

    fn intact(&self, name: &str, sha256: &str) -> Result<File> {
        let (mut file, bytes) = private::open(&self.0.dir, name, self.0.bytes_max)?;
        let mut hasher = Sha256::new();
        io::copy(&mut (&mut file).take(bytes), &mut hasher)?;
        check(hasher, sha256)?;
        file.rewind()?;
        // One that cannot be marked as used is removed sooner, no more.
        let _ = file.set_modified(SystemTime::now());
        Ok(file)
    }

    /// Begins to add a blob of `bytes` bytes with this SHA-256 (in hexadecimal).
    ///
    /// # Errors
    ///
    /// If it is larger than the whole cache may be, if that is no digest, or if the file system fails.
    pub fn add(&self, sha256: &str, bytes: u64) -> Result<NewBlob<'_>> {
        if !is_hash(sha256) {
            return Err(Error::new(ErrorKind::InvalidInput, "that is no SHA-256 in hexadecimal"));
        }
        let entry = self.0.add(sha256, bytes)?;
        Ok(NewBlob { entry, digest: sha256.to_owned(), hasher: Sha256::new(), left: bytes })
    }
}

impl NewBlob<'_> {
    /// Adds it, if its content matches its digest.
    ///
    /// # Errors
    ///
    /// If it does not, or the file system fails.
    pub fn finish(self) -> Result<()> {
        check(self.hasher, &self.digest)?;
        self.entry.finish()
    }
}

impl Write for NewBlob<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let length = self.entry.file.write(bytes)?;
        self.left =
            u64::try_from(length).ok().and_then(|length| self.left.checked_sub(length)).ok_or(ErrorKind::FileTooLarge)?;
        self.hasher.update(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> Result<()> {
        self.entry.file.flush()
    }
}

fn check(hasher: Sha256, sha256: &str) -> Result<()> {
    let found: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found == sha256 {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidData, format!("it is damaged: its digest is sha256:{found}")))
}

impl std::fmt::Debug for ImageCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageCache").field("path", &self.0.path).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for NewBlob<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewBlob").field("digest", &self.digest).field("left", &self.left).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;

    fn digest(content: &[u8]) -> String {
        Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn add(cache: &ImageCache, name: &str, content: &[u8]) -> Result<()> {
        let mut blob = cache.add(name, content.len().try_into().expect("a small number"))?;
        blob.write_all(content)?;
        blob.finish()
    }

    fn files(dir: &Path) -> usize {
        fs::read_dir(dir).expect("a directory").count()
    }

    #[test]
    fn a_blob_comes_back_as_long_as_it_is_what_it_was() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let cache = ImageCache::with(dir.path(), 100).expect("a cache");
        let name = digest(b"blob");
        assert!(cache.get(&name).is_none());
        let damage: [fn(&mut Vec<u8>); 3] = [|blob| blob.truncate(3), |blob| blob[0] ^= 1, |blob| blob.push(0)];
        for damage in damage {
            add(&cache, &name, b"blob").expect("there is room");
            let mut text = String::new();
            cache.get(&name).expect("it is there").read_to_string(&mut text).expect("it can be read");
            assert_eq!(text, "blob");
            let path = dir.path().join(format!("{name}.blob"));
            let mut content = fs::read(&path).expect("a file");
            damage(&mut content);
            fs::write(&path, content).expect("a file of our own");
            assert!(cache.get(&name).is_none() && !path.exists());
        }
    }

    #[test]
    fn what_is_not_what_it_was_to_be_is_not_added() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let cache = ImageCache::with(dir.path(), 100).expect("a cache");
        assert!(add(&cache, &digest(b"other"), b"blob").is_err());
        let mut longer = cache.add(&digest(b"blob and more"), 4).expect("there is room");
        assert!(longer.write_all(b"blob and more").is_err());
        drop(longer);
        drop(cache.add(&digest(b"blob"), 4).expect("there is room"));
        assert!(cache.add(&digest(b"blob"), 101).is_err());
        // Nor is anything else looked for.
        let elsewhere = format!("../{}", digest(b"blob"));
        assert!(cache.get(&elsewhere).is_none() && cache.add(&elsewhere, 4).is_err());
        // The mark alone.
        assert_eq!(files(dir.path()), 1);
    }

    #[test]
    fn a_part_that_a_killed_run_left_stayed_for_an_hour() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let cache = ImageCache::with(dir.path(), 100).expect("a cache");
        let parts = || -> Vec<PathBuf> {
            let paths = fs::read_dir(dir.path()).expect("a directory").map(|entry| entry.expect("an entry").path());
            paths.filter(|path| path.extension().is_some_and(|extension| extension == "tmp")).collect()
        };
        let minutes_ago = SystemTime::now() - Duration::from_secs(120);
        let mut slow = cache.add(&digest(b"slow"), 4).expect("there is room");
        slow.write_all(b"sl").expect("there is room");
        slow.entry.file.set_modified(minutes_ago).expect("a file of our own");
        let kept = parts();
        let names = [format!("{}.0123456789abcdef.tmp", digest(b"left")), format!("{}.1.tmp", digest(b"just begun"))];
        let [left, begun] = names.map(|name| dir.path().join(name));
        for path in [&left, &begun] {
            fs::write(path, "part").expect("a file of our own");
        }
        File::open(&left).expect("a file of our own").set_modified(minutes_ago).expect("a file of our own");
        add(&cache, &digest(b"other"), b"other").expect("there is room");
        assert!(!left.exists(), "nobody writes it");
        assert!(begun.exists(), "it may not be locked yet");
        assert!(kept.iter().all(|path| path.exists()), "it is being written");
        fs::remove_file(&begun).expect("it is there");
        slow.write_all(b"ow").and_then(|()| slow.finish()).expect("it is whole now");
        assert!(cache.get(&digest(b"slow")).is_some() && parts().is_empty());
    }

    #[test]
    fn the_oldest_go_where_there_is_no_room() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let cache = ImageCache::with(dir.path(), 100).expect("a cache");
        let blobs = [[1; 40], [2; 40], [3; 40]];
        for (age, blob) in [30, 20, 10].into_iter().zip(&blobs) {
            add(&cache, &digest(blob), blob).expect("there is room");
            let file = cache.get(&digest(blob)).expect("it is there");
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).expect("a file of our own");
        }
        assert!(cache.get(&digest(&blobs[0])).is_none());
        assert!(cache.get(&digest(&blobs[1])).is_some() && cache.get(&digest(&blobs[2])).is_some());
    }
}
