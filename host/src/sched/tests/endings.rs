//! What becomes of requests when their guest goes, or the pool is closed.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::super::fixture::{bell, budgets, submission, try_submit};
use super::super::{Budgets, Entrance, Membership, Refusal};
use super::parking::{Bedside, again};
use super::*;
use crate::budget::Budget;

#[test]
fn queued_requests_of_a_guest_that_is_gone_never_run_and_running_ones_end() {
    let pool = pool(1);
    let guest = guest(&pool);
    let gate = run_gated(&guest);
    let (sender, ran) = channel();
    submit(
        &guest,
        Box::new(move |_| {
            sender.send(()).expect("the test holds the other end");
            Flow::Done(Ok(Value::Done))
        }),
    );
    let left = Arc::downgrade(guest.account());
    drop(guest);
    assert!(ran.recv().is_err(), "the work of a queued request is dropped, and not run");
    drop(gate);
    assert_ends(&pool);
    assert!(left.upgrade().is_none(), "something still holds the guest");
}

#[test]
fn what_was_not_canceled_stays_in_the_queue_when_what_was_leaves_it() {
    let pool = pool(1);
    let guest = guest(&pool);
    let gate = run_gated(&guest);
    let (sender, ran) = channel();
    let kept = submit(
        &guest,
        Box::new(move |_| {
            sender.send(()).expect("the test holds the other end");
            Flow::Done(Ok(Value::Done))
        }),
    );
    // So many that they are taken out more than once.
    for _ in 0..1_000 {
        let id = submit(&guest, done());
        guest.cancel(id);
        guest.disown(id);
    }
    drop(gate);
    // It would wait for ever.
    assert!(ran.recv_timeout(LONG).is_ok(), "what was not canceled has left the queue, too");
    assert!(take(&guest, kept).is_ok());
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn a_queue_is_empty_when_all_that_stood_there_is_canceled() {
    let pool = pool(1);
    let guest = guest(&pool);
    let gate = run_gated(&guest);
    let mut canceled = 0;
    let is_empty = || {
        let id = submit(&guest, done());
        guest.cancel(id);
        guest.disown(id);
        canceled += 1;
        !pool.has_queue()
    };
    assert!(std::iter::repeat_with(is_empty).take(1_000).any(|is_empty| is_empty), "nothing was taken out");
    assert!(canceled > 1);
    drop(gate);
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn a_closed_pool_does_what_is_queued_first() {
    let pool = pool(1);
    let guest = guest(&pool);
    let (gate, work) = gated();
    let first = submit(&guest, work);
    let second = submit(&guest, count(2));
    gate.wait_begun();
    pool.close();
    drop(gate);
    assert!(take(&guest, first).is_ok());
    assert!(matches!(take(&guest, second), Ok(Value::Count(2))));
    let third = submit(&guest, count(3));
    assert!(matches!(take(&guest, third), Ok(Value::Count(3))), "no request is ever left without an answer");
    assert_ends(&pool);
}

#[test]
fn a_guest_that_is_gone_leaves_no_parked_request() {
    let pool = pool(2);
    let guest = guest(&pool);
    for _ in 0..10 {
        submit(&guest, again(u64::MAX, Duration::from_secs(3600)));
    }
    let left = Arc::downgrade(guest.account());
    let id = submit(&guest, done());
    assert!(take(&guest, id).is_ok());
    drop(guest);
    assert_ends(&pool);
    assert!(left.upgrade().is_none(), "something still holds the guest");
}

#[test]
fn a_guest_that_goes_while_its_alarm_rings_leaves_no_alarm() {
    let pool = pool(2);
    for _ in 0..300 {
        let guest = guest(&pool);
        let soon = until(Instant::now() + Duration::from_micros(100));
        let far = until(Instant::now() + 100 * LONG);
        let Ok(soon) = try_submit(&guest, soon, 0, again(u64::MAX, LONG)) else { continue };
        submit_in(&guest, far, again(u64::MAX, LONG));
        assert_eq!(take(&guest, soon).expect_err("its time is up"), TIMED_OUT);
    }
    // An alarm of a guest that is gone would keep the clock.
    assert_ends(&pool);
}

#[test]
fn what_has_begun_is_run_to_its_end_though_its_guest_is_gone() {
    let pool = pool(2);
    let guest = guest(&pool);
    let bedside: Vec<_> = (0..3).map(|_| Arc::new(Bedside::default())).collect();
    for bedside in &bedside {
        submit(&guest, bedside.work());
        bedside.wait_for_runs(1);
    }
    let left = Arc::downgrade(guest.account());
    drop(guest);
    // Each looks once, and waits on: nothing of its guest is queued or running then.
    for bedside in &bedside {
        bedside.wait_for_runs(2);
    }
    for bedside in &bedside {
        bedside.end();
        bedside.wait_for_runs(3);
    }
    assert_ends(&pool);
    drop(bedside);
    assert!(left.upgrade().is_none(), "something still holds the guest");
}

#[test]
fn a_pool_that_is_closed_answers_what_is_parked_when_that_goes_on() {
    let pool = pool(2);
    let guest = guest(&pool);
    let bedside = Arc::new(Bedside::default());
    let id = submit(&guest, bedside.work());
    bedside.wait_for_runs(1);
    assert_ends(&pool);
    bedside.end();
    assert!(take(&guest, id).is_ok());
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn a_pool_with_requests_that_wait_for_ever_ends_when_their_guest_goes() {
    let pool = pool(2);
    let guest = guest(&pool);
    let ids: Vec<_> = (0..5).map(|_| submit(&guest, again(u64::MAX, Duration::from_millis(1)))).collect();
    pool.close();
    assert!(!pool.wait_closed(Duration::from_millis(20)), "they go on as long as their guest is there");
    guest.cancel(ids[0]);
    assert_eq!(take(&guest, ids[0]).expect_err("it was canceled"), CANCELED);
    drop(guest);
    assert!(pool.wait_closed(LONG));
    assert_eq!(pool.workers(), 0);
}

#[test]
fn a_guest_that_was_told_to_end_went_on() {
    let pool = pool(1);
    let guest = Arc::new(Membership::new(&pool, Budgets { places: Budget::new(1), ..budgets(1 << 20) }, 1));
    let (gate, work) = gated();
    submit(&guest, work);
    gate.wait_begun();
    let (bell, waker) = bell();
    let submission = submission(Manner::default());
    let mut waits = Entrance::new(&guest, &submission, None, 0);
    assert!(waits.poll(&Context::from_waker(&waker)).is_pending(), "the only place is taken");
    let group = guest.create_group(10).expect("there is room");
    let has_ended = |manner| matches!(guest.refusal(&manner), Some(Refusal::Canceled));
    assert!(!has_ended(Manner::default()));
    guest.close();
    assert_eq!(bell.rung(), 1);
    assert!(matches!(waits.poll(&Context::from_waker(&waker)), Poll::Ready(Err(Refusal::Canceled))));
    // In whatever manner, also once it has set another time, and when a place is free.
    guest.set_deadline(None);
    drop(gate);
    settle(&guest);
    for manner in [Manner::default(), until(Instant::now() + LONG), Manner { group: Some(group), ..Manner::default() }] {
        assert!(has_ended(manner));
        assert_eq!(try_submit(&guest, manner, 0, done()).err(), Some(Refusal::Canceled));
    }
    drop(waits);
    drop(guest);
    assert_ends(&pool);
}

/// Its drop panics.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a bug in a request");
    }
}

#[test]
fn what_panics_as_it_is_dropped_ends_no_worker() {
    let pool = pool(1);
    let guest = guest(&pool);
    let bomb = || -> Work<Answer> {
        let bomb = Bomb;
        Box::new(move |_| {
            let _ = &bomb;
            Flow::Done(Ok(Value::Done))
        })
    };
    let id = submit(&guest, bomb());
    assert!(take(&guest, id).is_ok(), "it was done before");
    let unwanted = submit(&guest, Box::new(|_| Flow::Done(Ok(Value::Bomb))));
    guest.cancel(unwanted);
    let gate = run_gated(&guest);
    let canceled = try_submit(&guest, Manner::default(), 1 << 19, bomb()).expect("there is room");
    guest.cancel(canceled);
    guest.discard(Bomb, Some(guest.memory().nothing()));
    drop(gate);
    let next = submit(&guest, done());
    assert!(take(&guest, next).is_ok());
    settle(&guest);
    assert_eq!((guest.memory().taken(), pool.workers()), (0, 1));
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn without_a_thread_requests_are_done_by_whoever_submits_them() {
    let pool = Pool::with(2, LONG, |_, _| Err(std::io::Error::from(std::io::ErrorKind::WouldBlock)));
    let guest = guest(&pool);
    let (id, other) = (submit(&guest, count(1)), submit(&guest, again(3, Duration::ZERO)));
    assert!(matches!(take(&guest, id), Ok(Value::Count(1))));
    assert!(matches!(take(&guest, other), Ok(Value::Count(3))));
    drop(guest);
    assert_ends(&pool);
}

/// Whoever has the lock of a guest's requests for long holds up the guest, and not the clock of all.
#[test]
fn the_clock_waits_for_no_guest() {
    let pool = pool(4);
    let (held, other) = (guest(&pool), guest(&pool));
    let due = Instant::now() + Duration::from_millis(20);
    held.set_deadline(Some(due));
    let lock = held.account().requests();
    let (sender, answered) = channel();
    let thread = std::thread::spawn(move || {
        let mut late = 0;
        while late < 10 {
            late += usize::from(Instant::now() > due);
            let (gate, work) = gated();
            let (id, group) = submit_in_group(&other, work);
            gate.wait_begun();
            expire(&other, group);
            assert_eq!(take(&other, id).expect_err("its time is up"), TIMED_OUT);
            other.drop_group(group);
            // An error means that the test is over.
            let _: Result<(), _> = sender.send(());
        }
    });
    let ended = loop {
        if let Err(error) = answered.recv_timeout(LONG) {
            break error;
        }
    };
    assert_eq!(ended, RecvTimeoutError::Disconnected, "the clock has not come");
    thread.join().expect("it ends well");
    drop(lock);
    drop(held);
    assert_ends(&pool);
}
