//! Calls that wait to be admitted, and the places that they wait for.

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
fn a_place_is_free_when_a_worker_is_done_or_has_found_a_canceled_request() {
    let mut f = Fixture::with(Budgets { places: Budget::new(2), ..budgets(100) });
    let (a, b) = (f.submit(), f.submit());
    assert!(!f.has_place());
    let waiter = f.requests.budgets.places.wait(1, &f.waker);
    f.cancel(a);
    assert!(!f.has_place(), "it stands in the queue still");
    assert!(!f.start(a));
    assert!(f.wakeups() == 1 && f.has_place());
    drop(waiter);
    f.run(b);
    assert!(f.is_done(b) && f.error(a) == Some(CANCELED));
    f.assert_empty();
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
