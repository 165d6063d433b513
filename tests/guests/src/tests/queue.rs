//! What only `submit` has: many requests at a time, and `request` and `control` to deal with them.

use std::collections::BTreeSet;

use super::tests;
use crate::bindings::aiohost::aio::control::{self, Counters};
use crate::bindings::aiohost::aio::submit;
use crate::check::{create, dir, exists, fails, readable, works, writable};
use crate::face::{ErrorCode, Face, LockKind, OpenFlags, Outcome, Request};

tests!(
    request_id,
    request_wait,
    wait_any,
    wait_any_for,
    wait_any_without_requests,
    poll,
    flush,
    request_cancel,
    cancel_counts,
    many_in_flight,
    priority,
    walk_shared
);

/// Takes a result that has to be `done`.
#[track_caller]
fn done(request: &Request) {
    let outcome = works(request.wait());
    assert!(matches!(outcome, Outcome::Done), "{outcome:?}");
}

fn total(counters: &Counters) -> u64 {
    counters.queued + counters.running + counters.done + counters.failed + counters.canceled
}

async fn request_id<F: Face>() {
    let mut ids = BTreeSet::new();
    for _ in 0..1000 {
        let request = submit::nop();
        assert_ne!(request.id(), 0);
        assert_eq!(request.id(), request.id());
        assert!(ids.insert(request.id()), "an id came twice, though the first request is gone");
    }
}

async fn request_wait<F: Face>() {
    // In another order than they were submitted, with an error between them.
    let requests = [submit::nop(), submit::stat(None, "missing"), submit::stat(None, "digits")];
    let Outcome::Status(status) = works(requests[2].wait()) else { panic!("stat gives a status") };
    assert_eq!(status.size, 10);
    fails(requests[1].wait(), ErrorCode::NoEntry);
    done(&requests[0]);
    for request in &requests {
        fails(request.wait(), ErrorCode::Already);
        fails(request.wait(), ErrorCode::Already);
    }
}

async fn wait_any<F: Face>() {
    let requests: Vec<Request> =
        (0..50).map(|number| if number % 2 == 0 { submit::nop() } else { submit::stat(None, "missing") }).collect();
    // Neither one that was waited for, nor one whose handle is gone, is announced.
    done(&requests[0]);
    let mut expected: BTreeSet<u64> = requests[1..].iter().map(Request::id).collect();
    drop(submit::nop());
    while !expected.is_empty() {
        let ids = control::wait_any();
        assert!(!ids.is_empty(), "there are {} to come", expected.len());
        for id in ids {
            assert!(expected.remove(&id), "{id} came twice, or is not one of these");
        }
    }
    assert!(control::wait_any().is_empty());
    // The results are still to be taken.
    for (number, request) in requests.iter().enumerate().skip(1) {
        if number % 2 == 0 { done(request) } else { fails(request.wait(), ErrorCode::NoEntry) }
    }
    assert!(control::wait_any().is_empty());
}

async fn wait_any_for<F: Face>() {
    // There is none to wait for.
    assert!(control::wait_any_for(u64::MAX).is_empty());
    let request = submit::nop();
    assert_eq!(control::wait_any_for(u64::MAX), [request.id()]);
    done(&request);
    // One that is not done when the time is up is told of later.
    let (one, other) = (create::<F>("locked", b"").await, writable::<F>("locked").await);
    works(F::lock(&one, LockKind::Exclusive, 0, 0, false).await);
    let waiting = submit::lock(&other, LockKind::Exclusive, 0, 0, true);
    for time_ms in [0, 1, 10] {
        assert!(control::wait_any_for(time_ms).is_empty());
    }
    works(F::unlock(&one, 0, 0).await);
    assert_eq!(control::wait_any_for(u64::MAX), [waiting.id()]);
    done(&waiting);
}

/// It must not wait where nothing can come.
async fn wait_any_without_requests<F: Face>() {
    assert!(control::wait_any().is_empty());
    let request = submit::nop();
    done(&request);
    assert!(control::wait_any().is_empty());
    works(F::nop().await);
    assert!(control::wait_any().is_empty());
    drop(submit::nop());
    assert!(control::wait_any().is_empty());
}

async fn poll<F: Face>() {
    assert!(control::poll().is_empty());
    let request = submit::nop();
    // The host's time limit ends this if it never comes.
    let ids = loop {
        let ids = control::poll();
        if !ids.is_empty() {
            break ids;
        }
    };
    assert_eq!(ids, [request.id()]);
    assert!(control::poll().is_empty() && control::wait_any().is_empty());
    done(&request);
}

async fn flush<F: Face>() {
    control::flush();
    let requests: Vec<Request> = (0..100).map(|number| submit::mkdir(None, &format!("dir-{number}"), 0o777)).collect();
    control::flush();
    let counters = control::count();
    assert_eq!((counters.queued, counters.running, counters.done), (0, 0, 100));
    for (number, request) in requests.iter().enumerate() {
        assert!(exists::<F>(&format!("dir-{number}")).await);
        done(request);
    }
}

async fn request_cancel<F: Face>() {
    // Done already: nothing happens.
    let request = submit::stat(None, "digits");
    control::flush();
    request.cancel();
    assert!(matches!(works(request.wait()), Outcome::Status(_)));
    request.cancel();
    fails(request.wait(), ErrorCode::Already);

    // A request that came too late for it has its result; any other ends as canceled, once, and is announced like any.
    let requests: Vec<Request> = (0..200).map(|number| submit::mkdir(None, &format!("dir-{number}"), 0o777)).collect();
    let mut announced = BTreeSet::new();
    for request in requests.iter().rev() {
        request.cancel();
        request.cancel();
    }
    while let ids = control::wait_any()
        && !ids.is_empty()
    {
        announced.extend(ids);
    }
    assert_eq!(announced, requests.iter().map(Request::id).collect());
    for (number, request) in requests.iter().enumerate() {
        match request.wait() {
            Ok(Outcome::Done) => assert!(exists::<F>(&format!("dir-{number}")).await, "done, but there is no dir-{number}"),
            result => fails(result, ErrorCode::Canceled),
        }
        fails(request.wait(), ErrorCode::Already);
    }
    works(F::nop().await);
}

async fn cancel_counts<F: Face>() {
    let mut submitted = 0;
    for _ in 0..50 {
        let requests: Vec<Request> = (0..20).map(|_| submit::stat(None, "digits")).collect();
        submitted += 20;
        assert_eq!(total(&control::count()), submitted);
        requests[19].cancel();
        requests[0].cancel();
        assert_eq!(total(&control::count()), submitted);
        let canceled = requests.iter().filter(|request| request.wait().is_err()).count();
        assert!(canceled <= 2, "{canceled}");
        assert_eq!(total(&control::count()), submitted);
    }
}

async fn many_in_flight<F: Face>() {
    let numbers: Vec<u8> = (0..4096u32).flat_map(u32::to_le_bytes).collect();
    let file = create::<F>("numbers", &numbers).await;
    let requests: Vec<Request> = (0..4096).map(|number| submit::read(&file, Some(number * 4), 4)).collect();
    for (number, request) in (0..4096u32).zip(&requests) {
        let Outcome::Data(data) = works(request.wait()) else { panic!("a read gives data") };
        assert_eq!(data, number.to_le_bytes(), "each request gets its own bytes");
    }
    assert_eq!(control::count().failed, 0);
}

/// Requests of every priority are done, the lowest too.
async fn priority<F: Face>() {
    let sub = dir::<F>("sub").await;
    let file = readable::<F>("digits").await;
    let mut requests = Vec::new();
    for round in 0..100 {
        for priority in -4..=4 {
            control::set_priority(priority);
            requests.push(match round % 3 {
                0 => submit::stat(Some(&sub), "inner"),
                1 => submit::fsync(&file),
                _ => submit::open(None, "digits", OpenFlags::READ, 0),
            });
        }
    }
    control::flush();
    assert_eq!(requests.iter().filter(|request| request.wait().is_err()).count(), 0);
}

/// Several requests that go on with one walk: each entry comes to one of them.
async fn walk_shared<F: Face>() {
    let walker = works(F::walk(None, ".", 0, 2).await);
    let mut expected = Vec::new();
    while let entries = works(F::walk_next(&walker, 0).await)
        && !entries.is_empty()
    {
        expected.extend(entries.into_iter().map(|entry| entry.path));
    }
    let walker = works(F::walk(None, ".", 0, 2).await);
    let mut found = Vec::new();
    loop {
        let requests: Vec<Request> = (0..8).map(|_| submit::walk_next(&walker, 1)).collect();
        let before = found.len();
        for request in requests {
            let Outcome::Walked(entries) = works(request.wait()) else { panic!("walk-next gives what it found") };
            found.extend(entries.into_iter().map(|entry| entry.path));
        }
        if found.len() == before {
            break;
        }
    }
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}
