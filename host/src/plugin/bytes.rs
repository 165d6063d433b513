//! A plugin's bytes, in memory or in a file, which is opened once and read only if it has to be.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;

use blake3::hazmat::Mode;

use super::tree_hash::PART_BYTES;
use super::{source, tree_hash};
use crate::problem::Result;

/// Bytes that are read at a time. They stay in the processor's cache, from where they are hashed.
const PIECE_BYTES: usize = 256 << 10;

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
            Self::File(path, file) => hash(file).map_err(|error| source::problem(path, error)),
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

fn hash(file: &File) -> io::Result<blake3::Hash> {
    let bytes = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    if bytes > PART_BYTES {
        match tree_hash::hash(bytes, Mode::Hash, |piece, at| file.read_exact_at(piece, at)) {
            // It has become shorter meanwhile: then it is what it is now.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {}
            hashed => return hashed,
        }
    }
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; PIECE_BYTES];
    let mut at = 0;
    loop {
        let count = read_at(file, &mut piece, at)?;
        hasher.update(&piece[..count]);
        at += u64::try_from(count).expect("a small number");
        if count < piece.len() {
            return Ok(hasher.finalize());
        }
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

    #[test]
    fn a_file_is_hashed_and_read_as_a_whole() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("plugin");
        for length in [0, 1, 7, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES, 3 * PART_BYTES + 1] {
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
