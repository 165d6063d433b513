//! The face `submit`: many requests at a time.

use std::collections::HashMap;

use super::aiohost::aio::types::{File, OpenFlags, Outcome, Request};
use super::aiohost::aio::{blocking, control, submit};
use crate::paths;
use crate::tree::{FILE_BYTES, TREE, durable_name};
use crate::workload::{DATA, Offsets, digest};

/// Makes the requests of `next` and keeps `in_flight` of them going. What comes with a request is given to `done` together
/// with what the request has come to.
fn keep_in_flight<T>(in_flight: u32, mut next: impl FnMut() -> Option<(Request, T)>, mut done: impl FnMut(T, Outcome)) {
    let mut pending = HashMap::new();
    loop {
        while pending.len() < in_flight as usize {
            let Some((request, about)) = next() else { break };
            pending.insert(request.id(), (request, about));
        }
        let ids = control::wait_any();
        if ids.is_empty() {
            return;
        }
        for (request, about) in ids.iter().filter_map(|id| pending.remove(id)) {
            done(about, request.wait().expect("all requests of the benchmarks succeed"));
        }
    }
}

pub fn read_random(in_flight: u32, block: u32, count: u64) -> u64 {
    let file = blocking::open(None, DATA, OpenFlags::READ, 0).expect("the data is there");
    let mut offsets = Offsets::new(block).take(count as usize);
    let mut sum = 0u64;
    let next = || Some((submit::read(&file, Some(offsets.next()?), block), ()));
    keep_in_flight(in_flight, next, |(), outcome| match outcome {
        Outcome::Data(data) => sum = sum.wrapping_add(digest(&data)),
        other => panic!("a read came to {other:?}"),
    });
    sum
}

pub fn stat_all(in_flight: u32, passes: u64) -> u64 {
    let mut paths = (0..passes).flat_map(|_| paths());
    let mut sum = 0;
    let next = || Some((submit::stat(None, paths.next()?), ()));
    keep_in_flight(in_flight, next, |(), outcome| match outcome {
        Outcome::Status(status) => sum += status.size,
        other => panic!("a stat came to {other:?}"),
    });
    sum
}

/// What was asked for last, for one of the files.
enum Step {
    Open,
    Read(File),
    Close,
}

pub fn open_read_close_all(in_flight: u32, passes: u64) -> u64 {
    let mut paths = (0..passes).flat_map(|_| paths());
    // What goes on with a file that was begun comes before beginning another.
    let begun = std::cell::RefCell::new(Vec::new());
    let mut sum = 0u64;
    let next = || {
        if let Some(more) = begun.borrow_mut().pop() {
            return Some(more);
        }
        Some((submit::open(None, paths.next()?, OpenFlags::READ, 0), Step::Open))
    };
    keep_in_flight(in_flight, next, |step, outcome| match (step, outcome) {
        (Step::Open, Outcome::File(file)) => {
            let read = submit::read(&file, Some(0), FILE_BYTES);
            begun.borrow_mut().push((read, Step::Read(file)));
        }
        (Step::Read(file), Outcome::Data(data)) => {
            sum = sum.wrapping_add(digest(&data));
            begun.borrow_mut().push((submit::close(file), Step::Close));
        }
        (Step::Close, Outcome::Done) => {}
        (_, other) => panic!("a file came to {other:?}"),
    });
    sum
}

/// What was asked for last, for a file that is made.
enum Making {
    Open,
    Write(File),
    Sync(File),
    Close,
}

pub fn durable(in_flight: u32, count: u64) -> u64 {
    let data = vec![1; FILE_BYTES as usize];
    let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
    let mut numbers = 0..count;
    // What goes on with a file that was begun comes before beginning another.
    let begun = std::cell::RefCell::new(Vec::new());
    let mut sum = 0u64;
    let next = || {
        if let Some(more) = begun.borrow_mut().pop() {
            return Some(more);
        }
        Some((submit::open(None, &durable_name(numbers.next()?), flags, 0o666), Making::Open))
    };
    keep_in_flight(in_flight, next, |step, outcome| {
        let more = match (step, outcome) {
            (Making::Open, Outcome::File(file)) => (submit::write(&file, Some(0), &data), Making::Write(file)),
            (Making::Write(file), Outcome::Count(written)) => {
                sum += written;
                (submit::fsync(&file), Making::Sync(file))
            }
            (Making::Sync(file), Outcome::Done) => (submit::close(file), Making::Close),
            (Making::Close, Outcome::Done) => return,
            (_, other) => panic!("a file came to {other:?}"),
        };
        begun.borrow_mut().push(more);
    });
    sum
}

pub fn scandir_all(in_flight: u32, passes: u64) -> u64 {
    let mut sum = 0;
    for _ in 0..passes {
        let todo = std::cell::RefCell::new(vec![TREE.to_owned()]);
        let next = || {
            let directory = todo.borrow_mut().pop()?;
            Some((submit::scandir(None, &directory, 0), directory))
        };
        keep_in_flight(in_flight, next, |directory, outcome| match outcome {
            Outcome::Scan(scan) => {
                todo.borrow_mut().extend(scan.directories.iter().map(|name| format!("{directory}/{name}")));
                sum += scan.others.iter().map(|name| name.len() as u64).sum::<u64>();
            }
            other => panic!("a scandir came to {other:?}"),
        });
    }
    sum
}

pub fn nop(in_flight: u32, count: u64) -> u64 {
    let mut requests = 0..count;
    let next = || requests.next().map(|_| (submit::nop(), ()));
    let mut done = 0;
    keep_in_flight(in_flight, next, |(), _| done += 1);
    done
}
