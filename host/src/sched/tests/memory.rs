//! Memory of requests that run: what they reserve, and what their results hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::fixture::{FULL, budgets, try_submit};
use super::super::{Budgets, Membership};
use super::admission::{run_all, task};
use super::*;
use crate::budget::Budget;

/// Work whose result holds so many bytes, which it reserves first.
fn reserve(bytes: usize) -> Work<Answer> {
    Box::new(move |running| Flow::Done(running.reserve(bytes).map(|()| Value::Bytes(bytes)).map_err(Into::into)))
}

#[test]
fn memory_that_a_result_takes_is_on_the_books_until_it_is_taken() {
    let pool = pool(1);
    let guest = guest_with(&pool, 1000);
    let half = submit(&guest, reserve(500));
    assert!(take(&guest, half).is_ok());
    let most = submit(&guest, reserve(999));
    settle(&guest);
    assert_eq!(guest.memory().taken(), 999);
    let more = submit(&guest, reserve(2));
    assert_eq!(take(&guest, more).expect_err("there is no room"), FULL);
    assert!(take(&guest, most).is_ok());
    let again = submit(&guest, reserve(2));
    assert!(take(&guest, again).is_ok());
    assert_eq!(guest.memory().taken(), 0);
    drop(guest);
    assert_ends(&pool);
}

/// Work that grows by steps to so many bytes, and gives up what it has if there are not as many.
fn grows(bytes: usize, step: usize) -> Work<Answer> {
    Box::new(move |running| {
        for _ in 0..bytes / step {
            if running.reserve(step).is_err() {
                return Flow::Done(Err(FULL));
            }
            std::thread::yield_now();
        }
        Flow::Done(Ok(Value::Bytes(bytes)))
    })
}

#[test]
fn starved_requests_all_end_and_as_many_succeed_as_there_is_room_for() {
    let pool = pool(8);
    let guest = guest_with(&pool, 90);
    let ids: Vec<_> = (0..60).map(|_| submit(&guest, grows(30, 10))).collect();
    settle(&guest);
    assert_eq!(guest.memory().taken(), 90, "three that nobody has taken fill the limit");
    let answers: Vec<Answer> = ids.iter().map(|id| take(&guest, *id)).collect();
    let (done, failed): (Vec<Answer>, Vec<Answer>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((done.len(), failed.len()), (3, 57));
    assert!(failed.iter().all(|answer| matches!(answer, Err(FULL))));
    assert_eq!(guest.memory().taken(), 0);
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn starved_requests_whose_results_are_taken_all_succeed() {
    let pool = pool(8);
    let guest = guest_with(&pool, 90);
    let answers = run_all(&guest, (0..60).map(|_| task(&guest, 0)).collect(), || grows(30, 10));
    assert!(answers.len() == 60 && answers.iter().all(Result::is_ok), "{answers:?}");
    settle(&guest);
    assert_eq!(guest.memory().taken(), 0);
    drop(guest);
    assert_ends(&pool);
}

/// The memory of another guest is what is missing: those who starve wait for that, and do not run over and over.
#[test]
fn a_request_that_starves_for_what_another_guest_has_is_not_begun_over_and_over() {
    let pool = pool(4);
    let engine = Budget::new(1000);
    let member = |_| Arc::new(Membership::new(&pool, Budgets { memory: engine.below(500), ..budgets(0) }, 1));
    let [guest, other, third] = [(); 3].map(member);
    let held = other.memory().try_take(500).expect("there is room");
    let most = third.memory().try_take(380).expect("there is room");
    let gate = run_gated(&guest);
    let begun = Arc::new(AtomicUsize::new(0));
    let work: Work<Answer> = {
        let begun = Arc::clone(&begun);
        Box::new(move |running| {
            begun.fetch_add(1, Ordering::SeqCst);
            Flow::Done(running.reserve(200).map(|()| Value::Bytes(200)).map_err(Into::into))
        })
    };
    let id = submit(&guest, work);
    // It is parked once it is on no worker: then only the gate is active.
    while guest.account().headcount.number::<ACTIVE>() > 1 {
        std::thread::yield_now();
    }
    for _ in 0..100 {
        let next = submit(&guest, done());
        assert!(take(&guest, next).is_ok());
    }
    assert_eq!(begun.load(Ordering::SeqCst), 1);
    drop(held);
    assert!(take(&guest, id).is_ok());
    assert!(begun.load(Ordering::SeqCst) <= 3);
    drop((most, gate));
}

#[test]
fn a_result_is_charged_what_it_holds_and_one_that_failed_nothing() {
    let pool = pool(1);
    let guest = guest_with(&pool, 1000);
    let holds = |bytes| -> Work<Answer> { Box::new(move |_| Flow::Done(Ok(Value::Bytes(bytes)))) };
    let small = try_submit(&guest, Manner::default(), 500, holds(3)).expect("there is room");
    settle(&guest);
    assert_eq!(guest.memory().taken(), 3);
    // A result may turn out larger than was thought: then it counts all the same.
    let large = try_submit(&guest, Manner::default(), 1, holds(2000)).expect("there is room");
    settle(&guest);
    assert_eq!(guest.memory().taken(), 2003);
    assert!(take(&guest, large).is_ok() && take(&guest, small).is_ok());
    let fails: Work<Answer> = Box::new(|running| {
        assert!(running.reserve(300).is_ok());
        Flow::Done(Err(super::super::fixture::Failure::Broken))
    });
    let failed = try_submit(&guest, Manner::default(), 500, fails).expect("there is room");
    settle(&guest);
    assert_eq!(guest.memory().taken(), 0, "nobody has taken it yet");
    assert!(take(&guest, failed).is_err());
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn what_nobody_wants_is_dropped_by_a_worker_and_on_the_books_until_then() {
    let pool = pool(1);
    let guest = guest_with(&pool, 1 << 20);
    let large = submit(&guest, reserve(1 << 19));
    settle(&guest);
    let gate = run_gated(&guest);
    let canceled = try_submit(&guest, Manner::default(), 1 << 19, done()).expect("there is room");
    guest.disown(large);
    guest.cancel(canceled);
    assert_eq!(guest.memory().taken(), 1 << 20, "the only worker is at something else");
    // A call waits for it, since it is on its way.
    let (sender, waits) = channel();
    let other = Arc::clone(&guest);
    let thread = std::thread::spawn(move || {
        sender.send(()).expect("the test waits for it");
        try_submit(&other, Manner::default(), 1 << 20, done())
    });
    waits.recv_timeout(LONG).expect("it runs");
    drop(gate);
    assert!(thread.join().expect("it ends well").is_ok());
    settle(&guest);
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn what_was_refused_was_on_no_books_until_it_was_dropped() {
    let pool = pool(1);
    let guest = guest_with(&pool, 1 << 20);
    let gate = run_gated(&guest);
    let dropped = Arc::new(AtomicUsize::new(0));
    let leaving = guest.leaving();
    for round in 0..4 {
        guest.discard(Counts(Arc::clone(&dropped)), guest.memory().try_take(1 << 19));
        assert!(leaving.is_any());
        // Those that there is no room for are not left to the worker, which is at something else.
        assert_eq!((guest.memory().taken() >> 19, dropped.load(Ordering::SeqCst)), (2.min(round + 1), round.max(1) - 1));
    }
    drop(gate);
    settle(&guest);
    assert_eq!((guest.memory().taken(), dropped.load(Ordering::SeqCst), leaving.is_any()), (0, 4, false));
    drop(guest);
    assert_ends(&pool);
}

/// Counts those that were dropped.
struct Counts(Arc<AtomicUsize>);

impl Drop for Counts {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn whoever_leaves_too_much_to_the_workers_drops_it_itself() {
    let pool = pool(1);
    let guest = guest(&pool);
    let gate = run_gated(&guest);
    let dropped = Arc::new(AtomicUsize::new(0));
    for _ in 0..1000 {
        guest.discard(Counts(Arc::clone(&dropped)), Some(guest.memory().nothing()));
    }
    let here = dropped.load(Ordering::SeqCst);
    assert!((500..1000).contains(&here), "{here}");
    drop(gate);
    drop(guest);
    assert_ends(&pool);
    assert_eq!(dropped.load(Ordering::SeqCst), 1000);
}
