//! The reaper: threads on which files are closed and large things are freed, so that nobody else waits for it.
//!
//! To close a file may take as long as the file system likes, and to free what a deleted file had takes time that grows with its
//! size. Whoever has something to drop hands it over and goes on.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Threads that one reaper has at most. 8: each may be held up by a file system that does not answer, and what waits for them is
/// bounded by the descriptors that guests may have.
const THREADS_MAX: usize = 8;

/// How long something waits until another thread takes part. 20 ms: most files are closed in a thousandth of it.
const LATE: Duration = Duration::from_millis(20);

/// How often a thread looks by itself while there is something to do from time to time. 1 ms: to be woken for each file would cost
/// the guest more than the call of `close` does.
const NAP: Duration = Duration::from_millis(1);

/// How long a thread looks by itself after it had something to do. Then it sleeps until it is woken.
const ATTENTION: Duration = Duration::from_millis(500);

/// How long a thread without work stays.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Hands things over to the threads. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Reaper(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    come: Condvar,
    gone: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<(Instant, Box<dyn Send>)>,
    /// Things that are being dropped.
    busy: usize,
    threads: usize,
    /// Threads that sleep until they are woken.
    asleep: usize,
    /// Threads that will look by themselves soon.
    awake: usize,
}

impl Default for Reaper {
    fn default() -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), come: Condvar::new(), gone: Condvar::new() }))
    }
}

impl fmt::Debug for Reaper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reaper")
    }
}

impl Reaper {
    /// Drops something, on another thread and soon. Returns at once.
    pub(crate) fn take(&self, waste: impl Send + 'static) {
        let waste: Box<dyn Send> = Box::new(waste);
        let mut state = self.0.state();
        state.waiting.push_back((Instant::now(), waste));
        let is_seen = state.awake > 0 || self.call(&mut state);
        let refused = if is_seen { None } else { state.waiting.pop_back() };
        drop(state);
        if refused.is_some() {
            tracing::error!("cannot start the thread that closes files; closing one here");
        }
    }

    /// Waits until nothing is left to drop, or the time is up; tells whether nothing is.
    pub(crate) fn wait_empty(&self, timeout: Duration) -> bool {
        let is_busy = |state: &mut State| state.busy > 0 || !state.waiting.is_empty();
        let waited = self.0.gone.wait_timeout_while(self.0.state(), timeout, is_busy);
        !is_busy(&mut waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Wakes a thread, or starts one unless there are as many as may be. Only fails if there is none at all then.
    fn call(&self, state: &mut State) -> bool {
        if state.asleep > 0 {
            self.0.come.notify_one();
            return true;
        }
        if state.threads >= THREADS_MAX {
            return true;
        }
        let reaper = self.clone();
        let started = thread::Builder::new().name("aiohost-reaper".to_owned()).spawn(move || reaper.serve()).is_ok();
        state.threads += usize::from(started);
        state.threads > 0
    }

    fn serve(&self) {
        let mut state = self.0.state();
        let mut worked = Instant::now();
        loop {
            if let Some((_, waste)) = state.waiting.pop_front() {
                state.busy += 1;
                // Should this one be held up, another one looks after what else there is.
                if !state.waiting.is_empty() && state.awake == 0 {
                    self.call(&mut state);
                }
                drop(state);
                drop(waste);
                state = self.0.state();
                state.busy -= 1;
                worked = Instant::now();
                if state.busy == 0 && state.waiting.is_empty() {
                    self.0.gone.notify_all();
                }
                continue;
            }
            let Some(next) = self.nap(state, worked) else { return };
            state = next;
        }
    }

    /// Waits until there may be something for this thread; none if it is to end.
    fn nap<'a>(&'a self, mut state: MutexGuard<'a, State>, worked: Instant) -> Option<MutexGuard<'a, State>> {
        let come = &self.0.come;
        // One that looks by itself is enough.
        if state.awake == 0 && worked.elapsed() < ATTENTION {
            state.awake += 1;
            // While another one is at work, this one steps in only for what is late.
            let time = if state.busy > 0 { LATE } else { NAP };
            state = come.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0;
            state.awake -= 1;
            return Some(state);
        }
        state.asleep += 1;
        let (mut state, timeout) = come.wait_timeout(state, IDLE_TIMEOUT).unwrap_or_else(PoisonError::into_inner);
        state.asleep -= 1;
        if timeout.timed_out() && state.waiting.is_empty() {
            state.threads -= 1;
            return None;
        }
        Some(state)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is dropped under the lock, so nothing can panic there half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Its drop waits until it is let go.
    struct HeldUp(Receiver<()>);

    impl Drop for HeldUp {
        fn drop(&mut self) {
            // An error means that the test is over.
            let _ = self.0.recv();
        }
    }

    /// Its drop says so.
    struct Tells(Sender<thread::ThreadId>);

    impl Drop for Tells {
        fn drop(&mut self) {
            let _ = self.0.send(thread::current().id());
        }
    }

    #[test]
    fn what_is_handed_over_is_dropped_elsewhere() {
        let reaper = Reaper::default();
        let (sender, dropped) = channel();
        for _ in 0..100 {
            reaper.take(Tells(sender.clone()));
        }
        for _ in 0..100 {
            assert_ne!(dropped.recv_timeout(LONG).expect("it is dropped"), thread::current().id());
        }
        assert!(reaper.wait_empty(LONG));
    }

    #[test]
    fn one_that_is_held_up_holds_up_no_other() {
        let reaper = Reaper::default();
        let (sender, dropped) = channel();
        let mut held = Vec::new();
        // One thread fewer than there may be.
        for _ in 1..THREADS_MAX {
            let (open, opened) = channel();
            held.push(open);
            reaper.take(HeldUp(opened));
            reaper.take(Tells(sender.clone()));
            dropped.recv_timeout(LONG).expect("another thread drops it");
        }
        assert!(!reaper.wait_empty(Duration::ZERO));
        drop(held);
        assert!(reaper.wait_empty(LONG));
    }
}
