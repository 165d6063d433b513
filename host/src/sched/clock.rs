//! The clock of a pool: one thread that looks at the timers of guests when their time has come. It is there only while there is
//! something to wait for.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::account::Account;
use super::outcome::Outcome;
use super::sync::{Condvar, Mutex, MutexGuard};
use super::turns::Seat;

struct Alarms<R: Outcome> {
    /// One for each guest that has a timer.
    alarms: BTreeMap<(Instant, Seat), Weak<Account<R>>>,
    times: HashMap<Seat, Instant>,
    running: bool,
    closing: bool,
}

pub(super) struct Clock<R: Outcome> {
    state: Mutex<Alarms<R>>,
    changed: Condvar,
}

impl<R: Outcome> Default for Clock<R> {
    fn default() -> Self {
        let alarms = Alarms { alarms: BTreeMap::new(), times: HashMap::new(), running: false, closing: false };
        Self { state: Mutex::new(alarms), changed: Condvar::new() }
    }
}

impl<R: Outcome> Clock<R> {
    fn state(&self) -> MutexGuard<'_, Alarms<R>> {
        // Guests are looked at outside of the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the alarm of a guest, unless it has an earlier one: two threads that set it may come here in any order, and an alarm
    /// too many does no harm. Returns whether the clock needs a thread.
    pub(super) fn set(&self, seat: Seat, guest: &Arc<Account<R>>, at: Instant) -> bool {
        let mut state = self.state();
        let before = state.times.get(&seat).copied();
        if before.is_none_or(|before| at < before) {
            before.map(|before| state.alarms.remove(&(before, seat)));
            state.times.insert(seat, at);
            state.alarms.insert((at, seat), Arc::downgrade(guest));
            self.changed.notify_all();
        }
        !std::mem::replace(&mut state.running, true)
    }

    /// The thread could not be started: the next alarm that is set tries again.
    pub(super) fn has_no_thread(&self) {
        self.state().running = false;
    }

    /// A guest is gone.
    pub(super) fn remove(&self, seat: Seat) {
        let mut state = self.state();
        if let Some(at) = state.times.remove(&seat) {
            state.alarms.remove(&(at, seat));
            self.changed.notify_all();
        }
    }

    /// The thread's life: wait for the next alarm and call `ring` with its guest, until there has been none for a while.
    pub(super) fn run(&self, idle_timeout: Duration, ring: impl Fn(Seat, &Arc<Account<R>>)) {
        let mut state = self.state();
        loop {
            let now = Instant::now();
            let next = state.alarms.first_key_value().map(|((at, seat), _)| (*at, *seat));
            match next {
                Some((at, seat)) if at <= now => {
                    state.times.remove(&seat);
                    let guest = state.alarms.remove(&(at, seat)).and_then(|guest| guest.upgrade());
                    drop(state);
                    if let Some(guest) = guest {
                        ring(seat, &guest);
                    }
                    state = self.state();
                }
                Some((at, _)) => {
                    state = self.changed.wait_timeout(state, at - now).unwrap_or_else(PoisonError::into_inner).0;
                }
                None => {
                    if !state.closing {
                        let idle = |state: &mut Alarms<R>| state.alarms.is_empty() && !state.closing;
                        let waited = self.changed.wait_timeout_while(state, idle_timeout, idle);
                        state = waited.unwrap_or_else(PoisonError::into_inner).0;
                    }
                    if state.alarms.is_empty() {
                        state.running = false;
                        self.changed.notify_all();
                        return;
                    }
                }
            }
        }
    }

    /// Tells the thread to end once there is no alarm.
    pub(super) fn close(&self) {
        self.state().closing = true;
        self.changed.notify_all();
    }

    /// Whether it has a thread.
    pub(super) fn is_running(&self) -> bool {
        self.state().running
    }

    /// Waits until the thread has ended, or the time is up; tells whether it has.
    pub(super) fn wait_closed(&self, timeout: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.state(), timeout, |state| state.running);
        !waited.unwrap_or_else(PoisonError::into_inner).0.running
    }
}

#[cfg(all(test, not(feature = "model")))]
mod tests {
    use super::super::fixture::{Answer, budgets};
    use super::super::turns::Turns;
    use super::*;

    #[test]
    fn an_alarm_asks_for_a_thread_as_long_as_there_is_none() {
        let account = Arc::new(Account::<Answer>::new(budgets(0)));
        let seat = Turns::<_, ()>::new(1).join((), 1);
        let clock = Clock::default();
        let now = Instant::now();
        assert!(clock.set(seat, &account, now), "the first one");
        assert!(!clock.set(seat, &account, now), "it has been started");
        clock.has_no_thread();
        assert!(clock.set(seat, &account, now + Duration::from_secs(1)), "it was not, and one that comes later needs it too");
    }
}
