//! The requests that functions of `wasi:filesystem` make. What each is called in statistics is the function's name.

use wasmtime_wasi::p2::bindings::filesystem::types::PathFlags;

use super::opening::follows;
use crate::door::{Entry, Request, Run};
use crate::sandbox::{Advice, ChangeableFile, FileOrDir, NewTimes, OpenDir, OpenFile, OpeningAny, Place, Read, Target, Write};
use crate::sched::Kind;
use crate::types::Status;
use crate::wasi::requests::{FILESYSTEM, Names};
use crate::wasi::runs::{self, CursorAt};

/// The functions that are requests, of both versions.
const NAMES: Names<26> = Names {
    first: FILESYSTEM,
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

pub(super) const ADVISE: Request<(OpenFile, u64, u64, Advice), ()> = request("advise", runs::ADVISE);
pub(super) const SYNC: OnEither<()> = OnEither { file: request("sync", runs::FSYNC), dir: request("sync", runs::SYNC_DIR) };
pub(super) const SYNC_DATA: OnEither<()> =
    OnEither { file: request("sync-data", runs::DATASYNC), dir: request("sync-data", runs::SYNC_DIR) };
pub(super) const SET_SIZE: Request<(OpenFile, u64), ()> = request("set-size", runs::TRUNCATE);
pub(super) const SET_TIMES: Request<(ChangeableFile, NewTimes), ()> = request("set-times", runs::FUTIME);
pub(super) const SET_TIMES_DIR: Request<(Place<Write>, NewTimes), ()> = request("set-times", runs::UTIME);
pub(super) const SET_TIMES_AT: OnLink<(Place<Write>, NewTimes), ()> =
    OnLink { followed: request("set-times-at", runs::UTIME), itself: request("set-times-at", runs::LUTIME) };
pub(super) const READ_DIRECTORY: Request<(Place<Read>,), OpenDir> = request("read-directory", runs::OPEN_DIR);
pub(super) const READ_DIRECTORY_ENTRY: Request<(CursorAt,), ()> = request("read-directory-entry", runs::FILL);
pub(super) const CREATE_DIRECTORY_AT: Request<(Place<Write>,), ()> = request("create-directory-at", runs::MKDIR);
pub(super) const LINK_AT: Request<(Place<Write>, Place<Write>), ()> = request("link-at", runs::LINK);
pub(super) const OPEN_AT: Request<(OpeningAny,), FileOrDir> = request("open-at", runs::OPEN);
pub(super) const READLINK_AT: Request<(Place<Read>,), String> = request("readlink-at", runs::READLINK);
pub(super) const REMOVE_DIRECTORY_AT: Request<(Place<Write>,), ()> = request("remove-directory-at", runs::RMDIR);
pub(super) const RENAME_AT: Request<(Place<Write>, Place<Write>), ()> = request("rename-at", runs::RENAME);
pub(super) const SYMLINK_AT: Request<(Target, Place<Write>), ()> = request("symlink-at", runs::SYMLINK);
pub(super) const UNLINK_FILE_AT: Request<(Place<Write>,), ()> = request("unlink-file-at", runs::UNLINK);
pub(super) const STAT: StatusOf = status("stat");
pub(super) const STAT_AT: StatusAt = status_at("stat-at");
pub(super) const METADATA_HASH: StatusOf = status("metadata-hash");
pub(super) const METADATA_HASH_AT: StatusAt = status_at("metadata-hash-at");
pub(super) const IS_SAME_OBJECT: OnEither<Status> = status("is-same-object").look;

/// The kind of a function's requests.
pub(crate) const fn kind(name: &'static str) -> Kind {
    NAMES.kind(name)
}

/// A request of the usual sort.
pub(crate) const fn request<A, O>(name: &'static str, run: Run<A, O>) -> Request<A, O> {
    Request { kind: kind(name), run, entry: Entry::InTurn }
}

/// A request on a descriptor, for each of what that may be.
pub(super) struct OnEither<O> {
    pub(super) file: Request<(OpenFile,), O>,
    pub(super) dir: Request<(Place<Read>,), O>,
}

/// A request for a status: a look at the object, or the answer of the look before.
#[derive(Clone, Copy)]
pub(super) struct Known<L> {
    pub(super) look: L,
    pub(super) known: Request<(Status,), Status>,
}

/// The status of what a descriptor stands for.
pub(super) type StatusOf = Known<OnEither<Status>>;

/// The status of what a path names, or leads to.
pub(super) type StatusAt = Known<OnLink<(Place<Read>,), Status>>;

const fn status(name: &'static str) -> StatusOf {
    let look = OnEither { file: request(name, runs::FSTAT), dir: request(name, runs::STAT) };
    Known { look, known: request(name, runs::KNOWN_STATUS) }
}

/// A request on what a path names, or on what it leads to.
pub(super) struct OnLink<A, O> {
    followed: Request<A, O>,
    itself: Request<A, O>,
}

const fn status_at(name: &'static str) -> StatusAt {
    let look = OnLink { followed: request(name, runs::STAT), itself: request(name, runs::LSTAT) };
    Known { look, known: request(name, runs::KNOWN_STATUS) }
}

impl<A, O> OnLink<A, O> {
    pub(super) fn choose(self, flags: PathFlags) -> Request<A, O> {
        if follows(flags) { self.followed } else { self.itself }
    }
}
