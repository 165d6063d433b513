//! The life of a request, step by step: no thread and no clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::*;

struct CountingWaker(AtomicUsize);

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The requests of one guest, with a waker that counts.
struct Fixture {
    requests: Requests,
    waker: Waker,
    woken: Arc<CountingWaker>,
    now: Instant,
}

impl Fixture {
    fn new(in_flight_max: usize, bytes_max: usize) -> Self {
        let woken = Arc::new(CountingWaker(AtomicUsize::new(0)));
        let waker = Arc::clone(&woken).into();
        Self { requests: Requests::new(in_flight_max, bytes_max), waker, woken, now: Instant::now() }
    }

    fn submit(&mut self) -> RequestId {
        self.submit_bytes(0).expect("there is room")
    }

    fn submit_bytes(&mut self, bytes: usize) -> Result<RequestId> {
        let submission = Submission { name: "nop", origin: Origin::Handle, bytes };
        self.requests.submit(submission, Box::new(|_| Ok(Output::Done)), self.now)
    }

    fn start(&mut self, id: RequestId) -> bool {
        let (work, after) = self.requests.start(id, self.now);
        after.carry_out();
        work.is_some()
    }

    fn finish(&mut self, id: RequestId, result: Result<Output>) {
        let (after, _) = self.requests.finish(id, result, self.now);
        after.carry_out();
    }

    fn run(&mut self, id: RequestId) {
        assert!(self.start(id));
        self.finish(id, Ok(Output::Done));
    }

    fn take(&mut self, id: RequestId) -> Poll<Result<Output>> {
        self.requests.poll_take(id, &self.waker)
    }

    fn error(&mut self, id: RequestId) -> Option<Error> {
        match self.take(id) {
            Poll::Ready(Err(error)) => Some(error),
            _ => None,
        }
    }

    fn cancel(&mut self, id: RequestId) {
        self.requests.cancel(id).carry_out();
    }

    fn disown(&mut self, id: RequestId) {
        self.requests.disown(id).carry_out();
    }

    fn counters(&self) -> [u64; 5] {
        let Counters { queued, running, done, failed, canceled } = self.requests.counters();
        [queued, running, done, failed, canceled]
    }

    fn wakeups(&self) -> usize {
        self.woken.0.load(Ordering::Relaxed)
    }

    /// Nothing is left of any request.
    fn assert_empty(&self) {
        let requests = &self.requests;
        assert!(requests.entries.is_empty());
        let left = (requests.in_flight, requests.bytes, requests.unannounced, requests.unfinished);
        assert_eq!(left, (0, 0, 0, 0), "in flight, bytes, unannounced, unfinished");
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
    assert!(f.requests.poll_place(&f.waker).is_pending());
    f.cancel(a);
    assert!(f.requests.poll_place(&f.waker).is_pending(), "it stands in the queue still");
    assert!(!f.start(a));
    assert!(f.wakeups() > 0 && f.requests.poll_place(&f.waker).is_ready());
    f.run(b);
    assert!(f.requests.poll_place(&f.waker).is_ready());
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
