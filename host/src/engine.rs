//! The engine: the worker threads that many guests share, and what all of them together may take.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use rustix::process::{Resource, getrlimit};

use crate::budget::Budget;
use crate::error::Result;
use crate::limits::{DESCRIPTORS_RESERVED, ENGINE_BYTES_MAX, RequestLimits, WORKERS_MAX};
use crate::output::Output;
use crate::reaper::Reaper;
use crate::sandbox::Quota;
use crate::sched::{Budgets, Counters, Leaving, Pool};

/// The worker threads, shared by as many guests as you like. Cheap to clone.
///
/// Threads are started when requests wait, and end after ten seconds without work. When the last clone is dropped, the workers
/// finish what is queued and end; [`AioEngine::shutdown`] waits for that.
///
/// There are at most `workers_max` of them, and one more for each guest that has something to do, so that no guest waits for the
/// requests of others; up to 512 in all. A few more threads close files and watch the time.
///
/// Everything here may be called from any thread, and needs no tokio.
///
/// ```
/// use std::time::Duration;
///
/// use aiohost::{AioCtx, AioEngine};
///
/// // Once in the application.
/// let workers = AioEngine::new();
/// // For each guest.
/// let guest = AioCtx::builder().build(&workers);
/// assert_eq!((workers.workers(), workers.bytes_in_flight(), workers.open_files()), (0, 0, 0));
/// assert_eq!(workers.counters(), Default::default());
/// // At the end, once no guest is left.
/// drop(guest);
/// assert!(workers.shutdown(Duration::from_secs(10)));
/// ```
#[derive(Clone)]
pub struct AioEngine(Arc<Shared>);

struct Shared {
    pool: Arc<Pool<Result<Output>>>,
    reaper: Reaper,
    memory: Budget,
    descriptors: Budget,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.pool.close();
    }
}

/// Settings of an [`AioEngine`].
///
/// ```
/// use aiohost::AioEngine;
///
/// let builder = AioEngine::builder().workers_max(8).bytes_in_flight_max(256 << 20).open_files_max(4096);
/// let (one, other) = (builder.build(), builder.build());
/// # assert_eq!(one.workers() + other.workers(), 0);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct AioEngineBuilder {
    workers_max: usize,
    bytes_in_flight_max: usize,
    open_files_max: Option<usize>,
}

impl fmt::Debug for AioEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AioEngine")
            .field("workers", &self.workers())
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

impl AioEngine {
    /// An engine with default settings: those of [`AioEngine::builder`].
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Settings for an engine; see [`AioEngineBuilder`].
    pub fn builder() -> AioEngineBuilder {
        AioEngineBuilder { workers_max: WORKERS_MAX, bytes_in_flight_max: ENGINE_BYTES_MAX, open_files_max: None }
    }

    /// Number of worker threads now. It may have changed by the time the caller looks at it.
    pub fn workers(&self) -> usize {
        self.0.pool.workers()
    }

    /// Number of requests of all guests in each state, including guests that are gone. All numbers are of the same moment.
    pub fn counters(&self) -> Counters {
        self.0.pool.counters()
    }

    /// Bytes that requests under way and results not yet taken hold now, for all guests together.
    pub fn bytes_in_flight(&self) -> usize {
        self.0.memory.taken()
    }

    /// Number of files and directories that guests have open now, including those that are being closed.
    pub fn open_files(&self) -> usize {
        self.0.descriptors.taken()
    }

    /// Tells the workers to end, waits for them for at most `timeout`, and returns whether they have ended. A request that is on
    /// a worker is finished. What is queued for a guest that was dropped is dropped; the requests of other guests are done first.
    ///
    /// It blocks its thread for up to `timeout`: in an async program use [`shutdown_async`](Self::shutdown_async). It may be
    /// called again, from any thread, for instance to wait longer.
    pub fn shutdown(&self, timeout: Duration) -> bool {
        let begun = Instant::now();
        self.0.pool.close();
        let workers_ended = self.0.pool.wait_closed(timeout);
        workers_ended && self.0.reaper.wait_empty(timeout.saturating_sub(begun.elapsed()))
    }

    /// [`shutdown`](Self::shutdown) for an async program, on any executor: it waits on a thread of its own.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let workers = aiohost::AioEngine::new();
    /// assert!(workers.shutdown_async(std::time::Duration::from_secs(10)).await);
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Nothing happens before the future is polled. After that the workers end even if it is dropped, but nobody is told when.
    pub async fn shutdown_async(&self, timeout: Duration) -> bool {
        let (sender, ended) = oneshot::channel();
        let engine = self.clone();
        let wait = move || {
            // Nobody listens if the future was dropped.
            let _ = sender.send(engine.shutdown(timeout));
        };
        match std::thread::Builder::new().name("aiohost-shutdown".to_owned()).spawn(wait) {
            Ok(_) => ended.await.unwrap_or(false),
            // What is left to be done without a thread: they are told to end, and looked at.
            Err(error) => {
                tracing::error!(%error, "cannot start a thread that waits for the workers");
                self.shutdown(Duration::ZERO)
            }
        }
    }

    /// Drops something soon, on another thread, since that may take long.
    #[cfg(feature = "host")]
    pub(crate) fn discard(&self, waste: impl Send + 'static) {
        self.0.reaper.take(waste);
    }

    pub(crate) fn pool(&self) -> &Arc<Pool<Result<Output>>> {
        &self.0.pool
    }

    /// The files and directories that a guest with these limits may have open.
    pub(crate) fn quota(&self, limits: &RequestLimits, leaving: Leaving) -> Quota {
        Quota::new(limits.open_files_max, &self.0.descriptors, &self.0.reaper.for_another(), leaving)
    }

    /// What the requests of a guest with these limits may take.
    pub(crate) fn budgets(&self, limits: &RequestLimits) -> Budgets {
        Budgets {
            places: Budget::new(limits.in_flight_max),
            memory: self.0.memory.below(limits.bytes_in_flight_max),
            calls: Budget::new(limits.waiting_calls_max),
            parked: Budget::new(limits.in_flight_max),
        }
    }
}

impl Default for AioEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl AioEngineBuilder {
    /// Sets how many worker threads there are at most, besides one for each guest that has something to do; 32 unless set, and at
    /// least 1. [`AioEngineBuilder`] has an example of all its methods.
    pub fn workers_max(mut self, workers: usize) -> Self {
        self.workers_max = workers;
        self
    }

    /// Sets how many bytes requests under way and results not yet taken may hold, for all guests together; 1 GiB unless set.
    ///
    /// One sixteenth is kept for guests that hold little. Of the rest, one guest may hold at most eight times what is still free,
    /// so that something is left for the others; and never more than [`RequestLimits::bytes_in_flight_max`].
    pub fn bytes_in_flight_max(mut self, bytes: usize) -> Self {
        self.bytes_in_flight_max = bytes;
        self
    }

    /// Sets how many files and directories all guests together may have open. Unless set, it is the limit of the process
    /// (`RLIMIT_NOFILE`) when the engine is built, less a quarter, or less 256 if that is fewer, for the host itself.
    ///
    /// They are shared out as bytes are, see [`bytes_in_flight_max`](Self::bytes_in_flight_max), and one guest never has more than
    /// [`RequestLimits::open_files_max`].
    pub fn open_files_max(mut self, files: usize) -> Self {
        self.open_files_max = Some(files);
        self
    }

    /// Makes the engine: a new one with each call. No thread is started before there is work.
    pub fn build(&self) -> AioEngine {
        AioEngine(Arc::new(Shared {
            pool: Pool::new(self.workers_max),
            reaper: Reaper::default(),
            memory: Budget::new(self.bytes_in_flight_max),
            descriptors: Budget::new(self.open_files_max.unwrap_or_else(descriptors_max)),
        }))
    }
}

/// Descriptors that guests may have, of those that the process may have.
fn descriptors_max() -> usize {
    let max = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |max| usize::try_from(max).unwrap_or(usize::MAX));
    max - DESCRIPTORS_RESERVED.min(max / 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Reservation;

    #[test]
    fn a_guest_may_take_what_its_limits_say() {
        let limits = RequestLimits { in_flight_max: 5, bytes_in_flight_max: 6000, waiting_calls_max: 7, ..Default::default() };
        let budgets = AioEngine::new().budgets(&limits);
        let max = [&budgets.places, &budgets.memory, &budgets.calls, &budgets.parked].map(Budget::max);
        assert_eq!(max, [5, 6000, 7, 5]);
    }

    /// What two guests come to hold who take all that they can get, in turn.
    fn take_all(budgets: [&Budget; 2]) -> [Vec<Reservation>; 2] {
        let mut held = [Vec::new(), Vec::new()];
        loop {
            let before = held.each_ref().map(Vec::len);
            for (held, budget) in held.iter_mut().zip(budgets) {
                held.extend(budget.try_take(1));
            }
            if held.each_ref().map(Vec::len) == before {
                return held;
            }
        }
    }

    #[test]
    fn two_guests_at_the_ceiling_of_their_engine_never_had_more_and_each_had_something() {
        let engine = AioEngine::builder().bytes_in_flight_max(160).open_files_max(16).build();
        let [one, other] = [(); 2].map(|()| engine.budgets(&RequestLimits::default()).memory);
        let [of_one, of_other] = take_all([&one, &other]);
        assert_eq!(of_one.len() + of_other.len(), engine.bytes_in_flight());
        assert!((140..=160).contains(&engine.bytes_in_flight()), "{}", engine.bytes_in_flight());
        assert!(of_one.len().abs_diff(of_other.len()) <= 1, "in turn");
        assert_eq!(
            engine.budgets(&RequestLimits::default()).memory.try_take(1).map(|held| held.amount()),
            Some(1),
            "one that comes later"
        );
        drop(of_one);
        let more = other.try_take(of_other.len() / 2).expect("the other one has left");
        drop((of_other, more));
        assert_eq!(engine.bytes_in_flight(), 0);
    }
}
