//! Requests that run short of memory, and calls that wait for it.

use super::*;
use crate::sched::headcount::ACTIVE;

impl Fixture {
    /// The request runs, and grows to so much. False if there is not as much.
    fn grow(&mut self, started: &Started<Answer>, bytes: usize) -> bool {
        started.steps.reserve(bytes)
    }

    /// What a worker does when work was short of memory.
    fn starves(&mut self, id: RequestId, started: &Started<Answer>) -> bool {
        let short = started.steps.take_short().expect("it ran short");
        started.steps.give_up();
        self.requests.starve(id, short, &self.waker)
    }

    fn taken(&self) -> usize {
        self.requests.budgets.memory.taken()
    }
}

#[test]
fn a_starved_request_goes_on_when_another_is_done_and_has_what_it_needs() {
    let mut f = Fixture::new();
    let (one, other) = (f.submit(), f.submit());
    let (first, second) = (f.started(one).expect("it is queued"), f.started(other).expect("it is queued"));
    assert!(f.grow(&first, 60) && f.grow(&second, 30) && !f.grow(&second, 15));
    assert!(f.starves(other, &second));
    assert_eq!(f.taken(), 60, "it gave back what it had");
    assert_eq!(f.park(other, Pause::Woken), []);
    drop(second);
    assert_eq!(f.finish(one, Err(Failure::Broken)), [other]);
    let again = f.started(other).expect("it is queued");
    assert_eq!(again.need, Some(90), "twice what it was short of");
    again.steps.prepare(90);
    assert_eq!(f.taken(), 90);
    assert!(f.grow(&again, 45));
    f.finish(other, Ok(Value::Bytes(45)));
    assert_eq!(f.taken(), 45);
    drop((first, again));
    assert!(f.is_done(other) && f.error(one) == Some(Failure::Broken));
    f.assert_empty();
}

#[test]
fn a_request_that_is_alone_fails_if_there_is_too_little_and_else_tries_again() {
    let mut f = Fixture::new();
    let held = f.requests.budgets.memory.try_take(60).expect("there is room");
    let id = f.submit();
    let started = f.started(id).expect("it is queued");
    assert!(f.grow(&started, 30) && !f.grow(&started, 20));
    assert!(!f.starves(id, &started), "nobody would give it more");
    // Crowded out by one that is gone when it has given up.
    let other = f.submit();
    let crowd = f.requests.budgets.memory.try_take(20).expect("there is room");
    assert!(!f.grow(&started, 40));
    drop(crowd);
    f.run(other);
    assert!(f.is_done(other));
    assert!(f.starves(id, &started));
    assert_eq!(f.park(id, Pause::Woken), [id], "it goes on at once");
    drop((held, started));
    f.run(id);
    assert!(f.is_done(id));
    f.assert_empty();
}

#[test]
fn a_request_that_needs_more_than_there_may_be_fails() {
    let mut f = Fixture::new();
    let (one, other) = (f.submit(), f.submit());
    let (first, second) = (f.started(one).expect("it is queued"), f.started(other).expect("it is queued"));
    assert!(!f.grow(&second, 101));
    assert!(!f.starves(other, &second));
    assert!(!f.grow(&second, usize::MAX) && !f.starves(other, &second));
    assert!(f.grow(&second, 100), "what was asked for in vain is not held against it");
    drop((first, second));
}

#[test]
fn the_first_of_the_starved_goes_on_when_nothing_else_is_on_its_way() {
    let mut f = Fixture::new();
    // A result that nobody takes.
    let result = f.submit();
    assert!(f.start(result));
    f.finish(result, Ok(Value::Bytes(70)));
    let ids = [f.submit(), f.submit(), f.submit()];
    let started = ids.map(|id| f.started(id).expect("it is queued"));
    for (id, started) in ids.into_iter().zip(&started) {
        assert!(f.grow(started, 20) && !f.grow(started, 20));
        let is_last = id == ids[2];
        assert_eq!(f.starves(id, started), !is_last, "the last one would wait for itself");
        let resumed = if is_last { f.finish(id, Err(FULL)) } else { f.park(id, Pause::Woken) };
        assert_eq!(
            resumed,
            if is_last { vec![ids[0]] } else { vec![] },
            "there is less than it wants, but it may find that out"
        );
    }
    drop(started);
    let last = f.started(ids[0]).expect("it is queued");
    assert!(!f.grow(&last, 40) && !f.starves(ids[0], &last));
    assert_eq!(f.finish(ids[0], Err(FULL)), [ids[1]]);
    drop(last);
    f.start(ids[1]);
    f.finish(ids[1], Ok(Value::Done));
    for id in ids.into_iter().chain([result]) {
        assert!(f.take(id).is_ready());
    }
    f.assert_empty();
}

#[test]
fn a_starved_request_that_is_canceled_leaves_the_queue_to_the_next() {
    let mut f = Fixture::new();
    let (one, other, runs) = (f.submit(), f.submit(), f.submit());
    let most = f.requests.budgets.memory.try_take(90).expect("there is room");
    assert!(f.start(runs));
    let started = [one, other].map(|id| f.started(id).expect("it is queued"));
    for (id, started) in [one, other].into_iter().zip(&started) {
        assert!(!f.grow(started, 20));
        assert!(f.starves(id, started));
        assert_eq!(f.park(id, Pause::Woken), []);
    }
    drop(started);
    drop(most);
    assert_eq!(f.wakeups(), 2, "each was told of what it needs");
    assert_eq!(f.cancel(one), [one]);
    assert_eq!(f.requests.hungry.len(), 1);
    f.run(one);
    assert_eq!(f.resume(other), [other]);
    f.run(other);
    f.finish(runs, Ok(Value::Done));
    for id in [one, other, runs] {
        assert!(f.take(id).is_ready());
    }
    f.assert_empty();
}

#[test]
fn calls_that_wait_for_memory_are_told_when_nothing_will_give_any_back() {
    let mut f = Fixture::new();
    let id = f.submit();
    let call = f.requests.open_call(&Manner::default(), WhoWaits::Guest, &f.waker);
    assert!(f.requests.may_wait_for_memory(call));
    assert!(f.start(id));
    f.park_for(id, Duration::from_secs(1));
    assert_eq!(f.wakeups(), 1, "one that waits for a lock gives nothing back");
    assert!(!f.requests.may_wait_for_memory(call));
    f.pass(Duration::from_secs(1));
    assert!(f.requests.may_wait_for_memory(call));
    f.run(id);
    assert_eq!(f.wakeups(), 2);
    let after = f.requests.close_call(call, None);
    f.carry_out(after);
    assert!(f.is_done(id));
    f.assert_empty();
}

#[test]
fn memory_comes_back_before_those_who_wait_for_it_are_told_that_none_will() {
    let mut f = Fixture::new();
    let id = f.submit_bytes(100, Manner::default()).expect("there is room");
    assert!(f.start(id));
    let after = f.requests.finish(id, Ok(Value::Done), f.now).after;
    assert_eq!((f.taken(), f.wakeups()), (0, 0));
    let call = f.requests.open_call(&Manner::default(), WhoWaits::Guest, &f.waker);
    assert!(f.requests.may_wait_for_memory(call), "it has been given back");
    f.carry_out(after);
    assert_eq!((f.taken(), f.wakeups()), (0, 1));
    let after = f.requests.close_call(call, None);
    f.carry_out(after);
    assert!(f.is_done(id));
    f.assert_empty();
}

#[test]
fn memory_of_what_nobody_wants_is_on_the_books_until_it_is_dropped() {
    let mut f = Fixture::new();
    let canceled = f.submit_bytes(40, Manner::default()).expect("there is room");
    let done = f.submit_bytes(60, Manner::default()).expect("there is room");
    assert!(f.start(done));
    f.finish(done, Ok(Value::Bytes(50)));
    assert_eq!(f.taken(), 90);
    let mut after = f.requests.cancel(canceled);
    after.append(f.requests.disown(done));
    let rest = after.begin(|_| {}, |_| panic!("nothing goes on"), |_| panic!("nothing leaves the queue"));
    assert_eq!((f.taken(), f.requests.headcount.number::<ACTIVE>()), (90, 2));
    drop(rest);
    assert_eq!((f.taken(), f.requests.headcount.number::<ACTIVE>()), (0, 0));
    assert!(!f.start(canceled) && f.error(canceled) == Some(CANCELED));
    f.assert_empty();
}
