//! The requests that functions of WASI 0.2 on files make. What each is called in statistics is the function's name.

use crate::door::{Entry, Request, Run};
use crate::sandbox::{OpenFile, Place, Read};
use crate::types::Status;
use crate::wasi::requests::{Names, P2};
use crate::wasi::runs;

/// The functions that are requests.
const NAMES: Names<26> = Names {
    first: P2,
    names: [
        "advise",
        "append-via-stream",
        "create-directory-at",
        "is-same-object",
        "link-at",
        "metadata-hash",
        "metadata-hash-at",
        "open-at",
        "read",
        "read-directory",
        "read-directory-entry",
        "read-via-stream",
        "readlink-at",
        "remove-directory-at",
        "rename-at",
        "set-size",
        "set-times",
        "set-times-at",
        "stat",
        "stat-at",
        "symlink-at",
        "sync",
        "sync-data",
        "unlink-file-at",
        "write",
        "write-via-stream",
    ],
};

/// A request of the usual sort.
pub(super) const fn request<A, O>(name: &'static str, run: Run<A, O>) -> Request<A, O> {
    Request { kind: NAMES.kind(name), run, entry: Entry::InTurn }
}

/// A request on a descriptor, for each of what that may be.
pub(super) struct OnEither<O> {
    pub(super) file: Request<(OpenFile,), O>,
    pub(super) dir: Request<(Place<Read>,), O>,
}

pub(super) const fn status(name: &'static str) -> OnEither<Status> {
    OnEither { file: request(name, runs::FSTAT), dir: request(name, runs::STAT) }
}

/// A request on what a path names, or on what it leads to.
pub(super) struct OnLink<A, O> {
    pub(super) followed: Request<A, O>,
    pub(super) itself: Request<A, O>,
}

pub(super) const fn status_at(name: &'static str) -> OnLink<(Place<Read>,), Status> {
    OnLink { followed: request(name, runs::STAT), itself: request(name, runs::LSTAT) }
}

impl<A, O> OnLink<A, O> {
    pub(super) fn choose(self, follows: bool) -> Request<A, O> {
        if follows { self.followed } else { self.itself }
    }
}
