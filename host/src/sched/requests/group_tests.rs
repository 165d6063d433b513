//! Groups of requests, step by step: no thread and no clock.

use super::tests::{Fixture, SECOND};
use super::*;
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

    fn outcome(&mut self, group: GroupId) -> Poll<Result<GroupOutcome>> {
        self.requests.groups.poll_outcome(group, &self.waker)
    }

    fn cancel_group(&mut self, group: GroupId, end: End) {
        self.requests.cancel_group(group, end).carry_out();
    }

    fn counts(&self, group: GroupId) -> [u64; 5] {
        let Counters { queued, running, done, failed, canceled } = self.requests.groups.counters(group);
        [queued, running, done, failed, canceled]
    }

    fn drop_group(&mut self, group: GroupId) {
        self.requests.groups.drop_handle(group);
    }
}

fn outcome(done: u64, failed: u64, canceled: u64, first: Option<(RequestId, Error)>) -> Poll<Result<GroupOutcome>> {
    let first_failure = first.map(|(id, error)| Failure { id: id.value(), error });
    Poll::Ready(Ok(GroupOutcome { done, failed, canceled, first_failure }))
}

#[test]
fn a_group_waits_for_its_members_and_says_which_failed_first() {
    let mut f = Fixture::new(8, 100);
    let group = f.group();
    assert_eq!(f.outcome(group), outcome(0, 0, 0, None), "an empty group is done");
    let (a, b, c) = (f.member(group), f.member(group), f.member(group));
    assert!(f.outcome(group).is_pending());
    assert_eq!(f.counts(group), [3, 0, 0, 0, 0]);
    f.run(a);
    assert!(f.start(b) && f.start(c));
    assert_eq!(f.counts(group), [0, 2, 1, 0, 0]);
    f.finish(c, Err(Error::EXIST));
    assert_eq!(f.wakeups(), 0, "nobody is told before all are done");
    f.finish(b, Err(Error::IO));
    assert_eq!(f.wakeups(), 1);
    assert_eq!(f.outcome(group), outcome(1, 2, 0, Some((c, Error::EXIST))));
    // The group can go on, and results are still to be had.
    let d = f.member(group);
    assert!(f.outcome(group).is_pending());
    f.run(d);
    assert_eq!(f.outcome(group), outcome(2, 2, 0, Some((c, Error::EXIST))));
    assert_eq!(f.error(b), Some(Error::IO));
    for id in [a, c, d] {
        assert!(f.take(id).is_ready());
    }
    f.drop_group(group);
    f.assert_empty();
}

#[test]
fn a_request_is_added_as_it_is_and_only_once() {
    let mut f = Fixture::new(8, 100);
    let (group, other) = (f.group(), f.group());
    let (queued, running, done, failed, taken) = (f.submit(), f.submit(), f.submit(), f.submit(), f.submit());
    assert!(f.start(running) && f.start(failed));
    f.finish(failed, Err(Error::IO));
    f.run(done);
    f.run(taken);
    assert!(f.take(taken).is_ready());
    for id in [queued, running, done, failed, taken] {
        assert_eq!(f.requests.add_to_group(group, id), Ok(()));
    }
    assert_eq!(f.requests.add_to_group(other, queued), Err(Error::EXIST));
    assert_eq!(f.counts(group), [1, 1, 2, 1, 0]);
    f.finish(running, Ok(Output::Done));
    f.run(queued);
    assert_eq!(f.outcome(group), outcome(4, 1, 0, Some((failed, Error::IO))));
    assert_eq!(f.counts(other), [0; 5]);
    for id in [queued, running, done, failed] {
        assert!(f.take(id).is_ready());
    }
    f.drop_group(group);
    f.drop_group(other);
    f.assert_empty();
}

#[test]
fn a_canceled_group_cancels_its_members_and_takes_no_more() {
    let mut f = Fixture::new(8, 100);
    let (group, sub) = (f.group(), f.group());
    assert_eq!(f.requests.groups.add_group(group, sub), Ok(()));
    let (queued, running, done) = (f.member(group), f.member(sub), f.member(sub));
    let (other, free) = (f.submit(), f.submit());
    assert!(f.start(running));
    f.run(done);
    assert!(f.outcome(group).is_pending() && f.outcome(sub).is_pending());
    f.cancel_group(group, End::Closed);
    assert!(f.wakeups() > 0);
    assert_eq!((f.outcome(group), f.outcome(sub)), (Poll::Ready(Err(Error::CANCELED)), Poll::Ready(Err(Error::CANCELED))));
    assert_eq!((f.error(queued), f.error(running)), (Some(Error::CANCELED), Some(Error::CANCELED)));
    assert!(matches!(f.take(done), Poll::Ready(Ok(_))), "what was done stays done");
    assert_eq!(f.submit_in(into(sub)), Err(Error::CANCELED));
    assert_eq!(f.requests.add_to_group(sub, free), Err(Error::CANCELED));
    f.run(other);
    f.run(free);
    assert_eq!(f.counts(group), [0, 1, 1, 0, 1], "one still runs");
    f.finish(running, Ok(Output::Done));
    assert_eq!(f.counts(group), [0, 0, 1, 0, 2]);
    assert!(!f.start(queued) && f.take(other).is_ready() && f.take(free).is_ready());
    f.drop_group(sub);
    f.drop_group(group);
    f.assert_empty();
}

#[test]
fn cancel_subs_keeps_the_group() {
    let mut f = Fixture::new(8, 100);
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
    f.drop_group(group);
    f.drop_group(sub);
    f.assert_empty();
}

#[test]
fn a_group_is_never_in_itself_nor_in_two() {
    let mut f = Fixture::new(8, 100);
    let (a, b, c) = (f.group(), f.group(), f.group());
    let groups = &mut f.requests.groups;
    assert_eq!(groups.add_group(a, a), Err(Error::DEADLOCK));
    assert_eq!(groups.add_group(a, b), Ok(()));
    assert_eq!(groups.add_group(b, c), Ok(()));
    assert_eq!(groups.add_group(c, a), Err(Error::DEADLOCK));
    assert_eq!(groups.add_group(a, c), Err(Error::EXIST));
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
    assert_eq!(groups.add_group(one_too_many, top), Err(Error::OVERFLOW));
    for group in above.into_iter().chain([one_too_many, a, b, c]) {
        f.drop_group(group);
    }
    f.assert_empty();
}

#[test]
fn what_was_in_a_group_before_counts_above_it_too() {
    let mut f = Fixture::new(8, 100);
    let (group, sub) = (f.group(), f.group());
    let (a, b) = (f.member(sub), f.member(sub));
    assert!(f.start(a));
    f.finish(a, Err(Error::IO));
    assert_eq!(f.requests.groups.add_group(group, sub), Ok(()));
    assert_eq!(f.counts(group), [1, 0, 0, 1, 0]);
    assert!(f.outcome(group).is_pending());
    f.run(b);
    assert_eq!(f.outcome(group), outcome(1, 1, 0, Some((a, Error::IO))));
    assert!(f.take(a).is_ready() && f.take(b).is_ready());
    f.drop_group(sub);
    f.drop_group(group);
    f.assert_empty();
}

#[test]
fn a_limit_holds_for_all_that_is_in_a_group_and_wakes_those_who_wait() {
    let mut f = Fixture::new(8, 100);
    let (group, sub) = (f.group(), f.group());
    assert_eq!(f.requests.groups.add_group(group, sub), Ok(()));
    f.requests.groups.set_limit(group, 2, &mut Vec::new());
    let (a, b) = (f.member(group), f.member(sub));
    assert!(f.place(Manner::default()).is_ready(), "others go on");
    assert!(f.place(into(sub)).is_pending());
    assert_eq!(f.place(Manner { when_full: WhenFull::Fail, ..into(group) }), Poll::Ready(Err(Error::WOULD_BLOCK)));
    f.run(a);
    assert!(f.wakeups() > 0 && f.place(into(sub)).is_ready());
    let c = f.member(sub);
    assert!(f.place(into(sub)).is_pending());
    let mut wakers = Vec::new();
    f.requests.groups.set_limit(group, 0, &mut wakers);
    assert!(!wakers.is_empty() && f.place(into(sub)).is_ready());
    f.run(b);
    f.run(c);
    for id in [a, b, c] {
        assert!(f.take(id).is_ready());
    }
    f.drop_group(sub);
    f.drop_group(group);
    f.assert_empty();
}

#[test]
fn wait_below_is_told_when_few_enough_are_in_flight() {
    let mut f = Fixture::new(8, 100);
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
    let mut f = Fixture::new(8, 100);
    let (group, sub) = (f.group(), f.group());
    assert_eq!(f.requests.groups.add_group(group, sub), Ok(()));
    f.requests.set_group_deadline(group, Some(f.now + SECOND));
    let (done, late) = (f.member(sub), f.member(sub));
    f.run(done);
    assert!(f.outcome(group).is_pending());
    f.pass(SECOND);
    assert!(f.wakeups() > 0);
    assert_eq!((f.outcome(group), f.error(late)), (Poll::Ready(Err(Error::TIMED_OUT)), Some(Error::TIMED_OUT)));
    assert_eq!(f.submit_in(into(sub)), Err(Error::TIMED_OUT));
    f.requests.set_group_deadline(group, None);
    let again = f.member(sub);
    f.run(again);
    assert_eq!(f.outcome(group), outcome(2, 1, 0, Some((late, Error::TIMED_OUT))));
    assert!(!f.start(late) && f.take(again).is_ready() && f.take(done).is_ready());
    // A deadline that comes when all is done harms nobody.
    f.requests.set_group_deadline(group, Some(f.now + SECOND));
    f.pass(SECOND);
    assert!(matches!(f.outcome(group), Poll::Ready(Ok(_))));
    f.drop_group(sub);
    f.drop_group(group);
    f.assert_empty();
}

#[test]
fn a_group_outlives_its_handle_while_it_has_members() {
    let mut f = Fixture::new(8, 100);
    let (group, sub) = (f.group(), f.group());
    assert_eq!(f.requests.groups.add_group(group, sub), Ok(()));
    let id = f.member(sub);
    f.drop_group(sub);
    f.run(id);
    assert_eq!(f.outcome(group), outcome(1, 0, 0, None));
    f.drop_group(group);
    assert!(f.take(id).is_ready());
    f.assert_empty();
}

#[test]
fn priorities_come_from_the_request_then_its_group_then_the_guest() {
    let mut f = Fixture::new(8, 100);
    let (group, sub) = (f.group(), f.group());
    assert_eq!(f.requests.groups.add_group(group, sub), Ok(()));
    f.requests.set_priority(Priority::clamped(-1));
    f.requests.groups.set_priority(group, Priority::clamped(2));
    let mut priority = |manner| {
        let submission = Submission { name: "nop", origin: Origin::Call, bytes: 0, manner };
        f.requests.submit(submission, Box::new(|_| Ok(Output::Done).into()), f.now).map(|(_, priority)| priority.value())
    };
    assert_eq!(priority(Manner::default()), Ok(-1));
    assert_eq!(priority(into(sub)), Ok(2));
    assert_eq!(priority(Manner { priority: Some(Priority::default()), ..into(sub) }), Ok(0));
}

#[test]
fn the_progress_of_a_group_is_that_of_its_members_together() {
    let mut f = Fixture::new(8, 100);
    let group = f.group();
    let (a, b) = (f.member(group), f.member(group));
    for (id, bytes) in [(a, 10), (b, 5)] {
        let (started, after) = f.requests.start(id, f.now);
        after.carry_out();
        started.expect("it is queued").steps.advance(bytes, 1);
    }
    f.finish(a, Ok(Output::Done));
    assert!(f.take(a).is_ready());
    assert_eq!(f.requests.progress(b), Progress { bytes: 5, names: 1 });
    assert_eq!(f.requests.group_progress(group), Progress { bytes: 15, names: 2 });
}
