//! The life of a request, step by step: no thread and no clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::*;
use crate::sched::work::Flow;

struct CountingWaker(AtomicUsize);

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn work() -> Work {
    Box::new(|_| Flow::Done(Ok(Output::Done)))
}

/// The requests of one guest, with a waker that counts.
pub(super) struct Fixture {
    pub(super) requests: Requests,
    pub(super) waker: Waker,
    woken: Arc<CountingWaker>,
    pub(super) now: Instant,
}

impl Fixture {
    pub(super) fn new(in_flight_max: usize, bytes_max: usize) -> Self {
        let woken = Arc::new(CountingWaker(AtomicUsize::new(0)));
        let waker = Arc::clone(&woken).into();
        let limits = Limits { in_flight_max, bytes_in_flight_max: bytes_max, ..Limits::default() };
        Self { requests: Requests::new(&limits, Arc::default()), waker, woken, now: Instant::now() }
    }

    pub(super) fn submit(&mut self) -> RequestId {
        self.submit_bytes(0).expect("there is room")
    }

    fn submit_bytes(&mut self, bytes: usize) -> Result<RequestId> {
        self.submit_as(bytes, Manner::default())
    }

    pub(super) fn submit_in(&mut self, manner: Manner) -> Result<RequestId> {
        self.submit_as(0, manner)
    }

    fn submit_as(&mut self, bytes: usize, manner: Manner) -> Result<RequestId> {
        let submission = Submission { name: "nop", origin: Origin::Handle, bytes, manner };
        self.requests.submit(submission, work(), self.now).map(|(id, _)| id)
    }

    pub(super) fn place(&mut self, manner: Manner) -> Poll<Result<()>> {
        self.requests.poll_place(&manner, &self.waker, self.now)
    }

    /// Lets time go by.
    pub(super) fn pass(&mut self, time: Duration) -> Vec<RequestId> {
        self.now += time;
        let tick = self.requests.tick(self.now);
        tick.after.carry_out();
        tick.resumed.into_iter().map(|(_, id)| id).collect()
    }

    fn park(&mut self, id: RequestId, time: Duration) {
        self.requests.park(id, work(), self.now, self.now + time).carry_out();
    }

    pub(super) fn start(&mut self, id: RequestId) -> bool {
        let (started, after) = self.requests.start(id, self.now);
        after.carry_out();
        started.is_some()
    }

    pub(super) fn finish(&mut self, id: RequestId, result: Result<Output>) {
        let (after, _) = self.requests.finish(id, result, self.now);
        after.carry_out();
    }

    pub(super) fn run(&mut self, id: RequestId) {
        assert!(self.start(id));
        self.finish(id, Ok(Output::Done));
    }

    pub(super) fn take(&mut self, id: RequestId) -> Poll<Result<Output>> {
        self.requests.poll_take(id, &self.waker)
    }

    pub(super) fn error(&mut self, id: RequestId) -> Option<Error> {
        match self.take(id) {
            Poll::Ready(Err(error)) => Some(error),
            _ => None,
        }
    }

    pub(super) fn cancel(&mut self, id: RequestId) {
        self.requests.cancel(id).carry_out();
    }

    fn disown(&mut self, id: RequestId) {
        self.requests.disown(id).carry_out();
    }

    fn counters(&self) -> [u64; 5] {
        let Counters { queued, running, done, failed, canceled } = self.requests.counters();
        [queued, running, done, failed, canceled]
    }

    pub(super) fn wakeups(&self) -> usize {
        self.woken.0.load(Ordering::Relaxed)
    }

    /// Nothing is left of any request.
    pub(super) fn assert_empty(&self) {
        let requests = &self.requests;
        assert!(requests.entries.is_empty());
        let left = (requests.in_flight, requests.bytes, requests.unannounced, requests.unfinished);
        assert_eq!(left, (0, 0, 0, 0), "in flight, bytes, unannounced, unfinished");
        assert!(requests.groups.is_empty() && requests.timers.is_empty());
    }
}

#[test]
fn a_result_is_given_once_and_then_already() {
    let mut f = Fixture::new(8, 100);
    let id = f.submit();
    assert_eq!(f.counters(), [1, 0, 0, 0, 0]);
    assert!(f.take(id).is_pending());
    assert!(f.start(id));
    assert_eq!(f.counters(), [0, 1, 0, 0, 0]);
    f.finish(id, Ok(Output::Count(7)));
    assert_eq!(f.wakeups(), 1);
    assert!(matches!(f.take(id), Poll::Ready(Ok(Output::Count(7)))));
    assert_eq!(f.error(id), Some(Error::ALREADY));
    assert_eq!(f.counters(), [0, 0, 1, 0, 0]);
    f.assert_empty();
}

#[test]
fn a_canceled_request_in_the_queue_never_runs_and_is_answered_at_once() {
    let mut f = Fixture::new(8, 100);
    let id = f.submit();
    assert!(f.take(id).is_pending());
    f.cancel(id);
    f.cancel(id);
    assert_eq!(f.wakeups(), 1);
    assert_eq!(f.error(id), Some(Error::CANCELED));
    assert!(!f.start(id));
    assert_eq!(f.counters(), [0, 0, 0, 0, 1]);
    f.assert_empty();
}

#[test]
fn a_canceled_request_on_a_worker_is_answered_at_once_and_its_result_is_dropped() {
    let mut f = Fixture::new(8, 100);
    let id = f.submit();
    assert!(f.start(id));
    f.cancel(id);
    assert_eq!(f.error(id), Some(Error::CANCELED));
    assert_eq!(f.error(id), Some(Error::ALREADY));
    assert_eq!(f.counters(), [0, 1, 0, 0, 0], "it still runs");
    f.finish(id, Ok(Output::Done));
    assert_eq!(f.counters(), [0, 0, 0, 0, 1]);
    f.assert_empty();
}

#[test]
fn canceling_what_is_done_changes_nothing() {
    let mut f = Fixture::new(8, 100);
    let id = f.submit();
    f.run(id);
    f.cancel(id);
    assert!(matches!(f.take(id), Poll::Ready(Ok(Output::Done))));
    assert_eq!(f.counters(), [0, 0, 1, 0, 0]);
    f.assert_empty();
}

#[test]
fn a_request_whose_handle_is_dropped_still_runs_and_leaves_nothing() {
    let mut f = Fixture::new(8, 100);
    let (queued, running, done) = (f.submit(), f.submit(), f.submit());
    assert!(f.start(running));
    f.run(done);
    for id in [queued, running, done] {
        f.disown(id);
    }
    f.finish(running, Ok(Output::Done));
    f.run(queued);
    assert_eq!(f.counters(), [0, 0, 3, 0, 0]);
    f.assert_empty();
}

#[test]
fn wait_any_gives_each_id_once_and_leaves_out_what_was_taken() {
    let mut f = Fixture::new(8, 100);
    let (a, b, c) = (f.submit(), f.submit(), f.submit());
    assert!(f.requests.poll_announce(&f.waker).is_pending());
    f.run(b);
    assert_eq!(f.wakeups(), 1);
    f.run(a);
    assert!(f.take(a).is_ready());
    assert_eq!(f.requests.poll_announce(&f.waker), Poll::Ready(vec![b.value()]));
    f.cancel(c);
    assert_eq!(f.requests.poll_announce(&f.waker), Poll::Ready(vec![c.value()]));
    assert_eq!(f.requests.poll_announce(&f.waker), Poll::Ready(vec![]), "nothing is left to wait for");
    assert!(f.take(b).is_ready());
    assert_eq!(f.error(c), Some(Error::CANCELED));
    assert!(!f.start(c));
    f.assert_empty();
}

#[test]
fn wait_any_does_not_wait_for_a_request_that_was_given_up() {
    let mut f = Fixture::new(8, 100);
    let id = f.submit();
    assert!(f.start(id));
    f.disown(id);
    assert_eq!(f.requests.poll_announce(&f.waker), Poll::Ready(vec![]));
    assert!(f.requests.poll_flush(&f.waker).is_ready());
    f.finish(id, Ok(Output::Done));
    f.assert_empty();
}

#[test]
fn flush_waits_for_all() {
    let mut f = Fixture::new(8, 100);
    let (a, b) = (f.submit(), f.submit());
    f.run(a);
    assert!(f.requests.poll_flush(&f.waker).is_pending());
    f.run(b);
    assert!(f.requests.poll_flush(&f.waker).is_ready());
    assert!(f.take(a).is_ready() && f.take(b).is_ready());
    f.assert_empty();
}

#[test]
fn a_place_is_free_when_a_worker_is_done_or_has_found_a_canceled_request() {
    let mut f = Fixture::new(2, 100);
    let (a, b) = (f.submit(), f.submit());
    assert!(f.place(Manner::default()).is_pending());
    f.cancel(a);
    assert!(f.place(Manner::default()).is_pending(), "it stands in the queue still");
    assert!(!f.start(a));
    assert!(f.wakeups() > 0 && f.place(Manner::default()).is_ready());
    f.run(b);
    assert!(f.place(Manner::default()).is_ready());
}

#[test]
fn bytes_count_until_the_result_is_taken() {
    let mut f = Fixture::new(8, 100);
    let a = f.submit_bytes(1000).expect("one request is let in, however large");
    assert_eq!(f.submit_bytes(1), Err(Error::WOULD_BLOCK));
    f.run(a);
    assert_eq!(f.submit_bytes(1), Err(Error::WOULD_BLOCK));
    assert!(f.take(a).is_ready());
    let b = f.submit_bytes(60).expect("there is room");
    let c = f.submit_bytes(40).expect("there is room");
    assert_eq!(f.submit_bytes(1), Err(Error::WOULD_BLOCK));
    f.disown(b);
    f.run(b);
    assert!(f.submit_bytes(60).is_ok());
    f.run(c);
}

#[test]
fn an_id_that_is_gone_is_nobody_elses() {
    let mut f = Fixture::new(8, 100);
    let old = f.submit();
    f.run(old);
    assert!(f.take(old).is_ready());
    let new = f.submit();
    assert_eq!(old.index(), new.index(), "the place is used again");
    f.cancel(old);
    f.disown(old);
    assert_eq!(f.error(old), Some(Error::ALREADY));
    f.run(new);
    assert!(matches!(f.take(new), Poll::Ready(Ok(Output::Done))));
}

#[test]
fn closing_ends_every_request() {
    let mut f = Fixture::new(8, 100);
    let (queued, running, done) = (f.submit(), f.submit(), f.submit());
    assert!(f.start(running));
    f.run(done);
    for after in f.requests.close() {
        after.carry_out();
    }
    assert!(!f.start(queued));
    f.finish(running, Ok(Output::Done));
    assert_eq!(f.counters(), [0, 0, 1, 0, 2]);
    f.assert_empty();
}

#[test]
fn closing_takes_back_requests_whose_handles_were_dropped() {
    let mut f = Fixture::new(8, 100);
    let (queued, running) = (f.submit(), f.submit());
    assert!(f.start(running));
    f.disown(queued);
    f.disown(running);
    for after in f.requests.close() {
        after.carry_out();
    }
    assert!(!f.start(queued));
    f.finish(running, Ok(Output::Done));
    assert_eq!(f.counters(), [0, 0, 0, 0, 2]);
    f.assert_empty();
}

pub(super) const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_request_whose_time_is_up_fails_at_once_in_the_queue_and_on_a_worker() {
    let mut f = Fixture::new(8, 100);
    let manner = Manner { deadline: Some(f.now + SECOND), ..Manner::default() };
    let queued = f.submit_in(manner).expect("there is time");
    let running = f.submit_in(manner).expect("there is time");
    let done = f.submit_in(manner).expect("there is time");
    assert!(f.start(running));
    f.run(done);
    f.pass(SECOND / 2);
    assert!(f.take(queued).is_pending() && f.take(running).is_pending());
    f.pass(SECOND / 2);
    assert_eq!(f.error(queued), Some(Error::TIMED_OUT));
    assert_eq!(f.error(running), Some(Error::TIMED_OUT));
    assert!(matches!(f.take(done), Poll::Ready(Ok(Output::Done))));
    assert!(!f.start(queued));
    assert_eq!(f.counters(), [0, 1, 1, 1, 0], "one still runs");
    f.finish(running, Ok(Output::Done));
    assert_eq!(f.counters(), [0, 0, 1, 2, 0]);
    assert_eq!(f.submit_in(manner), Err(Error::TIMED_OUT));
    f.assert_empty();
}

#[test]
fn the_time_of_a_guest_holds_for_all_its_requests_and_can_be_taken_back() {
    let mut f = Fixture::new(8, 100);
    f.requests.set_deadline(Some(f.now + SECOND));
    f.requests.set_deadline(Some(f.now + 2 * SECOND));
    let early = f.submit();
    f.pass(SECOND);
    assert!(f.take(early).is_pending());
    f.pass(SECOND);
    assert_eq!(f.error(early), Some(Error::TIMED_OUT));
    assert_eq!(f.submit_bytes(0), Err(Error::TIMED_OUT));
    f.requests.set_deadline(None);
    let late = f.submit();
    f.pass(SECOND);
    f.run(late);
    assert!(matches!(f.take(late), Poll::Ready(Ok(_))));
    assert!(!f.start(early));
    f.assert_empty();
}

#[test]
fn a_parked_request_holds_its_place_and_goes_on_when_its_time_comes() {
    let mut f = Fixture::new(1, 100);
    let id = f.submit();
    assert!(f.start(id));
    f.park(id, SECOND);
    assert_eq!(f.counters(), [0, 1, 0, 0, 0]);
    assert!(f.place(Manner::default()).is_pending());
    assert_eq!(f.pass(SECOND / 2), []);
    assert_eq!(f.pass(SECOND), [id]);
    assert_eq!(f.pass(SECOND), []);
    f.run(id);
    assert!(matches!(f.take(id), Poll::Ready(Ok(_))) && f.place(Manner::default()).is_ready());
    f.assert_empty();
}

#[test]
fn a_parked_request_that_is_canceled_frees_its_place_and_never_goes_on() {
    let mut f = Fixture::new(1, 100);
    let parked = f.submit();
    assert!(f.start(parked));
    f.park(parked, SECOND);
    f.cancel(parked);
    assert_eq!(f.error(parked), Some(Error::CANCELED));
    assert!(f.place(Manner::default()).is_ready());
    assert_eq!(f.pass(SECOND), []);
    // Canceled while a worker is at it, which then wants to try again.
    let running = f.submit();
    assert!(f.start(running));
    f.cancel(running);
    f.park(running, SECOND);
    assert_eq!(f.error(running), Some(Error::CANCELED));
    assert_eq!(f.counters(), [0, 0, 0, 0, 2]);
    assert_eq!(f.pass(SECOND), []);
    f.assert_empty();
}

#[test]
fn who_waits_for_a_place_is_told_when_the_time_is_up() {
    let mut f = Fixture::new(1, 100);
    let id = f.submit();
    let manner = |time| Manner { deadline: Some(time), ..Manner::default() };
    let (first, second) = (manner(f.now + SECOND), manner(f.now + 2 * SECOND));
    assert!(f.place(second).is_pending() && f.place(first).is_pending());
    let fail = Manner { when_full: WhenFull::Fail, ..Manner::default() };
    assert_eq!(f.place(fail), Poll::Ready(Err(Error::WOULD_BLOCK)));
    f.pass(SECOND);
    assert_eq!(f.wakeups(), 1);
    assert_eq!(f.place(first), Poll::Ready(Err(Error::TIMED_OUT)));
    assert!(f.place(second).is_pending());
    assert_eq!(f.submit_in(first), Err(Error::TIMED_OUT));
    f.pass(SECOND);
    assert_eq!(f.wakeups(), 2);
    assert!(f.place(second).is_ready());
    f.run(id);
    assert!(f.take(id).is_ready());
    f.assert_empty();
}

#[test]
fn the_clock_is_set_only_for_what_comes_first() {
    let mut f = Fixture::new(8, 100);
    let manner = |time| Manner { deadline: Some(time), ..Manner::default() };
    let start = f.now;
    assert_eq!(f.requests.alarm(), None);
    let late = f.submit_in(manner(start + 3 * SECOND)).expect("there is time");
    assert_eq!(f.requests.alarm(), Some(start + 3 * SECOND));
    let early = f.submit_in(manner(start + SECOND)).expect("there is time");
    assert_eq!(f.requests.alarm(), Some(start + SECOND));
    let between = f.submit_in(manner(start + 2 * SECOND)).expect("there is time");
    assert_eq!(f.requests.alarm(), None);
    f.pass(SECOND);
    assert_eq!(f.requests.alarm(), Some(start + 2 * SECOND));
    for id in [late, early, between] {
        f.cancel(id);
        assert!(f.take(id).is_ready() && !f.start(id));
    }
    f.assert_empty();
}
