//! The key that compiled code in the cache is sealed with: a file of its own, outside of the cache.

use std::fs::DirBuilder;
use std::io::{ErrorKind, Read, Result, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;

use super::private;

const SECRET_BYTES: usize = 32;

/// What only this user's aiohost knows.
pub(super) struct Secret([u8; SECRET_BYTES]);

impl Secret {
    /// The key in this file, which is made if it is not there.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
            return Err(ErrorKind::InvalidInput.into());
        };
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        let dir = private::open_dir(parent)?;
        match Self::read(&dir, name) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                make(&dir, name)?;
                Self::read(&dir, name)
            }
            result => result,
        }
    }

    fn read(dir: &OwnedFd, name: &str) -> Result<Self> {
        let mut secret = [0; SECRET_BYTES];
        let (mut file, bytes) = private::open(dir, name, u64::MAX)?;
        if file.metadata()?.mode() & 0o077 != 0 {
            return Err(private::refuse("others may read it; remove it, and a new one is made"));
        }
        if usize::try_from(bytes) != Ok(SECRET_BYTES) {
            return Err(private::refuse("it holds no key; remove it, and a new one is made"));
        }
        file.read_exact(&mut secret)?;
        Ok(Self(secret))
    }

    /// A key for one purpose.
    pub(super) fn derive(&self, purpose: &str) -> [u8; blake3::KEY_LEN] {
        blake3::derive_key(purpose, &self.0)
    }

    /// The same for any test.
    #[cfg(test)]
    pub(super) fn fixed(byte: u8) -> Self {
        Self([byte; SECRET_BYTES])
    }
}

/// Makes a key. If another process was faster its key stays.
fn make(dir: &OwnedFd, name: &str) -> Result<()> {
    let mut secret = [0; SECRET_BYTES];
    private::fill_random(&mut secret)?;
    let temporary = format!("{name}.{}.tmp", private::random_digits()?);
    let mut file = private::create(dir, &temporary)?;
    let written = file.write_all(&secret).and_then(|()| file.sync_all()).and_then(|()| give_name(dir, &temporary, name));
    if !matches!(written, Ok(Named::ByRename)) {
        // If it stays it is a key that nobody asks for.
        let _ = rustix::fs::unlinkat(dir, temporary.as_str(), AtFlags::empty());
    }
    written.map(|_| ())
}

/// How a file got its name.
enum Named {
    /// Its other name is gone.
    ByRename,
    /// Its other name is still there, or another file had the name before.
    Otherwise,
}

fn give_name(dir: impl AsFd, temporary: &str, name: &str) -> Result<Named> {
    match rustix::fs::renameat_with(&dir, temporary, &dir, name, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(Named::ByRename),
        Err(Errno::EXIST) => Ok(Named::Otherwise),
        // The file system cannot do that.
        Err(Errno::INVAL | Errno::NOSYS) => match rustix::fs::linkat(&dir, temporary, &dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::EXIST) => Ok(Named::Otherwise),
            Err(errno) => Err(errno.into()),
        },
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn open(path: &Path) -> Option<[u8; SECRET_BYTES]> {
        Secret::open(path).ok().map(|secret| secret.0)
    }

    #[test]
    fn a_key_is_made_once_and_is_for_the_user_alone() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("new/state/cache.key");
        let secret = open(&path).expect("a new key");
        assert_ne!(secret, [0; SECRET_BYTES]);
        assert_eq!(open(&path), Some(secret));
        assert_ne!(open(&dir.path().join("other.key")), Some(secret));
        let mode = |path: &Path| fs::metadata(path).expect("it is there").mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().expect("it has one"))), (0o600, 0o700));
        assert_eq!(fs::read_dir(path.parent().expect("it has one")).expect("a directory").count(), 1);
    }

    #[test]
    fn of_many_that_make_a_key_at_a_time_all_get_one_key() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("cache.key");
        let secrets: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| open(&path))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic").expect("a key")).collect()
        });
        assert!(secrets.iter().all(|secret| *secret == secrets[0]));
    }

    #[test]
    fn a_key_that_others_know_or_that_is_none_is_not_used() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("cache.key");
        let good = |bytes: &[u8], mode: u32| {
            let _ = fs::remove_file(&path);
            fs::write(&path, bytes).expect("a file of our own");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a file of our own");
            open(&path).is_some()
        };
        assert!(good(&[1; 32], 0o600) && good(&[1; 32], 0o400));
        assert!(!good(&[1; 32], 0o640) && !good(&[1; 32], 0o604) && !good(&[1; 32], 0o620));
        assert!(!good(&[1; 31], 0o600) && !good(&[1; 33], 0o600) && !good(&[], 0o600));

        assert!(good(&[1; 32], 0o600));
        fs::hard_link(&path, dir.path().join("link")).expect("a second name");
        assert_eq!(open(&path), None);
        fs::rename(&path, dir.path().join("real")).expect("a file of our own");
        fs::remove_file(dir.path().join("link")).expect("a file of our own");
        symlink("real", &path).expect("a new link");
        assert_eq!(open(&path), None);
    }

    #[test]
    fn keys_for_two_purposes_differ() {
        let secret = Secret::fixed(7);
        assert_ne!(secret.derive("one"), secret.derive("two"));
        assert_eq!(secret.derive("one"), Secret::fixed(7).derive("one"));
    }
}
