//! The scheduler with its threads: what runs, what is answered, and what is left when it is over.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::{Membership, Origin, Pool, Priority, RequestId, Submission, Work};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::output::Output;

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers").block_on(future)
}

/// Long enough for any thread to get its turn on a busy machine; a test that works never waits for it.
const LONG: Duration = Duration::from_secs(60);

fn submit(guest: &Membership, work: Work) -> RequestId {
    let submission = Submission { name: "test", origin: Origin::Handle, bytes: 0 };
    guest.submit(submission, Priority::default(), work).expect("there is room")
}

fn take(guest: &Membership, id: RequestId) -> Result<Output> {
    block_on(poll_fn(|cx| guest.poll_take(id, cx)))
}

/// Work that says when it has begun, and then waits until it is let go.
struct Gate {
    begun: Receiver<()>,
    open: Sender<()>,
}

fn gated(result: Result<Output>) -> (Gate, Work) {
    let (begun_sender, begun) = channel();
    let (open, opened) = channel();
    let work = Box::new(move |_: &_| {
        begun_sender.send(()).expect("the test waits for it");
        // An error means that the test has dropped the gate, which opens it too.
        let _: std::result::Result<(), _> = opened.recv();
        result
    });
    (Gate { begun, open }, work)
}

fn counts(guest: &Membership) -> [u64; 5] {
    let counters = guest.counters();
    [counters.queued, counters.running, counters.done, counters.failed, counters.canceled]
}

/// Ends the pool and sees that no thread is left.
fn assert_ends(pool: &Pool) {
    pool.close();
    assert!(pool.wait_closed(LONG), "{} workers are left", pool.workers());
}

#[test]
fn a_panic_is_that_requests_error_and_the_worker_goes_on() {
    let pool = Pool::new(1);
    let guest = Membership::new(&pool, &Limits::default());
    let bad = submit(&guest, Box::new(|_| panic!("a bug in a request")));
    let good = submit(&guest, Box::new(|_| Ok(Output::Count(1))));
    assert_eq!(take(&guest, bad).expect_err("it panicked"), Error::IO);
    assert!(matches!(take(&guest, good), Ok(Output::Count(1))));
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn a_request_that_is_canceled_while_it_runs_is_answered_before_it_ends() {
    let pool = Pool::new(1);
    let guest = Membership::new(&pool, &Limits::default());
    let (gate, work) = gated(Ok(Output::Done));
    let id = submit(&guest, work);
    gate.begun.recv_timeout(LONG).expect("it runs");
    guest.cancel(id);
    assert_eq!(take(&guest, id).expect_err("it was canceled"), Error::CANCELED);
    assert_eq!(counts(&guest), [0, 1, 0, 0, 0]);
    drop(gate);
    // The next request ends after it on the only worker.
    let next = submit(&guest, Box::new(|_| Ok(Output::Done)));
    assert!(take(&guest, next).is_ok());
    assert_eq!(counts(&guest), [0, 0, 1, 0, 1]);
}

#[test]
fn queued_requests_of_a_guest_that_is_gone_never_run_and_running_ones_end() {
    let pool = Pool::new(1);
    let guest = Membership::new(&pool, &Limits::default());
    let (gate, work) = gated(Ok(Output::Done));
    submit(&guest, work);
    let (sender, ran) = channel();
    submit(
        &guest,
        Box::new(move |_| {
            sender.send(()).expect("the test holds the other end");
            Ok(Output::Done)
        }),
    );
    gate.begun.recv_timeout(LONG).expect("it runs");
    let left = Arc::downgrade(guest.guest());
    drop(guest);
    assert!(ran.recv().is_err(), "the work of a queued request is dropped at once, and not run");
    drop(gate);
    assert_ends(&pool);
    assert!(left.upgrade().is_none(), "something still holds the guest");
}

#[test]
fn a_closed_pool_does_what_is_queued_first() {
    let pool = Pool::new(1);
    let guest = Membership::new(&pool, &Limits::default());
    let (gate, work) = gated(Ok(Output::Done));
    let first = submit(&guest, work);
    let second = submit(&guest, Box::new(|_| Ok(Output::Count(2))));
    gate.begun.recv_timeout(LONG).expect("it runs");
    pool.close();
    drop(gate);
    assert!(take(&guest, first).is_ok());
    assert!(matches!(take(&guest, second), Ok(Output::Count(2))));
    let third = submit(&guest, Box::new(|_| Ok(Output::Count(3))));
    assert!(matches!(take(&guest, third), Ok(Output::Count(3))), "no request is ever left without an answer");
    assert_ends(&pool);
}

#[test]
fn blocked_workers_get_help_from_the_standby() {
    let pool = Pool::new(8);
    let guest = Membership::new(&pool, &Limits::default());
    // Seven is what one guest may hold of eight. Each must have begun while all before it still run.
    let gates: Vec<Gate> = (0..7)
        .map(|_| {
            let (gate, work) = gated(Ok(Output::Done));
            submit(&guest, work);
            gate.begun.recv_timeout(LONG).expect("another worker takes it");
            gate
        })
        .collect();
    let other = Membership::new(&pool, &Limits::default());
    let id = submit(&other, Box::new(|_| Ok(Output::Done)));
    assert!(take(&other, id).is_ok(), "one worker is kept from any single guest");
    for gate in gates {
        gate.open.send(()).expect("the work waits for it");
    }
    block_on(poll_fn(|cx| guest.poll_flush(cx)));
    assert_eq!(counts(&guest), [0, 0, 7, 0, 0]);
    drop((guest, other));
    assert_ends(&pool);
}

#[test]
fn a_wake_up_that_meets_an_idle_timeout_is_not_lost() {
    let pool = Pool::with_idle_timeout(2, Duration::from_micros(50));
    let guest = Membership::new(&pool, &Limits::default());
    for round in 0..5000 {
        let id = submit(&guest, Box::new(move |_| Ok(Output::Count(round))));
        assert!(matches!(take(&guest, id), Ok(Output::Count(n)) if n == round));
    }
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn many_guests_on_few_workers_get_every_answer_once() {
    let pool = Pool::new(3);
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let pool = Arc::clone(&pool);
            std::thread::spawn(move || {
                let guest = Membership::new(&pool, &Limits::default());
                let ids: Vec<_> = (0..500).map(|n| submit(&guest, Box::new(move |_| Ok(Output::Count(n))))).collect();
                for id in ids.iter().step_by(3) {
                    guest.cancel(*id);
                }
                let answers = ids.iter().map(|id| take(&guest, *id));
                let (done, canceled): (Vec<_>, Vec<_>) = answers.partition(Result::is_ok);
                let counts = counts(&guest);
                (done.len(), canceled.len(), counts)
            })
        })
        .collect();
    for thread in threads {
        let (done, canceled, [queued, _, ..]) = thread.join().expect("the thread ends well");
        assert_eq!((done + canceled, queued), (500, 0));
    }
    assert_ends(&pool);
}
