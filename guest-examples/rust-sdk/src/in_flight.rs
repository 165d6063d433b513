//! Many requests in flight.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use crate::completions::{self, Queue};
use crate::{FromOutcome, Request};

/// Requests in flight, each with a key that identifies it, such as a name or the next thing to do. They come out as they are done.
/// Similar to `JoinSet` of tokio.
///
/// For requests of several types, `T` is [`Outcome`](crate::types::Outcome).
///
/// Dropping it discards the results, but the requests still run. Use [`cancel`](Self::cancel) to take them back.
///
/// # Errors
///
/// Each result is that of its request: see the function of [`submit`](crate::submit) that made it.
///
/// # Examples
///
/// ```no_run
#[doc = include_str!("../examples/in_flight.rs")]
/// ```
///
/// With a time limit, which lets a program report its progress:
///
/// ```no_run
#[doc = include_str!("../examples/trees.rs")]
/// ```
pub struct InFlight<K, T> {
    requests: HashMap<u64, (K, Request<T>)>,
    done: Queue,
}

impl<K, T: FromOutcome> InFlight<K, T> {
    /// An empty set.
    pub fn new() -> Self {
        Self { requests: HashMap::new(), done: Queue::default() }
    }

    /// Add a request.
    pub fn push(&mut self, key: K, request: Request<T>) {
        completions::queues(request.id(), &self.done);
        self.requests.insert(request.id(), (key, request));
    }

    /// Number of requests in it. 64 keep a fast disk busy.
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether there are no requests in it.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Wait until one of them is done, remove it, and return its key and its result. `None` if there are none.
    #[expect(clippy::should_implement_trait, reason = "it does not end with the first `None`, and waits")]
    pub fn next(&mut self) -> Option<(K, io::Result<T>)> {
        while !self.requests.is_empty() {
            let done = self.done.borrow_mut().pop_front();
            if let Some((key, request)) = done.and_then(|id| self.requests.remove(&id)) {
                return Some((key, request.wait()));
            }
            if done.is_none() && !completions::wait() {
                // Somebody else has asked the host which requests are done, and kept the answer.
                self.done.borrow_mut().extend(self.requests.keys());
            }
        }
        None
    }

    /// The same, but wait for at most `time`, in milliseconds, rounded up: `None` also if none was done by then. Other requests
    /// of the plugin that are done meanwhile are reported to those who wait for them.
    pub fn next_within(&mut self, time: Duration) -> Option<(K, io::Result<T>)> {
        let end = Instant::now().checked_add(time);
        while !self.requests.is_empty() {
            if let Some(id) = self.done.borrow_mut().pop_front() {
                let Some((key, request)) = self.requests.remove(&id) else { continue };
                return Some((key, request.wait()));
            }
            let left = end.map_or(time, |end| end.saturating_duration_since(Instant::now()));
            if completions::wait_for(left) {
                continue;
            }
            if end.is_some_and(|end| end <= Instant::now()) {
                return None;
            }
            // The host answered before the time was up: somebody else has asked which requests are done, and kept the answer.
            self.done.borrow_mut().extend(self.requests.keys());
        }
        None
    }

    /// Cancel all of them. [`next`](Self::next) still returns each, most of them with an error.
    pub fn cancel(&self) {
        self.requests.values().for_each(|(_, request)| request.cancel());
    }
}

impl<K, T: FromOutcome> Default for InFlight<K, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, T: FromOutcome> Extend<(K, Request<T>)> for InFlight<K, T> {
    fn extend<I: IntoIterator<Item = (K, Request<T>)>>(&mut self, requests: I) {
        requests.into_iter().for_each(|(key, request)| self.push(key, request));
    }
}

impl<K, T: FromOutcome> FromIterator<(K, Request<T>)> for InFlight<K, T> {
    fn from_iter<I: IntoIterator<Item = (K, Request<T>)>>(requests: I) -> Self {
        let mut in_flight = Self::new();
        in_flight.extend(requests);
        in_flight
    }
}
