//! How requests of WASI are made: what each is called in statistics, and its way through the door.

use std::future::ready;

use futures::future::Either;

use crate::arguments::Held;
use crate::ctx::AioCtx;
use crate::door::{Passed, Request, Terms, enter_parsed};
use crate::error::Result;
use crate::limits::INLINE_BYTES_MAX;
use crate::output::Answer;
use crate::sched::{Kind, Manner};

/// A call of preview 1 or of WASI 0.2 holds up its guest.
pub(super) const TERMS: Terms = Terms::SUSPENDING;

/// Any number of calls of WASI 0.3 can be under way, while the guest goes on.
pub(super) const CONCURRENT_TERMS: Terms =
    Terms { inline_bytes_max: INLINE_BYTES_MAX, unbooked_bytes_max: 0, waits_in_numbers: true, waits_on_own_thread: false };

/// The first number of the kinds of preview 1, behind those of `aiohost:aio`.
pub(super) const PREVIEW1: usize = 64;

/// The same of `wasi:filesystem`, whose functions have the same names in each version.
pub(super) const FILESYSTEM: usize = 96;

/// The names of functions that are requests.
pub(super) struct Names<const COUNT: usize> {
    /// The number of the first one's kind.
    pub(super) first: usize,
    pub(super) names: [&'static str; COUNT],
}

impl<const COUNT: usize> Names<COUNT> {
    /// The kind of a function's requests: its place in the list is its number.
    pub(super) const fn kind(&self, name: &'static str) -> Kind {
        let mut number = 0;
        while number < COUNT {
            if is_same(self.names[number].as_bytes(), name.as_bytes()) {
                return Kind { name, number: self.first + number };
            }
            number += 1;
        }
        panic!("the function is not in the list")
    }
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

/// Takes a request up to where it would have to wait.
pub(super) fn pass<A: Held + Send + 'static, O: Answer>(
    ctx: &AioCtx,
    request: Request<A, O>,
    arguments: Result<A>,
    terms: Terms,
) -> Passed<O> {
    enter_parsed(ctx.caller(), request, arguments, Manner::default(), terms)
}

/// Takes a request through the door, and waits for it where the future is waited for.
pub(super) fn make<A: Held + Send + 'static, O: Answer>(
    ctx: &AioCtx,
    request: Request<A, O>,
    arguments: Result<A>,
    terms: Terms,
) -> impl Future<Output = Result<O>> + Send + use<A, O> {
    match pass(ctx, request, arguments, terms) {
        Passed::Done(result, _) => Either::Left(ready(result)),
        // In a box: it is large, and each of the futures around it would be so, and be moved so, also where nothing is queued.
        Passed::ToQueue(queued) => Either::Right(Box::pin(queued.run())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops;

    #[test]
    fn no_two_kinds_have_one_number() {
        assert!(PREVIEW1 >= ops::streams::KINDS.len() + 53);
        let names = Names { first: 7, names: ["one", "other"] };
        assert_eq!((names.kind("one").number, names.kind("other").number), (7, 8));
    }
}
