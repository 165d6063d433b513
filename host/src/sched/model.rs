//! The scheduler under shuttle: every order in which threads may come to their locks, as far as thousands of tries find them. What
//! never ends, in any of them, shuttle reports as a deadlock.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use shuttle::future::block_on;
use shuttle::thread;

use super::{End, Flow, Manner, Membership, Origin, Pool, RequestId, SharedWork, Submission, Ticket, Work};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::output::Output;

const TRIES: usize = 10_000;

/// Tries out a scenario: in random orders, and in orders with few switches, which find other mistakes.
fn check(scenario: impl Fn() + Send + Sync + Copy + 'static) {
    shuttle::check_random(scenario, TRIES);
    shuttle::check_pct(scenario, TRIES, 3);
}

fn member(pool: &Arc<Pool>) -> Membership {
    Membership::new(pool, &Limits::default(), 1)
}

fn submit(guest: &Membership, manner: Manner, work: Work) -> RequestId {
    let submission = Submission { name: "model", origin: Origin::Handle, bytes: 0, manner };
    guest.submit(submission, work).expect("there is room")
}

fn done() -> Work {
    Box::new(|_| Ok(Output::Done).into())
}

/// Work that is parked twice.
fn again() -> Work {
    let mut tries = 0;
    Box::new(move |_| {
        tries += 1;
        if tries < 3 { Flow::Again(Duration::ZERO) } else { Flow::Done(Ok(Output::Count(tries))) }
    })
}

fn take(guest: &Membership, id: RequestId) -> Result<Output> {
    block_on(poll_fn(|cx| guest.poll_take(id, cx)))
}

fn flush(guest: &Membership) {
    block_on(poll_fn(|cx| guest.poll_flush(cx)));
}

/// Shuttle's time never passes: who waits here for something that does not come waits for ever.
fn ends(pool: &Pool) {
    pool.close();
    assert!(pool.wait_closed(Duration::ZERO));
    let counters = pool.counters();
    assert_eq!((counters.queued, counters.running), (0, 0));
}

#[test]
fn every_request_of_every_guest_is_answered_once() {
    check(|| {
        let pool = Pool::new(2);
        let guests: Vec<_> = (0..2)
            .map(|_| {
                let pool = Arc::clone(&pool);
                thread::spawn(move || {
                    let guest = member(&pool);
                    let ids: Vec<_> = (0..3).map(|_| submit(&guest, Manner::default(), done())).collect();
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
                            Err(error) => assert_eq!((error, *id), (Error::CANCELED, ids[1])),
                        }
                        assert_eq!(take(&guest, *id).expect_err("it was taken"), Error::ALREADY);
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
        let pool = Pool::new(2);
        let guest = member(&pool);
        let left = Arc::downgrade(guest.guest());
        // An alarm that rings, and one that never does in shuttle's time: it must not outlive the guest.
        let never = Manner { deadline: Some(Instant::now() + Duration::from_secs(3600)), ..Manner::default() };
        submit(&guest, never, again());
        for _ in 0..2 {
            submit(&guest, Manner::default(), done());
        }
        drop(guest);
        ends(&pool);
        assert!(left.upgrade().is_none());
    });
}

#[test]
fn a_group_waits_for_all_of_its_members_whatever_becomes_of_them() {
    check(|| {
        let pool = Pool::new(2);
        let guest = member(&pool);
        let (group, sub) = (guest.create_group(), guest.create_group());
        guest.add_group(group, sub).expect("it is in no other");
        let into = |group| Manner { group: Some(group), ..Manner::default() };
        let fails: Work = Box::new(|_| Flow::Done(Err(Error::IO)));
        let ids = [submit(&guest, into(group), done()), submit(&guest, into(sub), fails), submit(&guest, into(sub), done())];
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
        let pool = Pool::new(2);
        let guest = member(&pool);
        let group = guest.create_group();
        guest.set_group_limit(group, 2);
        let manner = Manner { group: Some(group), ..Manner::default() };
        let mut ids = Vec::new();
        for _ in 0..3 {
            block_on(poll_fn(|cx| guest.poll_place(&manner, cx))).expect("the group takes members");
            ids.push(submit(&guest, manner, done()));
        }
        guest.cancel_group(group, End::Closed);
        let answers = ids.into_iter().map(|id| take(&guest, id));
        assert!(answers.filter_map(Result::err).all(|error| error == Error::CANCELED));
        let outcome = block_on(poll_fn(|cx| guest.poll_outcome(group, cx)));
        assert_eq!(outcome.expect_err("it was canceled"), Error::CANCELED);
        drop(guest);
        ends(&pool);
    });
}

#[test]
fn a_parked_request_goes_on_or_is_canceled() {
    check(|| {
        let pool = Pool::new(2);
        let guest = member(&pool);
        let (one, other) = (submit(&guest, Manner::default(), again()), submit(&guest, Manner::default(), again()));
        guest.cancel(other);
        assert!(matches!(take(&guest, one), Ok(Output::Count(3))));
        match take(&guest, other) {
            Ok(output) => assert!(matches!(output, Output::Count(3))),
            Err(error) => assert_eq!(error, Error::CANCELED),
        }
        submit(&guest, Manner::default(), again());
        drop(guest);
        ends(&pool);
    });
}

#[test]
fn helpers_come_in_time_or_not_at_all() {
    check(|| {
        let pool = Pool::new(3);
        let guest = member(&pool);
        let (jobs, at_work) = (Arc::new(AtomicU64::new(5)), Arc::new(AtomicU64::new(0)));
        let shared: SharedWork = {
            let (jobs, at_work) = (Arc::clone(&jobs), Arc::clone(&at_work));
            Arc::new(move |ticket: &Ticket| {
                at_work.fetch_add(1, Ordering::Relaxed);
                while jobs.try_update(Ordering::Relaxed, Ordering::Relaxed, |jobs| jobs.checked_sub(1)).is_ok() {
                    ticket.advance(0, 1);
                    thread::yield_now();
                }
                thread::yield_now();
                at_work.fetch_sub(1, Ordering::Relaxed);
            })
        };
        let work: Work = Box::new(move |ticket| {
            let result = ticket.wide(3, &shared).map(|()| Output::Done);
            assert_eq!(at_work.load(Ordering::Relaxed), 0, "nobody is left at it");
            Flow::Done(result)
        });
        let id = submit(&guest, Manner::default(), work);
        submit(&guest, Manner::default(), done());
        flush(&guest);
        assert_eq!((jobs.load(Ordering::Relaxed), guest.progress(id).names), (0, 5));
        assert!(take(&guest, id).is_ok());
        drop(guest);
        ends(&pool);
    });
}
