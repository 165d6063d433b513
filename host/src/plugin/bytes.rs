//! A plugin's bytes, in memory or in a file, which is opened once and read only if it has to be.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;

use blake3::hazmat::Mode;

use super::{source, tree_hash};
use crate::problem::Result;

/// Where a plugin's bytes are.
pub(super) enum PluginBytes<'a> {
    Memory(&'a [u8]),
    File(&'a Path, File),
}

impl<'a> PluginBytes<'a> {
    /// Opens a plugin's file, if it is a regular one that is no larger than a plugin may be.
    pub(super) fn open(path: &'a Path) -> Result<Self> {
        Ok(Self::File(path, source::open(path)?))
    }

    /// The path that it was opened by, and what was opened.
    pub(super) fn origin(&self) -> Option<(&Path, &File)> {
        match self {
            Self::Memory(_) => None,
            Self::File(path, file) => Some((path, file)),
        }
    }

    /// Its first bytes; fewer only if it has fewer.
    pub(super) fn head(&self) -> Result<Vec<u8>> {
        const BYTES: usize = 8;
        match self {
            Self::Memory(bytes) => Ok(bytes.iter().take(BYTES).copied().collect()),
            Self::File(path, file) => {
                let mut head = vec![0; BYTES];
                let count = read_at(file, &mut head, 0).map_err(|error| source::problem(path, error))?;
                head.truncate(count);
                Ok(head)
            }
        }
    }

    pub(super) fn hash(&self) -> Result<blake3::Hash> {
        match self {
            Self::Memory(bytes) => Ok(blake3::hash(bytes)),
            Self::File(path, file) => match hash(file) {
                // Its size is not what there is to read: it has become shorter meanwhile, or the kernel makes it up.
                Ok(None) => Ok(blake3::hash(&self.bytes()?)),
                Ok(Some(hash)) => Ok(hash),
                Err(error) => Err(source::problem(path, error)),
            },
        }
    }

    /// All of it. A file may have changed since it was hashed.
    pub(super) fn bytes(&self) -> Result<Cow<'_, [u8]>> {
        match self {
            Self::Memory(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::File(path, file) => source::read_open(path, file).map(Cow::Owned),
        }
    }
}

/// None if the file's size does not say how much there is to read.
fn hash(file: &File) -> io::Result<Option<blake3::Hash>> {
    let bytes = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    if bytes == 0 {
        return Ok(None);
    }
    match tree_hash::hash(bytes, Mode::Hash, |piece, at| file.read_exact_at(piece, at)) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        hashed => hashed.map(Some),
    }
}

/// Fills the buffer, as far as the file goes.
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], at + u64::try_from(filled).expect("a small number")) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::tree_hash::PART_BYTES;

    #[test]
    fn a_file_whose_size_is_made_up_is_hashed_as_it_is_read() {
        let path = Path::new("/proc/version");
        let source = PluginBytes::File(path, File::open(path).expect("there is procfs"));
        assert_eq!(source.hash().expect("it can be read"), blake3::hash(&std::fs::read(path).expect("it can be read")));
    }

    #[test]
    fn a_file_is_hashed_and_read_as_a_whole() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("plugin");
        for length in [0, 1, 7, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES] {
            let content: Vec<u8> = (0..=255).cycle().take(length).collect();
            std::fs::write(&path, &content).expect("a file of our own");
            let source = PluginBytes::open(&path).expect("it is there");
            assert_eq!(source.hash().expect("it can be read"), blake3::hash(&content));
            assert_eq!(source.head().expect("it can be read"), content[..length.min(8)]);
            // More than once.
            for _ in 0..2 {
                assert_eq!(source.bytes().expect("it can be read"), content);
            }
        }
    }
}
