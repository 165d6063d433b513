//! An entry of the code cache: looked at, held against its seal, and mapped into memory.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result, Seek};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::SystemTime;

use blake3::hazmat::Mode;
use rustix::fs::FsWord;
use wasmtime::Engine;

use super::code::Code;
use super::{private, sealed};

/// Compiled code that this user's aiohost has sealed.
pub(super) struct CacheEntry {
    file: File,
    bytes: u64,
    /// The key of the entry's seal.
    key: [u8; blake3::KEY_LEN],
}

impl CacheEntry {
    /// Opens the entry with this name, and marks it as used.
    pub(super) fn open(dir: impl AsFd, name: &str, bytes_max: u64, key: [u8; blake3::KEY_LEN]) -> Result<Self> {
        let (file, bytes) = private::open(dir, name, bytes_max)?;
        let all = usize::try_from(bytes).map_err(Error::other)?;
        if !sealed::is_intact(all, Mode::KeyedHash(&key), |piece, at| file.read_exact_at(piece, at))? {
            return Err(Error::new(ErrorKind::InvalidData, "it is damaged, or its seal is not of this user's aiohost"));
        }
        // An entry that cannot be marked is removed sooner, no more.
        let _ = file.set_modified(SystemTime::now());
        Ok(Self { file, bytes, key })
    }

    /// The code. A mapping of the file costs neither a copy nor the memory for one, and what is never run is never read.
    pub(super) fn code(&self, engine: &Engine) -> wasmtime::Result<Code> {
        if stays_when_mapped(&self.file) {
            // The name leads to this very file, whatever has its name in the cache meanwhile.
            let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            // SAFETY: the seal says that the file is the work of this user's `Code::serialize`. It cannot change: what is
            // in the cache is only ever renamed and removed, and nobody but this user may write it. A plugin that could is not
            // run with a cache, unless somebody insists on it: see `trust`.
            match unsafe { Code::deserialize_file(engine, Path::new(&path)) } {
                Ok(code) => return Ok(code),
                // There is no procfs, or the file system is mounted so that nothing of it may be run.
                Err(error) => tracing::debug!(%error, "an entry of the code cache is read instead of mapped"),
            }
        }
        let sealed = self.read()?;
        let code = sealed::unseal_with(&sealed, Mode::KeyedHash(&self.key));
        let code = code.ok_or_else(|| Error::new(ErrorKind::InvalidData, "it has changed just now"))?;
        // SAFETY: as above; this copy was checked itself.
        unsafe { Code::deserialize(engine, code) }
    }

    fn read(&self) -> Result<Vec<u8>> {
        let mut sealed = Vec::with_capacity(usize::try_from(self.bytes).unwrap_or(0));
        let mut file = &self.file;
        file.rewind()?;
        file.take(self.bytes).read_to_end(&mut sealed)?;
        Ok(sealed)
    }
}

/// Whether a mapping of a file stays good when the file is removed, as it is when the cache is full. A server of files may
/// forget it then, and the program ends with a bus error.
fn stays_when_mapped(file: &File) -> bool {
    const LOCAL: [FsWord; 9] = [
        0xEF53,      // ext2, ext3, ext4
        0x5846_5342, // xfs
        0x9123_683E, // btrfs
        0xF2F5_2010, // f2fs
        0xCA45_1A4E, // bcachefs
        0x2FC1_2FC1, // zfs
        0x794C_7630, // overlayfs
        0x0102_1994, // tmpfs
        0x8584_58F6, // ramfs
    ];
    rustix::fs::fstatfs(file).is_ok_and(|status| LOCAL.contains(&status.f_type))
}
