//! What the tests of the scheduler share: what their requests come to, their guests, and how they wait.

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Wake, Waker};

use super::{Budgets, Entrance, Kind, Manner, Membership, Origin, Outcome, Pool, Refusal, RequestId, Submission, Work};
use crate::budget::Budget;

/// What a request of the tests comes to.
pub(super) type Answer = Result<Value, Failure>;

#[derive(Debug)]
pub(super) enum Value {
    Done,
    Count(u64),
    /// It says that it holds so many bytes.
    Bytes(usize),
    /// It was taken from somewhere, and has to be given back if nobody takes it.
    Loan(Loan),
    /// To give it back is told, and takes until nobody holds the other end of the second one.
    Slow(mpsc::Sender<()>, mpsc::Receiver<()>),
    /// To give it back panics.
    Bomb,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Refused(Refusal),
    Broken,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

pub(super) const ALREADY: Failure = Failure::Refused(Refusal::Taken);
pub(super) const CANCELED: Failure = Failure::Refused(Refusal::Canceled);
pub(super) const FULL: Failure = Failure::Refused(Refusal::Full);
pub(super) const PANICKED: Failure = Failure::Refused(Refusal::Panicked);
pub(super) const TIMED_OUT: Failure = Failure::Refused(Refusal::TimedOut);

/// Counts how often it was given back.
#[derive(Debug)]
pub(super) struct Loan(pub(super) Arc<AtomicUsize>);

impl Outcome for Answer {
    type Failure = Failure;

    fn failed(failure: Failure) -> Self {
        Err(failure)
    }

    fn failure(&self) -> Option<Failure> {
        self.as_ref().err().copied()
    }

    fn bytes_moved(&self) -> u64 {
        0
    }

    fn bytes_held(&self) -> usize {
        if let Ok(Value::Bytes(bytes)) = self { *bytes } else { 0 }
    }

    fn is_light(&self) -> bool {
        matches!(self, Err(_) | Ok(Value::Done | Value::Count(_)))
    }

    fn undo_now(&mut self) {}

    fn undo(self) {
        match self {
            Ok(Value::Loan(Loan(given_back))) => {
                given_back.fetch_add(1, Ordering::SeqCst);
            }
            Ok(Value::Slow(begun, end)) => {
                begun.send(()).expect("the test waits for it");
                end.into_iter().for_each(drop);
            }
            Ok(Value::Bomb) => panic!("a bug in a request"),
            _ => {}
        }
    }
}

/// Counts how often it is woken.
#[derive(Default)]
pub(super) struct Bell(AtomicUsize);

impl Bell {
    pub(super) fn rung(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

pub(super) fn bell() -> (Arc<Bell>, Waker) {
    let bell = Arc::new(Bell::default());
    (Arc::clone(&bell), bell.into())
}

/// What a guest may have that has enough of everything, but for memory.
pub(super) fn budgets(memory: usize) -> Budgets {
    let many = || Budget::new(10_000);
    Budgets { places: many(), memory: Budget::new(memory), calls: many(), parked: many() }
}

pub(super) const KIND: Kind = Kind { name: "test", number: 0 };

pub(super) type Guest = Arc<Membership<Answer>>;

pub(super) fn pool(workers: usize) -> Arc<Pool<Answer>> {
    Pool::new(workers)
}

pub(super) fn guest(pool: &Arc<Pool<Answer>>) -> Guest {
    guest_with(pool, 1 << 20)
}

/// One that may hold so many bytes.
pub(super) fn guest_with(pool: &Arc<Pool<Answer>>, memory: usize) -> Guest {
    Arc::new(Membership::new(pool, budgets(memory), 1))
}

pub(super) fn submission(manner: Manner) -> Submission {
    Submission { kind: KIND, origin: Origin::Handle, manner }
}

pub(super) fn submit(guest: &Guest, work: Work<Answer>) -> RequestId {
    submit_in(guest, Manner::default(), work)
}

pub(super) fn submit_in(guest: &Guest, manner: Manner, work: Work<Answer>) -> RequestId {
    try_submit(guest, manner, 0, work).expect("it may be done")
}

/// Waits until it is admitted.
pub(super) fn try_submit(guest: &Guest, manner: Manner, bytes: usize, work: Work<Answer>) -> Result<RequestId, Refusal> {
    let submission = submission(manner);
    let mut entrance = Entrance::new(guest, &submission, None, bytes);
    let admission = block_on(poll_fn(|cx| entrance.poll(cx)))?;
    guest.submit(submission, admission, work).map_err(|(refusal, ..)| refusal)
}

pub(super) fn take(guest: &Guest, id: RequestId) -> Answer {
    block_on(poll_fn(|cx| guest.poll_take(id, cx)))
}

pub(super) fn flush(guest: &Guest) {
    block_on(poll_fn(|cx| guest.poll_flush(cx)));
}

#[cfg(feature = "model")]
pub(super) use shuttle::future::block_on;

#[cfg(not(feature = "model"))]
pub(super) use crate::spin::block_on;
