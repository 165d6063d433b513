//! The scheduler under shuttle: every order in which threads may come to their locks, as far as thousands of tries find them. What
//! never ends, in any of them, shuttle reports as a deadlock.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use shuttle::thread;

use super::fixture::{
    ALREADY, Answer, CANCELED, FULL, Failure, Guest, Value, block_on, budgets, flush, guest, guest_with, pool, submit,
    submit_in, take, try_submit,
};
use super::{Budgets, End, Flow, Manner, Membership, Pool, Refusal, Running, Work};
use crate::budget::Budget;

const TRIES: usize = 10_000;

/// Tries out a scenario: in random orders, and in orders with few switches, which find other mistakes.
fn check(scenario: impl Fn() + Send + Sync + Copy + 'static) {
    shuttle::check_random(scenario, TRIES);
    shuttle::check_pct(scenario, TRIES, 3);
}

fn done() -> Work<Answer> {
    Box::new(|_| Flow::Done(Ok(Value::Done)))
}

/// Work that is parked twice.
fn again() -> Work<Answer> {
    let mut tries = 0;
    Box::new(move |_| {
        tries += 1;
        if tries < 3 { Flow::Again(Duration::ZERO) } else { Flow::Done(Ok(Value::Count(tries))) }
    })
}

/// Shuttle's time never passes: who waits here for something that does not come waits for ever.
fn ends(pool: &Pool<Answer>) {
    pool.close();
    assert!(pool.wait_closed(Duration::ZERO));
    let counters = pool.counters();
    assert_eq!((counters.queued, counters.running), (0, 0));
}

#[test]
fn every_request_of_every_guest_is_answered_once() {
    check(|| {
        let pool = pool(2);
        let guests: Vec<_> = (0..2)
            .map(|_| {
                let pool = Arc::clone(&pool);
                thread::spawn(move || {
                    let guest = guest(&pool);
                    let ids: Vec<_> = (0..3).map(|_| submit(&guest, done())).collect();
                    guest.cancel(ids[1]);
                    let mut announced = Vec::new();
                    while announced.len() < ids.len() {
                        announced.extend(block_on(poll_fn(|cx| guest.poll_announce(cx))));
                    }
                    announced.sort_unstable();
                    assert_eq!(announced, ids.iter().map(|id| id.value()).collect::<Vec<_>>());
                    for id in &ids {
                        match take(&guest, *id) {
                            Ok(_) => {}
                            Err(error) => assert_eq!((error, *id), (CANCELED, ids[1])),
                        }
                        assert_eq!(take(&guest, *id).expect_err("it was taken"), ALREADY);
                    }
                })
            })
            .collect();
        for guest in guests {
            guest.join().expect("it ends well");
        }
        ends(&pool);
        let counters = pool.counters();
        assert_eq!((counters.done + counters.canceled, counters.failed), (6, 0));
    });
}

#[test]
fn a_guest_may_go_at_any_time() {
    check(|| {
        let pool = pool(2);
        let guest = guest(&pool);
        let left = Arc::downgrade(guest.account());
        // An alarm that rings, and one that never does in shuttle's time: it must not outlive the guest.
        let never = Manner { deadline: Some(Instant::now() + Duration::from_secs(3600)), ..Manner::default() };
        submit_in(&guest, never, again());
        for _ in 0..2 {
            submit(&guest, done());
        }
        drop(guest);
        ends(&pool);
        assert!(left.upgrade().is_none());
    });
}

#[test]
fn a_group_waits_for_all_of_its_members_whatever_becomes_of_them() {
    check(|| {
        let pool = pool(2);
        let guest = guest(&pool);
        let (group, sub) = (guest.create_group(10).expect("there is room"), guest.create_group(10).expect("there is room"));
        guest.add_group(group, sub).expect("it is in no other");
        let into = |group| Manner { group: Some(group), ..Manner::default() };
        let fails: Work<Answer> = Box::new(|_| Flow::Done(Err(Failure::Broken)));
        let ids =
            [submit_in(&guest, into(group), done()), submit_in(&guest, into(sub), fails), submit_in(&guest, into(sub), done())];
        guest.cancel(ids[2]);
        let outcome = block_on(poll_fn(|cx| guest.poll_outcome(group, cx))).expect("it was not canceled");
        assert_eq!((outcome.done + outcome.canceled, outcome.failed), (2, 1));
        assert_eq!(outcome.first_failure.map(|failure| failure.id), Some(ids[1].value()));
        drop(guest);
        ends(&pool);
    });
}

#[test]
fn a_canceled_group_answers_all_of_its_members() {
    check(|| {
        let pool = pool(2);
        let guest = guest(&pool);
        let group = guest.create_group(10).expect("there is room");
        guest.set_group_limit(group, 2);
        let manner = Manner { group: Some(group), ..Manner::default() };
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(submit_in(&guest, manner, done()));
        }
        guest.cancel_group(group, End::Closed);
        let answers = ids.into_iter().map(|id| take(&guest, id));
        assert!(answers.filter_map(Result::err).all(|error| error == CANCELED));
        let outcome = block_on(poll_fn(|cx| guest.poll_outcome(group, cx)));
        assert_eq!(outcome.expect_err("it was canceled"), Refusal::Canceled);
        drop(guest);
        ends(&pool);
    });
}

#[test]
fn a_parked_request_goes_on_or_is_canceled() {
    check(|| {
        let pool = pool(2);
        let guest = guest(&pool);
        let (one, other) = (submit(&guest, again()), submit(&guest, again()));
        guest.cancel(other);
        assert!(matches!(take(&guest, one), Ok(Value::Count(3))));
        match take(&guest, other) {
            Ok(output) => assert!(matches!(output, Value::Count(3))),
            Err(error) => assert_eq!(error, CANCELED),
        }
        submit(&guest, again());
        drop(guest);
        ends(&pool);
    });
}

/// Jobs that a request and its helpers do. Who comes to the last one wakes the request.
struct Jobs {
    left: AtomicU64,
    at_work: AtomicU64,
    parked: Mutex<Option<Waker>>,
}

impl Jobs {
    fn work(self: &Arc<Self>, running: &dyn Running) {
        self.at_work.fetch_add(1, Ordering::SeqCst);
        while self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            running.advance(0, 1);
            thread::yield_now();
        }
        if self.at_work.fetch_sub(1, Ordering::SeqCst) == 1 {
            let parked = self.parked.lock().expect("nobody panics under it").take();
            parked.into_iter().for_each(Waker::wake);
        }
    }
}

#[test]
fn helpers_come_in_time_or_not_at_all() {
    check(|| {
        let pool = pool(3);
        let guest = guest(&pool);
        let jobs = Arc::new(Jobs { left: AtomicU64::new(5), at_work: AtomicU64::new(0), parked: Mutex::new(None) });
        let shared = Arc::clone(&jobs);
        let mut has_begun = false;
        let work: Work<Answer> = Box::new(move |running| {
            if !std::mem::replace(&mut has_begun, true) {
                for _ in 0..2 {
                    let shared = Arc::clone(&shared);
                    running.call(Box::new(move |running| {
                        shared.work(running);
                        Flow::Done(())
                    }));
                }
                shared.work(running);
            }
            *shared.parked.lock().expect("nobody panics under it") = Some(running.waker());
            if shared.at_work.load(Ordering::SeqCst) > 0 { Flow::Parked } else { Flow::Done(Ok(Value::Done)) }
        });
        let id = submit(&guest, work);
        submit(&guest, done());
        flush(&guest);
        assert_eq!((jobs.left.load(Ordering::SeqCst), guest.progress(id).names), (0, 5));
        assert!(take(&guest, id).is_ok());
        drop(guest);
        ends(&pool);
    });
}

/// Work that is parked until somebody else has woken it.
#[derive(Default)]
struct Bedside {
    waker: Mutex<Option<Waker>>,
    may_end: AtomicBool,
}

impl Bedside {
    fn work(self: &Arc<Self>) -> Work<Answer> {
        let bedside = Arc::clone(self);
        Box::new(move |running| {
            *bedside.waker.lock().expect("nobody panics under it") = Some(running.waker());
            if bedside.may_end.load(Ordering::SeqCst) { Flow::Done(Ok(Value::Done)) } else { Flow::Parked }
        })
    }

    /// Lets it end, whether it has begun or not.
    fn end(&self) {
        self.may_end.store(true, Ordering::SeqCst);
        let waker = self.waker.lock().expect("nobody panics under it").take();
        waker.into_iter().for_each(Waker::wake);
    }
}

#[test]
fn a_wake_up_that_meets_the_parking_is_not_lost() {
    check(|| {
        let pool = pool(2);
        let guest = guest(&pool);
        let bedside = Arc::new(Bedside::default());
        let id = submit(&guest, bedside.work());
        let thread = thread::spawn(move || bedside.end());
        assert!(take(&guest, id).is_ok());
        thread.join().expect("it ends well");
        drop(guest);
        ends(&pool);
    });
}

#[test]
fn a_guest_that_goes_leaves_nothing_of_what_is_parked() {
    check(|| {
        let pool = pool(2);
        let guest = guest(&pool);
        let left = Arc::downgrade(guest.account());
        let bedside = Arc::new(Bedside::default());
        submit(&guest, bedside.work());
        let thread = thread::spawn(move || bedside.end());
        drop(guest);
        thread.join().expect("it ends well");
        ends(&pool);
        assert!(left.upgrade().is_none());
    });
}

/// Two tasks of a guest, each with two requests, where there is a place and memory for one at a time.
fn contend(guest: &Guest, bytes: usize) {
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let guest = Arc::clone(guest);
            thread::spawn(move || {
                for _ in 0..2 {
                    let id = try_submit(&guest, Manner::default(), bytes, done()).expect("it waits for the other");
                    assert!(take(&guest, id).is_ok());
                }
            })
        })
        .collect();
    for task in tasks {
        task.join().expect("it ends well");
    }
}

#[test]
fn calls_that_wait_for_a_place_are_told() {
    check(|| {
        let pool = pool(2);
        let guest = Arc::new(Membership::new(&pool, Budgets { places: Budget::new(1), ..budgets(10) }, 1));
        contend(&guest, 0);
        drop(guest);
        ends(&pool);
    });
}

#[test]
fn calls_that_wait_for_memory_are_told_and_not_refused() {
    check(|| {
        let pool = pool(2);
        let guest = Arc::new(Membership::new(&pool, Budgets { places: Budget::new(1), ..budgets(10) }, 1));
        contend(&guest, 6);
        drop(guest);
        ends(&pool);
    });
}

#[test]
fn guests_that_wait_for_what_the_other_has_are_told() {
    check(|| {
        let pool = pool(2);
        let engine = Budget::new(100);
        let guests = [(); 2].map(|()| Arc::new(Membership::new(&pool, Budgets { memory: engine.below(100), ..budgets(0) }, 1)));
        let threads: Vec<_> = guests
            .into_iter()
            .map(|guest| {
                thread::spawn(move || {
                    let own = try_submit(&guest, Manner::default(), 60, done());
                    if let Ok(id) = own {
                        assert!(take(&guest, id).is_ok());
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("it ends well");
        }
        ends(&pool);
        assert_eq!(engine.taken(), 0);
    });
}

#[test]
fn starved_requests_all_end() {
    check(|| {
        let pool = pool(3);
        let guest = guest_with(&pool, 10);
        let grows = || -> Work<Answer> {
            Box::new(|running| {
                let is_there = running.reserve(3).is_ok() && running.reserve(3).is_ok();
                Flow::Done(if is_there { Ok(Value::Bytes(1)) } else { Err(FULL) })
            })
        };
        let ids = [(); 3].map(|()| submit(&guest, grows()));
        flush(&guest);
        let answers = ids.map(|id| take(&guest, id));
        assert!(answers.iter().any(Result::is_ok), "{answers:?}");
        drop(guest);
        ends(&pool);
    });
}

#[test]
fn what_nobody_wants_is_dropped_before_the_pool_ends() {
    check(|| {
        let pool = pool(2);
        let guest = guest_with(&pool, 1 << 20);
        let memory = guest.memory().clone();
        let large = || -> Work<Answer> { Box::new(|_| Flow::Done(Ok(Value::Bytes(1 << 18)))) };
        let ids = [(); 3].map(|()| try_submit(&guest, Manner::default(), 1 << 18, large()).expect("there is room"));
        guest.cancel(ids[0]);
        guest.disown(ids[1]);
        drop(guest);
        ends(&pool);
        assert_eq!(memory.taken(), 0);
    });
}
