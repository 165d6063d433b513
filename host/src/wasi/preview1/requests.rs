//! The requests that preview 1 makes. What each is called in statistics is the function's name.

use super::Preview1View;
use super::errno::{Errno, Result};
use super::memory::GuestMemory;
use crate::arguments::Held;
use crate::door::{Entry, Passed, Request, Run};
use crate::error::Result as AioResult;
use crate::output::Answer;
use crate::sched::Kind;
use crate::wasi::requests::{self, Names, PREVIEW1, TERMS};

/// The functions that are requests.
const NAMES: Names<24> = Names {
    first: PREVIEW1,
    names: [
        "fd_advise",
        "fd_allocate",
        "fd_close",
        "fd_datasync",
        "fd_filestat_get",
        "fd_filestat_set_size",
        "fd_filestat_set_times",
        "fd_pread",
        "fd_pwrite",
        "fd_read",
        "fd_readdir",
        "fd_seek",
        "fd_sync",
        "fd_write",
        "path_create_directory",
        "path_filestat_get",
        "path_filestat_set_times",
        "path_link",
        "path_open",
        "path_readlink",
        "path_remove_directory",
        "path_rename",
        "path_symlink",
        "path_unlink_file",
    ],
};

/// The kind of a function's requests.
pub(super) const fn kind(name: &'static str) -> Kind {
    NAMES.kind(name)
}

/// A request of the usual sort.
pub(super) const fn request<A, O>(name: &'static str, run: Run<A, O>) -> Request<A, O> {
    Request { kind: kind(name), run, entry: Entry::InTurn }
}

impl<T: Preview1View> GuestMemory<'_, T> {
    /// Takes a request through the door; none if it would have to be waited for, and then nothing of it is left.
    pub(super) fn make_now<A: Held + Send + 'static, O: Answer>(
        &mut self,
        request: Request<A, O>,
        arguments: A,
    ) -> Result<Option<O>> {
        match requests::pass(self.caller.data_mut().aio().ctx, request, Ok(arguments), TERMS) {
            Passed::Done(result, _) => Ok(result.map(Some).map_err(Errno::from)?),
            Passed::ToQueue(_) => Ok(None),
        }
    }

    /// Takes a request through the door and waits for it.
    pub(super) async fn make<A: Held + Send + 'static, O: Answer>(
        &mut self,
        request: Request<A, O>,
        arguments: AioResult<A>,
    ) -> Result<O> {
        let made = requests::make(self.caller.data_mut().aio().ctx, request, arguments, TERMS);
        Ok(made.await.map_err(Errno::from)?)
    }
}
