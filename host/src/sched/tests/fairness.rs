//! Who gets a worker: guests do not wait for each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::sched::pool::TIME_SLICE;

/// With any number of another guest's requests queued, a single one waits for no more than those that run.
#[test]
fn a_single_request_waits_for_no_queue_of_another_guest() {
    let pool = pool(2);
    let (greedy, modest) = (guest(&pool), guest(&pool));
    let served = Arc::new(AtomicU64::new(0));
    let gate = run_gated(&greedy);
    for _ in 0..4000 {
        let served = Arc::clone(&served);
        submit(
            &greedy,
            Box::new(move |_| {
                served.fetch_add(1, Ordering::Relaxed);
                Flow::Done(Ok(Value::Done))
            }),
        );
    }
    let before = {
        let served = Arc::clone(&served);
        submit(&modest, Box::new(move |_| Flow::Done(Ok(Value::Count(served.load(Ordering::Relaxed))))))
    };
    // The greedy guest holds the only worker that it may have, so none of its other requests can have run.
    assert!(matches!(take(&modest, before), Ok(Value::Count(0))));
    drop(gate);
    flush(&greedy);
    drop((greedy, modest));
    assert_ends(&pool);
}

/// As many requests as hold up the guest, which run until the test drops what this returns.
fn hog(guest: &Guest, requests: usize) -> Vec<Gate> {
    let gates: Vec<Gate> = (0..requests)
        .map(|_| {
            let (gate, work) = gated();
            submit(guest, work);
            gate
        })
        .collect();
    gates[0].wait_begun();
    gates
}

#[test]
fn a_guest_is_served_while_others_hold_all_workers() {
    for (workers, hogs) in [(1, 1), (2, 2), (2, 6), (4, 3)] {
        let pool = pool(workers);
        let guests: Vec<Guest> = (0..hogs).map(|_| guest(&pool)).collect();
        let gates: Vec<Vec<Gate>> = guests.iter().map(|guest| hog(guest, 10)).collect();
        let modest = guest(&pool);
        for _ in 0..3 {
            let id = submit(&modest, done());
            assert!(take(&modest, id).is_ok());
        }
        drop(gates);
        guests.iter().for_each(flush);
        drop((guests, modest));
        assert_ends(&pool);
    }
}

#[test]
fn there_are_no_more_threads_than_workers_and_guests_at_work() {
    let pool = pool(3);
    let guests: Vec<Guest> = (0..6).map(|_| guest(&pool)).collect();
    let mut gates = Vec::new();
    for (others, guest) in guests.iter().enumerate() {
        gates.push(hog(guest, 20));
        assert!(pool.workers() <= 3 + others + 1, "{} threads for {} guests", pool.workers(), others + 1);
    }
    // Those that have one running get no other, however long they wait.
    let modest = guest(&pool);
    for _ in 0..50 {
        let id = submit(&modest, done());
        assert!(take(&modest, id).is_ok());
        assert!(pool.workers() <= 3 + 7, "{} threads", pool.workers());
    }
    drop(gates);
    guests.iter().for_each(flush);
    drop((guests, modest));
    assert_ends(&pool);
}

#[test]
fn long_work_gives_way_when_somebody_waits_and_not_before() {
    let pool = pool(1);
    let guest = guest(&pool);
    let (sender, is_long) = channel();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let mut runs = 0;
    let work: Work<Answer> = Box::new(move |running| {
        runs += 1;
        let begun = Instant::now();
        while !stopped.load(Ordering::SeqCst) {
            if running.is_wanted() {
                return Flow::Again(Duration::ZERO);
            }
            if begun.elapsed() > 10 * TIME_SLICE {
                // It has been at it for long, and nobody wants the worker: the test may go on. It is gone later.
                let _: Result<(), _> = sender.send(());
            }
            std::thread::yield_now();
        }
        Flow::Done(Ok(Value::Count(runs)))
    });
    let long = submit(&guest, work);
    is_long.recv_timeout(LONG).expect("nobody wants the only worker");
    let short = submit(&guest, done());
    assert!(take(&guest, short).is_ok(), "the only worker was given back");
    stop.store(true, Ordering::SeqCst);
    assert!(matches!(take(&guest, long), Ok(Value::Count(runs)) if runs > 1));
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn a_submission_that_cannot_be_begun_wakes_no_worker() {
    let pool = pool(8);
    let guest = guest(&pool);
    // As many as one guest may hold, so that the threads that are left have nothing to do.
    let gates: Vec<Gate> = (0..7).map(|_| run_gated(&guest)).collect();
    let before = pool.workers();
    for _ in 0..100 {
        submit(&guest, done());
    }
    assert_eq!(pool.workers(), before);
    drop(gates);
    flush(&guest);
    drop(guest);
    assert_ends(&pool);
}
