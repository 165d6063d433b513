//! Groups of requests, step by step: no thread and no clock.

use super::time::SECOND;
use super::*;
use crate::sched::afterwards::Wakers;
use crate::sched::groups::GroupOutcome;

fn into(group: GroupId) -> Manner {
    Manner { group: Some(group), ..Manner::default() }
}

impl Fixture {
    fn group(&mut self) -> GroupId {
        self.requests.groups.create()
    }

    fn member(&mut self, group: GroupId) -> RequestId {
        self.submit_in(into(group)).expect("there is room")
    }

    fn outcome(&mut self, group: GroupId) -> Outcomes {
        self.requests.groups.poll_outcome(group, &self.waker)
    }

    fn cancel_group(&mut self, group: GroupId, end: End) {
        let after = self.requests.cancel_group(group, end);
        self.carry_out(after);
    }

    fn counts(&self, group: GroupId) -> [u64; 5] {
        let Counters { queued, running, done, failed, canceled } = self.requests.groups.counters(group);
        [queued, running, done, failed, canceled]
    }

    fn is_full(&self, group: GroupId) -> bool {
        self.requests.groups.full(Some(group)).is_some()
    }
}

type Outcomes = Poll<Result<GroupOutcome<Failure>, Refusal>>;

fn outcome(done: u64, failed: u64, canceled: u64, first: Option<(RequestId, Failure)>) -> Outcomes {
    let first_failure = first.map(|(id, failure)| Failed { id: id.value(), failure });
    Poll::Ready(Ok(GroupOutcome { done, failed, canceled, first_failure }))
}

#[test]
fn a_group_waits_for_its_members_and_says_which_failed_first() {
    let mut f = Fixture::new();
    let group = f.group();
    assert_eq!(f.outcome(group), outcome(0, 0, 0, None), "an empty group is done");
    let (a, b, c) = (f.member(group), f.member(group), f.member(group));
    assert!(f.outcome(group).is_pending());
    assert_eq!(f.counts(group), [3, 0, 0, 0, 0]);
    f.run(a);
    assert!(f.start(b) && f.start(c));
    assert_eq!(f.counts(group), [0, 2, 1, 0, 0]);
    f.finish(c, Err(Failure::Broken));
    assert_eq!(f.wakeups(), 0, "nobody is told before all are done");
    f.finish(b, Err(Failure::Broken));
    assert_eq!(f.wakeups(), 1);
    assert_eq!(f.outcome(group), outcome(1, 2, 0, Some((c, Failure::Broken))));
    // The group can go on, and results are still to be had.
    let d = f.member(group);
    assert!(f.outcome(group).is_pending());
    f.run(d);
    assert_eq!(f.outcome(group), outcome(2, 2, 0, Some((c, Failure::Broken))));
    assert_eq!(f.error(b), Some(Failure::Broken));
    for id in [a, c, d] {
        assert!(f.take(id).is_ready());
    }
    f.requests.drop_group(group);
    f.assert_empty();
}

#[test]
fn a_request_is_added_as_it_is_and_only_once() {
    let mut f = Fixture::new();
    let (group, other) = (f.group(), f.group());
    let (queued, running, done, failed, taken) = (f.submit(), f.submit(), f.submit(), f.submit(), f.submit());
    assert!(f.start(running) && f.start(failed));
    f.finish(failed, Err(Failure::Broken));
    f.run(done);
    f.run(taken);
    assert!(f.take(taken).is_ready());
    for id in [queued, running, done, failed, taken] {
        assert_eq!(f.requests.add_to_group(group, id), Ok(()));
    }
    assert_eq!(f.requests.add_to_group(other, queued), Err(Refusal::Member));
    assert_eq!(f.counts(group), [1, 1, 2, 1, 0]);
    f.finish(running, Ok(Value::Done));
    f.run(queued);
    assert_eq!(f.outcome(group), outcome(4, 1, 0, Some((failed, Failure::Broken))));
    assert_eq!(f.counts(other), [0; 5]);
    for id in [queued, running, done, failed] {
        assert!(f.take(id).is_ready());
    }
    f.requests.drop_group(group);
    f.requests.drop_group(other);
    f.assert_empty();
}

#[test]
fn a_canceled_group_cancels_its_members_and_takes_no_more() {
    let mut f = Fixture::new();
    let (group, sub) = (f.group(), f.group());
    assert_eq!(f.requests.groups.add_group(group, sub), Ok(()));
    let (queued, running, done) = (f.member(group), f.member(sub), f.member(sub));
    let (other, free) = (f.submit(), f.submit());
    assert!(f.start(running));
    f.run(done);
    assert!(f.outcome(group).is_pending() && f.outcome(sub).is_pending());
    f.cancel_group(group, End::Closed);
    assert!(f.wakeups() > 0);
    assert_eq!((f.outcome(group), f.outcome(sub)), (Poll::Ready(Err(Refusal::Canceled)), Poll::Ready(Err(Refusal::Canceled))));
    assert_eq!((f.error(queued), f.error(running)), (Some(CANCELED), Some(CANCELED)));
    assert!(matches!(f.take(done), Poll::Ready(Ok(_))), "what was done stays done");
    assert_eq!(f.submit_in(into(sub)), Err(Refusal::Canceled));
    assert_eq!(f.requests.add_to_group(sub, free), Err(Refusal::Canceled));
    f.run(other);
    f.run(free);
    assert_eq!(f.counts(group), [0, 1, 1, 0, 1], "one still runs");
    f.finish(running, Ok(Value::Done));
    assert_eq!(f.counts(group), [0, 0, 1, 0, 2]);
    assert!(!f.start(queued) && f.take(other).is_ready() && f.take(free).is_ready());
    f.requests.drop_group(sub);
    f.requests.drop_group(group);
    f.assert_empty();
}

#[test]
fn cancel_subs_keeps_the_group() {
    let mut f = Fixture::new();
    let (group, sub) = (f.group(), f.group());
    assert_eq!(f.requests.groups.add_group(group, sub), Ok(()));
    let (a, b) = (f.member(group), f.member(sub));
    f.cancel_group(group, End::Open);
    assert_eq!(f.outcome(group), outcome(0, 0, 2, None));
    let c = f.member(sub);
    f.run(c);
    assert_eq!(f.outcome(group), outcome(1, 0, 2, None));
    for id in [a, b] {
        assert!(!f.start(id) && f.take(id).is_ready());
    }
    assert!(f.take(c).is_ready());
    f.requests.drop_group(group);
    f.requests.drop_group(sub);
    f.assert_empty();
}

#[test]
fn a_group_is_never_in_itself_nor_in_two() {
    let mut f = Fixture::new();
    let (a, b, c) = (f.group(), f.group(), f.group());
    let groups = &mut f.requests.groups;
    assert_eq!(groups.add_group(a, a), Err(Refusal::Cycle));
    assert_eq!(groups.add_group(a, b), Ok(()));
    assert_eq!(groups.add_group(b, c), Ok(()));
    assert_eq!(groups.add_group(c, a), Err(Refusal::Cycle));
    assert_eq!(groups.add_group(a, c), Err(Refusal::Member));
    let mut top = a;
    let above: Vec<GroupId> = (3..crate::limits::GROUP_DEPTH_MAX)
        .map(|_| {
            let above = groups.create();
            assert_eq!(groups.add_group(above, top), Ok(()));
            top = above;
            above
        })
        .collect();
    let one_too_many = groups.create();
    assert_eq!(groups.add_group(one_too_many, top), Err(Refusal::TooDeep));
    for group in above.into_iter().chain([one_too_many, a, b, c]) {
        f.requests.drop_group(group);
    }
    f.assert_empty();
}

#[test]
fn what_was_in_a_group_before_counts_above_it_too() {
    let mut f = Fixture::new();
    let (group, sub) = (f.group(), f.group());
    let (a, b) = (f.member(sub), f.member(sub));
    assert!(f.start(a));
    f.finish(a, Err(Failure::Broken));
    assert_eq!(f.requests.groups.add_group(group, sub), Ok(()));
    assert_eq!(f.counts(group), [1, 0, 0, 1, 0]);
    assert!(f.outcome(group).is_pending());
    f.run(b);
    assert_eq!(f.outcome(group), outcome(1, 1, 0, Some((a, Failure::Broken))));
    assert!(f.take(a).is_ready() && f.take(b).is_ready());
    f.requests.drop_group(sub);
    f.requests.drop_group(group);
    f.assert_empty();
}

#[test]
fn a_limit_holds_for_all_that_is_in_a_group_and_wakes_those_who_wait() {
    let mut f = Fixture::new();
    let (group, sub) = (f.group(), f.group());
    assert_eq!(f.requests.groups.add_group(group, sub), Ok(()));
    f.requests.groups.set_limit(group, 2, &mut Wakers::new());
    let (a, b) = (f.member(group), f.member(sub));
    assert!(f.is_full(group) && f.is_full(sub));
    assert_eq!(f.submit_in(into(sub)), Err(Refusal::Full));
    let call = f.requests.open_call(&into(sub), WhoWaits::Guest, &f.waker);
    assert_eq!(f.requests.waits_for_group(call, &f.waker), Some(group));
    f.run(a);
    assert!(f.wakeups() == 1 && !f.is_full(sub));
    let c = f.member(sub);
    assert_eq!(f.requests.waits_for_group(call, &f.waker), Some(group));
    let mut wakers = Wakers::new();
    f.requests.groups.set_limit(group, 0, &mut wakers);
    assert!(wakers.len() == 1 && !f.is_full(sub));
    let after = f.requests.close_call(call, Some(group));
    f.carry_out(after);
    f.run(b);
    f.run(c);
    for id in [a, b, c] {
        assert!(f.take(id).is_ready());
    }
    f.requests.drop_group(sub);
    f.requests.drop_group(group);
    f.assert_empty();
}

#[test]
fn wait_below_is_told_when_few_enough_are_in_flight() {
    let mut f = Fixture::new();
    let group = f.group();
    let ids: Vec<RequestId> = (0..4).map(|_| f.member(group)).collect();
    assert!(f.requests.groups.poll_below(group, 3, &f.waker).is_pending());
    f.run(ids[0]);
    assert_eq!(f.wakeups(), 0);
    f.cancel(ids[1]);
    assert_eq!(f.wakeups(), 1);
    assert_eq!(f.requests.groups.poll_below(group, 3, &f.waker), Poll::Ready(2));
    f.cancel_group(group, End::Closed);
    assert!(f.requests.groups.poll_below(group, 1, &f.waker).is_ready());
}

#[test]
fn a_group_whose_time_is_up_fails_what_is_left_of_it() {
    let mut f = Fixture::new();
    let (group, sub) = (f.group(), f.group());
    assert_eq!(f.requests.groups.add_group(group, sub), Ok(()));
    f.requests.set_group_deadline(group, Some(f.now + SECOND));
    let (done, late) = (f.member(sub), f.member(sub));
    f.run(done);
    assert!(f.outcome(group).is_pending());
    f.pass(SECOND);
    assert!(f.wakeups() > 0);
    assert_eq!((f.outcome(group), f.error(late)), (Poll::Ready(Err(Refusal::TimedOut)), Some(TIMED_OUT)));
    assert_eq!(f.submit_in(into(sub)), Err(Refusal::TimedOut));
    f.requests.set_group_deadline(group, None);
    let again = f.member(sub);
    f.run(again);
    assert_eq!(f.outcome(group), outcome(2, 1, 0, Some((late, TIMED_OUT))));
    assert!(!f.start(late) && f.take(again).is_ready() && f.take(done).is_ready());
    // A deadline that comes when all is done harms nobody.
    f.requests.set_group_deadline(group, Some(f.now + SECOND));
    f.pass(SECOND);
    assert!(matches!(f.outcome(group), Poll::Ready(Ok(_))));
    f.requests.drop_group(sub);
    f.requests.drop_group(group);
    f.assert_empty();
}

#[test]
fn a_group_outlives_its_handle_while_it_has_members() {
    let mut f = Fixture::new();
    let (group, sub) = (f.group(), f.group());
    assert_eq!(f.requests.groups.add_group(group, sub), Ok(()));
    let id = f.member(sub);
    f.requests.drop_group(sub);
    f.run(id);
    assert_eq!(f.outcome(group), outcome(1, 0, 0, None));
    f.requests.drop_group(group);
    assert!(f.take(id).is_ready());
    f.assert_empty();
}

#[test]
fn priorities_come_from_the_request_then_its_group_then_the_guest() {
    let mut f = Fixture::new();
    let (group, sub) = (f.group(), f.group());
    assert_eq!(f.requests.groups.add_group(group, sub), Ok(()));
    f.requests.set_priority(Priority::clamped(-1));
    f.requests.groups.set_priority(group, Priority::clamped(2));
    let mut priority = |manner| {
        let id = f.submit_in(manner).expect("there is room");
        f.requests.entry(id).map(|entry| entry.priority.value())
    };
    assert_eq!(priority(Manner::default()), Some(-1));
    assert_eq!(priority(into(sub)), Some(2));
    assert_eq!(priority(Manner { priority: Some(Priority::default()), ..into(sub) }), Some(0));
}

#[test]
fn the_progress_of_a_group_is_that_of_its_members_together() {
    let mut f = Fixture::new();
    let group = f.group();
    let (a, b) = (f.member(group), f.member(group));
    for (id, bytes) in [(a, 10), (b, 5)] {
        f.started(id).expect("it is queued").steps.advance(bytes, 1);
    }
    f.finish(a, Ok(Value::Done));
    assert!(f.take(a).is_ready());
    assert_eq!(f.requests.progress(b), Progress { bytes: 5, names: 1 });
    assert_eq!(f.requests.group_progress(group), Progress { bytes: 15, names: 2 });
}

#[test]
fn a_dropped_group_takes_its_timer_with_it() {
    let mut f = Fixture::new();
    for n in 0..10_000 {
        let group = f.group();
        f.requests.set_group_deadline(group, Some(f.now + n * SECOND));
        f.requests.drop_group(group);
        assert!(f.requests.timers.is_empty());
    }
    // One that has members goes with the last of them.
    let (group, sub) = (f.group(), f.group());
    assert_eq!(f.requests.groups.add_group(group, sub), Ok(()));
    let id = f.member(sub);
    for group in [group, sub] {
        f.requests.set_group_deadline(group, Some(f.now + SECOND));
        f.requests.drop_group(group);
    }
    assert_eq!(f.requests.timers.len(), 2);
    f.run(id);
    assert!(f.is_done(id));
    f.assert_empty();
}

#[test]
fn a_call_that_waits_for_a_group_is_told_whoever_comes_in_before_it() {
    let mut f = Fixture::new();
    let group = f.group();
    f.requests.groups.set_limit(group, 2, &mut Wakers::new());
    let (a, b) = (f.member(group), f.member(group));
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let (bell, waker) = bell();
            let call = f.requests.open_call(&into(group), WhoWaits::Task, &waker);
            assert_eq!(f.requests.waits_for_group(call, &waker), Some(group));
            (call, bell)
        })
        .collect();
    let told = |waiting: &[(CallId, Arc<Bell>)]| waiting.iter().filter(|(_, bell)| bell.rung() > 0).count();
    f.run(a);
    assert_eq!(told(&waiting), 1);
    // Those who were told have not come yet. A request that is done on the spot, and one that was there before, tell nobody.
    f.requests.settle(Some(group), 0, None);
    let early = f.submit();
    assert_eq!(f.requests.add_to_group(group, early), Ok(()));
    assert_eq!(told(&waiting), 1);
    f.run(early);
    f.run(b);
    assert!(told(&waiting) >= 2);
    let c = f.member(group);
    f.run(c);
    assert_eq!(told(&waiting), 4, "none was forgotten");
    for (call, _) in waiting {
        let after = f.requests.close_call(call, Some(group));
        f.carry_out(after);
    }
    for id in [a, b, c, early] {
        assert!(f.is_done(id));
    }
    f.requests.drop_group(group);
    f.assert_empty();
}

#[test]
fn a_call_that_was_told_of_a_place_and_goes_away_passes_it_on() {
    let mut f = Fixture::new();
    let group = f.group();
    f.requests.groups.set_limit(group, 1, &mut Wakers::new());
    let a = f.member(group);
    let calls = [(); 2].map(|()| f.requests.open_call(&into(group), WhoWaits::Task, &f.waker));
    for call in calls {
        assert_eq!(f.requests.waits_for_group(call, &f.waker), Some(group));
    }
    f.run(a);
    assert_eq!(f.wakeups(), 1);
    for (call, wakeups) in calls.into_iter().zip([2, 2]) {
        let after = f.requests.close_call(call, Some(group));
        f.carry_out(after);
        assert_eq!(f.wakeups(), wakeups);
    }
    assert!(f.is_done(a));
    f.requests.drop_group(group);
    f.assert_empty();
}

#[test]
fn a_call_that_waits_learns_that_its_group_was_canceled_though_that_is_dropped() {
    let mut f = Fixture::new();
    let group = f.group();
    f.requests.groups.set_limit(group, 1, &mut Wakers::new());
    f.requests.set_group_deadline(group, Some(f.now + SECOND));
    let a = f.member(group);
    let call = f.requests.open_call(&into(group), WhoWaits::Guest, &f.waker);
    f.cancel_group(group, End::Closed);
    f.requests.drop_group(group);
    assert!(!f.start(a) && f.error(a) == Some(CANCELED));
    assert_eq!(f.requests.refusal(&into(group), f.now), Some(Refusal::Canceled));
    let after = f.requests.close_call(call, None);
    f.carry_out(after);
    f.assert_empty();
}
