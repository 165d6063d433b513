//! Deadlines, and requests that are parked for a time.

use super::*;

pub(super) const SECOND: Duration = Duration::from_secs(1);

fn until(deadline: Instant) -> Manner {
    Manner { deadline: Some(deadline), ..Manner::default() }
}

#[test]
fn a_request_whose_time_is_up_fails_at_once_in_the_queue_and_on_a_worker() {
    let mut f = Fixture::new();
    let manner = until(f.now + SECOND);
    let queued = f.submit_in(manner).expect("there is time");
    let running = f.submit_in(manner).expect("there is time");
    let done = f.submit_in(manner).expect("there is time");
    assert!(f.start(running));
    f.run(done);
    f.pass(SECOND / 2);
    assert!(f.take(queued).is_pending() && f.take(running).is_pending());
    f.pass(SECOND / 2);
    assert_eq!(f.error(queued), Some(TIMED_OUT));
    assert_eq!(f.error(running), Some(TIMED_OUT));
    assert!(matches!(f.take(done), Poll::Ready(Ok(Value::Done))));
    assert!(!f.start(queued));
    assert_eq!(f.counters(), [0, 1, 1, 1, 0], "one still runs");
    f.finish(running, Ok(Value::Done));
    assert_eq!(f.counters(), [0, 0, 1, 2, 0]);
    assert_eq!(f.submit_in(manner), Err(Refusal::TimedOut));
    f.assert_empty();
}

#[test]
fn the_time_of_a_guest_holds_for_all_its_requests_and_can_be_taken_back() {
    let mut f = Fixture::new();
    f.requests.set_deadline(Some(f.now + SECOND));
    f.requests.set_deadline(Some(f.now + 2 * SECOND));
    let early = f.submit();
    f.pass(SECOND);
    assert!(f.take(early).is_pending());
    f.pass(SECOND);
    assert_eq!(f.error(early), Some(TIMED_OUT));
    assert_eq!(f.submit_in(Manner::default()), Err(Refusal::TimedOut));
    f.requests.set_deadline(None);
    let late = f.submit();
    f.pass(SECOND);
    f.run(late);
    assert!(f.is_done(late));
    assert!(!f.start(early));
    f.assert_empty();
}

#[test]
fn a_parked_request_gives_its_place_up_and_goes_on_when_its_time_comes() {
    let mut f = Fixture::with(Budgets { places: Budget::new(1), ..budgets(100) });
    let id = f.submit();
    assert!(f.start(id) && !f.has_place());
    assert_eq!(f.park_for(id, SECOND), []);
    assert_eq!(f.counters(), [0, 1, 0, 0, 0]);
    assert!(f.has_place());
    assert_eq!(f.pass(SECOND / 2), []);
    assert_eq!(f.pass(SECOND), [id]);
    assert_eq!(f.pass(SECOND), []);
    f.run(id);
    assert!(f.is_done(id));
    f.assert_empty();
}

#[test]
fn a_parked_request_keeps_its_place_when_too_many_are_parked() {
    let mut f = Fixture::with(Budgets { places: Budget::new(2), parked: Budget::new(1), ..budgets(100) });
    let ids = [f.submit(), f.submit()];
    for id in ids {
        assert!(f.start(id));
        f.park_for(id, SECOND);
    }
    assert_eq!((f.requests.budgets.places.taken(), f.requests.budgets.parked.taken()), (1, 1));
    f.pass(SECOND);
    for id in ids {
        f.run(id);
        assert!(f.is_done(id));
    }
    f.assert_empty();
}

#[test]
fn a_parked_request_that_is_canceled_goes_on_at_once_to_clear_up() {
    let mut f = Fixture::new();
    let parked = f.submit();
    assert!(f.start(parked));
    f.park_for(parked, SECOND);
    assert_eq!(f.cancel(parked), [parked]);
    assert_eq!(f.error(parked), Some(CANCELED));
    assert_eq!(f.counters(), [0, 1, 0, 0, 0], "it has begun, so it comes to its end");
    f.run(parked);
    assert_eq!(f.pass(SECOND), []);
    // Canceled while a worker runs it, which then wants to try again.
    let running = f.submit();
    assert!(f.start(running));
    assert_eq!(f.cancel(running), []);
    assert_eq!(f.park_for(running, SECOND), [running]);
    assert_eq!(f.error(running), Some(CANCELED));
    f.run(running);
    assert_eq!(f.counters(), [0, 0, 0, 0, 2]);
    assert_eq!(f.pass(SECOND), []);
    f.assert_empty();
}

#[test]
fn the_clock_is_set_only_for_what_comes_first() {
    let mut f = Fixture::new();
    let start = f.now;
    assert_eq!(f.requests.alarm(), None);
    let late = f.submit_in(until(start + 3 * SECOND)).expect("there is time");
    assert_eq!(f.requests.alarm(), Some(start + 3 * SECOND));
    let early = f.submit_in(until(start + SECOND)).expect("there is time");
    assert_eq!(f.requests.alarm(), Some(start + SECOND));
    let between = f.submit_in(until(start + 2 * SECOND)).expect("there is time");
    assert_eq!(f.requests.alarm(), None);
    f.pass(SECOND);
    assert_eq!(f.requests.alarm(), Some(start + 2 * SECOND));
    for id in [late, early, between] {
        f.cancel(id);
        assert!(f.take(id).is_ready() && !f.start(id));
    }
    f.assert_empty();
}

#[test]
fn a_turn_of_the_clock_stops_a_bounded_number_and_comes_again() {
    for of_a_group in [false, true] {
        let mut f = Fixture::new();
        let manner = if of_a_group {
            let group = f.requests.groups.create();
            f.requests.set_group_deadline(group, Some(f.now + SECOND));
            Manner { group: Some(group), ..Manner::default() }
        } else {
            until(f.now + SECOND)
        };
        let ids: Vec<RequestId> = (0..1000).map(|_| f.submit_in(manner).expect("there is room")).collect();
        f.requests.alarm();
        f.pass(SECOND);
        let mut turns = 1;
        while f.requests.alarm().is_some_and(|alarm| alarm <= f.now) {
            let [queued, .., failed, _] = f.counters();
            assert_eq!(queued + failed, 1000);
            assert!(failed <= turns * 256, "{failed} after {turns} turns");
            f.pass(Duration::ZERO);
            turns += 1;
        }
        assert!(turns >= 4, "{turns}");
        assert!(ids.iter().all(|id| f.error(*id) == Some(TIMED_OUT)));
    }
}

#[test]
fn the_groups_of_one_turn_of_the_clock_share_it() {
    let mut f = Fixture::new();
    for _ in 0..100 {
        let group = f.requests.groups.create();
        f.requests.set_group_deadline(group, Some(f.now + SECOND));
        for _ in 0..100 {
            f.submit_in(Manner { group: Some(group), ..Manner::default() }).expect("there is room");
        }
    }
    f.pass(SECOND);
    assert!((1..=256).contains(&f.counters()[3]), "{} were stopped in one turn", f.counters()[3]);
    f.requests.set_deadline(Some(f.now));
    let before = f.counters()[3];
    f.pass(Duration::ZERO);
    assert!(f.counters()[3] - before <= 256);
}

#[test]
fn a_request_that_was_stopped_is_not_run_over_and_over_while_it_waits_to_be_woken() {
    let mut f = Fixture::new();
    let id = f.submit();
    assert!(f.start(id));
    f.park(id, Pause::Woken);
    assert_eq!(f.cancel(id), [id], "it looks once");
    assert!(f.start(id));
    assert_eq!(f.park(id, Pause::Woken), [], "it still waits for its helpers");
    assert_eq!(f.resume(id), [id]);
    // It is stopped only once, so nothing else makes it run.
    assert_eq!(f.cancel(id), []);
    f.run(id);
    assert_eq!(f.error(id), Some(CANCELED));
    f.assert_empty();
}

#[test]
fn a_request_that_is_woken_while_it_is_about_to_be_parked_goes_on() {
    let mut f = Fixture::new();
    let id = f.submit();
    assert!(f.start(id));
    assert_eq!(f.resume(id), []);
    assert_eq!(f.park(id, Pause::Woken), [id]);
    // That was one wake-up, and not one for each time.
    assert!(f.start(id));
    assert_eq!(f.park(id, Pause::Woken), []);
    assert_eq!((f.resume(id), f.resume(id)), (vec![id], vec![]));
    f.run(id);
    assert!(f.is_done(id));
    f.assert_empty();
}

#[test]
fn a_request_that_is_stopped_while_it_is_about_to_be_parked_goes_on_to_clear_up() {
    for pause in [Pause::Woken, Pause::Until(Instant::now() + 1000 * SECOND)] {
        let mut f = Fixture::new();
        let id = f.submit();
        assert!(f.start(id));
        assert_eq!(f.cancel(id), []);
        assert_eq!(f.park(id, pause), [id]);
        f.run(id);
        assert_eq!(f.error(id), Some(CANCELED));
        f.assert_empty();
    }
}

#[test]
fn the_time_of_a_guest_or_a_group_is_told_to_calls_that_wait() {
    let mut f = Fixture::new();
    let group = f.requests.groups.create();
    let manner = Manner { group: Some(group), ..Manner::default() };
    let call = f.requests.open_call(&manner, WhoWaits::Guest, &f.waker);
    f.requests.set_group_deadline(group, Some(f.now + SECOND));
    f.pass(SECOND);
    assert_eq!(f.wakeups(), 1);
    assert!(matches!(f.requests.groups.poll_outcome(group, &f.waker), Poll::Ready(Ok(_))), "nobody came too late");
    assert_eq!(f.requests.refusal(&manner, f.now), Some(Refusal::TimedOut));
    assert_eq!(f.requests.groups.poll_outcome(group, &f.waker), Poll::Ready(Err(Refusal::TimedOut)));
    f.requests.set_group_deadline(group, None);
    f.requests.set_deadline(Some(f.now + SECOND));
    f.pass(SECOND);
    assert_eq!(f.wakeups(), 2);
    assert_eq!(f.requests.refusal(&manner, f.now), Some(Refusal::TimedOut));
    let after = f.requests.close_call(call, None);
    f.carry_out(after);
    f.requests.drop_group(group);
    f.assert_empty();
}

#[test]
fn what_ended_before_it_began_was_in_no_statistics() {
    let mut f = Fixture::new();
    let [late, canceled] = [until(f.now + SECOND), Manner::default()].map(|manner| f.submit_in(manner).expect("there is room"));
    f.now += SECOND;
    for (after, id) in [(f.requests.tick(f.now), late), (f.requests.cancel(canceled), canceled)] {
        let reports: Vec<_> = after.reports.iter().map(|report| (report.id, report.failed)).collect();
        assert_eq!(reports, [(id.value(), true)]);
        f.carry_out(after);
        assert!(!f.start(id));
    }
    for id in [late, canceled] {
        assert!(f.error(id).is_some());
    }
    f.assert_empty();
}
