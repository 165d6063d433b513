//! `nop`, and the part of `control` that concerns every face: priorities, counters, grants. The rest is in `queue`.

use super::tests;
use crate::bindings::aiohost::aio::control::WhenFull;
use crate::bindings::aiohost::aio::types::Group;
use crate::bindings::aiohost::aio::{blocking, control, submit};
use crate::check::{content, create, fails, works};
use crate::face::{ErrorCode, Face, OpenFlags, Outcome};

tests!(
    nop,
    count,
    grants,
    set_priority,
    nice,
    set_guest_priority,
    set_guest_deadline,
    files_of_wasi_were_tried_for_ever_after_the_deadline,
    next,
    next_group_canceled,
    mixed_faces
);

async fn nop<F: Face>() {
    let before = control::count().done;
    works(F::nop().await);
    works(F::nop().await);
    assert_eq!(control::count().done, before + 2);
}

async fn count<F: Face>() {
    let start = control::count();
    assert_eq!((start.queued, start.running, start.done, start.failed, start.canceled), (0, 0, 0, 0, 0));
    for _ in 0..5 {
        works(F::stat(None, "digits").await);
    }
    let file = works(F::open(None, "digits", OpenFlags::READ, 0).await);
    works(F::read(&file, Some(0), 4).await);
    fails(F::stat(None, "missing").await, ErrorCode::NoEntry);
    // An error of an argument is a failed request like any other.
    fails(F::stat(None, "nul\0").await, ErrorCode::Invalid);
    fails(F::read(&file, Some(u64::MAX), 4).await, ErrorCode::Invalid);
    let end = control::count();
    assert_eq!((end.queued, end.running, end.done, end.failed, end.canceled), (0, 0, 7, 3, 0));
}

async fn grants<F: Face>() {
    let grants = control::grants();
    let found: Vec<_> = grants.iter().map(|grant| (grant.name.as_str(), grant.writable)).collect();
    assert_eq!(found, [("/data", true), ("/other", true), ("/frozen", false), ("/dev", false), ("/proc", false)]);
    // The first is where relative paths start.
    assert_eq!(content::<F>("/data/digits").await, content::<F>("digits").await);
    fails(F::mkdir(None, "/frozen/new", 0o777).await, ErrorCode::ReadOnly);
    works(F::mkdir(None, "/other/new", 0o777).await);
    // A name is taken part by part: `/data-beside` is no grant, though it starts with the name of one.
    fails(F::stat(None, "/data-beside/secret").await, ErrorCode::NotPermitted);
}

async fn set_priority<F: Face>() {
    assert_eq!(control::set_priority(3), 0);
    assert_eq!(control::set_priority(100), 3);
    assert_eq!(control::set_priority(-100), 4, "the nearest to 100");
    assert_eq!(control::set_priority(i8::MIN), -4);
    // It is for the next request, and for no other.
    works(F::nop().await);
    assert_eq!(control::set_priority(-1), 0);
    fails(F::stat(None, "missing").await, ErrorCode::NoEntry);
    assert_eq!(control::set_priority(2), 0, "a request that fails uses it up too");
    for priority in -4..=4 {
        control::set_priority(priority);
        works(F::stat(None, "digits").await);
    }
}

async fn nice<F: Face>() {
    assert_eq!(control::nice(1), 0);
    assert_eq!(control::nice(2), -1, "they add up");
    assert_eq!(control::nice(-100), -3);
    assert_eq!(control::set_priority(1), 4);
    works(F::nop().await);
    assert_eq!(control::nice(0), 0, "it is for the next request, and for no other");
    control::set_guest_priority(2);
    works(F::nop().await);
    assert_eq!(control::nice(1), 2, "it starts from the guest's");
    works(F::nop().await);
}

async fn set_guest_priority<F: Face>() {
    assert_eq!(control::set_guest_priority(100), 0);
    works(F::nop().await);
    assert_eq!(control::set_guest_priority(-100), 4);
    works(F::stat(None, "digits").await);
    assert_eq!(control::set_guest_priority(0), -4);
}

async fn set_guest_deadline<F: Face>() {
    control::set_guest_deadline(Some(60_000));
    works(F::nop().await);
    works(F::stat(None, "digits").await);
    control::set_guest_deadline(Some(0));
    // Also what needs no worker.
    fails(F::stat(None, "digits").await, ErrorCode::TimedOut);
    fails(F::mkdir(None, "never", 0o777).await, ErrorCode::TimedOut);
    control::set_guest_deadline(None);
    works(F::nop().await);
    fails(F::lstat(None, "never").await, ErrorCode::NoEntry);
    let count = control::count();
    assert_eq!((count.done, count.failed), (3, 3));
}

/// What is interrupted is done again by the standard library, and by many programs.
async fn files_of_wasi_were_tried_for_ever_after_the_deadline<F: Face>() {
    use std::fs::File;
    use std::io::{ErrorKind, Read, Write};

    let mut file = File::create("/data/written").expect("it can be made");
    control::set_guest_deadline(Some(0));
    let tries = [
        File::open("/data/digits").map(drop),
        file.sync_all(),
        file.sync_data(),
        file.set_len(1),
        file.write(b"x").map(drop),
        file.read(&mut [0]).map(drop),
        std::fs::metadata("/data/digits").map(drop),
        std::fs::read_dir("/data").map(drop),
        std::fs::rename("/data/written", "/data/renamed"),
        std::fs::remove_file("/data/digits"),
    ];
    control::set_guest_deadline(None);
    for (number, tried) in tries.into_iter().enumerate() {
        let kind = tried.map_err(|error| error.kind());
        assert!(kind.is_err_and(|kind| kind != ErrorKind::Interrupted), "{number}: {kind:?}");
    }
    works(F::stat(None, "digits").await);
}

async fn next<F: Face>() {
    let group = Group::new();
    control::next(Some(4), Some(60_000), Some(&group), WhenFull::Fail);
    works(F::nop().await);
    control::next(None, None, Some(&group), WhenFull::Wait);
    works(F::stat(None, "digits").await);
    control::next(None, None, Some(&group), WhenFull::Wait);
    fails(F::stat(None, "missing").await, ErrorCode::NoEntry);
    control::next(None, None, Some(&group), WhenFull::Wait);
    fails(F::stat(None, "nul\0").await, ErrorCode::Invalid);
    control::next(None, None, Some(&group), WhenFull::Wait);
    fails(F::rmdir(None, "missing").await, ErrorCode::NoEntry);
    // For one request, and for no other.
    works(F::nop().await);
    let outcome = works(group.wait());
    assert_eq!((outcome.done, outcome.failed, outcome.canceled), (2, 3, 0));
    assert_eq!(outcome.first_failure.map(|failure| failure.error.code), Some(ErrorCode::NoEntry));
    control::next(None, Some(0), None, WhenFull::Wait);
    fails(F::stat(None, "digits").await, ErrorCode::TimedOut);
    works(F::stat(None, "digits").await);
}

async fn next_group_canceled<F: Face>() {
    let group = Group::new();
    group.cancel();
    control::next(None, None, Some(&group), WhenFull::Wait);
    fails(F::stat(None, "digits").await, ErrorCode::Canceled);
    control::next(None, None, Some(&group), WhenFull::Wait);
    fails(F::mkdir(None, "never", 0o777).await, ErrorCode::Canceled);
    fails(F::lstat(None, "never").await, ErrorCode::NoEntry);
    let (all, members) = (control::count(), group.count());
    assert_eq!((all.canceled, members.canceled, members.done + members.failed), (2, 2, 0));
}

/// A handle is one and the same on every face.
async fn mixed_faces<F: Face>() {
    let file = create::<F>("shared", b"0123456789").await;
    assert_eq!(works(blocking::read(&file, None, 4)), b"0123");
    let Outcome::Data(data) = works(submit::read(&file, None, 4).wait()) else { panic!("a read gives data") };
    assert_eq!(data, b"4567");
    assert_eq!(works(F::read(&file, None, 4).await), b"89", "the position is the file's");
    let Outcome::Dir(sub) = works(submit::open_dir(None, "sub").wait()) else { panic!("open-dir gives a directory") };
    assert_eq!(works(F::stat(Some(&sub), "inner").await).size, works(blocking::stat(Some(&sub), "inner")).size);
    works(blocking::close(file));
}
