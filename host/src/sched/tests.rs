//! The scheduler with its threads: what runs, what is answered, and what is left when it is over.

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use super::{Flow, Manner, Membership, Origin, Pool, RequestId, SharedWork, Submission, Ticket, Work};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::output::Output;

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers").block_on(future)
}

/// Long enough for any thread to get its turn on a busy machine; a test that works never waits for it.
const LONG: Duration = Duration::from_secs(60);

fn member(pool: &Arc<Pool>) -> Membership {
    Membership::new(pool, &Limits::default(), 1)
}

fn submit(guest: &Membership, work: Work) -> RequestId {
    submit_in(guest, Manner::default(), work)
}

fn submit_in(guest: &Membership, manner: Manner, work: Work) -> RequestId {
    let submission = Submission { name: "test", origin: Origin::Handle, bytes: 0, manner };
    guest.submit(submission, work).expect("there is room")
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
    let mut result = Some(result);
    let work: Work = Box::new(move |_| {
        begun_sender.send(()).expect("the test waits for it");
        // An error means that the test has dropped the gate, which opens it too.
        let _: std::result::Result<(), _> = opened.recv();
        Flow::Done(result.take().expect("it runs once"))
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
    let guest = member(&pool);
    let bad = submit(&guest, Box::new(|_| panic!("a bug in a request")));
    let good = submit(&guest, Box::new(|_| Ok(Output::Count(1)).into()));
    assert_eq!(take(&guest, bad).expect_err("it panicked"), Error::IO);
    assert!(matches!(take(&guest, good), Ok(Output::Count(1))));
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn a_request_that_is_canceled_while_it_runs_is_answered_before_it_ends() {
    let pool = Pool::new(1);
    let guest = member(&pool);
    let (gate, work) = gated(Ok(Output::Done));
    let id = submit(&guest, work);
    gate.begun.recv_timeout(LONG).expect("it runs");
    guest.cancel(id);
    assert_eq!(take(&guest, id).expect_err("it was canceled"), Error::CANCELED);
    assert_eq!(counts(&guest), [0, 1, 0, 0, 0]);
    drop(gate);
    // The next request ends after it on the only worker.
    let next = submit(&guest, Box::new(|_| Ok(Output::Done).into()));
    assert!(take(&guest, next).is_ok());
    assert_eq!(counts(&guest), [0, 0, 1, 0, 1]);
}

#[test]
fn queued_requests_of_a_guest_that_is_gone_never_run_and_running_ones_end() {
    let pool = Pool::new(1);
    let guest = member(&pool);
    let (gate, work) = gated(Ok(Output::Done));
    submit(&guest, work);
    let (sender, ran) = channel();
    submit(
        &guest,
        Box::new(move |_| {
            sender.send(()).expect("the test holds the other end");
            Ok(Output::Done).into()
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
    let guest = member(&pool);
    let (gate, work) = gated(Ok(Output::Done));
    let first = submit(&guest, work);
    let second = submit(&guest, Box::new(|_| Ok(Output::Count(2)).into()));
    gate.begun.recv_timeout(LONG).expect("it runs");
    pool.close();
    drop(gate);
    assert!(take(&guest, first).is_ok());
    assert!(matches!(take(&guest, second), Ok(Output::Count(2))));
    let third = submit(&guest, Box::new(|_| Ok(Output::Count(3)).into()));
    assert!(matches!(take(&guest, third), Ok(Output::Count(3))), "no request is ever left without an answer");
    assert_ends(&pool);
}

#[test]
fn blocked_workers_get_help_from_the_standby() {
    let pool = Pool::new(8);
    let guest = member(&pool);
    // Seven is what one guest may hold of eight. Each must have begun while all before it still run.
    let gates: Vec<Gate> = (0..7)
        .map(|_| {
            let (gate, work) = gated(Ok(Output::Done));
            submit(&guest, work);
            gate.begun.recv_timeout(LONG).expect("another worker takes it");
            gate
        })
        .collect();
    let other = member(&pool);
    let id = submit(&other, Box::new(|_| Ok(Output::Done).into()));
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
    let guest = member(&pool);
    for round in 0..5000 {
        let id = submit(&guest, Box::new(move |_| Ok(Output::Count(round)).into()));
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
                let guest = member(&pool);
                let ids: Vec<_> = (0..500).map(|n| submit(&guest, Box::new(move |_| Ok(Output::Count(n)).into()))).collect();
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

/// Work that is tried again until it has been tried `times` times.
fn again(times: u64, delay: Duration) -> Work {
    let mut tried = 0;
    Box::new(move |_| {
        tried += 1;
        if tried < times { Flow::Again(delay) } else { Flow::Done(Ok(Output::Count(tried))) }
    })
}

#[test]
fn parked_requests_hold_no_worker_and_go_on() {
    let pool = Pool::new(1);
    let guest = member(&pool);
    // As many as wait for ever would keep any number of workers.
    let parked: Vec<_> = (0..100).map(|_| submit(&guest, again(u64::MAX, Duration::from_millis(1)))).collect();
    let id = submit(&guest, again(5, Duration::from_millis(1)));
    assert!(matches!(take(&guest, id), Ok(Output::Count(5))));
    let other = submit(&guest, Box::new(|_| Ok(Output::Done).into()));
    assert!(take(&guest, other).is_ok());
    for id in parked {
        guest.cancel(id);
        assert_eq!(take(&guest, id).expect_err("it was canceled"), Error::CANCELED);
    }
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn a_guest_that_is_gone_leaves_no_parked_request() {
    let pool = Pool::new(2);
    let guest = member(&pool);
    for _ in 0..10 {
        submit(&guest, again(u64::MAX, Duration::from_secs(3600)));
    }
    let left = Arc::downgrade(guest.guest());
    let id = submit(&guest, Box::new(|_| Ok(Output::Done).into()));
    assert!(take(&guest, id).is_ok());
    drop(guest);
    assert_ends(&pool);
    assert!(left.upgrade().is_none(), "something still holds the guest");
}

#[test]
fn the_clock_ends_what_has_no_time_left() {
    let pool = Pool::new(1);
    let guest = member(&pool);
    let (gate, work) = gated(Ok(Output::Done));
    let soon = || Manner { deadline: Some(Instant::now() + Duration::from_millis(5)), ..Manner::default() };
    let running = submit_in(&guest, soon(), work);
    gate.begun.recv_timeout(LONG).expect("it runs");
    let queued = submit_in(&guest, soon(), Box::new(|_| Ok(Output::Done).into()));
    let far = Manner { deadline: Some(Instant::now() + LONG), ..Manner::default() };
    let other = submit_in(&guest, far, Box::new(|_| Ok(Output::Done).into()));
    for id in [running, queued] {
        assert_eq!(take(&guest, id).expect_err("its time is up"), Error::TIMED_OUT);
    }
    drop(gate);
    assert!(take(&guest, other).is_ok());
    assert_eq!(counts(&guest), [0, 0, 1, 2, 0]);
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn a_guest_that_goes_while_its_alarm_rings_leaves_no_alarm() {
    let pool = Pool::new(2);
    for _ in 0..300 {
        let guest = member(&pool);
        let soon = Manner { deadline: Some(Instant::now() + Duration::from_micros(100)), ..Manner::default() };
        let far = Manner { deadline: Some(Instant::now() + 100 * LONG), ..Manner::default() };
        let (soon, _) = (submit_in(&guest, soon, again(u64::MAX, LONG)), submit_in(&guest, far, again(u64::MAX, LONG)));
        assert_eq!(take(&guest, soon).expect_err("its time is up"), Error::TIMED_OUT);
    }
    // An alarm of a guest that is gone would keep the clock.
    assert_ends(&pool);
}

#[test]
fn work_is_told_between_its_steps_that_it_was_canceled() {
    let pool = Pool::new(1);
    let guest = member(&pool);
    let (sender, begun) = channel();
    let work: Work = Box::new(move |ticket| {
        let _ = sender.send(());
        loop {
            if let Err(error) = ticket.check() {
                return Flow::Done(Err(error));
            }
            ticket.advance(1, 2);
        }
    });
    let id = submit(&guest, work);
    begun.recv_timeout(LONG).expect("it runs");
    while guest.progress(id).names == 0 {
        std::thread::yield_now();
    }
    guest.cancel(id);
    assert_eq!(take(&guest, id).expect_err("it was canceled"), Error::CANCELED);
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn several_workers_do_the_work_of_one_request() {
    let pool = Pool::new(4);
    let guest = member(&pool);
    // Three must be there at the same time before any may go.
    let barrier = Arc::new(Barrier::new(3));
    let times = Arc::new(AtomicUsize::new(0));
    let shared: SharedWork = {
        let times = Arc::clone(&times);
        Arc::new(move |_: &Ticket| {
            times.fetch_add(1, Ordering::Relaxed);
            barrier.wait();
        })
    };
    let id = submit(&guest, Box::new(move |ticket| Flow::Done(ticket.wide(3, &shared).map(|()| Output::Done))));
    assert!(take(&guest, id).is_ok());
    assert_eq!(times.load(Ordering::Relaxed), 3);
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn a_request_does_not_wait_for_helpers_that_never_come() {
    let pool = Pool::new(1);
    let guest = member(&pool);
    let shared: SharedWork = Arc::new(|_: &Ticket| {});
    let id = submit(&guest, Box::new(move |ticket| Flow::Done(ticket.wide(16, &shared).map(|()| Output::Done))));
    assert!(take(&guest, id).is_ok());
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn a_helper_that_panics_fails_its_request_and_no_other() {
    let pool = Pool::new(3);
    let guest = member(&pool);
    let barrier = Arc::new(Barrier::new(2));
    let own = std::sync::Mutex::new(None);
    let shared: SharedWork = Arc::new(move |_: &Ticket| {
        // Both meet here, and one of them panics: which one makes no difference.
        let first = own.lock().expect("nobody panics here").get_or_insert(std::thread::current().id()).to_owned();
        barrier.wait();
        assert!(std::thread::current().id() == first, "a bug in a request");
    });
    let id = submit(&guest, Box::new(move |ticket| Flow::Done(ticket.wide(2, &shared).map(|()| Output::Done))));
    assert_eq!(take(&guest, id).expect_err("a helper, or the request's own worker, panicked"), Error::IO);
    let next = submit(&guest, Box::new(|_| Ok(Output::Done).into()));
    assert!(take(&guest, next).is_ok());
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn memory_that_a_result_takes_is_on_the_books_until_it_is_taken() {
    let pool = Pool::new(1);
    let guest = member(&pool);
    let max = Limits::default().bytes_in_flight_max;
    let reserve = |bytes| -> Work { Box::new(move |ticket| Flow::Done(ticket.reserve(bytes).map(|()| Output::Done))) };
    let half = submit(&guest, reserve(max / 2));
    assert!(take(&guest, half).is_ok());
    let most = submit(&guest, reserve(max - 1));
    block_on(poll_fn(|cx| guest.poll_flush(cx)));
    let more = submit(&guest, reserve(2));
    assert_eq!(take(&guest, more).expect_err("there is no room"), Error::WOULD_BLOCK);
    assert!(take(&guest, most).is_ok());
    let again = submit(&guest, reserve(2));
    assert!(take(&guest, again).is_ok());
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn the_counters_of_an_engine_are_those_of_all_its_guests() {
    let pool = Pool::new(2);
    let (one, two) = (member(&pool), member(&pool));
    let (gate, work) = gated(Ok(Output::Done));
    let running = submit(&one, work);
    gate.begun.recv_timeout(LONG).expect("it runs");
    two.guest().inline().add(false);
    two.guest().inline().add(true);
    let done = submit(&two, Box::new(|_| Ok(Output::Done).into()));
    assert!(take(&two, done).is_ok());
    drop(two);
    let all = |pool: &Pool| {
        let counters = pool.counters();
        [counters.queued, counters.running, counters.done, counters.failed, counters.canceled]
    };
    assert_eq!(all(&pool), [0, 1, 2, 1, 0]);
    drop(gate);
    assert!(take(&one, running).is_ok());
    drop(one);
    assert_eq!(all(&pool), [0, 0, 3, 1, 0]);
    assert_ends(&pool);
}

/// With any number of another guest's requests queued, a single one waits for no more than those that run.
#[test]
fn a_single_request_waits_for_no_queue_of_another_guest() {
    let pool = Pool::new(2);
    let (greedy, modest) = (member(&pool), member(&pool));
    let served = Arc::new(AtomicUsize::new(0));
    let (gate, work) = gated(Ok(Output::Done));
    submit(&greedy, work);
    gate.begun.recv_timeout(LONG).expect("it runs");
    for _ in 0..4000 {
        let served = Arc::clone(&served);
        submit(
            &greedy,
            Box::new(move |_| {
                served.fetch_add(1, Ordering::Relaxed);
                Ok(Output::Done).into()
            }),
        );
    }
    let before = {
        let served = Arc::clone(&served);
        submit(&modest, Box::new(move |_| Ok(Output::Count(served.load(Ordering::Relaxed) as u64)).into()))
    };
    // The greedy guest holds the only worker that it may have, so none of its other requests can have run.
    assert!(matches!(take(&modest, before), Ok(Output::Count(0))));
    drop(gate);
    block_on(poll_fn(|cx| greedy.poll_flush(cx)));
    drop((greedy, modest));
    assert_ends(&pool);
}
