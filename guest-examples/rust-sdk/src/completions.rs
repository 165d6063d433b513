//! Which requests are done. The host tells each one once, whoever asks; so whoever waits says here how to be told.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use crate::control;

/// The numbers of requests that are done, for who holds many.
pub(crate) type Queue = Rc<RefCell<VecDeque<u64>>>;

enum State {
    /// A future waits for it.
    Wakes(Waker),
    /// It is one of many.
    Queues(Queue),
    /// The host has told that it is done.
    Done,
}

thread_local! {
    /// By the request's number, from when somebody asks for it until its handle is gone.
    static STATES: RefCell<HashMap<u64, State>> = RefCell::default();
}

/// Whether a request is done. If not, this is woken once it is.
pub(crate) fn is_done_or_wakes(id: u64, waker: &Waker) -> bool {
    STATES.with_borrow_mut(|states| match states.get(&id) {
        Some(State::Done) => true,
        _ => {
            states.insert(id, State::Wakes(waker.clone()));
            false
        }
    })
}

/// Puts the number of a request into this queue once it is done.
pub(crate) fn queues(id: u64, queue: &Queue) {
    STATES.with_borrow_mut(|states| match states.get(&id) {
        Some(State::Done) => queue.borrow_mut().push_back(id),
        _ => {
            states.insert(id, State::Queues(queue.clone()));
        }
    });
}

/// The handle of this request is gone.
pub(crate) fn forget(id: u64) {
    STATES.with_borrow_mut(|states| states.remove(&id));
}

/// Waits until a request is done, and tells who waits for it. `false` if the host knows of none.
pub(crate) fn wait() -> bool {
    tell(control::wait_any())
}

/// The same, for so long at most. `false` also if none was done.
pub(crate) fn wait_for(time: Duration) -> bool {
    tell(control::wait_any_for(milliseconds(time)))
}

/// As the host counts, rounded up: with less, whoever waits until a time would be told too early that it is over.
pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

fn tell(done: Vec<u64>) -> bool {
    let mut wakers = Vec::new();
    STATES.with_borrow_mut(|states| {
        for id in &done {
            match states.insert(*id, State::Done) {
                Some(State::Wakes(waker)) => wakers.push(waker),
                Some(State::Queues(queue)) => queue.borrow_mut().push_back(*id),
                Some(State::Done) | None => {}
            }
        }
    });
    // What is woken may come back here.
    wakers.into_iter().for_each(Waker::wake);
    !done.is_empty()
}
