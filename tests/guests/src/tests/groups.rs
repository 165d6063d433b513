//! Groups on the face `submit`, where requests have handles.

use super::tests;
use crate::bindings::aiohost::aio::control::{self, Counters, WhenFull};
use crate::bindings::aiohost::aio::submit;
use crate::bindings::aiohost::aio::types::{Group, GroupOutcome};
use crate::check::{create, exists, fails, works};
use crate::face::{ErrorCode, Face, Outcome, Request};

tests!(
    group_wait,
    group_add,
    group_add_group,
    group_cancel,
    group_cancel_subs,
    group_set_limit,
    group_wait_below,
    group_set_deadline,
    group_set_priority,
    group_count,
    group_progress,
    request_progress,
    group_walk_canceled_half_way,
    deadline_of_a_request,
    when_full_fails,
);

/// Sets the group of the next request, and nothing else.
fn into(group: &Group) {
    control::next(None, None, Some(group), WhenFull::Wait);
}

fn member(group: &Group, request: impl FnOnce() -> Request) -> Request {
    into(group);
    request()
}

fn counts(counters: &Counters) -> [u64; 5] {
    [counters.queued, counters.running, counters.done, counters.failed, counters.canceled]
}

#[track_caller]
fn came_to(group: &Group, expected: (u64, u64, u64)) -> GroupOutcome {
    let outcome = works(group.wait());
    assert_eq!((outcome.done, outcome.failed, outcome.canceled), expected);
    outcome
}

async fn group_wait<F: Face>() {
    let group = Group::new();
    came_to(&group, (0, 0, 0));
    let requests: Vec<Request> =
        (0..20).map(|number| member(&group, || submit::mkdir(None, &format!("dir-{number}"), 0o777))).collect();
    // Not a member: `next` is for one request.
    let other = submit::nop();
    let bad = member(&group, || submit::stat(None, "missing"));
    let outcome = came_to(&group, (20, 1, 0));
    let failure = outcome.first_failure.expect("one failed");
    assert_eq!((failure.id, failure.error.code), (bad.id(), ErrorCode::NoEntry));
    assert_eq!(counts(&group.count()), [0, 0, 20, 1, 0]);
    // Results are still there, and so is what they did.
    for (number, request) in requests.iter().enumerate() {
        assert!(exists::<F>(&format!("dir-{number}")).await);
        assert!(matches!(works(request.wait()), Outcome::Done));
    }
    fails(bad.wait(), ErrorCode::NoEntry);
    works(other.wait());
    // It goes on, also when handles are dropped at once; an argument that is wrong is a failure like any.
    drop(member(&group, submit::nop));
    drop(member(&group, || submit::stat(None, "nul\0")));
    came_to(&group, (21, 2, 0));
}

async fn group_add<F: Face>() {
    let (group, other) = (Group::new(), Group::new());
    let (fresh, done, failed, taken) = (submit::nop(), submit::nop(), submit::stat(None, "missing"), submit::nop());
    works(taken.wait());
    control::flush();
    for request in [&fresh, &done, &failed, &taken] {
        works(group.add(request));
    }
    fails(other.add(&fresh), ErrorCode::Exist);
    fails(group.add(&fresh), ErrorCode::Exist);
    let outcome = came_to(&group, (3, 1, 0));
    assert_eq!(outcome.first_failure.map(|failure| failure.id), Some(failed.id()));
    assert_eq!(counts(&other.count()), [0; 5]);
    // Under way when it is added.
    let requests: Vec<Request> = (0..100).map(|_| submit::nop()).collect();
    requests.iter().for_each(|request| works(other.add(request)));
    came_to(&other, (100, 0, 0));
}

async fn group_add_group<F: Face>() {
    let (top, middle, leaf) = (Group::new(), Group::new(), Group::new());
    fails(top.add_group(&top), ErrorCode::Deadlock);
    works(middle.add_group(&leaf));
    let early = member(&leaf, || submit::stat(None, "missing"));
    works(top.add_group(&middle));
    fails(leaf.add_group(&top), ErrorCode::Deadlock);
    fails(top.add_group(&leaf), ErrorCode::Exist);
    let late: Vec<Request> = (0..10).map(|_| member(&leaf, submit::nop)).collect();
    let outcome = came_to(&top, (10, 1, 0));
    assert_eq!(outcome.first_failure.map(|failure| failure.id), Some(early.id()));
    came_to(&leaf, (10, 1, 0));
    drop((leaf, late));
    came_to(&middle, (10, 1, 0));
    // Sixteen can be nested, and no more.
    let mut chain = vec![top, middle];
    let end = loop {
        let above = Group::new();
        match above.add_group(&chain[0]) {
            Ok(()) => chain.insert(0, above),
            Err(error) => break error,
        }
    };
    assert_eq!((end.code, chain.len()), (ErrorCode::Overflow, 15), "and the leaf that was dropped");
}

async fn group_cancel<F: Face>() {
    let (group, sub) = (Group::new(), Group::new());
    works(group.add_group(&sub));
    let requests: Vec<Request> = (0..200)
        .map(|number| {
            let group = if number % 2 == 0 { &group } else { &sub };
            member(group, || submit::mkdir(None, &format!("dir-{number}"), 0o777))
        })
        .collect();
    let other = submit::nop();
    group.cancel();
    group.cancel();
    fails(group.wait(), ErrorCode::Canceled);
    fails(sub.wait(), ErrorCode::Canceled);
    works(other.wait());
    for (number, request) in requests.iter().enumerate() {
        match request.wait() {
            Ok(_) => assert!(exists::<F>(&format!("dir-{number}")).await),
            result => fails(result, ErrorCode::Canceled),
        }
    }
    // No more members; what was to be one is canceled, or goes on without it.
    fails(member(&sub, submit::nop).wait(), ErrorCode::Canceled);
    let free = submit::nop();
    fails(group.add(&free), ErrorCode::Canceled);
    fails(group.add_group(&Group::new()), ErrorCode::Canceled);
    works(free.wait());
    let [queued, running, done, failed, canceled] = counts(&group.count());
    assert_eq!((queued, failed, running + done + canceled), (0, 0, 201));
}

async fn group_cancel_subs<F: Face>() {
    let (group, sub) = (Group::new(), Group::new());
    works(group.add_group(&sub));
    let requests: Vec<Request> = (0..100).map(|_| member(&sub, submit::nop)).collect();
    group.cancel_subs();
    let outcome = works(group.wait());
    assert_eq!((outcome.done + outcome.canceled, outcome.failed), (100, 0));
    let canceled = requests.iter().filter(|request| request.wait().is_err()).count();
    assert_eq!(outcome.canceled, canceled as u64);
    works(member(&sub, submit::nop).wait());
    came_to(&group, (outcome.done + 1, 0, outcome.canceled));
}

async fn group_set_limit<F: Face>() {
    let (group, sub) = (Group::new(), Group::new());
    works(group.add_group(&sub));
    group.set_limit(3);
    let mut requests = Vec::new();
    for number in 0..300 {
        let group = if number % 2 == 0 { &group } else { &sub };
        requests.push(member(group, submit::nop));
        let counters = control::count();
        assert!(counters.queued + counters.running <= 3, "{counters:?}");
    }
    came_to(&group, (300, 0, 0));
    group.set_limit(0);
    requests.extend((0..300).map(|_| member(&group, submit::nop)));
    came_to(&group, (600, 0, 0));
    assert_eq!(requests.iter().filter(|request| request.wait().is_err()).count(), 0);
}

async fn group_wait_below<F: Face>() {
    let group = Group::new();
    assert_eq!(group.wait_below(1), 0);
    let mut requests = Vec::new();
    for _ in 0..200 {
        assert!(group.wait_below(4) < 4);
        requests.push(member(&group, submit::nop));
    }
    assert_eq!(group.wait_below(0), 0, "0 is taken as 1");
    assert_eq!(counts(&group.count()), [0, 0, 200, 0, 0]);
}

async fn group_set_deadline<F: Face>() {
    let group = Group::new();
    let early = member(&group, submit::nop);
    came_to(&group, (1, 0, 0));
    group.set_deadline(Some(0));
    let late = member(&group, submit::nop);
    fails(late.wait(), ErrorCode::TimedOut);
    works(early.wait());
    group.set_deadline(Some(u64::MAX));
    works(member(&group, submit::nop).wait());
    group.set_deadline(Some(0));
    group.set_deadline(None);
    works(member(&group, submit::nop).wait());
    came_to(&group, (3, 1, 0));
}

/// Requests of every priority are done; the order is a matter of the host's own tests.
async fn group_set_priority<F: Face>() {
    let groups: Vec<Group> = (-4..=4)
        .map(|priority| {
            let group = Group::new();
            group.set_priority(priority);
            group
        })
        .collect();
    let requests: Vec<Request> = (0..900).map(|number| member(&groups[number % 9], submit::nop)).collect();
    for group in &groups {
        came_to(group, (100, 0, 0));
    }
    assert_eq!(requests.iter().filter(|request| request.wait().is_err()).count(), 0);
}

async fn group_count<F: Face>() {
    let group = Group::new();
    assert_eq!(counts(&group.count()), [0; 5]);
    let requests: Vec<Request> = (0..50).map(|_| member(&group, submit::nop)).collect();
    for _ in 0..50 {
        let counters = group.count();
        assert_eq!((counts(&counters).iter().sum::<u64>(), counters.failed, counters.canceled), (50, 0, 0));
    }
    works(group.wait());
    assert_eq!(counts(&group.count()), [0, 0, 50, 0, 0]);
    // What was taken, and what was given up, still counts.
    requests.iter().take(10).for_each(|request| drop(works(request.wait())));
    drop(requests);
    assert_eq!(counts(&group.count()), [0, 0, 50, 0, 0]);
}

/// While it runs, and no further than it has come.
async fn request_progress<F: Face>() {
    let size = 64 << 20;
    let input = create::<F>("input", b"").await;
    works(F::ftruncate(&input, size).await);
    let output = create::<F>("output", b"").await;
    let request = submit::sendfile(&output, Some(0), &input, 0, u64::MAX);
    let mut before = 0;
    while before < size {
        let progress = request.progress();
        assert!(progress.bytes >= before && progress.bytes <= size && progress.names == 0, "{progress:?}");
        before = progress.bytes;
    }
    works(request.wait());
    assert_eq!(request.progress().bytes, 0, "it is gone");
    let tree = submit::rmtree(None, "sub", 0);
    control::flush();
    assert!(tree.progress().names >= 4, "{:?}", tree.progress());
    works(tree.wait());
}

async fn group_progress<F: Face>() {
    let content = vec![7; 100_000];
    let input = create::<F>("input", &content).await;
    let output = create::<F>("output", b"").await;
    let (group, sub) = (Group::new(), Group::new());
    works(group.add_group(&sub));
    let request = member(&sub, || submit::sendfile(&output, Some(0), &input, 0, u64::MAX));
    came_to(&group, (1, 0, 0));
    assert_eq!((group.progress().bytes, request.progress().bytes), (100_000, 100_000));
}

/// A walk in a group, canceled half-way: every request is accounted for.
async fn group_walk_canceled_half_way<F: Face>() {
    let group = Group::new();
    group.set_limit(64);
    let mut requests = Vec::new();
    for number in 0..2000 {
        if number == 1000 {
            group.cancel();
        }
        requests.push(member(&group, || submit::readdir(None, "sub")));
    }
    fails(group.wait(), ErrorCode::Canceled);
    let (done, ended): (Vec<_>, Vec<_>) = requests.iter().map(Request::wait).partition(Result::is_ok);
    assert!(done.len() <= 1000 && ended.len() >= 1000, "{} done, {} canceled", done.len(), ended.len());
    ended.into_iter().for_each(|result| fails(result, ErrorCode::Canceled));
    // What was on a worker then counts when it is through.
    while group.count().running > 0 {}
    assert_eq!(counts(&group.count()), counts(&control::count()));
    let [queued, running, done_count, failed, canceled] = counts(&group.count());
    assert_eq!((queued, running, failed, done_count + canceled), (0, 0, 0, 2000));
    assert_eq!(done_count, done.len() as u64);
}

async fn deadline_of_a_request<F: Face>() {
    control::next(None, Some(0), None, WhenFull::Wait);
    let late = submit::mkdir(None, "never", 0o777);
    control::next(None, Some(60_000), None, WhenFull::Wait);
    let early = submit::nop();
    fails(late.wait(), ErrorCode::TimedOut);
    works(early.wait());
    assert!(!exists::<F>("never").await);
    assert_eq!(counts(&control::count())[3], 2, "the late one, and the lstat of what is not there");
}

async fn when_full_fails<F: Face>() {
    let group = Group::new();
    group.set_limit(1);
    // A request that takes longer than it takes to submit another: one of many attempts finds it on its way.
    let mut refused = 0;
    let mut attempts = 0;
    while refused == 0 {
        let first = member(&group, submit::nop);
        control::next(None, None, Some(&group), WhenFull::Fail);
        let second = submit::nop();
        works(first.wait());
        attempts += 2;
        if let Err(error) = second.wait() {
            assert_eq!(error.code, ErrorCode::WouldBlock);
            refused += 1;
        }
    }
    let outcome = works(group.wait());
    assert_eq!((outcome.done, outcome.failed), (attempts - 1, 1));
}
