//! A thread that lets running guests yield now and then, so that a timeout or a cancellation takes effect on a guest that
//! never calls the host.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use wasmtime::Engine;

/// Time between two ticks. 10 ms: a yield costs nothing that can be measured, and a timeout is seen soon enough.
const TICK: Duration = Duration::from_millis(10);

/// Advances the epoch of engines while a guest runs. The thread is started with the first run and sleeps between runs.
pub(super) struct Ticker(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    engines: Vec<Engine>,
    running: usize,
    started: bool,
    closed: bool,
}

/// Ticks go on while one of these lives.
pub(super) struct Running(Arc<Shared>);

impl Ticker {
    pub(super) fn new() -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() }))
    }

    pub(super) fn add(&self, engine: &Engine) {
        self.0.state().engines.push(engine.clone());
    }

    /// Ticks from now on, until the result is dropped.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started. A guest must not run then, since nothing could stop it.
    pub(super) fn run(&self) -> std::io::Result<Running> {
        let mut state = self.0.state();
        if !state.started {
            let shared = Arc::clone(&self.0);
            thread::Builder::new().name("aiohost-ticker".to_owned()).spawn(move || shared.tick())?;
            state.started = true;
        }
        state.running += 1;
        drop(state);
        self.0.changed.notify_one();
        Ok(Running(Arc::clone(&self.0)))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.state().closed = true;
        self.0.changed.notify_one();
    }
}

impl Drop for Running {
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
