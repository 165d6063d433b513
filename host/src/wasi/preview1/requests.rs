//! The requests that preview 1 makes: what each is, and what it does. What it is called in statistics is the function's name.

use super::Preview1View;
use super::errno::{Errno, Result};
use super::memory::Guest;
use crate::arguments::Held;
use crate::door::{self, Entry, Passed, Request, Run, Terms};
use crate::error::Result as AioResult;
use crate::limits::{INLINE_CALL_BYTES_MAX, UNBOOKED_BYTES_MAX};
use crate::output::Answer;
use crate::sched::{Kind, Manner};

/// A call holds up its guest, as any call of preview 1 does.
pub(super) const TERMS: Terms = Terms {
    inline_bytes_max: INLINE_CALL_BYTES_MAX,
    unbooked_bytes_max: UNBOOKED_BYTES_MAX,
    waits_in_numbers: false,
    waits_on_own_thread: true,
};

/// The first number of these kinds, behind those of `aiohost:aio`.
const FIRST_NUMBER: usize = 64;

/// The functions that are requests.
const NAMES: [&str; 24] = [
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
];

/// The kind of a function's requests. `number` is its place in the list of names.
pub(super) const fn kind(name: &'static str) -> Kind {
    let mut number = 0;
    while number < NAMES.len() {
        if is_same(NAMES[number].as_bytes(), name.as_bytes()) {
            return Kind { name, number: FIRST_NUMBER + number };
        }
        number += 1;
    }
    panic!("the function is not in the list")
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// A request of the usual sort.
pub(super) const fn request<A, O>(name: &'static str, run: Run<A, O>) -> Request<A, O> {
    Request { kind: kind(name), run, entry: Entry::InTurn }
}

impl<T: Preview1View> Guest<'_, T> {
    /// Takes a request through the door and waits for it.
    pub(super) async fn make<A: Held + Send + 'static, O: Answer>(
        &mut self,
        request: Request<A, O>,
        arguments: AioResult<A>,
    ) -> Result<O> {
        let passed = {
            let view = self.caller.data_mut().aio();
            door::enter_parsed(view.ctx, request, arguments, Manner::default(), TERMS)
        };
        let result = match passed {
            Passed::Done(result, _) => result,
            Passed::ToQueue(queued) => queued.run().await,
        };
        Ok(result.map_err(Errno::from)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops;

    #[test]
    fn no_two_kinds_have_one_number() {
        assert!(FIRST_NUMBER >= ops::streams::KINDS.len() + 53);
        assert!(NAMES.iter().all(|name| kind(name).name == *name));
    }
}
