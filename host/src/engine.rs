//! The engine: the worker threads that many guests share.

use std::sync::Arc;
use std::time::Duration;

use crate::limits::WORKERS_MAX;
use crate::sched::{Counters, Pool};

/// The worker threads, shared by as many guests as you like. Cheap to clone.
///
/// Threads are started as requests wait and end when they have had nothing to do for ten seconds. When the last clone is
/// dropped, the workers finish what is queued and end; [`AioEngine::shutdown`] waits for that.
#[derive(Clone)]
pub struct AioEngine(Arc<Owner>);

struct Owner(Arc<Pool>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Settings of an [`AioEngine`].
#[derive(Clone, Debug)]
pub struct AioEngineBuilder {
    workers_max: usize,
}

impl AioEngine {
    /// An engine as it is without settings.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Settings for an engine.
    pub fn builder() -> AioEngineBuilder {
        AioEngineBuilder { workers_max: WORKERS_MAX }
    }

    /// How many worker threads there are now.
    pub fn workers(&self) -> usize {
        self.0.0.workers()
    }

    /// How many requests of all guests are where, those of guests that are gone too.
    pub fn counters(&self) -> Counters {
        self.0.0.counters()
    }

    /// Tells the workers to end, and waits until they have, for `timeout` at most; tells whether they have. A request on a
    /// worker is finished. Requests of guests that are dropped are dropped with them; those of guests that live are done first.
    pub fn shutdown(&self, timeout: Duration) -> bool {
        self.0.0.close();
        self.0.0.wait_closed(timeout)
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.0.0
    }
}

impl Default for AioEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl AioEngineBuilder {
    /// How many worker threads there may be; 32 unless set, and 1 at least. One of them is kept from any single guest.
    pub fn workers_max(&mut self, workers: usize) -> &mut Self {
        self.workers_max = workers;
        self
    }

    /// The engine. No thread is started before there is work.
    pub fn build(&self) -> AioEngine {
        AioEngine(Arc::new(Owner(Pool::new(self.workers_max))))
    }
}
