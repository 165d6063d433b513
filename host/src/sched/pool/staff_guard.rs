//! The lock of what the threads have to do. Whom its holder calls is called once it is free: a thread that is woken sooner finds it
//! taken, goes back to sleep and is woken once more.

use std::ops::{Deref, DerefMut};
use std::sync::{LockResult, PoisonError};
use std::time::Duration;

use super::{Pool, Staff};
use crate::sched::outcome::Outcome;
use crate::sched::sync::{Condvar, MutexGuard, WaitTimeoutResult};

/// Whom to call.
#[derive(Default)]
pub(super) struct Calls {
    /// A thread that waits for work.
    pub(super) worker: bool,
    pub(super) standby: bool,
}

impl Calls {
    fn make<R: Outcome>(self, pool: &Pool<R>) {
        if self.worker {
            pool.work.notify_one();
        }
        if self.standby {
            pool.watch.notify_one();
        }
    }
}

type Waited<'a, R> = LockResult<(MutexGuard<'a, Staff<R>>, WaitTimeoutResult)>;

/// Access to the staff of a pool. Whoever drops it makes the calls.
pub(super) struct StaffGuard<'a, R: Outcome> {
    pool: &'a Pool<R>,
    /// Some, but where the lock is given up.
    staff: Option<MutexGuard<'a, Staff<R>>>,
}

impl<'a, R: Outcome> StaffGuard<'a, R> {
    pub(super) fn new(pool: &'a Pool<R>, staff: MutexGuard<'a, Staff<R>>) -> Self {
        Self { pool, staff: Some(staff) }
    }

    /// Waits until somebody calls. True if nobody did in that time.
    pub(super) fn wait(self, condvar: &Condvar, timeout: Duration) -> (Self, bool) {
        self.give_up(|staff| condvar.wait_timeout(staff, timeout))
    }

    /// Waits as long as something is so. True if it still is when that time is over.
    pub(super) fn wait_while(self, condvar: &Condvar, timeout: Duration, is_so: fn(&mut Staff<R>) -> bool) -> (Self, bool) {
        self.give_up(|staff| condvar.wait_timeout_while(staff, timeout, is_so))
    }

    /// Calls before it waits: whoever waits has the lock until then.
    fn give_up(mut self, wait: impl FnOnce(MutexGuard<'a, Staff<R>>) -> Waited<'a, R>) -> (Self, bool) {
        std::mem::take(&mut self.calls).make(self.pool);
        let staff = self.staff.take().expect("it is locked until it is dropped");
        let (staff, timeout) = wait(staff).unwrap_or_else(PoisonError::into_inner);
        (Self::new(self.pool, staff), timeout.timed_out())
    }
}

impl<R: Outcome> Deref for StaffGuard<'_, R> {
    type Target = Staff<R>;

    fn deref(&self) -> &Staff<R> {
        self.staff.as_deref().expect("it is locked until it is dropped")
    }
}

impl<R: Outcome> DerefMut for StaffGuard<'_, R> {
    fn deref_mut(&mut self) -> &mut Staff<R> {
        self.staff.as_deref_mut().expect("it is locked until it is dropped")
    }
}

impl<R: Outcome> Drop for StaffGuard<'_, R> {
    fn drop(&mut self) {
        if let Some(mut staff) = self.staff.take() {
            let calls = std::mem::take(&mut staff.calls);
            drop(staff);
            calls.make(self.pool);
        }
    }
}
