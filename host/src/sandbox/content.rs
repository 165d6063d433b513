//! Bytes that were read from a file: what a read, and a request on a whole file, comes to.

use super::file::{FileLeft, OpenFile};
use super::position::MoveNumber;

/// What was read. If nobody takes it, the position that was moved for it goes back.
#[derive(Debug)]
pub(crate) struct Content {
    bytes: Vec<u8>,
    moved: Option<Moved>,
}

impl Content {
    /// `moved` is how the position was moved for it, if it was.
    pub(super) fn new(bytes: Vec<u8>, moved: Option<Moved>) -> Self {
        Self { bytes, moved }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes of memory that it takes.
    pub(crate) fn bytes_held(&self) -> usize {
        self.bytes.capacity()
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Copies as much of it as there is room for, and tells how much that is.
    pub(crate) fn copy_to(&self, buffer: &mut [u8]) -> u64 {
        let count = self.bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.bytes[..count]);
        u64::try_from(count).expect("a length fits")
    }

    /// Gives back the memory that was allocated for more than there was, where that is worth a copy.
    pub(crate) fn fit(mut self) -> Self {
        if self.bytes.capacity() > 2 * self.bytes.len() + SLACK_BYTES {
            self.bytes.shrink_to_fit();
        }
        self
    }

    /// Puts back the position, if it was moved for this.
    pub(crate) fn give_back(&mut self) {
        if let Some(moved) = self.moved.take() {
            moved.give_back();
        }
    }
}

/// Bytes that content may take more than it needs. 4 KiB: less is not worth a copy.
const SLACK_BYTES: usize = 4 << 10;

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes, None)
    }
}

/// How a position was moved for a result. It stays there when this is dropped.
#[derive(Debug)]
pub(super) struct Moved {
    file: FileLeft,
    number: MoveNumber,
}

impl Moved {
    pub(super) fn new(file: &OpenFile, number: MoveNumber) -> Self {
        Self { file: file.as_left(), number }
    }

    /// Puts it back.
    fn give_back(self) {
        if let Some(file) = self.file.get() {
            file.position().give_back(self.number);
        }
    }
}

impl Drop for Moved {
    fn drop(&mut self) {
        if let Some(file) = self.file.get() {
            file.position().keep(self.number);
        }
    }
}
