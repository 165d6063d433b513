//! The life of a request, step by step: no thread and no clock.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Wake};

use super::*;
use crate::sched::fixture::{
    ALREADY, Answer, Bell, CANCELED, FULL, Failure, Loan, TIMED_OUT, Value, bell, budgets, submission,
};
use crate::sched::headcount::Leaving;
use crate::sched::outcome::Flow;

mod calls;
mod groups;
mod hunger;
mod time;

fn work() -> Work<Answer> {
    Box::new(|_| Flow::Done(Ok(Value::Done)))
}

/// The requests of one guest, with a waker that counts.
struct Fixture {
    requests: Requests<Answer>,
    waker: Waker,
    bell: Arc<Bell>,
    now: Instant,
    /// What stands in the queue of the pool.
    queue: BTreeSet<RequestId>,
}

impl Fixture {
    fn new() -> Self {
        Self::with(budgets(100))
    }

    fn with(budgets: Budgets) -> Self {
        let (bell, waker) = bell();
        let requests = Requests::new(budgets);
        Self { requests, waker, bell, now: Instant::now(), queue: BTreeSet::new() }
    }

    fn submit(&mut self) -> RequestId {
        self.submit_in(Manner::default()).expect("there is room")
    }

    fn submit_in(&mut self, manner: Manner) -> Result<RequestId, Refusal> {
        self.submit_bytes(0, manner)
    }

    fn submit_bytes(&mut self, bytes: usize, manner: Manner) -> Result<RequestId, Refusal> {
        let Budgets { places, memory, .. } = self.requests.budgets.clone();
        let place = places.try_take(1).ok_or(Refusal::Full)?;
        let memory = memory.try_take(bytes).ok_or(Refusal::Full)?;
        let queued =
            self.requests.submit(submission(manner), Admission { place, memory, caller: WhoWaits::Guest }, work(), self.now);
        let ToQueue { id, .. } = queued.map_err(|(refusal, ..)| refusal)?;
        self.queue.insert(id);
        Ok(id)
    }

    fn submit_work(&mut self, work: Work<Answer>) -> RequestId {
        let admission = Admission {
            place: self.requests.budgets.places.nothing(),
            memory: self.requests.budgets.memory.nothing(),
            caller: WhoWaits::Guest,
        };
        let queued = self.requests.submit(submission(Manner::default()), admission, work, self.now);
        let ToQueue { id, .. } = queued.map_err(|(refusal, ..)| refusal).expect("there is room");
        self.queue.insert(id);
        id
    }

    /// Does what a lock is not to be held for. Returns what is to be queued again.
    fn carry_out(&mut self, after: Afterwards) -> Vec<RequestId> {
        let mut resumed = Vec::new();
        drop(after.begin(|_| {}, |queued| resumed = queued, |ids| self.queue.retain(|id| !ids.contains(id))));
        let mut after = Afterwards::default();
        self.requests.look_after_the_hungry(&mut after);
        drop(after.begin(|_| {}, |queued| resumed.extend(queued), |_| {}));
        let ids = resumed.iter().map(|queued| queued.id).collect();
        self.queue.extend(resumed.into_iter().map(|queued| queued.id));
        ids
    }

    /// A worker takes it out of the queue.
    fn start(&mut self, id: RequestId) -> bool {
        self.started(id).is_some()
    }

    fn started(&mut self, id: RequestId) -> Option<Started<Answer>> {
        assert!(self.queue.remove(&id), "it stands in the queue");
        let (started, after) = self.requests.start(id, self.now);
        self.carry_out(after);
        started
    }

    fn finish(&mut self, id: RequestId, answer: Answer) -> Vec<RequestId> {
        let Finished { mut after, unwanted, .. } = self.requests.finish(id, answer, self.now);
        if let Some(answer) = unwanted {
            let failure = answer.failure();
            answer.undo();
            after.append(self.requests.end_unwanted(id, failure));
        }
        self.carry_out(after)
    }

    fn run(&mut self, id: RequestId) {
        assert!(self.start(id));
        self.finish(id, Ok(Value::Done));
    }

    fn park(&mut self, id: RequestId, pause: Pause) -> Vec<RequestId> {
        let after = self.requests.park(id, work(), pause, self.now);
        self.carry_out(after)
    }

    fn park_for(&mut self, id: RequestId, time: Duration) -> Vec<RequestId> {
        self.park(id, Pause::Until(self.now + time))
    }

    fn resume(&mut self, id: RequestId) -> Vec<RequestId> {
        let mut after = Afterwards::default();
        self.requests.resume(id, &mut after);
        self.carry_out(after)
    }

    /// Lets time go by. Returns what goes on.
    fn pass(&mut self, time: Duration) -> Vec<RequestId> {
        self.now += time;
        let after = self.requests.tick(self.now);
        self.carry_out(after)
    }

    fn take(&mut self, id: RequestId) -> Poll<Answer> {
        let (poll, after) = self.requests.poll_take(id, &self.waker);
        self.carry_out(after);
        poll
    }

    fn error(&mut self, id: RequestId) -> Option<Failure> {
        match self.take(id) {
            Poll::Ready(Err(failure)) => Some(failure),
            _ => None,
        }
    }

    fn is_done(&mut self, id: RequestId) -> bool {
        matches!(self.take(id), Poll::Ready(Ok(_)))
    }

    fn cancel(&mut self, id: RequestId) -> Vec<RequestId> {
        let after = self.requests.cancel(id);
        self.carry_out(after)
    }

    fn disown(&mut self, id: RequestId) {
        let after = self.requests.disown(id);
        self.carry_out(after);
    }

    fn close(&mut self) -> Vec<RequestId> {
        let after = self.requests.close();
        self.carry_out(after)
    }

    fn announce(&mut self) -> Poll<Vec<u64>> {
        self.requests.poll_announce(&self.waker)
    }

    fn has_place(&self) -> bool {
        self.requests.budgets.places.try_take(1).is_some()
    }

    fn counters(&self) -> [u64; 5] {
        let Counters { queued, running, done, failed, canceled } = self.requests.counters();
        [queued, running, done, failed, canceled]
    }

    fn wakeups(&self) -> usize {
        self.bell.rung()
    }

    /// Nothing is left of any request.
    fn assert_empty(&mut self) {
        assert!(self.queue.is_empty(), "{:?} stand in the queue", self.queue);
        let requests = &self.requests;
        let Budgets { places, memory, calls, parked } = &requests.budgets;
        assert_eq!([places, memory, calls, parked].map(Budget::taken), [0; 4], "places, memory, calls, parked");
        assert_eq!(requests.headcount.numbers(), [0; 6], "active, begun, coming, unannounced, unfinished, leaving");
        assert!(requests.entries.is_empty() && requests.groups.is_empty() && requests.timers.is_empty());
        assert!(requests.finished.is_empty() && requests.calls.is_empty() && requests.hungry.is_empty());
        assert!(requests.withdrawn.is_empty(), "{:?} are to leave the queue", requests.withdrawn);
    }
}

#[test]
fn a_result_is_given_once_and_then_already() {
    let mut f = Fixture::new();
    let id = f.submit();
    assert_eq!(f.counters(), [1, 0, 0, 0, 0]);
    assert!(f.take(id).is_pending());
    assert!(f.start(id));
    assert_eq!(f.counters(), [0, 1, 0, 0, 0]);
    f.finish(id, Ok(Value::Count(7)));
    assert_eq!(f.wakeups(), 1);
    assert!(matches!(f.take(id), Poll::Ready(Ok(Value::Count(7)))));
    assert_eq!(f.error(id), Some(ALREADY));
    assert_eq!(f.counters(), [0, 0, 1, 0, 0]);
    f.assert_empty();
}

#[test]
fn a_canceled_request_in_the_queue_never_runs_and_is_answered_at_once() {
    let mut f = Fixture::new();
    let id = f.submit();
    assert!(f.take(id).is_pending());
    f.cancel(id);
    f.cancel(id);
    assert_eq!(f.wakeups(), 1);
    assert_eq!(f.error(id), Some(CANCELED));
    assert!(!f.start(id));
    assert_eq!(f.counters(), [0, 0, 0, 0, 1]);
    f.assert_empty();
}

#[test]
fn a_canceled_request_on_a_worker_is_answered_at_once_and_its_result_is_given_back_once() {
    let mut f = Fixture::new();
    let id = f.submit();
    let started = f.started(id).expect("it is queued");
    assert_eq!(started.steps.check(), Ok(()));
    f.cancel(id);
    assert_eq!(started.steps.check(), Err(Refusal::Canceled));
    assert_eq!(f.error(id), Some(CANCELED));
    assert_eq!(f.error(id), Some(ALREADY));
    assert_eq!(f.counters(), [0, 1, 0, 0, 0], "it still runs");
    let given_back = Arc::default();
    f.finish(id, Ok(Value::Loan(Loan(Arc::clone(&given_back)))));
    assert_eq!(f.counters(), [0, 0, 0, 0, 1]);
    assert_eq!(given_back.load(Ordering::SeqCst), 1);
    drop(started);
    f.assert_empty();
}

#[test]
fn canceling_what_is_done_changes_nothing() {
    let mut f = Fixture::new();
    let id = f.submit();
    f.run(id);
    f.cancel(id);
    assert!(matches!(f.take(id), Poll::Ready(Ok(Value::Done))));
    assert_eq!(f.counters(), [0, 0, 1, 0, 0]);
    f.assert_empty();
}

#[test]
fn a_request_whose_handle_is_dropped_still_runs_and_leaves_nothing() {
    let mut f = Fixture::new();
    let (queued, running, done) = (f.submit(), f.submit(), f.submit());
    assert!(f.start(running));
    f.run(done);
    for id in [queued, running, done] {
        f.disown(id);
    }
    f.finish(running, Ok(Value::Done));
    f.run(queued);
    assert_eq!(f.counters(), [0, 0, 3, 0, 0]);
    f.assert_empty();
}

#[test]
fn wait_any_gives_each_id_once_and_leaves_out_what_was_taken() {
    let mut f = Fixture::new();
    let (a, b, c) = (f.submit(), f.submit(), f.submit());
    assert!(f.announce().is_pending());
    f.run(b);
    assert_eq!(f.wakeups(), 1);
    f.run(a);
    assert!(f.take(a).is_ready());
    assert_eq!(f.announce(), Poll::Ready(vec![b.value()]));
    f.cancel(c);
    assert_eq!(f.announce(), Poll::Ready(vec![c.value()]));
    assert_eq!(f.announce(), Poll::Ready(vec![]), "nothing is left to wait for");
    assert!(f.take(b).is_ready());
    assert_eq!(f.error(c), Some(CANCELED));
    assert!(!f.start(c));
    f.assert_empty();
}

#[test]
fn wait_any_does_not_wait_for_a_request_that_was_given_up() {
    let mut f = Fixture::new();
    let id = f.submit();
    assert!(f.start(id));
    f.disown(id);
    assert_eq!(f.announce(), Poll::Ready(vec![]));
    f.finish(id, Ok(Value::Done));
    f.assert_empty();
}

#[test]
fn whoever_waits_no_more_leaves_no_waker() {
    let mut f = Fixture::new();
    let id = f.submit();
    let stays = bell().1;
    assert!(f.requests.poll_announce(&stays).is_pending());
    for _ in 0..100 {
        let goes = bell().1;
        assert!(f.requests.poll_announce(&goes).is_pending());
        assert_eq!(f.requests.wait_no_more(&goes).stale.len(), 1);
    }
    assert_eq!(f.requests.waiters.len(), 1, "the other one waits on");
    f.run(id);
    assert!(f.take(id).is_ready());
    f.assert_empty();
}

#[test]
fn flush_waits_for_all() {
    let mut f = Fixture::new();
    let (a, b) = (f.submit(), f.submit());
    f.run(a);
    assert!(f.requests.poll_flush(&f.waker).is_pending());
    f.run(b);
    assert!(f.requests.poll_flush(&f.waker).is_ready());
    assert!(f.take(a).is_ready() && f.take(b).is_ready());
    f.assert_empty();
}

#[test]
fn flush_did_not_wait_for_those_whose_handle_was_dropped() {
    let mut f = Fixture::new();
    let (runs, is_stopped) = (f.submit(), f.submit());
    f.disown(runs);
    f.disown(is_stopped);
    assert!(f.requests.poll_flush(&f.waker).is_pending());
    f.cancel(is_stopped);
    assert!(!f.start(is_stopped));
    assert!(f.requests.poll_flush(&f.waker).is_pending());
    f.run(runs);
    assert!(f.requests.poll_flush(&f.waker).is_ready());
    f.assert_empty();
}

#[test]
fn an_id_that_is_gone_is_nobody_elses() {
    let mut f = Fixture::new();
    let old = f.submit();
    f.run(old);
    assert!(f.take(old).is_ready());
    let new = f.submit();
    assert_eq!(old.index(), new.index(), "the place is used again");
    f.cancel(old);
    f.disown(old);
    assert_eq!(f.error(old), Some(ALREADY));
    f.run(new);
    assert!(matches!(f.take(new), Poll::Ready(Ok(Value::Done))));
}

#[test]
fn closing_ends_every_request() {
    let mut f = Fixture::new();
    let (queued, running, done) = (f.submit(), f.submit(), f.submit());
    assert!(f.start(running));
    f.run(done);
    f.close();
    assert!(!f.start(queued));
    f.finish(running, Ok(Value::Done));
    assert_eq!(f.counters(), [0, 0, 1, 0, 2]);
    f.assert_empty();
}

#[test]
fn closing_takes_back_requests_whose_handles_were_dropped() {
    let mut f = Fixture::new();
    let (queued, running) = (f.submit(), f.submit());
    assert!(f.start(running));
    f.disown(queued);
    f.disown(running);
    f.close();
    assert!(!f.start(queued));
    f.finish(running, Ok(Value::Done));
    assert_eq!(f.counters(), [0, 0, 0, 0, 2]);
    f.assert_empty();
}

#[test]
fn a_guest_that_only_waits_leaves_nothing_to_be_announced() {
    let mut f = Fixture::new();
    for _ in 0..1000 {
        let (taken, dropped, canceled) = (f.submit(), f.submit(), f.submit());
        f.run(taken);
        f.run(dropped);
        assert!(f.is_done(taken));
        f.disown(dropped);
        f.cancel(canceled);
        assert!(!f.start(canceled) && f.error(canceled) == Some(CANCELED));
        assert!(f.requests.finished.is_empty());
    }
    f.assert_empty();
}

#[test]
fn a_result_that_nobody_takes_is_given_back_once() {
    let mut f = Fixture::new();
    let given_back = Arc::new(AtomicUsize::new(0));
    let loan = || Ok(Value::Loan(Loan(Arc::clone(&given_back))));
    // Dropped before it is done, dropped afterwards, canceled and dropped, and those that the guest leaves when it goes.
    let ids = [(); 5].map(|()| f.submit());
    let [early, late, canceled, left, running] = ids;
    f.disown(early);
    for id in ids {
        assert!(f.start(id));
    }
    f.cancel(canceled);
    for (id, expected) in [(early, 1), (late, 1), (canceled, 2), (left, 2)] {
        f.finish(id, loan());
        assert_eq!(given_back.load(Ordering::SeqCst), expected);
    }
    f.disown(late);
    f.disown(canceled);
    assert_eq!(given_back.load(Ordering::SeqCst), 3);
    f.close();
    assert_eq!(given_back.load(Ordering::SeqCst), 4);
    f.finish(running, loan());
    assert_eq!(given_back.load(Ordering::SeqCst), 5);
    f.assert_empty();
}

#[test]
fn what_had_ended_and_was_not_dropped_counted_nowhere() {
    let mut f = Fixture::new();
    let leaving = Leaving::new(&f.requests.headcount);
    let given_back = Arc::new(AtomicUsize::new(0));
    let loan = || Ok(Value::Loan(Loan(Arc::clone(&given_back))));
    let ids = [(); 4].map(|()| f.submit());
    let [queued, canceled, dropped, done] = ids;
    for id in &ids[1..] {
        assert!(f.start(*id));
    }
    f.cancel(canceled);
    f.disown(dropped);
    f.finish(done, loan());
    for id in [canceled, dropped] {
        let before = f.counters();
        let Finished { mut after, report, unwanted } = f.requests.finish(id, loan(), f.now);
        assert!(report.is_some_and(|report| !report.failed));
        assert_eq!(f.counters(), before, "it has not ended");
        unwanted.expect("nobody wants it").undo();
        after.append(f.requests.end_unwanted(id, None));
        assert_ne!(f.counters(), before);
        f.carry_out(after);
    }
    assert!(!leaving.is_any());
    type End<'a> = &'a dyn Fn(&mut Requests<Answer>) -> Afterwards;
    let ends: [(&str, End); 2] = [
        ("canceled in the queue", &|requests| requests.cancel(queued)),
        ("dropped after its end", &|requests| requests.disown(done)),
    ];
    for (case, end) in ends {
        let before = given_back.load(Ordering::SeqCst);
        let after = end(&mut f.requests);
        assert!(leaving.is_any(), "{case}: it is over for its guest");
        assert_eq!(given_back.load(Ordering::SeqCst), before);
        f.carry_out(after);
        assert!(!leaving.is_any(), "{case}");
    }
    assert_eq!(f.counters(), [0, 0, 2, 0, 2]);
    assert_eq!(given_back.load(Ordering::SeqCst), 3);
    assert!(!f.start(queued));
    f.disown(queued);
    f.disown(canceled);
    f.assert_empty();
}

#[test]
fn the_next_one_was_refused_for_want_of_what_the_last_one_had_had() {
    let mut f = Fixture::with(Budgets { places: Budget::new(1), ..budgets(100) });
    let id = f.submit_bytes(100, Manner::default()).expect("there is room");
    assert!(f.submit_in(Manner::default()).is_err() && f.start(id));
    let after = f.requests.finish(id, Ok(Value::Bytes(60)), f.now).after;
    let next = f.submit_bytes(40, Manner::default()).expect("the other one is done");
    f.carry_out(after);
    assert!(f.start(next));
    f.finish(next, Ok(Value::Done));
    let (poll, after) = f.requests.poll_take(id, &f.waker);
    assert!(poll.is_ready());
    let last = f.submit_bytes(100, Manner::default()).expect("its result was taken");
    f.carry_out(after);
    f.run(last);
    assert!(f.is_done(next) && f.is_done(last));
    f.assert_empty();
}

#[test]
fn flush_did_not_wait_for_what_was_stopped_while_it_ran() {
    let mut f = Fixture::new();
    let [taken, left, dropped] = [(); 3].map(|()| f.submit());
    for id in [taken, left, dropped] {
        assert!(f.start(id));
        f.cancel(id);
    }
    assert_eq!(f.error(taken), Some(CANCELED));
    f.disown(dropped);
    let waker = f.waker.clone();
    for id in [taken, left, dropped] {
        assert!(f.requests.poll_flush(&waker).is_pending(), "{id:?} runs");
        let before = f.wakeups();
        f.finish(id, Ok(Value::Done));
        assert_eq!(f.wakeups(), before + 1);
    }
    assert!(f.requests.poll_flush(&waker).is_ready());
    assert_eq!(f.error(left), Some(CANCELED));
    f.assert_empty();
}

/// Notes when it is woken and when it is dropped.
struct Notes(&'static str, Arc<Mutex<Vec<&'static str>>>);

impl Drop for Notes {
    fn drop(&mut self) {
        self.1.lock().expect("nobody panics under it").push(self.0);
    }
}

impl Wake for Notes {
    fn wake(self: Arc<Self>) {
        self.1.lock().expect("nobody panics under it").push("woken");
    }
}

#[test]
fn those_who_wait_are_woken_before_anything_is_dropped() {
    let mut f = Fixture::new();
    let log = Arc::new(Mutex::new(Vec::new()));
    let notes = |name| Notes(name, Arc::clone(&log));
    let held = notes("work");
    let work: Work<Answer> = Box::new(move |_| {
        let _ = &held;
        Flow::Done(Ok(Value::Done))
    });
    let id = f.submit_work(work);
    let waker = Arc::new(notes("waker")).into();
    assert!(f.requests.poll_take(id, &waker).0.is_pending());
    drop(waker);
    let memory = f.requests.budgets.memory.try_take(100).expect("there is room");
    let giving_back = Arc::new(notes("waker of another")).into();
    let waits = f.requests.budgets.memory.wait(1, &giving_back);
    drop(giving_back);
    let mut after = f.requests.cancel(id);
    after.freed.push(memory.free());
    f.carry_out(after);
    drop(waits);
    assert_eq!(*log.lock().expect("nobody panics under it"), ["woken", "waker", "woken", "waker of another", "work"]);
}

#[test]
fn a_waker_that_another_one_replaces_is_dropped_when_the_lock_is_free() {
    let mut f = Fixture::new();
    let id = f.submit();
    let log = Arc::new(Mutex::new(Vec::new()));
    let waker = Arc::new(Notes("waker", Arc::clone(&log))).into();
    assert!(f.requests.poll_take(id, &waker).0.is_pending());
    drop(waker);
    let (_, after) = f.requests.poll_take(id, &f.waker);
    assert!(log.lock().expect("nobody panics under it").is_empty());
    f.carry_out(after);
    assert_eq!(*log.lock().expect("nobody panics under it"), ["waker"]);
}
