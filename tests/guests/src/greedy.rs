//! Guests that take all they can get, for `tests/memory.rs` of the host: each mixes requests so that the host's memory would grow if
//! anything were not counted. They ignore the answers.

use crate::bindings::aiohost::aio::control::{self, WhenFull};
use crate::bindings::aiohost::aio::types::{File, Group, LockKind, OpenFlags, ReaddirxFlags, RenameFlags, Request, Walker};
use crate::bindings::aiohost::aio::{blocking, submit};
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags as WasiOpenFlags, PathFlags};
use wasip2::io::poll::poll;
use wasip2::io::streams::OutputStream;

/// Handles of requests that a guest may have, but for a few.
const HANDLES: usize = 9_900;

pub fn run(how: &str) {
    match how {
        "inline-reads" => inline_reads(),
        "reads" => reads(),
        "extents" => extents(),
        "listings" => listings(),
        "paths" => paths(),
        "walkers" => walkers(),
        "timers" => timers(),
        "groups" => groups(),
        "finished" => finished(),
        "canceled" => canceled(),
        "locks" => locks(),
        "files" => files(),
        "writes" => writes(),
        "input-streams" => input_streams(),
        "output-streams" => output_streams(),
        "wasi-listings" => wasi_listings(),
        "everything" => everything(),
        other => panic!("no guest takes {other}"),
    }
}

fn create(name: &str, bytes: usize) -> File {
    let flags = OpenFlags::READ | OpenFlags::WRITE | OpenFlags::CREATE;
    let file = blocking::open(None, name, flags, 0o666).expect("it can be made");
    let piece = vec![7; 1 << 20];
    for at in (0..bytes).step_by(piece.len()) {
        let length = piece.len().min(bytes - at);
        blocking::write(&file, Some(at as u64), &piece[..length]).expect("there is room on the disk");
    }
    file
}

/// The next request fails where it would have to wait.
fn at_once() {
    control::next(None, None, None, WhenFull::Fail);
}

/// So many requests, each of which is held.
fn held(count: usize, mut request: impl FnMut() -> Request) -> Vec<Request> {
    let requests = (0..count)
        .map(|_| {
            at_once();
            request()
        })
        .collect();
    control::flush();
    requests
}

/// Results that are there at once.
fn inline_reads() {
    let file = create("data", 256 << 10);
    let requests = held(HANDLES, || submit::read(&file, Some(0), 256 << 10));
    // What needs nothing is never refused.
    assert!(submit::nop().wait().is_ok());
    drop(requests);
}

fn reads() {
    let file = create("data", 16 << 20);
    held(HANDLES, || submit::read(&file, Some(0), 16 << 20));
    // Each asks for much and gets little: all of them succeed.
    let small: Vec<_> = (0..64).map(|_| submit::read(&file, Some((16 << 20) - 1), 16 << 20)).collect();
    assert!(small.iter().all(|request| request.wait().is_ok()), "a read of one byte failed");
}

fn extents() {
    let file = create("sparse", 0);
    for number in 0..4_000_u64 {
        blocking::write(&file, Some(number * 8192), b"x").expect("there is room on the disk");
    }
    // Of 256 MiB, 16 are left, and each answer takes 64,000 bytes and more.
    let data = create("data", 16 << 20);
    let taken = held(15, || submit::read(&data, Some(0), 16 << 20));
    let requests = held(1_000, || submit::extents(&file, 0, None));
    let refused = requests.iter().filter(|request| request.wait().is_err()).count();
    assert!(refused > 700, "{refused} of 1,000 were refused");
    drop(taken);
}

/// A directory with many names.
fn crowd(names: usize) {
    for number in 0..names {
        let name = format!("name-{number}-{}", "x".repeat(100));
        submit::open(None, &name, OpenFlags::WRITE | OpenFlags::CREATE, 0o666).wait().expect("it is new");
    }
}

/// The directory, as WASI knows it.
fn wasi_dir() -> Descriptor {
    get_directories().swap_remove(0).0
}

/// Streams that are waited for and never read, more than there is memory for what is read ahead.
fn input_streams() {
    create("data", 1 << 20);
    let file =
        wasi_dir().open_at(PathFlags::empty(), "data", WasiOpenFlags::empty(), DescriptorFlags::READ).expect("it is there");
    let mut streams = Vec::new();
    // Where all of them have to wait, none of them ever comes.
    for _ in 0..4_000 {
        let stream = file.read_via_stream(0).expect("it can be read");
        let pollable = stream.subscribe();
        poll(&[&pollable]);
        streams.push((pollable, stream));
    }
}

/// Memory is taken until there is none, and something is under way that might give some back: so calls wait for it.
fn hunger() -> Vec<Request> {
    let data = create("data", 16 << 20);
    let mut requests = held(20, || submit::read(&data, Some(0), 16 << 20));
    requests.push(submit::busy(60_000));
    for length in [1 << 20, 128 << 10, 32 << 10, 16 << 10] {
        requests.extend((0..20).map(|_| {
            at_once();
            submit::read(&data, Some(0), length)
        }));
    }
    requests
}

/// Streams to a file.
fn outputs(count: usize) -> Vec<OutputStream> {
    let flags = (WasiOpenFlags::CREATE, DescriptorFlags::WRITE);
    let file = wasi_dir().open_at(PathFlags::empty(), "output", flags.0, flags.1).expect("it can be made");
    (0..count).map(|_| file.write_via_stream(0).expect("it can be written")).collect()
}

/// Gives each stream bytes that have to wait for memory. It may refuse them, which is of no matter here.
fn fill(streams: &[OutputStream]) {
    let content = vec![7; 64 << 10];
    for stream in streams {
        let _ = stream.check_write().and_then(|_| stream.write(&content));
    }
}

fn output_streams() {
    let streams = outputs(9_000);
    let hunger = hunger();
    fill(&streams);
    // To drop a stream is to wait until all of it is written, and nothing gives memory back.
    std::mem::forget((hunger, streams));
}

/// As many listings as there may be files.
fn wasi_listings() {
    crowd(3_000);
    let dir = wasi_dir();
    let begin = |_| {
        let listing = dir.read_directory().ok()?;
        listing.read_directory_entry().expect("it can be read");
        Some(listing)
    };
    let listings: Vec<_> = (0..1_010).map_while(begin).collect();
    assert!(listings.len() > 900, "{} listings were begun", listings.len());
}

/// Some of each at a time, on each face and by WASI.
fn everything() {
    crowd(2_000);
    let dir = wasi_dir();
    let listings: Vec<_> = (0..200).map_while(|_| dir.read_directory().ok()).collect();
    for listing in &listings {
        listing.read_directory_entry().expect("it can be read");
    }
    let walkers: Vec<Walker> = (0..100).map_while(|_| blocking::walk(None, ".", 0, 16).ok()).collect();
    for walker in &walkers {
        let _ = blocking::walk_next(walker, 1);
    }
    let groups: Vec<Group> = (0..900).map(|_| Group::new()).collect();
    for group in &groups {
        group.set_deadline(Some(1 << 40));
        control::next(None, None, Some(group), WhenFull::Fail);
        drop(submit::readdir(None, "."));
    }
    let names: Vec<Request> = (0..300)
        .map(|_| {
            at_once();
            submit::readdirx(None, ".", ReaddirxFlags::DENTS)
        })
        .collect();
    let streams = outputs(2_000);
    let hunger = hunger();
    fill(&streams);
    for _ in 0..200 {
        at_once();
        drop(submit::store(None, "stored", &vec![7; 4 << 20], 0o666));
    }
    std::mem::forget((listings, walkers, groups, names, hunger, streams));
}

fn listings() {
    crowd(10_000);
    let mut requests = held(400, || submit::readdir(None, "."));
    requests.truncate(0);
    let all = ReaddirxFlags::DENTS | ReaddirxFlags::DIRS_FIRST | ReaddirxFlags::STAT_ORDER;
    let many: Vec<_> = (0..100)
        .map(|number| match number % 3 {
            0 => submit::readdir(None, "."),
            1 => submit::readdirx(None, ".", all),
            _ => submit::scandir(None, ".", 0),
        })
        .collect();
    control::flush();
    let worked = many.iter().filter(|request| request.wait().is_ok()).count();
    assert!(worked > 10, "so many starve each other: {worked} worked");
}

/// Texts, and the paths of requests that wait.
fn paths() {
    let long = "x/../".repeat(800);
    blocking::mkdir(None, "x", 0o777).expect("it is new");
    let file = create("locked", 1);
    let other = blocking::open(None, "locked", OpenFlags::WRITE, 0).expect("it is there");
    blocking::lock(&file, LockKind::Exclusive, 0, 0, false).expect("nobody else has it");
    let _waits: Vec<_> = (0..1000).map(|_| submit::lock(&other, LockKind::Exclusive, 0, 0, true)).collect();
    for _ in 0..4 {
        let requests: Vec<_> = (0..2000)
            .map(|_| {
                at_once();
                submit::rename2(None, &format!("{long}missing"), None, &format!("{long}new"), RenameFlags::empty())
            })
            .collect();
        requests.iter().for_each(Request::cancel);
    }
}

/// A tree that is wide at every level.
fn walkers() {
    let mut path = String::new();
    for level in 0..20 {
        for number in 0..500 {
            blocking::mkdir(None, &format!("{path}d{number}"), 0o777).expect("it is new");
        }
        path.push_str(if level % 2 == 0 { "d0/" } else { "d499/" });
    }
    let mut walkers: Vec<Walker> = Vec::new();
    while walkers.len() < 1000
        && let Ok(walker) = blocking::walk(None, ".", 0, 16)
    {
        for _ in 0..10 {
            if blocking::walk_next(&walker, 1).is_err() {
                break;
            }
        }
        walkers.push(walker);
    }
    assert!(walkers.len() > 10, "only {} walks were begun", walkers.len());
}

fn timers() {
    for number in 0..1_000_000 {
        let group = Group::new();
        group.set_deadline(Some(1 << 40));
        if number % 3 == 0 {
            let sub = Group::new();
            group.add_group(&sub).expect("both are new");
            sub.set_deadline(Some(1 << 39));
        }
        control::set_guest_deadline(Some(1 << 41));
    }
}

/// Groups one in the other whose handles are dropped, each with a member that stays.
fn groups() {
    let mut requests = Vec::new();
    for _ in 0..HANDLES {
        let chain: Vec<Group> = (0..15).map(|_| Group::new()).collect();
        for pair in chain.windows(2) {
            pair[0].add_group(&pair[1]).expect("both are new");
        }
        control::next(None, None, chain.last(), WhenFull::Fail);
        requests.push(submit::nop());
        if requests.len() > 200 {
            requests.remove(0).wait().expect("nothing hinders it");
        }
    }
}

/// Results that are taken, and never announced.
fn finished() {
    for _ in 0..3_000_000 {
        submit::nop().wait().expect("nothing hinders it");
    }
}

/// Requests that are canceled in the queue, many more than there may be in it.
fn canceled() {
    for _ in 0..300_000 {
        let request = submit::fsync(&create_once());
        request.cancel();
    }
}

fn create_once() -> File {
    blocking::open(None, "once", OpenFlags::READ | OpenFlags::WRITE | OpenFlags::CREATE, 0o666).expect("it can be made")
}

/// Waits for locks that take up every place, and then some; the guest can give its own lock up all the same.
fn locks() {
    let (holder, other) = (create_once(), create_once());
    blocking::lock(&holder, LockKind::Exclusive, 0, 0, false).expect("nobody else has it");
    let waiting: Vec<_> = (0..HANDLES)
        .map(|_| {
            at_once();
            submit::lock(&other, LockKind::Exclusive, 0, 0, true)
        })
        .collect();
    blocking::unlock(&holder, 0, 0).expect("it has the lock");
    drop(waiting);
}

/// Files that are opened and dropped with all that is under way on them.
fn files() {
    let data = create("data", 1 << 20);
    for _ in 0..3_000 {
        let Ok(file) = blocking::open(None, "data", OpenFlags::READ | OpenFlags::WRITE, 0) else { continue };
        at_once();
        drop(submit::read(&file, Some(0), 1 << 20));
        at_once();
        drop(submit::fsync(&file));
        drop(file);
    }
    drop(data);
}

/// Content that waits for its turn at the position of one file.
fn writes() {
    let file = create("data", 1);
    let content = vec![1; 4 << 20];
    for _ in 0..40 {
        let requests: Vec<_> = (0..100)
            .map(|_| {
                at_once();
                submit::write(&file, None, &content)
            })
            .collect();
        requests.iter().for_each(Request::cancel);
        drop(requests);
        blocking::ftruncate(&file, 0).expect("it is open for writing");
    }
}
