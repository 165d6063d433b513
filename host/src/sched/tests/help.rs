//! Several workers at one request: helpers are called, and leave.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::Waker;

use super::*;
use crate::sched::Running;
use crate::sched::fixture::FULL;

/// Work that several workers do: each calls `step` once. The request itself is parked until the others are done.
struct Shared<F> {
    /// Who has not been at it.
    left: AtomicUsize,
    parked: Mutex<Option<Waker>>,
    step: F,
}

/// Takes one off those who have not been at it, also if the step panics.
struct Leaves<'a, F>(&'a Shared<F>);

impl<F> Drop for Leaves<'_, F> {
    fn drop(&mut self) {
        if self.0.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            let parked = self.0.parked.lock().expect("nobody panics under it").take();
            parked.into_iter().for_each(Waker::wake);
        }
    }
}

impl<F: Fn() + Send + Sync + 'static> Shared<F> {
    fn step(&self) {
        let _leaves = Leaves(self);
        (self.step)();
    }

    /// The work of the request, with so many helpers.
    fn work(helpers: usize, step: F) -> Work<Answer> {
        let shared = Arc::new(Self { left: AtomicUsize::new(helpers + 1), parked: Mutex::default(), step });
        let mut has_begun = false;
        Box::new(move |running: &dyn Running| {
            if !std::mem::replace(&mut has_begun, true) {
                for _ in 0..helpers {
                    let shared = Arc::clone(&shared);
                    running.call(Box::new(move |_| {
                        shared.step();
                        Flow::Done(())
                    }));
                }
                shared.step();
            }
            *shared.parked.lock().expect("nobody panics under it") = Some(running.waker());
            if shared.left.load(Ordering::SeqCst) == 0 { Flow::Done(Ok(Value::Done)) } else { Flow::Parked }
        })
    }
}

#[test]
fn several_workers_do_the_work_of_one_request() {
    let pool = pool(4);
    let guest = guest(&pool);
    // Three must be there at the same time before any may go.
    let barrier = Barrier::new(3);
    let id = submit(
        &guest,
        Shared::work(2, move || {
            barrier.wait();
        }),
    );
    assert!(take(&guest, id).is_ok());
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn helpers_leave_and_are_called_again() {
    // One worker for this guest: each has it only when the other has left.
    let pool = pool(2);
    let guest = guest(&pool);
    let (sender, done_jobs) = channel();
    let mut round = 0;
    let work: Work<Answer> = Box::new(move |running| {
        round += 1;
        if round > 5 {
            return Flow::Done(Ok(Value::Count(round)));
        }
        let (sender, waker) = (sender.clone(), running.waker());
        running.call(Box::new(move |_| {
            sender.send(round).expect("the test waits for it");
            waker.wake_by_ref();
            Flow::Done(())
        }));
        Flow::Parked
    });
    let id = submit(&guest, work);
    for round in 1..=5 {
        assert_eq!(done_jobs.recv_timeout(LONG), Ok(round));
    }
    assert!(matches!(take(&guest, id), Ok(Value::Count(6))));
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn a_helper_whose_time_is_up_comes_again() {
    let pool = pool(2);
    let guest = guest(&pool);
    let work: Work<Answer> = {
        let mut has_begun = false;
        let turns = Arc::new(AtomicUsize::new(0));
        Box::new(move |running| {
            if !std::mem::replace(&mut has_begun, true) {
                let (turns, waker) = (Arc::clone(&turns), running.waker());
                running.call(Box::new(move |_| {
                    if turns.fetch_add(1, Ordering::SeqCst) < 10 {
                        return Flow::Again(Duration::ZERO);
                    }
                    waker.wake_by_ref();
                    Flow::Done(())
                }));
            }
            if turns.load(Ordering::SeqCst) > 10 { Flow::Done(Ok(Value::Done)) } else { Flow::Parked }
        })
    };
    let id = submit(&guest, work);
    assert!(take(&guest, id).is_ok());
    drop(guest);
    assert_ends(&pool);
}

/// A request that starves while a helper of another is at work, which is parked itself.
#[test]
fn who_starves_waits_for_helpers_too() {
    let pool = pool(4);
    let guest = guest_with(&pool, 100);
    let (gate, mut hold) = gated();
    let work: Work<Answer> = {
        let (mut has_begun, is_done) = (false, Arc::new(AtomicBool::new(false)));
        Box::new(move |running| {
            if !std::mem::replace(&mut has_begun, true) {
                assert!(running.reserve(90).is_ok());
                let (mut hold, waker) = (std::mem::replace(&mut hold, done()), running.waker());
                let is_done = Arc::clone(&is_done);
                running.call(Box::new(move |running| {
                    let _: Flow<Answer> = hold(running);
                    is_done.store(true, Ordering::SeqCst);
                    waker.wake_by_ref();
                    Flow::Done(())
                }));
            }
            if is_done.load(Ordering::SeqCst) { Flow::Done(Ok(Value::Done)) } else { Flow::Parked }
        })
    };
    let id = submit(&guest, work);
    gate.wait_begun();
    let starves: Work<Answer> =
        Box::new(|running| Flow::Done(if running.reserve(50).is_ok() { Ok(Value::Done) } else { Err(FULL) }));
    let starved = submit(&guest, starves);
    // It is parked once only the helper is on its way.
    while guest.account().headcount.number::<ACTIVE>() > 1 {
        std::thread::yield_now();
    }
    drop(gate);
    assert!(take(&guest, starved).is_ok() && take(&guest, id).is_ok());
    drop(guest);
    assert_ends(&pool);
}

/// The last that was on its way is a helper that came too late. Who starves is looked after all the same.
#[test]
fn who_starves_learns_that_the_last_helper_has_left() {
    let pool = pool(1);
    let guest = guest_with(&pool, 100);
    let (gate, mut hold) = gated();
    let work: Work<Answer> = Box::new(move |running| {
        let _: Flow<Answer> = hold(running);
        running.call(Box::new(|_| Flow::Done(())));
        Flow::Done(Ok(Value::Bytes(60)))
    });
    let held = submit(&guest, work);
    gate.wait_begun();
    let starves: Work<Answer> =
        Box::new(|running| Flow::Done(if running.reserve(50).is_ok() { Ok(Value::Done) } else { Err(FULL) }));
    let starved = submit(&guest, starves);
    drop(gate);
    assert_eq!(take(&guest, starved).expect_err("nobody takes what there is"), FULL);
    assert!(take(&guest, held).is_ok());
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn a_request_does_not_wait_for_helpers_that_never_come() {
    let pool = pool(1);
    let guest = guest(&pool);
    let work: Work<Answer> = Box::new(|running| {
        for _ in 0..16 {
            running.call(Box::new(|_| Flow::Done(())));
        }
        Flow::Done(Ok(Value::Done))
    });
    let id = submit(&guest, work);
    assert!(take(&guest, id).is_ok());
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn a_helper_that_panics_ends_no_worker() {
    let pool = pool(3);
    let guest = guest(&pool);
    let barrier = Barrier::new(2);
    let first = Mutex::new(None);
    let step = move || {
        // Both meet here, and one of them panics: which one makes no difference.
        let own = std::thread::current().id();
        let first = *first.lock().expect("nobody panics under it").get_or_insert(own);
        barrier.wait();
        assert!(own == first, "a bug in a request");
    };
    let id = submit(&guest, Shared::work(1, step));
    let answer = take(&guest, id);
    assert!(matches!(answer, Ok(_) | Err(PANICKED)), "{answer:?}");
    let next = submit(&guest, done());
    assert!(take(&guest, next).is_ok());
    drop(guest);
    assert_ends(&pool);
}
