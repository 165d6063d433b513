//! A thread that lets running guests yield now and then, so that a timeout or a cancellation takes effect on a guest that
//! never calls the host.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use wasmtime::Engine;

use crate::problem::{Problem, ProblemKind, Result};

/// Time between two ticks. 10 ms: a yield costs nothing that can be measured, and a timeout is seen soon enough.
const TICK: Duration = Duration::from_millis(10);

/// Advances the epoch of engines every 10 ms while a guest runs, so that guests that only compute let others run and can be ended.
/// The thread is started with the first run and sleeps between runs. It has no effect on an engine without
/// `Config::epoch_interruption`. All methods may be called from any thread.
///
/// ```
/// # fn main() -> wasmtime::Result<()> {
/// let engine = wasmtime::Engine::new(wasmtime::Config::new().epoch_interruption(true))?;
/// let ticker = aiohost::EpochTicker::new();
/// ticker.add(&engine);
/// let ticks = ticker.run()?;
/// // Call guests here.
/// drop(ticks);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct EpochTicker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    engines: Vec<Engine>,
    running: usize,
    started: bool,
    closed: bool,
}

/// Keeps the ticks going until it is dropped; see the example at [`EpochTicker`].
#[derive(Debug)]
pub struct Ticks(Arc<Shared>);

impl EpochTicker {
    /// A ticker without engines, see [`add`](Self::add), and without a thread, see [`run`](Self::run).
    pub fn new() -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() }))
    }

    /// Advances the epoch of this engine from now on, while anything runs.
    pub fn add(&self, engine: &Engine) {
        let engines = &mut self.0.state().engines;
        // One that is there twice would tick twice.
        if !engines.iter().any(|other| Engine::same(other, engine)) {
            engines.push(engine.clone());
        }
    }

    /// Ticks from now on, until the result is dropped.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started. A guest must not run then, since nothing could stop it.
    pub fn run(&self) -> Result<Ticks> {
        let mut state = self.0.state();
        if !state.started {
            let shared = Arc::clone(&self.0);
            let started = thread::Builder::new().name("aiohost-ticker".to_owned()).spawn(move || shared.tick());
            let problem = || Problem::new(ProblemKind::Host, "cannot start the thread that interrupts guests");
            started.map_err(|error| problem().because(error))?;
            state.started = true;
        }
        state.running += 1;
        drop(state);
        self.0.changed.notify_one();
        Ok(Ticks(Arc::clone(&self.0)))
    }
}

impl Default for EpochTicker {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for EpochTicker {
    fn drop(&mut self) {
        self.0.state().closed = true;
        self.0.changed.notify_one();
    }
}

impl Drop for Ticks {
    fn drop(&mut self) {
        self.0.state().running -= 1;
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock can panic half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick(&self) {
        let mut state = self.state();
        loop {
            while state.running == 0 && !state.closed {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            // A guest may outlive its host, and still needs the ticks.
            if state.running == 0 {
                return;
            }
            state = self.changed.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0;
            for engine in &state.engines {
                engine.increment_epoch();
            }
        }
    }
}
