//! Requests that are parked: they hold no worker, and go on.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use super::*;

/// Work that is tried again until it has been tried `times` times, or is to stop.
pub(super) fn again(times: u64, delay: Duration) -> Work<Answer> {
    let mut tried = 0;
    Box::new(move |running| {
        if let Err(refusal) = running.check() {
            return Flow::Done(Err(refusal.into()));
        }
        tried += 1;
        if tried < times { Flow::Again(delay) } else { Flow::Done(Ok(Value::Count(tried))) }
    })
}

#[test]
fn parked_requests_hold_no_worker_and_go_on() {
    let pool = pool(1);
    let guest = guest(&pool);
    // As many as wait for ever would keep any number of workers.
    let parked: Vec<_> = (0..100).map(|_| submit(&guest, again(u64::MAX, Duration::from_millis(1)))).collect();
    let id = submit(&guest, again(5, Duration::from_millis(1)));
    assert!(matches!(take(&guest, id), Ok(Value::Count(5))));
    let other = submit(&guest, done());
    assert!(take(&guest, other).is_ok());
    for id in parked {
        guest.cancel(id);
        assert_eq!(take(&guest, id).expect_err("it was canceled"), CANCELED);
    }
    drop(guest);
    assert_ends(&pool);
}

/// A waker that work gives to the test, and whether the work is to end.
#[derive(Default)]
pub(super) struct Bedside {
    waker: Mutex<Option<Waker>>,
    may_end: AtomicBool,
    runs: AtomicUsize,
}

impl Bedside {
    /// Work that is parked until it may end, whether it is stopped or not.
    pub(super) fn work(self: &Arc<Self>) -> Work<Answer> {
        let bedside = Arc::clone(self);
        Box::new(move |running| {
            *bedside.waker.lock().expect("nobody panics under it") = Some(running.waker());
            bedside.runs.fetch_add(1, Ordering::SeqCst);
            if bedside.may_end.load(Ordering::SeqCst) { Flow::Done(Ok(Value::Done)) } else { Flow::Parked }
        })
    }

    pub(super) fn wait_for_runs(&self, runs: usize) {
        while self.runs.load(Ordering::SeqCst) < runs {
            std::thread::yield_now();
        }
    }

    pub(super) fn end(&self) {
        self.may_end.store(true, Ordering::SeqCst);
        let waker = self.waker.lock().expect("nobody panics under it").take();
        waker.expect("it has run").wake();
    }
}

#[test]
fn a_wake_up_that_meets_the_parking_is_not_lost() {
    let pool = pool(2);
    let guest = guest(&pool);
    for _ in 0..2000 {
        let bedside = Arc::new(Bedside::default());
        let id = submit(&guest, bedside.work());
        bedside.wait_for_runs(1);
        bedside.end();
        assert!(take(&guest, id).is_ok());
    }
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn a_parked_request_that_was_canceled_is_not_run_over_and_over() {
    let pool = pool(1);
    let guest = guest(&pool);
    let bedside = Arc::new(Bedside::default());
    let id = submit(&guest, bedside.work());
    bedside.wait_for_runs(1);
    guest.cancel(id);
    bedside.wait_for_runs(2);
    for _ in 0..100 {
        let other = submit(&guest, done());
        assert!(take(&guest, other).is_ok());
    }
    assert!(bedside.runs.load(Ordering::SeqCst) <= 3);
    bedside.end();
    assert_eq!(take(&guest, id).expect_err("it was canceled"), CANCELED);
    drop(guest);
    assert_ends(&pool);
}
