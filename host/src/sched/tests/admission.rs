//! Calls on their way in: what they wait for, and who is told.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::super::fixture::{Bell, bell, block_on, budgets, submission, try_submit};
use super::super::work::Admission;
use super::super::{Budgets, Entrance, Membership, Refusal, WhenFull};
use super::*;
use crate::budget::Budget;

type In = Entrance<Answer>;

fn entrance(guest: &Guest, bytes: usize) -> In {
    Entrance::new(guest, &submission(Manner::default()), None, bytes)
}

/// One of a call beside which others go on.
pub(super) fn task(guest: &Guest, bytes: usize) -> In {
    Entrance::new(guest, &submission(Manner::default()), Some(guest.memory().nothing()), bytes)
}

fn into(group: GroupId) -> Manner {
    Manner { group: Some(group), ..Manner::default() }
}

fn poll(entrance: &mut In, waker: &Waker) -> Poll<Result<Admission, Refusal>> {
    entrance.poll(&Context::from_waker(waker))
}

fn poll_once(entrance: &mut In) -> Poll<Result<Admission, Refusal>> {
    poll(entrance, Waker::noop())
}

fn is_refused(poll: &Poll<Result<Admission, Refusal>>, refusal: Refusal) -> bool {
    matches!(poll, Poll::Ready(Err(found)) if *found == refusal)
}

fn member(pool: &Arc<Pool<Answer>>, budgets: Budgets) -> Guest {
    Arc::new(Membership::new(pool, budgets, 1))
}

/// Work whose result holds so many bytes.
fn bytes(bytes: usize) -> Work<Answer> {
    Box::new(move |_| Flow::Done(Ok(Value::Bytes(bytes))))
}

/// Submits as many requests as the face `requests` would, all at once. Each is taken as soon as it is done.
pub(super) fn run_all(guest: &Guest, mut entrances: Vec<In>, work: fn() -> Work<Answer>) -> Vec<Answer> {
    let mut under_way: Vec<RequestId> = Vec::new();
    let mut answers = Vec::new();
    block_on(poll_fn(|cx| {
        entrances.retain_mut(|entrance| match entrance.poll(cx) {
            Poll::Pending => true,
            Poll::Ready(Err(refusal)) => {
                answers.push(Err(refusal.into()));
                false
            }
            Poll::Ready(Ok(admission)) => {
                let submitted = guest.submit(submission(Manner::default()), admission, work());
                under_way.push(submitted.map_err(|(refusal, ..)| refusal).expect("it was admitted"));
                false
            }
        });
        under_way.retain(|id| match guest.poll_take(*id, cx) {
            Poll::Pending => true,
            Poll::Ready(answer) => {
                answers.push(answer);
                false
            }
        });
        if entrances.is_empty() && under_way.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }));
    answers
}

/// 64 reads whose result may hold 16 MiB each.
#[test]
fn reads_that_might_be_large_wait_and_do_not_fail() {
    for (max, work) in [(256, small as fn() -> _), (256, large), (100, small), (16, small), (16, large)] {
        let pool = pool(4);
        let guest = guest_with(&pool, max);
        let answers = run_all(&guest, (0..64).map(|_| task(&guest, 16)).collect(), work);
        assert_eq!(answers.len(), 64);
        assert!(answers.iter().all(Result::is_ok), "{answers:?} of {max}");
        settle(&guest);
        assert_eq!(guest.memory().taken(), 0);
        drop(guest);
        assert_ends(&pool);
    }
}

fn small() -> Work<Answer> {
    bytes(1)
}

fn large() -> Work<Answer> {
    bytes(16)
}

/// The same, one after the other, by a guest that takes no result before it has submitted all.
#[test]
fn small_reads_that_might_be_large_wait_when_they_are_submitted() {
    let pool = pool(4);
    let guest = guest_with(&pool, 256);
    let ids: Vec<_> = (0..64).map(|_| try_submit(&guest, Manner::default(), 16, small())).collect();
    for id in ids {
        assert!(take(&guest, id.expect("it waits for others")).is_ok());
    }
    settle(&guest);
    assert_eq!(guest.memory().taken(), 0);
    drop(guest);
    assert_ends(&pool);
}

#[test]
fn a_request_that_needs_nothing_is_never_refused_when_the_books_are_full() {
    let pool = pool(1);
    let guest = guest_with(&pool, 100);
    let mut all = guest.memory().try_take(100).expect("there is room");
    for _ in 0..2 {
        let id = submit(&guest, done());
        assert!(take(&guest, id).is_ok());
        // What was done on the guest's own thread may go over the limit.
        all.count(50);
    }
    drop(all);
}

#[test]
fn a_call_that_waits_for_memory_that_nobody_can_give_back_fails() {
    let pool = pool(1);
    let guest = guest_with(&pool, 100);
    let all = guest.memory().try_take(100).expect("there is room");
    assert!(is_refused(&poll_once(&mut entrance(&guest, 1)), Refusal::Full), "nothing is on its way");
    let gate = run_gated(&guest);
    let (bell, waker) = bell();
    let mut waits = entrance(&guest, 1);
    assert!(poll(&mut waits, &waker).is_pending(), "something is");
    assert!(is_refused(&poll_once(&mut entrance(&guest, 101)), Refusal::Full), "there will never be as much");
    drop(gate);
    flush(&guest);
    let refused = block_on(poll_fn(|cx| waits.poll(cx)));
    assert_eq!(refused.expect_err("all is held still"), Refusal::Full);
    assert!(bell.rung() <= 1);
    drop(all);
    let admitted = poll_once(&mut entrance(&guest, 100));
    assert!(matches!(admitted, Poll::Ready(Ok(_))));
}

#[test]
fn calls_that_wait_in_greater_numbers_than_may_be_fail() {
    let pool = pool(1);
    let guest = member(&pool, Budgets { places: Budget::new(1), calls: Budget::new(2), ..budgets(100) });
    let gate = run_gated(&guest);
    let mut waiting = [entrance(&guest, 0), entrance(&guest, 0)];
    assert!(waiting.iter_mut().all(|entrance| poll_once(entrance).is_pending()));
    let mut third = entrance(&guest, 0);
    assert!(is_refused(&poll_once(&mut third), Refusal::Full));
    let [first, second] = waiting;
    drop(first);
    assert!(poll_once(&mut third).is_pending(), "one of them has gone away");
    drop((gate, second));
    assert!(block_on(poll_fn(|cx| third.poll(cx))).is_ok());
}

#[test]
fn a_call_that_is_not_to_wait_fails() {
    let pool = pool(1);
    let guest = member(&pool, Budgets { places: Budget::new(1), ..budgets(100) });
    let _gate = run_gated(&guest);
    let manner = Manner { when_full: WhenFull::Fail, ..Manner::default() };
    let mut entrance = Entrance::new(&guest, &submission(manner), None, 0);
    assert!(is_refused(&poll_once(&mut entrance), Refusal::Full));
    assert_eq!(guest.account().budgets.calls.taken(), 0);
}

/// Two calls that wait for the same. The first one is told, and goes away.
fn passes_on(one: In, other: In, gives_back: impl FnOnce()) {
    let ((first, first_waker), (second, second_waker)) = (bell(), bell());
    let (mut one, mut other) = (one, other);
    assert!(poll(&mut one, &first_waker).is_pending() && poll(&mut other, &second_waker).is_pending());
    gives_back();
    assert_eq!((first.rung(), second.rung()), (1, 0));
    drop(one);
    assert_eq!(second.rung(), 1);
    assert!(matches!(poll(&mut other, &second_waker), Poll::Ready(Ok(_))));
}

#[test]
fn a_call_that_was_told_and_goes_away_passes_its_turn_on() {
    let pool = pool(1);
    let guest = member(&pool, Budgets { places: Budget::new(3), ..budgets(100) });
    // Something is on its way all the time.
    let gate = run_gated(&guest);
    let [one, other] = [(); 2].map(|()| guest.account().budgets.places.try_take(1).expect("there is room"));
    passes_on(task(&guest, 0), task(&guest, 0), || drop(one));
    drop(other);
    let memory = guest.memory().try_take(100).expect("there is room");
    passes_on(task(&guest, 100), task(&guest, 100), || drop(memory));
    let group = guest.create_group(1).expect("there is room");
    guest.set_group_limit(group, 1);
    let member = submit_in(&guest, into(group), done());
    let of_group = || Entrance::new(&guest, &submission(into(group)), Some(guest.memory().nothing()), 0);
    passes_on(of_group(), of_group(), || guest.cancel(member));
    drop(gate);
}

/// Tasks that were told of something do not take it while their guest waits in a call that holds up all of it.
#[test]
fn a_call_that_holds_up_its_guest_waited_for_what_tasks_were_told_of() {
    let pool = pool(1);
    let guest = member(&pool, Budgets { places: Budget::new(3), ..budgets(100) });
    let _gate = run_gated(&guest);
    let [one, other] = [(); 2].map(|()| guest.account().budgets.places.try_take(1).expect("there is room"));
    holds_up(task(&guest, 0), entrance(&guest, 0), || drop(one));
    drop(other);
    let memory = guest.memory().try_take(100).expect("there is room");
    holds_up(task(&guest, 100), entrance(&guest, 100), || drop(memory));
    let group = guest.create_group(1).expect("there is room");
    guest.set_group_limit(group, 1);
    let member = submit_in(&guest, into(group), done());
    let of_group = |held| Entrance::new(&guest, &submission(into(group)), held, 0);
    holds_up(of_group(Some(guest.memory().nothing())), of_group(None), || guest.cancel(member));
}

fn holds_up(mut task: In, mut call: In, gives_back: impl FnOnce()) {
    let (told, waker) = bell();
    assert!(poll_once(&mut task).is_pending() && poll(&mut call, &waker).is_pending());
    gives_back();
    assert_eq!(told.rung(), 1);
    assert!(matches!(poll(&mut call, &waker), Poll::Ready(Ok(_))));
}

#[test]
fn a_call_learns_that_its_group_was_canceled_while_it_waits() {
    let pool = pool(1);
    let guest = guest(&pool);
    let group = guest.create_group(1).expect("there is room");
    guest.set_group_limit(group, 1);
    let gate = run_gated(&guest);
    let member = submit_in(&guest, into(group), done());
    let (bell, waker) = bell();
    let mut waits = Entrance::new(&guest, &submission(into(group)), None, 0);
    assert!(poll(&mut waits, &waker).is_pending());
    guest.cancel_group(group, super::super::End::Closed);
    guest.drop_group(group);
    assert!(take(&guest, member).is_err());
    drop(gate);
    assert!(bell.rung() > 0);
    assert!(is_refused(&poll(&mut waits, &waker), Refusal::Canceled));
}

/// Another guest holds what is above. This one is told when it gives that back, and not before.
#[test]
fn a_call_that_waits_for_what_another_guest_has_is_left_alone_until_then() {
    let pool = pool(2);
    let engine = Budget::new(1000);
    let member = |_| member(&pool, Budgets { memory: engine.below(500), ..budgets(0) });
    let [guest, other, third] = [(); 3].map(member);
    let gate = run_gated(&guest);
    let held = other.memory().try_take(500).expect("there is room");
    let most = third.memory().try_take(380).expect("there is room");
    let bells: Vec<(Arc<Bell>, In)> = (0..3)
        .map(|_| {
            let (bell, waker) = bell();
            let mut entrance = task(&guest, 200);
            assert!(poll(&mut entrance, &waker).is_pending());
            assert!(poll(&mut entrance, &waker).is_pending());
            (bell, entrance)
        })
        .collect();
    assert!(bells.iter().all(|(bell, _)| bell.rung() == 0), "they wake each other");
    drop(held);
    let rung: Vec<usize> = bells.iter().map(|(bell, _)| bell.rung()).collect();
    assert_eq!(rung, [1, 1, 0]);
    drop((most, bells, gate));
}

#[test]
fn what_gives_back_waits_for_no_place_and_only_for_its_like() {
    let pool = pool(1);
    let guest = member(&pool, Budgets { places: Budget::new(2), ..budgets(100) });
    let gate = run_gated(&guest);
    submit(&guest, done());
    assert!(poll_once(&mut entrance(&guest, 0)).is_pending());
    let mut exits = Vec::new();
    for _ in 0..2 {
        let admission = poll_once(&mut entrance(&guest, 0).let_in());
        assert!(matches!(admission, Poll::Ready(Ok(_))));
        exits.push(admission);
    }
    assert!(poll_once(&mut entrance(&guest, 0).let_in()).is_pending(), "they too are bounded");
    exits.pop();
    assert!(matches!(poll_once(&mut entrance(&guest, 0).let_in()), Poll::Ready(Ok(_))));
    drop(gate);
}

/// Its drop asks the guest something, which takes the lock of its requests.
struct Asks(std::sync::Weak<Membership<Answer>>);

impl Drop for Asks {
    fn drop(&mut self) {
        if let Some(guest) = self.0.upgrade() {
            let _ = (guest.counters(), guest.priority());
        }
    }
}

#[test]
fn refused_and_canceled_work_is_not_dropped_under_the_lock() {
    let (sender, ended) = channel();
    std::thread::spawn(move || {
        let pool = pool(1);
        let guest = guest(&pool);
        let asks = || -> Work<Answer> {
            let asks = Asks(Arc::downgrade(&guest));
            Box::new(move |_| {
                let _ = &asks;
                Flow::Done(Ok(Value::Done))
            })
        };
        let group = guest.create_group(1).expect("there is room");
        let gate = run_gated(&guest);
        let admissions = [(); 2].map(|()| poll_once(&mut entrance(&guest, 0)));
        guest.cancel_group(group, super::super::End::Closed);
        for admission in admissions {
            let Poll::Ready(Ok(admission)) = admission else { panic!("there is room") };
            let refused = guest.submit(submission(into(group)), admission, asks());
            assert!(refused.is_err_and(|(refusal, ..)| refusal == Refusal::Canceled));
        }
        let id = submit(&guest, asks());
        guest.cancel(id);
        guest.discard(asks(), Some(guest.memory().nothing()));
        guest.drop_group(group);
        let (late, group) = submit_in_group(&guest, asks());
        expire(&guest, group);
        assert_eq!(take(&guest, late).expect_err("its time is up"), TIMED_OUT);
        submit(&guest, asks());
        drop(guest);
        drop(gate);
        assert_ends(&pool);
        sender.send(()).expect("the test waits for it");
    });
    ended.recv_timeout(LONG).expect("nothing waits for itself");
}
