//! Work that several workers share: a stack of jobs, each of which may add more.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};

/// The jobs. Whoever comes to help takes one after the other until all are done.
pub(super) struct Crew<J> {
    state: Mutex<State<J>>,
    changed: Condvar,
}

struct State<J> {
    todo: Vec<J>,
    busy: usize,
    waiting: usize,
    stopped: bool,
    failure: Option<Error>,
}

impl<J> Crew<J> {
    pub(super) fn new(first: J) -> Self {
        let state = State { todo: vec![first], busy: 0, waiting: 0, stopped: false, failure: None };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// More to do. The last one is taken first.
    pub(super) fn push(&self, jobs: impl IntoIterator<Item = J>) {
        let mut state = self.state();
        state.todo.extend(jobs);
        if state.waiting > 0 {
            self.changed.notify_all();
        }
    }

    /// Notes a failure, if it is the first, and goes on.
    pub(super) fn fail(&self, error: Error) {
        self.state().failure.get_or_insert(error);
    }

    /// Notes a failure, if it is the first, and begins no more jobs.
    pub(super) fn stop(&self, error: Error) {
        let mut state = self.state();
        state.failure.get_or_insert(error);
        state.stopped = true;
        self.changed.notify_all();
    }

    /// The first failure.
    pub(super) fn outcome(&self) -> Result<()> {
        match self.state().failure {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// Does jobs until there are no more and nobody is at one.
    pub(super) fn work(&self, each: impl Fn(J)) {
        let mut state = self.state();
        while !state.stopped {
            if let Some(job) = state.todo.pop() {
                state.busy += 1;
                drop(state);
                let busy = Busy(self);
                each(job);
                drop(busy);
                state = self.state();
            } else if state.busy > 0 {
                state.waiting += 1;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.waiting -= 1;
            } else {
                return;
            }
        }
    }
}

/// Somebody is at a job. If that panics, nobody waits for what it would have added.
struct Busy<'a, J>(&'a Crew<J>);

impl<J> Drop for Busy<'_, J> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.busy -= 1;
        if std::thread::panicking() {
            state.failure.get_or_insert(Error::IO);
            state.stopped = true;
        }
        if state.waiting > 0 && (state.busy == 0 || state.stopped) {
            self.0.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn every_job_is_done_once_by_however_many() {
        for workers in [1, 2, 8] {
            let (crew, done) = (Crew::new(12), AtomicU32::new(0));
            let each = |depth: u32| {
                done.fetch_add(1, Ordering::Relaxed);
                if depth > 0 {
                    crew.push([depth - 1, depth - 1]);
                }
            };
            thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(|| crew.work(each)))));
            assert_eq!(done.into_inner(), (1 << 13) - 1);
            assert_eq!(crew.outcome(), Ok(()));
        }
    }

    #[test]
    fn the_first_failure_counts_and_only_a_stop_ends_the_work() {
        let crew = Crew::new(0);
        let each = |number: u32| match number {
            0 => crew.push([3, 2, 1]),
            1 => crew.fail(Error::EXIST),
            2 => crew.stop(Error::IO),
            _ => panic!("nothing is begun after a stop"),
        };
        crew.work(each);
        assert_eq!(crew.outcome(), Err(Error::EXIST));
    }

    #[test]
    fn nobody_waits_for_one_that_panicked() {
        let crew = Crew::new(());
        let panics = || catch_unwind(AssertUnwindSafe(|| crew.work(|()| panic!("as this test has it"))));
        assert!(panics().is_err());
        crew.work(|()| panic!("nothing is left to do"));
        assert_eq!(crew.outcome(), Err(Error::IO));
    }
}
