//! An open directory, and the quota of what a guest may have open.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Rights;
use crate::error::{Error, Result};

/// How many files and directories a guest has open, and may have.
#[derive(Clone, Debug)]
pub(crate) struct Quota {
    open: Arc<AtomicUsize>,
    max: usize,
}

/// A place in the quota; dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Token(Arc<AtomicUsize>);

impl Quota {
    pub(crate) fn new(max: usize) -> Self {
        Self { open: Arc::default(), max }
    }

    /// Takes a place, before anything is opened.
    pub(super) fn take(&self) -> Result<Token> {
        let token = Token(Arc::clone(&self.open));
        // The token counts from here on, so that the way out gives the place back.
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.max {
            return Err(Error::TOO_MANY_OPEN_FILES);
        }
        Ok(token)
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A directory that paths start from: a grant, or one that the guest opened.
#[derive(Clone, Debug)]
pub(super) struct Base {
    pub(super) file: Arc<File>,
    pub(super) rights: Rights,
    pub(super) root: Arc<Root>,
}

/// The directory that was granted, in which a base lies, and its name for the guest.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) file: Arc<File>,
    pub(super) name: String,
}

/// The guest's handle of a directory: `aiohost:aio/types.dir`.
#[derive(Debug)]
pub(crate) struct OpenDir {
    pub(super) base: Base,
    pub(super) _token: Token,
}
