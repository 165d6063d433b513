//! Calls that wait to be admitted, and the places that they wait for.

use super::ending::WITHDRAWN_MIN;
use super::time::SECOND;
use super::*;

impl Fixture {
    fn open_call(&mut self, manner: &Manner) -> CallId {
        self.requests.open_call(manner, WhoWaits::Guest, &self.waker)
    }

    fn close_call(&mut self, id: CallId) {
        let after = self.requests.close_call(id, None);
        self.carry_out(after);
    }
}

#[test]
fn a_place_is_free_when_a_worker_is_done_or_a_request_is_canceled() {
    let mut f = Fixture::with(Budgets { places: Budget::new(2), ..budgets(100) });
    let (a, b) = (f.submit(), f.submit());
    assert!(!f.has_place());
    let waiter = f.requests.budgets.places.wait(1, &f.waker);
    f.cancel(a);
    assert!(f.wakeups() == 1 && f.has_place());
    drop(waiter);
    let c = f.submit();
    assert!(!f.start(a) && !f.has_place());
    f.run(b);
    assert!(f.has_place());
    f.run(c);
    assert!(f.is_done(b) && f.is_done(c) && f.error(a) == Some(CANCELED));
    f.assert_empty();
}

/// Whatever ended it there, and whether or not its result is wanted.
#[test]
fn what_had_ended_in_the_queue_kept_its_place_until_a_worker_came() {
    let ends: [fn(&mut Fixture, RequestId, GroupId); 6] = [
        |f, id, _| drop(f.cancel(id)),
        |f, id, _| {
            f.disown(id);
            f.cancel(id);
        },
        |f, _, group| {
            let after = f.requests.cancel_group(group, End::Open);
            f.carry_out(after);
        },
        |f, _, _| drop(f.pass(SECOND)),
        |f, _, group| {
            let now = f.now;
            f.requests.set_group_deadline(group, Some(now));
            f.pass(SECOND);
        },
        |f, _, _| {
            let now = f.now;
            f.requests.set_deadline(Some(now));
            f.pass(SECOND);
        },
    ];
    for (number, end) in ends.into_iter().enumerate() {
        let mut f = Fixture::with(Budgets { places: Budget::new(1), ..budgets(100) });
        let group = f.requests.groups.create();
        let manner = Manner { group: Some(group), deadline: Some(f.now + SECOND), ..Manner::default() };
        let id = f.submit_in(manner).expect("there is room");
        assert!(!f.has_place());
        end(&mut f, id, group);
        assert!(f.has_place(), "end {number}");
        assert!(!f.start(id));
    }
}

/// Its guest begins and cancels while no worker comes.
#[test]
fn what_has_ended_in_the_queue_leaves_it_before_it_is_more_than_what_is_there() {
    for live in [0, 500] {
        let mut f = Fixture::new();
        let kept: Vec<_> = (0..live).map(|_| f.submit()).collect();
        for _ in 0..5_000 {
            let id = f.submit();
            f.cancel(id);
            f.disown(id);
            assert!(f.queue.len() <= live + live.max(WITHDRAWN_MIN) + 1, "{live} wait, {} are queued", f.queue.len());
        }
        for id in kept {
            f.run(id);
            assert!(f.is_done(id));
            f.disown(id);
        }
        for id in std::mem::take(&mut f.queue) {
            assert!(f.requests.start(id, f.now).0.is_none(), "it has ended");
        }
        f.assert_empty();
    }
}

#[test]
fn who_waits_to_be_admitted_is_told_when_the_time_is_up() {
    let mut f = Fixture::new();
    let manner = |time| Manner { deadline: Some(time), ..Manner::default() };
    let (first, second) = (manner(f.now + SECOND), manner(f.now + 2 * SECOND));
    let (call, other) = (f.open_call(&first), f.open_call(&second));
    f.pass(SECOND);
    assert_eq!(f.wakeups(), 1);
    assert_eq!(f.requests.refusal(&first, f.now), Some(Refusal::TimedOut));
    assert_eq!(f.requests.refusal(&second, f.now), None);
    f.close_call(call);
    f.pass(SECOND);
    assert_eq!(f.wakeups(), 2);
    f.close_call(other);
    f.assert_empty();
}

#[test]
fn a_call_that_waits_no_more_takes_its_timer_with_it() {
    let mut f = Fixture::new();
    let manner = Manner { deadline: Some(f.now + SECOND), ..Manner::default() };
    let call = f.open_call(&manner);
    f.close_call(call);
    f.assert_empty();
}

#[test]
fn bytes_count_until_the_result_is_taken() {
    let mut f = Fixture::new();
    let usual = Manner::default();
    let a = f.submit_bytes(100, usual).expect("there is room");
    assert_eq!(f.submit_bytes(1, usual), Err(Refusal::Full));
    assert!(f.start(a));
    f.finish(a, Ok(Value::Bytes(60)));
    let b = f.submit_bytes(40, usual).expect("a result holds what it holds, whatever was needed for it");
    assert_eq!(f.submit_bytes(1, usual), Err(Refusal::Full));
    assert!(f.take(a).is_ready());
    let c = f.submit_bytes(60, usual).expect("there is room");
    f.disown(b);
    f.run(b);
    assert_eq!(f.requests.budgets.memory.taken(), 60);
    assert!(f.start(c));
    f.finish(c, Err(Failure::Broken));
    assert_eq!(f.requests.budgets.memory.taken(), 0, "what failed holds nothing");
    assert_eq!(f.error(c), Some(Failure::Broken));
    f.assert_empty();
}
