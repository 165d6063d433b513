//! The reaper: threads on which files are closed and large things are freed, so that nobody else waits for it.
//!
//! To close a file may take as long as the file system likes, and to free what a deleted file had takes time that grows with its
//! size. Whoever has something to drop hands it over and goes on. Guests take turns, as they do for workers: one whose files
//! cannot be closed holds up no other.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::limits::THREADS_MAX;
use crate::sched::{Priority, Seat, Turns};

/// Threads that one reaper has, beside one for each guest that has something to drop. 8: each may be held up by a file system that
/// does not answer, and what waits for them is bounded by the descriptors that guests may have.
const THREADS: usize = 8;

/// How often a thread looks by itself while there is something to do from time to time, also where another one is at work, which may
/// be held up. 1 ms: to be woken for each file would cost the guest more than the call of `close` does; and a guest that opens and
/// closes one file after the other comes nowhere near its limit meanwhile.
const NAP: Duration = Duration::from_millis(1);

/// How long a thread looks by itself after it had something to do. Then it sleeps until it is woken.
const ATTENTION: Duration = Duration::from_millis(500);

/// How long a thread without work stays.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Hands things over to the threads, for one guest. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Reaper(Arc<Lane>);

/// What one guest has handed over.
struct Lane {
    shared: Arc<Shared>,
    seat: Seat,
}

struct Shared {
    /// How long a thread without work stays.
    idle_timeout: Duration,
    state: Mutex<State>,
    come: Condvar,
    gone: Condvar,
}

struct State {
    turns: Turns<(), Box<dyn Send>>,
    /// Guests that may yet hand something over. Once there are none the threads end as soon as they have nothing to do.
    lanes: usize,
    threads: usize,
    /// Threads that sleep until they are woken.
    asleep: usize,
    /// Threads that will look by themselves soon.
    awake: usize,
    /// Whether a thread could not be started, which was said then.
    is_short_of_threads: bool,
}

impl Default for Reaper {
    fn default() -> Self {
        Self::with(IDLE_TIMEOUT)
    }
}

impl fmt::Debug for Reaper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reaper")
    }
}

impl Reaper {
    fn with(idle_timeout: Duration) -> Self {
        let turns = Turns::new(THREADS);
        let state = State { turns, lanes: 0, threads: 0, asleep: 0, awake: 0, is_short_of_threads: false };
        let state = Mutex::new(state);
        Self::new(Arc::new(Shared { idle_timeout, state, come: Condvar::new(), gone: Condvar::new() }))
    }

    fn new(shared: Arc<Shared>) -> Self {
        let seat = {
            let mut state = shared.state();
            state.lanes += 1;
            state.turns.join((), 1)
        };
        Self(Arc::new(Lane { shared, seat }))
    }

    /// The same threads, for another guest.
    pub(crate) fn for_another(&self) -> Self {
        Self::new(Arc::clone(&self.0.shared))
    }

    /// Drops something, on another thread and soon. Returns at once.
    pub(crate) fn take(&self, waste: impl Send + 'static) {
        let Lane { shared, seat } = &*self.0;
        let waste: Box<dyn Send> = Box::new(waste);
        let mut state = shared.state();
        let refused = if state.threads > 0 {
            let refused = state.turns.push(*seat, Priority::default(), waste);
            shared.call(&mut state);
            refused
        } else if shared.start(&mut state) {
            state.turns.push(*seat, Priority::default(), waste)
        } else {
            Some(waste)
        };
        // Once: how often it is tried is up to guests.
        let is_new = refused.is_some() && !std::mem::replace(&mut state.is_short_of_threads, true);
        drop(state);
        if is_new {
            tracing::error!("cannot start the thread that closes files; they are closed by the threads that drop them");
        }
    }

    /// Waits until nothing is left to drop, or the time is up; tells whether nothing is.
    pub(crate) fn wait_empty(&self, timeout: Duration) -> bool {
        let shared = &self.0.shared;
        let waited = shared.gone.wait_timeout_while(shared.state(), timeout, |state| state.is_busy());
        !waited.unwrap_or_else(PoisonError::into_inner).0.is_busy()
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        let left = state.turns.leave(self.seat, |_| true, |()| true);
        state.lanes -= 1;
        if state.lanes == 0 {
            self.shared.come.notify_all();
        }
        drop(state);
        drop(left);
    }
}

impl State {
    /// Whether anything is being dropped or is to be.
    fn is_busy(&self) -> bool {
        self.turns.guests_at_work() > 0
    }

    fn threads_max(&self) -> usize {
        (THREADS + self.turns.guests_at_work()).min(THREADS_MAX)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is dropped under the lock, so nothing can panic there half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that somebody comes for what could be dropped now.
    fn call(self: &Arc<Self>, state: &mut State) {
        if state.awake > 0 || !state.turns.has_work() {
            return;
        }
        if state.asleep > 0 {
            self.come.notify_one();
        } else if state.threads < state.threads_max() {
            // Without another one it takes longer.
            self.start(state);
        }
    }

    fn start(self: &Arc<Self>, state: &mut State) -> bool {
        let reaper = Arc::clone(self);
        let started = thread::Builder::new().name("aiohost-reaper".to_owned()).spawn(move || reaper.serve()).is_ok();
        state.threads += usize::from(started);
        state.awake += usize::from(started);
        started
    }

    fn serve(self: &Arc<Self>) {
        let mut state = self.state();
        state.awake -= 1;
        let mut worked = Instant::now();
        loop {
            if let Some((seat, (), waste)) = state.turns.pop() {
                // Should this one be held up, another one looks after what else there is.
                self.call(&mut state);
                drop(state);
                if catch_unwind(AssertUnwindSafe(|| drop(waste))).is_err() {
                    tracing::error!("something panicked as it was dropped; please report this");
                }
                state = self.state();
                state.turns.done(seat, |()| true);
                worked = Instant::now();
                if !state.is_busy() {
                    self.gone.notify_all();
                }
                continue;
            }
            let Some(next) = self.nap(state, worked) else { return };
            state = next;
        }
    }

    /// Waits until there may be something for this thread; none if it is to end.
    fn nap<'a>(&'a self, mut state: MutexGuard<'a, State>, worked: Instant) -> Option<MutexGuard<'a, State>> {
        if state.lanes == 0 {
            // What is left, those have in hand that go on with it.
            state.threads -= 1;
            return None;
        }
        let come = &self.come;
        // One that looks by itself is enough.
        if state.awake == 0 && worked.elapsed() < ATTENTION {
            state.awake += 1;
            state = come.wait_timeout(state, NAP).unwrap_or_else(PoisonError::into_inner).0;
            state.awake -= 1;
            return Some(state);
        }
        state.asleep += 1;
        let (mut state, timeout) = come.wait_timeout(state, self.idle_timeout).unwrap_or_else(PoisonError::into_inner);
        state.asleep -= 1;
        if timeout.timed_out() && !state.turns.has_work() {
            state.threads -= 1;
            return None;
        }
        Some(state)
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
        // One fewer than one guest may hold up, which is one fewer than there are.
        for _ in 2..THREADS {
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

    #[test]
    fn a_guest_whose_files_cannot_be_closed_holds_up_no_other() {
        let reaper = Reaper::default();
        let (sender, dropped) = channel();
        let mut held = Vec::new();
        for _ in 0..3 {
            let guest = reaper.for_another();
            for _ in 0..4 * THREADS {
                let (open, opened) = channel();
                held.push(open);
                guest.take(HeldUp(opened));
            }
        }
        let other = reaper.for_another();
        for _ in 0..3 {
            other.take(Tells(sender.clone()));
            dropped.recv_timeout(LONG).expect("it does not wait for those of others");
        }
        assert!(reaper.0.shared.state().threads <= THREADS + 4);
        drop((other, held));
        assert!(reaper.wait_empty(LONG), "what a guest has left is dropped though it is gone");
    }

    #[test]
    fn threads_stayed_when_nobody_was_left_who_had_anything_for_them() {
        for is_at_work in [false, true] {
            let reaper = Reaper::with(LONG * 60);
            let shared = Arc::downgrade(&reaper.0.shared);
            let other = reaper.for_another();
            let (open, opened) = channel();
            let mut open = Some(open);
            other.take(HeldUp(opened));
            if !is_at_work {
                open.take();
                assert!(reaper.wait_empty(LONG));
            }
            drop((reaper, other, open));
            let end = Instant::now() + LONG;
            while shared.strong_count() > 0 {
                assert!(Instant::now() < end, "a thread is left");
                thread::yield_now();
            }
        }
    }

    /// Its drop panics.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a bug");
        }
    }

    #[test]
    fn what_panics_as_it_is_dropped_ends_no_thread() {
        let reaper = Reaper::default();
        reaper.take(Bomb);
        assert!(reaper.wait_empty(LONG));
        assert_eq!(reaper.0.shared.state().threads, 1);
        let (sender, dropped) = channel();
        reaper.take(Tells(sender));
        dropped.recv_timeout(LONG).expect("it is dropped");
    }
}
