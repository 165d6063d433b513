//! Guests for `tests/stress.rs` of the host: many requests in groups, taken back and late at random, and ends of every kind.
//!
//! All of these requests go to the workers, so that the engine's own counters have each of them.

use crate::bindings::aiohost::aio::control::{self, WhenFull};
use crate::bindings::aiohost::aio::types::{Counters, ErrorCode, File, Group, LockKind, OpenFlags, Outcome, Request};
use crate::bindings::aiohost::aio::{blocking, submit};
use crate::random::Random;

/// Batches of requests before a guest ends; half of them before it traps, or is late.
const BATCHES: u64 = 8;

pub fn run(how: &str, seed: u64) {
    match how {
        "walk" => walk_canceled_half_way(),
        "flood" => flood(seed),
        "look" => look(),
        _ => batches(how, seed),
    }
}

fn batches(how: &str, seed: u64) {
    let random = &mut Random(seed);
    let file = fixture();
    for number in 0.. {
        match how {
            "trap" if number == BATCHES / 2 => {
                let _under_way: Vec<_> = (0..50).map(|_| request(random, &file)).collect();
                panic!("the guest traps");
            }
            "late" if number == BATCHES / 2 => control::set_guest_deadline(Some(2)),
            // The host cuts this one off.
            "go-on" => {}
            _ if number == BATCHES => break,
            _ => {}
        }
        batch(random, &file);
    }
    // One that ends cleanly leaves nothing; the others leave it to the host.
    if how == "end" {
        control::flush();
        while in_flight(&control::count()) > 0 {}
    }
}

fn in_flight(counters: &Counters) -> u64 {
    counters.queued + counters.running
}

fn create(name: &str) -> Result<File, ErrorCode> {
    let flags = OpenFlags::WRITE | OpenFlags::CREATE;
    blocking::open(None, name, flags, 0o666).map_err(|error| error.code)
}

/// A directory to copy, and a file that is locked.
fn fixture() -> File {
    for path in ["tree", "tree/a", "tree/a/b"] {
        blocking::mkdir(None, path, 0o777).expect("it is new");
    }
    for path in ["tree/one", "tree/a/two", "tree/a/b/three"] {
        let file = create(path).expect("it is new");
        blocking::write(&file, Some(0), &[7; 3000]).expect("it can be written");
    }
    let locked = create("locked").expect("it is new");
    blocking::lock(&locked, LockKind::Exclusive, 0, 0, false).expect("nobody else has it");
    locked
}

/// Some requests in a group, and in one in it.
fn batch(random: &mut Random, file: &File) {
    let (top, sub) = (Group::new(), Group::new());
    top.add_group(&sub).expect("both are new");
    top.set_limit(u32::try_from(random.below(20)).expect("it is small"));
    sub.set_priority(i8::try_from(random.below(9)).expect("it is small") - 4);
    if random.percent(20) {
        top.set_deadline(Some(random.below(4)));
    }
    let waiter = create("locked").ok();
    let mut requests = Vec::new();
    let mut locks = Vec::new();
    for _ in 0..10 + random.below(30) {
        manner(random, [&top, &sub]);
        requests.push(request(random, file));
        if let Some(waiter) = waiter.as_ref().filter(|_| random.percent(5)) {
            // It never has the lock; without a deadline, the others could wait for its place for ever.
            control::next(None, Some(random.below(4)), Some(&sub), WhenFull::Fail);
            let lock = submit::lock(waiter, LockKind::Exclusive, 0, 0, true);
            locks.push(lock);
        }
    }
    match random.below(6) {
        0 => top.cancel(),
        1 => top.cancel_subs(),
        2 => sub.cancel(),
        _ => {}
    }
    finish(random, requests);
    locks.iter().for_each(Request::cancel);
    if random.percent(50) {
        let _ended = top.wait();
    }
}

/// How the next request is carried out.
fn manner(random: &mut Random, groups: [&Group; 2]) {
    let priority = random.percent(30).then(|| i8::try_from(random.below(11)).expect("it is small") - 5);
    let deadline = random.percent(10).then(|| random.below(3));
    let group = match random.below(3) {
        0 => None,
        1 => Some(groups[0]),
        _ => Some(groups[1]),
    };
    let when_full = if random.percent(10) { WhenFull::Fail } else { WhenFull::Wait };
    control::next(priority, deadline, group, when_full);
}

fn request(random: &mut Random, file: &File) -> Request {
    let mut name = || format!("x-{}", random.below(12));
    let (one, other) = (name(), name());
    match random.below(50) {
        0 => submit::store(None, &one, &[1; 5000], 0o666),
        1..6 => submit::mkdir(None, &one, 0o777),
        6..9 => submit::rmdir(None, &one),
        9..14 => submit::copy(None, "tree/one", None, &one),
        14..19 => submit::copy_tree(None, "tree", None, &one, 0),
        19..23 => submit::rmtree(None, &one, 0),
        23..26 => submit::rename(None, &one, None, &other),
        26..30 => submit::readdir(None, "."),
        30..34 => submit::scandir(None, &one, 0),
        34..40 => submit::open(None, &one, OpenFlags::WRITE | OpenFlags::CREATE, 0o666),
        40..44 => submit::write(file, Some(random.below(100_000)), &[2; 700]),
        _ => submit::nop(),
    }
}

/// Takes results, gives handles up, and takes requests back.
fn finish(random: &mut Random, requests: Vec<Request>) {
    for request in requests {
        match random.below(10) {
            0..2 => request.cancel(),
            2 => {}
            _ => drop(request.wait()),
        }
    }
}

/// Files of a tree are read in a group, which is canceled half-way.
fn walk_canceled_half_way() {
    let group = Group::new();
    group.set_limit(64);
    let folders = blocking::scandir(None, ".", 0).expect("it can be read").directories;
    let half = folders.len() / 2;
    let mut totals = [0_u64; 2];
    let mut submitted = 0;
    for (number, folder) in folders.iter().enumerate() {
        let names = blocking::readdir(None, folder).expect("it can be read");
        let read = |name: &String| {
            control::next(None, None, Some(&group), WhenFull::Wait);
            let request = submit::load(None, &format!("{folder}/{name}"));
            assert!(in_flight(&group.count()) <= 64);
            request
        };
        let requests: Vec<Request> = names.iter().map(read).collect();
        submitted += requests.len() as u64;
        if number + 1 == half {
            // As many as may be are under way.
            group.cancel();
        }
        for request in requests {
            match request.wait() {
                Ok(Outcome::Data(_)) => totals[0] += 1,
                Err(error) if error.code == ErrorCode::Canceled => totals[1] += 1,
                other => panic!("{folder}: {other:?}"),
            }
        }
    }
    while in_flight(&group.count()) > 0 {}
    let counters = group.count();
    println!("of {submitted} files: {counters:?}");
    assert_eq!([counters.done, counters.canceled], totals);
    assert_eq!((counters.failed, counters.done + counters.canceled), (0, submitted));
    assert!(counters.done > 0 && counters.canceled >= submitted / 2, "{counters:?}");
}

/// Makes a worker busy, and queues thousands of requests behind.
fn flood(count: u64) {
    let busy = submit::busy(300);
    while control::count().running == 0 {}
    let requests: Vec<Request> = (0..count).map(|number| submit::mkdir(None, &format!("flood-{number}"), 0o777)).collect();
    for request in requests.into_iter().chain([busy]) {
        request.wait().expect("it can be done");
    }
}

/// A single request, which sees how much of the flood was done before it, and a second one to tell.
fn look() {
    let names = blocking::readdir(None, ".").expect("it can be read");
    let seen = names.iter().filter(|name| name.starts_with("flood-")).count();
    blocking::mkdir(None, &format!("seen-{seen}"), 0o777).expect("it is new");
}
