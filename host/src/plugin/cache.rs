//! Compiled code on disk, so that a plugin is compiled once and not at every start.
//!
//! An entry is native code that is going to be run, so nobody else may have written it: the directory and the entries must
//! belong to the user and be writable by nobody else. A damaged entry is found by its checksum. Whatever is wrong with the
//! cache, the plugin is compiled and the run goes on.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::machine::{EngineKind, Machine};
use super::sealed;

/// Bytes that the entries may take together. 1 GiB: some thirty plugins in Python, or thousands in C.
const CACHE_BYTES_MAX: u64 = 1 << 30;

/// Age at which a file that was left half written is removed. No compilation takes an hour.
const ABANDONED: Duration = Duration::from_secs(60 * 60);

const EXTENSION: &str = "cwasm";

/// A directory of compiled code.
pub(super) struct Cache {
    dir: PathBuf,
    bytes_max: u64,
}

/// What an entry is found by: the plugin's bytes, and all that decides what they are compiled to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key(blake3::Hash);

impl Key {
    pub(super) fn new(plugin: blake3::Hash, machine: &Machine) -> Self {
        let mut hasher = Blake3Hasher(blake3::Hasher::new());
        hasher.write(plugin.as_bytes());
        machine.engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.write_u8(match machine.kind {
            EngineKind::Plain => 0,
            EngineKind::Concurrent => 1,
        });
        Self(hasher.0.finalize())
    }
}

/// wasmtime describes its settings as something to be hashed.
struct Blake3Hasher(blake3::Hasher);

impl Hasher for Blake3Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let hash = self.0.finalize();
        hash.as_bytes().iter().take(8).fold(0, |value, byte| (value << 8) | u64::from(*byte))
    }
}

/// `${AIOHOST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/aiohost}/code`, if any of them is set.
pub(super) fn default_dir(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let set = |name| variable(name).filter(|path| path.is_absolute());
    let base = set("AIOHOST_CACHE")
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("aiohost")))
        .or_else(|| Some(set("HOME")?.join(".cache/aiohost")))?;
    Some(base.join("code"))
}

impl Cache {
    /// Uses a directory, which is made if it is not there.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let metadata = fs::metadata(dir)?;
        if !metadata.is_dir() || !is_ours_alone(&metadata) {
            let message = "it belongs to another user, or others may write to it";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        Ok(Self { dir: dir.to_owned(), bytes_max: CACHE_BYTES_MAX })
    }

    /// The sealed code of an entry. A bad entry is removed.
    pub(super) fn load(&self, key: Key) -> Option<Vec<u8>> {
        let path = self.path(key);
        match read_entry(&path) {
            Ok(code) => Some(code),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "an entry of the code cache is not used; compiling again");
                self.remove(key);
                None
            }
        }
    }

    /// Removes an entry that turned out to be of no use.
    pub(super) fn remove(&self, key: Key) {
        // If it stays it is found to be bad again next time.
        let _ = fs::remove_file(self.path(key));
    }

    /// Adds an entry. A failure is a warning, since the plugin has been compiled.
    pub(super) fn store(&self, key: Key, sealed: &[u8]) {
        if let Err(error) = self.try_store(key, sealed) {
            tracing::warn!(dir = %self.dir.display(), %error, "cannot keep compiled code; the plugin will be compiled every time");
        }
    }

    fn try_store(&self, key: Key, sealed: &[u8]) -> io::Result<()> {
        let temporary = self.dir.join(format!("{}.{}.tmp", key.0.to_hex(), std::process::id()));
        // Two threads of one process may compile the same plugin; the second one leaves the entry to the first.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        let written = file.write_all(sealed).and_then(|()| fs::rename(&temporary, self.path(key)));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written?;
        self.shrink()
    }

    /// Removes what was used longest ago until the rest fits, and what was left half written.
    fn shrink(&self) -> io::Result<()> {
        let now = SystemTime::now();
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            // Another process may shrink the cache too.
            let Ok(metadata) = entry.metadata() else { continue };
            let used = metadata.modified()?;
            if entry.path().extension().is_some_and(|extension| extension == EXTENSION) {
                entries.push((used, metadata.len(), entry.path()));
            } else if now.duration_since(used).is_ok_and(|age| age > ABANDONED) {
                let _ = fs::remove_file(entry.path());
            }
        }
        entries.sort();
        let mut bytes: u64 = entries.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, entry_bytes, path) in entries {
            if bytes <= self.bytes_max {
                break;
            }
            bytes -= entry_bytes;
            let _ = fs::remove_file(path);
        }
        Ok(())
    }

    fn path(&self, key: Key) -> PathBuf {
        self.dir.join(key.0.to_hex().as_str()).with_extension(EXTENSION)
    }
}

/// Reads an entry and marks it as used.
fn read_entry(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let invalid = |message| io::Error::new(io::ErrorKind::InvalidData, message);
    if !metadata.is_file() || !is_ours_alone(&metadata) {
        return Err(invalid("it belongs to another user, or others may write to it"));
    }
    let mut sealed = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    file.read_to_end(&mut sealed)?;
    if sealed::unseal(&sealed).is_none() {
        return Err(invalid("it is damaged"));
    }
    // An entry that cannot be marked is removed sooner, no more.
    let _ = file.set_modified(SystemTime::now());
    Ok(sealed)
}

fn is_ours_alone(metadata: &Metadata) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o022 == 0
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn cache(bytes_max: u64) -> (tempfile::TempDir, Cache) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut cache = Cache::open(&dir.path().join("a/code")).expect("a new directory");
        cache.bytes_max = bytes_max;
        (dir, cache)
    }

    fn key(name: &str) -> Key {
        Key(blake3::hash(name.as_bytes()))
    }

    #[test]
    fn an_entry_comes_back_and_is_private() {
        let (_dir, cache) = cache(CACHE_BYTES_MAX);
        let sealed = sealed::seal(b"code".to_vec());
        assert_eq!(cache.load(key("a")), None);
        cache.store(key("a"), &sealed);
        assert_eq!(cache.load(key("a")), Some(sealed));
        let mode = |path: &Path| fs::metadata(path).expect("it is there").mode() & 0o777;
        assert_eq!((mode(&cache.dir), mode(&cache.path(key("a")))), (0o700, 0o600));
    }

    #[test]
    fn a_damaged_entry_is_removed() {
        let (_dir, cache) = cache(CACHE_BYTES_MAX);
        let sealed = sealed::seal(b"code".to_vec());
        let damage: [fn(&mut Vec<u8>); 3] = [|code| code.truncate(9), Vec::clear, |code| code[0] ^= 1];
        for damage in damage {
            let mut damaged = sealed.clone();
            damage(&mut damaged);
            fs::write(cache.path(key("a")), damaged).expect("a file of our own");
            assert_eq!(cache.load(key("a")), None);
            assert!(!cache.path(key("a")).exists());
        }
    }

    #[test]
    fn an_entry_that_others_may_write_is_removed() {
        let (_dir, cache) = cache(CACHE_BYTES_MAX);
        cache.store(key("a"), &sealed::seal(b"code".to_vec()));
        fs::set_permissions(cache.path(key("a")), fs::Permissions::from_mode(0o666)).expect("a file of our own");
        assert_eq!(cache.load(key("a")), None);
        assert!(!cache.path(key("a")).exists());
    }

    #[test]
    fn a_directory_that_others_may_write_is_not_used() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("a directory of our own");
        assert!(Cache::open(dir.path()).is_err());
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let sealed = sealed::seal(vec![0; 1000]);
        let (_dir, cache) = cache(2 * u64::try_from(sealed.len()).expect("a small number"));
        for (age, name) in [(30, "old"), (20, "older but used"), (10, "new")] {
            cache.store(key(name), &sealed);
            let used = SystemTime::now() - Duration::from_secs(age);
            let file = File::open(cache.path(key(name)));
            file.and_then(|file| file.set_modified(used)).ok();
            if name == "old" {
                continue;
            }
            assert!(cache.load(key("older but used")).is_some());
        }
        assert!(cache.load(key("old")).is_none());
        assert!(cache.load(key("new")).is_some());
    }

    #[test]
    fn the_directory_is_where_the_variables_say() {
        let dir = |set: &[(&str, &str)]| {
            let variable = |name: &str| Some(set.iter().find(|(key, _)| *key == name)?.1.into());
            default_dir(variable).map(|dir| dir.display().to_string())
        };
        assert_eq!(dir(&[("AIOHOST_CACHE", "/a"), ("HOME", "/h")]).as_deref(), Some("/a/code"));
        assert_eq!(dir(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")]).as_deref(), Some("/x/aiohost/code"));
        assert_eq!(dir(&[("XDG_CACHE_HOME", "x"), ("HOME", "/h")]).as_deref(), Some("/h/.cache/aiohost/code"));
        assert_eq!(dir(&[("HOME", "")]), None);
    }
}
