//! Guests side by side, for `host/benches/fairness.rs`: a modest one, which says how long its calls took, and hogs.

use std::time::{Duration, Instant};

use crate::bindings::aiohost::aio::control::{self, WhenFull};
use crate::bindings::aiohost::aio::types::{Group, LockKind, OpenFlags, Request};
use crate::bindings::aiohost::aio::{blocking, submit};

/// `modest SECONDS`, or `KIND SECONDS NUMBER`.
pub fn run(arguments: &[String]) {
    let time = Duration::from_secs(arguments[1].parse().expect("a number of seconds"));
    if arguments[0] == "modest" {
        return modest(time);
    }
    let name = format!("hog-{}", arguments[2]);
    blocking::mkdir(None, &name, 0o777).expect("it is new");
    let until = Instant::now() + time;
    while Instant::now() < until {
        hog(&arguments[0], &name, until);
    }
}

/// A stat and a nop in turn; prints the median, the 99th percentile and the longest of both, in microseconds.
fn modest(time: Duration) {
    blocking::store(None, "modest", b"x", 0o666).expect("there is room on the disk");
    let mut times: Vec<u128> = Vec::new();
    let until = Instant::now() + time;
    while Instant::now() < until {
        for call in 0..2 {
            let start = Instant::now();
            match call {
                0 => drop(blocking::stat(None, "modest").expect("it is there")),
                _ => blocking::nop().expect("nothing hinders it"),
            }
            times.push(start.elapsed().as_micros());
        }
        // It has nothing to do most of the time, as a guest that serves requests now and then.
        std::thread::sleep(Duration::from_micros(200));
    }
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    println!("{} {} {} {}", times.len(), at(50), at(99), times[times.len() - 1]);
}

fn hog(kind: &str, name: &str, until: Instant) {
    match kind {
        "copies" => copies(name),
        "fsyncs" => fsyncs(name),
        "timers" => timers(),
        "locks" => locks(name, until),
        "reads" => reads(name),
        "walks" => walks(name),
        "groups" => groups(),
        "drops" => drops(name),
        // What the machine does where the host is asked for nothing.
        "spins" => while Instant::now() < until {},
        other => panic!("no hog does {other}"),
    }
}

fn wait(requests: Vec<Request>) {
    requests.into_iter().for_each(|request| drop(request.wait()));
}

/// A file of 64 MiB, made once.
fn large(name: &str) -> String {
    let path = format!("{name}/large");
    if blocking::stat(None, &path).is_err() {
        let file = blocking::open(None, &path, OpenFlags::WRITE | OpenFlags::CREATE, 0o666).expect("it can be made");
        let piece = vec![7; 1 << 20];
        for number in 0..64 {
            blocking::write(&file, Some(number << 20), &piece).expect("there is room on the disk");
        }
    }
    path
}

fn copies(name: &str) {
    let _ = blocking::mkdir(None, &format!("{name}/tree"), 0o777);
    let large = large(&format!("{name}/tree"));
    let copies =
        (0..2).map(|number| submit::copy_tree(None, &format!("{name}/tree"), None, &format!("{name}/copy-{number}"), 16));
    let copies: Vec<Request> = copies.chain([submit::copy(None, &large, None, &format!("{name}/one"))]).collect();
    wait(copies);
    wait((0..2).map(|number| submit::rmtree(None, &format!("{name}/copy-{number}"), 16)).collect());
}

fn fsyncs(name: &str) {
    let file =
        blocking::open(None, &format!("{name}/synced"), OpenFlags::WRITE | OpenFlags::CREATE, 0o666).expect("it can be made");
    wait((0..32).flat_map(|number| [submit::write(&file, Some(number << 12), &[7; 4096]), submit::fsync(&file)]).collect());
}

fn timers() {
    for _ in 0..2000 {
        let group = Group::new();
        group.set_deadline(Some(5));
        control::next(None, Some(3), Some(&group), WhenFull::Wait);
        drop(submit::nop());
    }
    control::flush();
}

fn locks(name: &str, until: Instant) {
    let open = || {
        blocking::open(None, &format!("{name}/locked"), OpenFlags::WRITE | OpenFlags::CREATE, 0o666).expect("it can be made")
    };
    let (holder, other) = (open(), open());
    blocking::lock(&holder, LockKind::Exclusive, 0, 0, false).expect("nobody else has it");
    let waiting: Vec<Request> = (0..2000).map(|_| submit::lock(&other, LockKind::Exclusive, 0, 0, true)).collect();
    let left = until.saturating_duration_since(Instant::now()).as_millis();
    control::next(None, Some(u64::try_from(left).expect("it is small")), None, WhenFull::Wait);
    let _ = submit::lock(&other, LockKind::Exclusive, 1, 1, true).wait();
    waiting.iter().for_each(Request::cancel);
}

fn reads(name: &str) {
    let file = blocking::open(None, &large(name), OpenFlags::READ, 0).expect("it is there");
    wait((0..9000).map(|number| submit::read(&file, Some((number % 64) << 20), 300 << 10)).collect());
}

fn walks(name: &str) {
    if blocking::stat(None, &format!("{name}/d0")).is_err() {
        for number in 0..200 {
            blocking::mkdir(None, &format!("{name}/d{number}"), 0o777).expect("it is new");
            for below in 0..20 {
                blocking::mkdir(None, &format!("{name}/d{number}/{below}"), 0o777).expect("it is new");
            }
        }
    }
    let walkers: Vec<_> = (0..8).filter_map(|_| blocking::walk(None, name, 0, 16).ok()).collect();
    wait(walkers.iter().flat_map(|walker| (0..4).map(|_| submit::walk_next(walker, 0))).collect());
}

fn groups() {
    let group = Group::new();
    let requests: Vec<Request> = (0..4000)
        .map(|_| {
            control::next(None, None, Some(&group), WhenFull::Wait);
            submit::nop()
        })
        .collect();
    group.cancel();
    drop(requests);
}

/// A large file that is deleted, and its last handle dropped.
fn drops(name: &str) {
    let path = large(name);
    let file = blocking::open(None, &path, OpenFlags::READ, 0).expect("it is there");
    blocking::unlink(None, &path).expect("it is there");
    drop(file);
}
