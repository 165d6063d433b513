//! The scheduler with its threads: what runs, what is answered, and what is left when it is over.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use super::fixture::{
    ALREADY, Answer, CANCELED, Guest, PANICKED, TIMED_OUT, Value, flush, guest, guest_with, pool, submit, submit_in, take,
};
use super::headcount::ACTIVE;
use super::{Flow, GroupId, Manner, Pool, Report, RequestId, Work};

mod admission;
mod endings;
mod fairness;
mod help;
mod memory;
mod parking;

/// Long enough for any thread to get its turn on a busy machine; a test that works never waits for it.
const LONG: Duration = Duration::from_secs(60);

fn done() -> Work<Answer> {
    Box::new(|_| Flow::Done(Ok(Value::Done)))
}

fn count(count: u64) -> Work<Answer> {
    Box::new(move |_| Flow::Done(Ok(Value::Count(count))))
}

/// Work that says when it has begun, and then waits until it is let go.
struct Gate {
    begun: Receiver<()>,
    open: Sender<()>,
}

impl Gate {
    fn wait_begun(&self) {
        self.begun.recv_timeout(LONG).expect("it runs");
    }
}

fn gated() -> (Gate, Work<Answer>) {
    let (begun_sender, begun) = channel();
    let (open, opened) = channel();
    let work: Work<Answer> = Box::new(move |_| {
        // An error means that the test has dropped the gate, which opens it too.
        let _: Result<(), _> = begun_sender.send(());
        let _: Result<(), _> = opened.recv();
        Flow::Done(Ok(Value::Done))
    });
    (Gate { begun, open }, work)
}

/// A gate of a request that runs.
fn run_gated(guest: &Guest) -> Gate {
    let (gate, work) = gated();
    submit(guest, work);
    gate.wait_begun();
    gate
}

fn counts(guest: &Guest) -> [u64; 5] {
    let counters = guest.counters();
    [counters.queued, counters.running, counters.done, counters.failed, counters.canceled]
}

/// Ends the pool and sees that no thread is left.
fn assert_ends(pool: &Pool<Answer>) {
    pool.close();
    assert!(pool.wait_closed(LONG), "{} workers are left", pool.workers());
}

/// Waits until nothing of the guest's is on its way.
fn settle(guest: &Guest) {
    flush(guest);
    while guest.account().headcount.number::<ACTIVE>() > 0 {
        std::thread::yield_now();
    }
}

fn until(deadline: Instant) -> Manner {
    Manner { deadline: Some(deadline), ..Manner::default() }
}

/// Submits a request whose time is up once `expire` is called with what this returns.
fn submit_in_group(guest: &Guest, work: Work<Answer>) -> (RequestId, GroupId) {
    let group = guest.create_group(100).expect("there is room");
    let id = submit_in(guest, Manner { group: Some(group), ..Manner::default() }, work);
    (id, group)
}

fn expire(guest: &Guest, group: GroupId) {
    guest.set_group_deadline(group, Some(Instant::now()));
}

#[test]
fn a_panic_is_that_requests_error_and_the_worker_goes_on() {
    let pool = pool(1);
    let guest = guest(&pool);
    let bad = submit(&guest, Box::new(|_| panic!("a bug in a request")));
    let good = submit(&guest, count(1));
    assert_eq!(take(&guest, bad).expect_err("it panicked"), PANICKED);
    assert!(matches!(take(&guest, good), Ok(Value::Count(1))));
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn a_request_that_is_canceled_while_it_runs_is_answered_before_it_ends() {
    let pool = pool(1);
    let guest = guest(&pool);
    let (gate, work) = gated();
    let id = submit(&guest, work);
    gate.wait_begun();
    guest.cancel(id);
    assert_eq!(take(&guest, id).expect_err("it was canceled"), CANCELED);
    assert_eq!(take(&guest, id).expect_err("it was taken"), ALREADY);
    assert_eq!(counts(&guest), [0, 1, 0, 0, 0]);
    drop(gate);
    // The next request ends after it on the only worker.
    let next = submit(&guest, done());
    assert!(take(&guest, next).is_ok());
    assert_eq!(counts(&guest), [0, 0, 1, 0, 1]);
}

#[test]
fn what_nobody_wanted_was_undone_after_its_request_had_ended() {
    let pool = pool(1);
    type End = fn(&Guest, RequestId);
    let (cancel, disown): (End, End) = (|guest, id| guest.cancel(id), |guest, id| guest.disown(id));
    for (end, ended) in [(cancel, [0, 0, 0, 0, 1]), (disown, [0, 0, 1, 0, 0])] {
        let guest = guest(&pool);
        let (gate, mut work) = gated();
        let ((begun_sender, begun), (end_of_it, ends)) = (channel(), channel());
        let mut slow = Some(Value::Slow(begun_sender, ends));
        let id = submit(&guest, Box::new(move |running| work(running).map(|answer| Ok(slow.take().unwrap_or(answer?)))));
        gate.wait_begun();
        end(&guest, id);
        drop(gate);
        begun.recv_timeout(LONG).expect("it is undone");
        assert_eq!(counts(&guest), [0, 1, 0, 0, 0]);
        drop(end_of_it);
        settle(&guest);
        assert_eq!(counts(&guest), ended);
    }
    assert_ends(&pool);
}

#[test]
fn blocked_workers_get_help_from_the_standby() {
    let pool = pool(8);
    let guest = guest(&pool);
    // Seven is what one guest may hold of eight. Each must have begun while all before it still run.
    let gates: Vec<Gate> = (0..7).map(|_| run_gated(&guest)).collect();
    let other = guest_with(&pool, 1 << 20);
    let id = submit(&other, done());
    assert!(take(&other, id).is_ok(), "one worker is kept from any single guest");
    for gate in gates {
        gate.open.send(()).expect("the work waits for it");
    }
    flush(&guest);
    assert_eq!(counts(&guest), [0, 0, 7, 0, 0]);
    drop((guest, other));
    assert_ends(&pool);
}

/// For requests that take no time one worker is enough, until one does.
#[test]
fn what_stands_behind_a_long_request_among_short_ones_is_served() {
    let pool = pool(8);
    let guest = guest(&pool);
    // All workers that start by themselves are there, and asleep.
    let gates: Vec<Gate> = (0..4).map(|_| run_gated(&guest)).collect();
    drop(gates);
    for round in 0..20 {
        for _ in 0..200 {
            let id = submit(&guest, done());
            assert!(take(&guest, id).is_ok());
        }
        let (gate, work) = gated();
        let long = submit(&guest, work);
        let behind: Vec<RequestId> = (0..4).map(|n| submit(&guest, count(n))).collect();
        for id in behind {
            assert!(take(&guest, id).is_ok(), "round {round}");
        }
        drop(gate);
        assert!(take(&guest, long).is_ok());
    }
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn a_wake_up_that_meets_an_idle_timeout_is_not_lost() {
    let pool = Pool::with(2, Duration::from_micros(50), super::pool::spawn);
    let guest = guest(&pool);
    for round in 0..5000 {
        let id = submit(&guest, count(round));
        assert!(matches!(take(&guest, id), Ok(Value::Count(n)) if n == round));
    }
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn many_guests_on_few_workers_get_every_answer_once() {
    let pool = pool(3);
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let pool = Arc::clone(&pool);
            std::thread::spawn(move || {
                let guest = guest(&pool);
                let ids: Vec<_> = (0..500).map(|n| submit(&guest, count(n))).collect();
                for id in ids.iter().step_by(3) {
                    guest.cancel(*id);
                }
                let answers = ids.iter().map(|id| take(&guest, *id));
                let (done, canceled): (Vec<_>, Vec<_>) = answers.partition(Result::is_ok);
                (done.len(), canceled.len(), counts(&guest))
            })
        })
        .collect();
    for thread in threads {
        let (done, canceled, [queued, _, ..]) = thread.join().expect("the thread ends well");
        assert_eq!((done + canceled, queued), (500, 0));
    }
    assert_ends(&pool);
}

#[test]
fn the_clock_ends_what_has_no_time_left() {
    let pool = pool(1);
    let guest = guest(&pool);
    let (gate, work) = gated();
    let (running, group) = submit_in_group(&guest, work);
    gate.wait_begun();
    let (queued, other_group) = submit_in_group(&guest, done());
    let other = submit_in(&guest, until(Instant::now() + LONG), done());
    expire(&guest, group);
    expire(&guest, other_group);
    for id in [running, queued] {
        assert_eq!(take(&guest, id).expect_err("its time is up"), TIMED_OUT);
    }
    drop(gate);
    assert!(take(&guest, other).is_ok());
    assert_eq!(counts(&guest), [0, 0, 1, 2, 0]);
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn work_is_told_between_its_steps_that_it_was_canceled() {
    let pool = pool(1);
    let guest = guest(&pool);
    let (sender, begun) = channel();
    let work: Work<Answer> = Box::new(move |running| {
        let _ = sender.send(());
        loop {
            if let Err(refusal) = running.check() {
                return Flow::Done(Err(refusal.into()));
            }
            running.advance(1, 2);
        }
    });
    let id = submit(&guest, work);
    begun.recv_timeout(LONG).expect("it runs");
    while guest.progress(id).names == 0 {
        std::thread::yield_now();
    }
    guest.cancel(id);
    assert_eq!(take(&guest, id).expect_err("it was canceled"), CANCELED);
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn the_counters_of_an_engine_are_those_of_all_its_guests() {
    let pool = pool(2);
    let (one, two) = (guest(&pool), guest(&pool));
    let gate = run_gated(&one);
    for failed in [false, true] {
        two.account().report_inline(&Report { kind: super::fixture::KIND, id: 0, failed, bytes: 0, times: None });
    }
    let done = submit(&two, done());
    assert!(take(&two, done).is_ok());
    drop(two);
    let all = |pool: &Pool<Answer>| {
        let counters = pool.counters();
        [counters.queued, counters.running, counters.done, counters.failed, counters.canceled]
    };
    assert_eq!(all(&pool), [0, 1, 2, 1, 0]);
    drop(gate);
    flush(&one);
    drop(one);
    assert_eq!(all(&pool), [0, 0, 3, 1, 0]);
    assert_ends(&pool);
}
