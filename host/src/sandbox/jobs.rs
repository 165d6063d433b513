//! Work that several workers share: a stack of jobs, each of which may add more.
//!
//! Nobody waits on a worker. A helper that finds no job leaves, and is called again when there are more; the request itself is
//! parked until the last one is done.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use super::ticket::Ticket;
use crate::error::{Error, Result};
use crate::sched::Flow;

/// What the workers that are at one request share.
pub(super) trait SharedWork: Send + Sync + 'static {
    type Job: Send;

    fn jobs(&self) -> &Jobs<Self::Job>;

    /// Does one job.
    fn step(&self, job: Self::Job, ticket: &dyn Ticket);

    /// Whether the jobs that are left may stay for another request.
    fn has_enough(&self) -> bool {
        false
    }
}

/// The jobs.
#[derive(Debug)]
pub(super) struct Jobs<J> {
    stack: Mutex<Stack<J>>,
    /// Workers that may be at it side by side.
    width: usize,
}

#[derive(Debug)]
struct Stack<J> {
    /// Jobs that are half done, which come first: so there are no more of them than workers at it.
    begun: Vec<J>,
    todo: Vec<J>,
    /// Workers that are at a job.
    busy: usize,
    /// Helpers that were called and have not left.
    helpers: usize,
    stopped: bool,
    failure: Option<Error>,
    /// Wakes the request, while it waits for its helpers.
    parked: Option<Waker>,
}

impl<J> Stack<J> {
    fn waiting(&self) -> usize {
        self.begun.len() + self.todo.len()
    }

    fn pop(&mut self) -> Option<J> {
        self.begun.pop().or_else(|| self.todo.pop())
    }
}

impl<J> Jobs<J> {
    pub(super) fn new(first: J, width: usize) -> Self {
        let stack =
            Stack { begun: Vec::new(), todo: vec![first], busy: 0, helpers: 0, stopped: false, failure: None, parked: None };
        Self { stack: Mutex::new(stack), width }
    }

    fn stack(&self) -> MutexGuard<'_, Stack<J>> {
        self.stack.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// More to do. The last one is taken first.
    pub(super) fn push(&self, jobs: impl IntoIterator<Item = J>) {
        self.add(|stack| stack.todo.extend(jobs));
    }

    /// One that is half done, and holds something open.
    pub(super) fn push_begun(&self, job: J) {
        self.add(|stack| stack.begun.push(job));
    }

    fn add(&self, add: impl FnOnce(&mut Stack<J>)) {
        let parked = {
            let mut stack = self.stack();
            add(&mut stack);
            if stack.waiting() == 0 { None } else { stack.parked.take() }
        };
        if let Some(parked) = parked {
            parked.wake();
        }
    }

    /// How many jobs wait.
    pub(super) fn waiting(&self) -> usize {
        self.stack().waiting()
    }

    /// Notes a failure, if it is the first, and goes on.
    pub(super) fn fail(&self, error: Error) {
        self.stack().failure.get_or_insert(error);
    }

    /// Notes a failure, if it is the first, and begins no more jobs.
    pub(super) fn stop(&self, error: Error) {
        let mut stack = self.stack();
        stack.failure.get_or_insert(error);
        stack.stopped = true;
    }

    /// The first failure.
    pub(super) fn outcome(&self) -> Result<()> {
        match self.stack().failure {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }
}

/// What a worker finds when it comes for the next job.
enum Next<J> {
    Job(J, usize),
    /// Others are at the last jobs.
    Busy,
    Nothing,
}

/// Goes on with the work of a request; done once no worker has a job of it, and no job is left or enough was done.
pub(super) fn go_on<S: SharedWork>(shared: &Arc<S>, ticket: &dyn Ticket) -> Flow<()> {
    loop {
        match next(shared, Some(ticket)) {
            Next::Job(job, helpers) => do_job(shared, job, helpers, ticket),
            Next::Busy => return Flow::Parked,
            Next::Nothing => return Flow::Done(()),
        }
        if ticket.is_wanted() {
            return Flow::Again(Duration::ZERO);
        }
    }
}

/// Helps with it as long as there are jobs.
fn help<S: SharedWork>(shared: &Arc<S>, ticket: &dyn Ticket) -> Flow<()> {
    loop {
        match next(shared, None) {
            Next::Job(job, helpers) => do_job(shared, job, helpers, ticket),
            Next::Busy | Next::Nothing => {
                shared.jobs().stack().helpers -= 1;
                return Flow::Done(());
            }
        }
        if ticket.is_wanted() {
            return Flow::Again(Duration::ZERO);
        }
    }
}

/// The next job, and how many helpers to call for those after it. `main` is the request itself, which is woken when there is
/// something for it to do.
fn next<S: SharedWork>(shared: &Arc<S>, main: Option<&dyn Ticket>) -> Next<S::Job> {
    let jobs = shared.jobs();
    let enough = shared.has_enough();
    let mut stack = jobs.stack();
    if !stack.stopped
        && !enough
        && let Some(job) = stack.pop()
    {
        stack.busy += 1;
        let missing = jobs.width.saturating_sub(1).saturating_sub(stack.helpers);
        let helpers = missing.min(stack.waiting());
        stack.helpers += helpers;
        return Next::Job(job, helpers);
    }
    if stack.busy == 0 {
        return Next::Nothing;
    }
    if let Some(ticket) = main {
        stack.parked = Some(ticket.waker());
    }
    Next::Busy
}

fn do_job<S: SharedWork>(shared: &Arc<S>, job: S::Job, helpers: usize, ticket: &dyn Ticket) {
    for _ in 0..helpers {
        // One that comes when the request has ended keeps nothing of it.
        let shared = Arc::downgrade(shared);
        ticket.call(Box::new(move |ticket| shared.upgrade().map_or(Flow::Done(()), |shared| help(&shared, ticket))));
    }
    let busy = Busy(shared.jobs());
    shared.step(job, ticket);
    drop(busy);
}

/// Somebody is at a job. If that panics, nobody waits for what it would have added.
struct Busy<'a, J>(&'a Jobs<J>);

impl<J> Drop for Busy<'_, J> {
    fn drop(&mut self) {
        let parked = {
            let mut stack = self.0.stack();
            stack.busy -= 1;
            if std::thread::panicking() {
                stack.failure.get_or_insert(Error::IO);
                stack.stopped = true;
            }
            if stack.busy == 0 { stack.parked.take() } else { None }
        };
        if let Some(parked) = parked {
            parked.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::ticket::HelperWork;
    use super::super::ticket::fake::{FakeTicket, finish};
    use super::*;
    use crate::budget::Budget;

    struct Tree {
        jobs: Jobs<u32>,
        done: AtomicU32,
        each: fn(&Self, u32),
    }

    impl SharedWork for Tree {
        type Job = u32;

        fn jobs(&self) -> &Jobs<u32> {
            &self.jobs
        }

        fn step(&self, job: u32, _ticket: &dyn Ticket) {
            self.done.fetch_add(1, Ordering::Relaxed);
            (self.each)(self, job);
        }
    }

    fn tree(first: u32, width: usize, each: fn(&Tree, u32)) -> Arc<Tree> {
        Arc::new(Tree { jobs: Jobs::new(first, width), done: AtomicU32::new(0), each })
    }

    /// Keeps those who are called to help, as a queue does.
    #[derive(Default)]
    struct Queue(FakeTicket, Mutex<Vec<HelperWork>>);

    impl Ticket for Queue {
        fn check(&self) -> Result<()> {
            self.0.check()
        }

        fn advance(&self, bytes: u64, names: u64) {
            self.0.advance(bytes, names);
        }

        fn is_wanted(&self) -> bool {
            self.0.is_wanted()
        }

        fn reserve(&self, bytes: usize) -> Result<()> {
            self.0.reserve(bytes)
        }

        fn memory(&self) -> Budget {
            self.0.memory()
        }

        fn waker(&self) -> Waker {
            self.0.waker()
        }

        fn call(&self, help: HelperWork) {
            self.1.lock().expect("nobody panics under it").push(help);
        }
    }

    #[test]
    fn helpers_that_never_came_kept_what_had_ended() {
        let tree = tree(3, 4, |tree, depth| {
            if depth > 0 {
                tree.jobs.push([depth - 1, depth - 1]);
            }
        });
        let queue = Queue::default();
        finish(|| go_on(&tree, &queue));
        let ended = Arc::downgrade(&tree);
        drop(tree);
        assert!(ended.upgrade().is_none());
        let called = queue.1.into_inner().expect("nobody panics under it");
        assert!(!called.is_empty());
        for mut help in called {
            assert!(matches!(help(&FakeTicket::default()), Flow::Done(())), "there is nothing to do");
        }
    }

    fn run(tree: &Arc<Tree>) {
        let ticket = FakeTicket::default();
        finish(|| go_on(tree, &ticket));
    }

    #[test]
    fn every_job_is_done_once_by_however_many() {
        for width in [1, 2, 8] {
            let tree = tree(12, width, |tree, depth| {
                if depth > 0 {
                    tree.jobs.push([depth - 1, depth - 1]);
                }
            });
            run(&tree);
            assert_eq!((tree.done.load(Ordering::Relaxed), tree.jobs.outcome()), ((1 << 13) - 1, Ok(())));
            assert_eq!(tree.jobs.stack().busy, 0);
        }
    }

    #[test]
    fn the_first_failure_counts_and_only_a_stop_ends_the_work() {
        let tree = tree(0, 1, |tree, number| match number {
            0 => tree.jobs.push([3, 2, 1]),
            1 => tree.jobs.fail(Error::EXIST),
            2 => tree.jobs.stop(Error::IO),
            _ => panic!("nothing is begun after a stop"),
        });
        run(&tree);
        assert_eq!(tree.jobs.outcome(), Err(Error::EXIST));
    }

    #[test]
    fn nobody_waits_for_one_that_panicked() {
        let tree = tree(0, 1, |_, _| panic!("as this test has it"));
        assert!(catch_unwind(AssertUnwindSafe(|| run(&tree))).is_err());
        run(&tree);
        assert_eq!((tree.jobs.outcome(), tree.done.load(Ordering::Relaxed)), (Err(Error::IO), 1));
    }

    #[test]
    fn work_that_is_wanted_back_is_left_between_two_jobs() {
        let tree = tree(3, 1, |tree, left| tree.jobs.push(left.checked_sub(1)));
        let ticket = FakeTicket::default();
        for done in 1..=4 {
            assert!(matches!(go_on(&tree, &ticket), Flow::Again(_)));
            assert_eq!(tree.done.load(Ordering::Relaxed), done);
        }
        assert!(matches!(go_on(&tree, &ticket), Flow::Done(())));
    }
}
