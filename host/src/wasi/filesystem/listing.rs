//! The listing of a directory, entry by entry, without those that stand for the directory itself and for the one above.

use super::requests::READ_DIRECTORY_ENTRY;
use super::steps::{Asker, Begun};
use crate::sandbox::{Cursor, Visited};
use crate::types::FileType;
use crate::wasi::runs::CursorAt;

/// A listing, and the place in it. Copies share what was read.
#[derive(Clone, Debug)]
pub(crate) struct DirListing {
    cursor: Cursor,
    at: u64,
}

/// What there is in a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Some entries.
    Some,
    /// None that was read; there may be more.
    Unread,
    End,
}

impl DirListing {
    pub(super) fn new(cursor: Cursor) -> Self {
        Self { cursor, at: 0 }
    }

    /// Gives entries that were read, `count` of them at most.
    pub(crate) fn give(&mut self, count: usize, mut each: impl FnMut(FileType, &str)) -> Found {
        let (mut given, mut at) = (0, self.at);
        let visited = self.cursor.visit(self.at, |entry| {
            if given == count {
                return false;
            }
            if entry.name != "." && entry.name != ".." {
                each(entry.kind, &entry.name);
                given += 1;
            }
            at = entry.next;
            true
        });
        self.at = at;
        match visited {
            _ if given > 0 => Found::Some,
            Visited::End => Found::End,
            Visited::Enough | Visited::More(_) => Found::Unread,
        }
    }

    /// Begins to read entries.
    pub(crate) fn read_on(&self, asker: &Asker) -> Begun<()> {
        asker.begin(READ_DIRECTORY_ENTRY, (CursorAt { cursor: self.cursor.clone(), from: self.at },))
    }
}
