//! Which requests are done. The host reports each one only once, no matter who asks, so whoever waits registers here to be
//! told.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use crate::control;

/// The numbers of requests that are done, for a holder of many.
pub(crate) type Queue = Rc<RefCell<VecDeque<u64>>>;

enum State {
    /// A future waits for it.
    Wakes(Waker),
    /// It is one of many.
    Queues(Queue),
    /// The host has reported that it is done.
    Done,
}

thread_local! {
    /// By the request's number, from when somebody first asks about it until its handle is gone.
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

/// Waits until a request is done, and notifies whoever waits for it. `false` if the host has none to wait for.
pub(crate) fn wait() -> bool {
    tell(control::wait_any())
}

/// The same, but waits for at most `time`. `false` also if none was done by then.
pub(crate) fn wait_for(time: Duration) -> bool {
    tell(control::wait_any_for(milliseconds(time)))
}

/// A time in the unit of the host, rounded up: if it were rounded down, a wait would end too early.
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
    // Waking a task may call back into this module.
    wakers.into_iter().for_each(Waker::wake);
    !done.is_empty()
}
