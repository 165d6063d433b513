//! Names that something has while it is not whole, or about to go.

use std::ffi::CString;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::AsFd;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::sys;
use crate::error::{Error, Result};

/// How such a name begins; 16 hexadecimal digits follow, and what else there is to know after a dash.
pub(super) const PREFIX: &str = ".aiohost-";

/// Names that are tried. A single collision is next to impossible; 16 in a row can only be intended.
const TRIES: usize = 16;

/// What follows the name of what a move replaces, until that is done.
pub(super) const KEPT: &str = "-kept";

/// Makes something of a name that nothing has yet, and gives the name.
pub(super) fn with_new_name<T>(suffix: &str, mut make: impl FnMut(&CString) -> rustix::io::Result<T>) -> Result<(CString, T)> {
    for _ in 0..TRIES {
        // Each `RandomState` has other keys.
        let name = format!("{PREFIX}{:016x}{suffix}", RandomState::new().hash_one(std::process::id()));
        let name = CString::new(name).expect("there is no NUL in it");
        match make(&name) {
            Err(Errno::EXIST) => {}
            result => return Ok((name, result?)),
        }
    }
    Err(Error::EXIST)
}

/// Holds what was made under such a name, until the descriptor is closed. Where a file system has no such locks nothing is swept
/// either.
pub(super) fn hold(made: impl AsFd) {
    // Whoever might have it already is just looking whether it has a maker, and finds it too young.
    let _held = sys::flock(made, FlockOperation::NonBlockingLockExclusive);
}
