//! A request on its way, and the type of its result.

use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::types::{self, Extent, Listing, Outcome, Progress, Scan, Status, Volume, WalkEntry, Walker};
use crate::{Dir, File, completions};

/// A request on its way, from a function of [`submit`](crate::submit). [`wait`](Self::wait) for it, `.await` it, or put it
/// into an [`InFlight`](crate::InFlight).
///
/// Dropping it discards the result, but the request still runs. Use [`cancel`](Self::cancel) to take it back. As a future, it
/// completes once, and does not need to be polled to start: it is on its way from the beginning.
///
/// # Examples
///
/// One request at a time is `submit::stat(&dir, "name").wait()?`. As futures:
///
/// ```no_run
#[doc = include_str!("../examples/futures.rs")]
/// ```
#[must_use = "a request has a result, and may have failed"]
pub struct Request<T> {
    handle: types::Request,
    interest: Interest,
    result: PhantomData<fn() -> T>,
}

/// The number of a request that somebody may wait for.
struct Interest(u64);

impl Drop for Interest {
    fn drop(&mut self) {
        completions::forget(self.0);
    }
}

/// A type that the result of a request may have.
pub trait FromOutcome: Sized {
    /// The result, or `None` if the outcome is of another type.
    fn from_outcome(outcome: Outcome) -> Option<Self>;
}

impl<T> Request<T> {
    /// A request of the bindings. `T` has to be the type of its result.
    pub(crate) fn new(handle: types::Request) -> Self {
        let interest = Interest(handle.id());
        Self { handle, interest, result: PhantomData }
    }

    /// Its number, which no other request of this plugin has.
    pub fn id(&self) -> u64 {
        self.interest.0
    }

    /// Cancel it. If it is queued it never runs. In any case its result is [`ErrorCode::Canceled`](crate::ErrorCode), unless it is
    /// done already.
    pub fn cancel(&self) {
        self.handle.cancel();
    }

    /// Its progress, in bytes and in names, for requests that take long. Both are 0 while it is in the queue.
    pub fn progress(&self) -> Progress {
        self.handle.progress()
    }

    /// The same request with a result of any type, to keep requests of several types together.
    pub fn untyped(self) -> Request<Outcome> {
        Request { handle: self.handle, interest: self.interest, result: PhantomData }
    }

    pub(crate) fn handle(&self) -> &types::Request {
        &self.handle
    }
}

impl<T: FromOutcome> Request<T> {
    /// Wait until it is done, and take its result.
    ///
    /// # Errors
    ///
    /// Those of the request: see the function of [`submit`](crate::submit) that made it.
    pub fn wait(self) -> io::Result<T> {
        self.take()
    }

    fn take(&self) -> io::Result<T> {
        let outcome = self.handle.wait()?;
        T::from_outcome(outcome).ok_or_else(|| io::Error::other("the request has a result of another type"))
    }
}

impl<T: FromOutcome> Future for Request<T> {
    type Output = io::Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if completions::is_done_or_wakes(self.interest.0, context.waker()) { Poll::Ready(self.take()) } else { Poll::Pending }
    }
}

impl FromOutcome for Outcome {
    fn from_outcome(outcome: Outcome) -> Option<Self> {
        Some(outcome)
    }
}

impl FromOutcome for () {
    fn from_outcome(outcome: Outcome) -> Option<Self> {
        matches!(outcome, Outcome::Done).then_some(())
    }
}

/// The result `$type` is the case `$case` of an outcome.
macro_rules! results {
    ($($type:ty: $case:ident),* $(,)?) => {$(
        impl FromOutcome for $type {
            fn from_outcome(outcome: Outcome) -> Option<Self> {
                match outcome {
                    Outcome::$case(result) => Some(result.into()),
                    _ => None,
                }
            }
        }
    )*};
}

results! {
    u64: Count,
    Vec<u8>: Data,
    File: File,
    Dir: Dir,
    Status: Status,
    Vec<String>: Names,
    Scan: Scan,
    Volume: Volume,
    Vec<Extent>: Extents,
    String: Text,
    Listing: Listing,
    Walker: Walker,
    Vec<WalkEntry>: Walked,
}
