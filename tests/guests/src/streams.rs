//! What only guests of WASI 0.3 have: many calls awaited at a time, calls that are given up, and streams.

use std::collections::BTreeSet;
use std::time::Instant;

use futures::FutureExt;
use futures::future::{join, join_all};

use crate::bindings::aiohost::aio::control::WhenFull;
use crate::bindings::aiohost::aio::types::{Advice, Group, LockKind, RenameFlags, Whence};
use crate::bindings::aiohost::aio::{control, requests, streams, submit};
use crate::bindings::wit_stream;
use crate::check::{MOMENT, content, create, fails, pattern, readable, works, writable};
use crate::face::{ErrorCode, Face, OpenFlags};
use crate::tests::tests;

tests!(
    many_awaited,
    limit_in_flight_awaited,
    closing_found_no_place_awaited,
    given_up_walk_lost_its_entries,
    given_up_call_leaked_its_descriptor,
    read_stream,
    read_stream_given_up,
    write_stream,
    write_stream_that_fails,
    copy_by_streams,
);

async fn many_awaited<F: Face>() {
    let numbers: Vec<u8> = (0..1000u32).flat_map(u32::to_le_bytes).collect();
    let file = create::<F>("numbers", &numbers).await;
    let reads = (0..1000).map(|number| requests::read(&file, Some(number * 4), 4));
    for (number, data) in (0..1000u32).zip(join_all(reads).await) {
        assert_eq!(works(data), number.to_le_bytes(), "each call gets its own bytes");
    }
    let opened = join_all((0..100).map(|number| {
        let path = if number % 2 == 0 { "digits" } else { "missing" };
        requests::open(None, path.into(), OpenFlags::READ, 0)
    }))
    .await;
    assert_eq!(opened.iter().filter(|result| result.is_ok()).count(), 50);
}

/// `--max-in-flight 4`: more calls than that are made to wait, and all of them end.
async fn limit_in_flight_awaited<F: Face>() {
    let made = join_all((0..200).map(|number| requests::mkdir(None, format!("dir-{number}"), 0o777))).await;
    assert_eq!(made.iter().filter(|result| result.is_ok()).count(), 200);
    let removed = join_all((0..200).map(|number| requests::rmdir(None, format!("dir-{number}")))).await;
    assert_eq!(removed.iter().filter(|result| result.is_ok()).count(), 200);
}

/// `--max-in-flight 8`: calls that wait for a lock take all places, and whoever has it can be closed, or dropped.
async fn closing_found_no_place_awaited<F: Face>() {
    let open = async || works(requests::open(None, "digits".into(), OpenFlags::READ | OpenFlags::WRITE, 0).await);
    for is_closed in [true, false] {
        let (holder, other) = (open().await, open().await);
        works(requests::lock(&holder, LockKind::Exclusive, 0, 0, false).await);
        let waiting = join_all((0..8).map(|_| requests::lock(&other, LockKind::Exclusive, 0, 0, true)));
        let mut waiting = std::pin::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        if is_closed {
            works(requests::close(holder).await);
        } else {
            drop(holder);
        }
        waiting.await.into_iter().for_each(works);
        works(requests::unlock(&other, 0, 0).await);
    }
}

/// What a call has found that was given up is there to be found again, a moment later.
async fn given_up_walk_lost_its_entries<F: Face>() {
    for number in 0..2000 {
        drop(create::<F>(&format!("bare/{number}"), b"").await);
    }
    for round in 0..20 {
        let walker = works(requests::walk(None, "bare".into(), 0, 1).await);
        let (mut found, mut last_found) = (BTreeSet::new(), Instant::now());
        while found.len() < 2000 {
            let mut given_up = Box::pin(requests::walk_next(&walker, 100));
            // What it gave is the guest's.
            let given = given_up.as_mut().now_or_never();
            // A worker has begun it, or is through with it already, and the guest has not been told.
            while round % 2 == 0 && control::count().queued > 0 {}
            drop(given_up);
            let entries = works(requests::walk_next(&walker, 100).await);
            if entries.is_empty() {
                assert!(last_found.elapsed() < MOMENT, "{} entries came in round {round}", found.len());
            } else {
                last_found = Instant::now();
            }
            for entry in given.map(works).unwrap_or_default().into_iter().chain(entries) {
                assert!(found.insert(entry.path), "an entry came twice");
            }
        }
        assert!(works(requests::walk_next(&walker, 100).await).is_empty());
    }
}

/// `--max-open-files 8`: a leaked descriptor takes a place for ever.
async fn given_up_call_leaked_its_descriptor<F: Face>() {
    for _ in 0..20 {
        for _ in 0..4 {
            // Begun, and dropped where it is not done at once; a file that it has by then is dropped, too.
            drop(requests::open(None, String::from("digits"), OpenFlags::READ, 0).now_or_never());
            drop(requests::open_dir(None, String::from("sub")).now_or_never());
        }
        while let counters = control::count()
            && counters.queued + counters.running > 0
        {
            works(F::nop().await);
        }
    }
    let mut files = Vec::new();
    for _ in 0..8 {
        files.push(readable::<F>("digits").await);
    }
    fails(F::open(None, "digits", OpenFlags::READ, 0).await, ErrorCode::TooManyOpenFiles);
}

async fn read_stream<F: Face>() {
    let (bytes, end) = streams::read_stream(&writable::<F>("digits").await, 0);
    assert_eq!(bytes.collect().await, b"");
    fails(end.await, ErrorCode::BadDescriptor);
    let file = readable::<F>("digits").await;
    let (bytes, end) = streams::read_stream(&file, u64::MAX);
    assert_eq!(bytes.collect().await, b"");
    fails(end.await, ErrorCode::Invalid);

    for (offset, expected) in [(0, "0123456789"), (4, "456789"), (10, ""), (1 << 40, "")] {
        let (bytes, end) = streams::read_stream(&file, offset);
        assert_eq!(bytes.collect().await, expected.as_bytes(), "from {offset}");
        works(end.await);
    }
    assert_eq!(works(F::read(&file, None, 3).await), b"012", "the position stays");
    // The handle may go before the stream.
    let (bytes, end) = streams::read_stream(&file, 0);
    drop(file);
    assert_eq!(bytes.collect().await, b"0123456789");
    works(end.await);
    let large = readable::<F>("sparse").await;
    let (bytes, end) = streams::read_stream(&large, 5);
    let bytes = bytes.collect().await;
    assert_eq!((bytes.len(), &bytes[bytes.len() - 6..]), (20 << 20, &b"\0right"[..]));
    works(end.await);
}

/// Dropping the stream ends the reading, and is no error.
async fn read_stream_given_up<F: Face>() {
    let file = readable::<F>("sparse").await;
    for _ in 0..20 {
        let (mut bytes, end) = streams::read_stream(&file, 0);
        assert_eq!(bytes.next().await, Some(0));
        drop(bytes);
        drop(end);
        let (bytes, end) = streams::read_stream(&file, 0);
        drop(end);
        drop(bytes);
    }
    assert_eq!(works(F::read(&file, Some(20 << 20), 10).await), b"right");
}

async fn write_stream<F: Face>() {
    let file = create::<F>("written", b"..........").await;
    let (mut writer, reader) = wit_stream::new();
    let source = async move {
        assert_eq!(writer.write_all(b"one, ".to_vec()).await, b"");
        assert_eq!(writer.write_all(b"two".to_vec()).await, b"");
    };
    let (count, ()) = join(streams::write_stream(&file, 1, reader), source).await;
    assert_eq!(works(count), 8);
    assert_eq!(content::<F>("written").await, b".one, two.");

    // A stream that brings nothing.
    let (writer, reader) = wit_stream::new();
    let (count, ()) = join(streams::write_stream(&file, 0, reader), async move { drop(writer) }).await;
    assert_eq!(works(count), 0);
    assert_eq!(content::<F>("written").await, b".one, two.");

    // More than any buffer on the way holds.
    let pattern = pattern(2_000_000);
    let (mut writer, reader) = wit_stream::new();
    let bytes = pattern.clone();
    let source = async move { assert_eq!(writer.write_all(bytes).await, b"") };
    let (count, ()) = join(streams::write_stream(&file, 10, reader), source).await;
    assert_eq!(works(count), 2_000_000);
    let (bytes, end) = streams::read_stream(&file, 10);
    assert!(bytes.collect().await == pattern, "other bytes came back");
    works(end.await);
}

/// An error is the answer, and the writing end sees that nobody reads on.
async fn write_stream_that_fails<F: Face>() {
    let only_read = readable::<F>("digits").await;
    let file = writable::<F>("digits").await;
    for (file, offset, code) in [(&only_read, 0, ErrorCode::BadDescriptor), (&file, u64::MAX, ErrorCode::Invalid)] {
        let (mut writer, reader) = wit_stream::new();
        let source = async move { writer.write_all(b"unwanted".to_vec()).await };
        let (count, left) = join(streams::write_stream(file, offset, reader), source).await;
        fails(count, code);
        assert!(left.len() <= 8);
    }
    assert_eq!(content::<F>("digits").await, b"0123456789");
}

/// The bytes of one file straight into another.
async fn copy_by_streams<F: Face>() {
    let (input, output) = (readable::<F>("sparse").await, create::<F>("copy", b"").await);
    let (bytes, end) = streams::read_stream(&input, 0);
    let (count, end) = join(streams::write_stream(&output, 0, bytes), async move { end.await }).await;
    assert_eq!(works(count), (20 << 20) + 5);
    works(end);
    assert_eq!(works(F::read(&output, Some((20 << 20) - 2), 10).await), b"\0\0right");
}

/// Calls at the position of a file behind one that is not answered, for `tests/sandbox/remote.rs` of the host: the same as by
/// `behind.rs`.
pub async fn wait_behind(path: &str) {
    let file = &works(requests::open(None, path.into(), OpenFlags::READ | OpenFlags::WRITE, 0).await);
    let mut first = std::pin::pin!(requests::read(file, None, 1));
    assert!(first.as_mut().now_or_never().is_none());
    let group = Group::new();
    let mut behind: Vec<_> = (0..10)
        .map(|number| {
            Box::pin(async move {
                match number % 3 {
                    0 => requests::read(file, None, 1).await.map(|data| data.len() as u64),
                    1 => requests::write(file, None, b"x".to_vec()).await,
                    _ => requests::seek(file, 1, Whence::Current).await.map(|_| 1),
                }
            })
        })
        .collect();
    for (number, call) in behind.iter_mut().enumerate() {
        let group = if number % 2 == 0 { Some(&group) } else { None };
        control::next(None, None, group, WhenFull::Wait);
        assert!(call.as_mut().now_or_never().is_none(), "call {number} did not wait");
    }
    group.cancel();
    for call in behind.iter_mut().step_by(2) {
        fails(call.await, ErrorCode::Canceled);
    }
    works(requests::nop().await);
    works(requests::store(None, "done".into(), Vec::new(), 0o666).await);
    assert_eq!(works(first.await), b"0");
    for call in behind.iter_mut().skip(1).step_by(2) {
        assert_eq!(works(call.await), 1);
    }
    assert_eq!(works(requests::seek(file, 0, Whence::Current).await), 6);
}

/// A guest that takes all it can get, for `tests/memory.rs` of the host.
pub async fn take_all(how: &str) {
    match how {
        "read-streams" => many_streams().await,
        "waiting-renames" => waiting_renames().await,
        how => waiting_calls(how).await,
    }
}

/// Streams of which one byte was read, from a file that is not in the page cache.
async fn many_streams() {
    let file = works(requests::open(None, "data".into(), OpenFlags::READ | OpenFlags::WRITE | OpenFlags::CREATE, 0o666).await);
    works(requests::write(&file, Some(0), vec![7; 1 << 20]).await);
    works(requests::fsync(&file).await);
    let mut kept = Vec::new();
    for _ in 0..3_000 {
        works(requests::advise(&file, 0, 0, Advice::DontNeed).await);
        let (mut bytes, end) = streams::read_stream(&file, 0);
        assert_eq!(bytes.next().await, Some(7));
        kept.push((bytes, end));
    }
}

/// Calls with long paths that wait, where most of what the guest may hold is taken.
async fn waiting_renames() {
    const CALLS: usize = 10_000;
    let file = works(requests::open(None, "data".into(), OpenFlags::READ | OpenFlags::WRITE | OpenFlags::CREATE, 0o666).await);
    let other = works(requests::open(None, "data".into(), OpenFlags::WRITE, 0).await);
    works(requests::ftruncate(&file, 16 << 20).await);
    // Of 256 MiB, 16 are left.
    let taken: Vec<_> = (0..15).map(|_| submit::read(&file, Some(0), 16 << 20)).collect();
    control::flush();
    works(requests::lock(&file, LockKind::Exclusive, 0, 0, false).await);
    let group = Group::new();
    group.set_limit(1);
    control::next(None, None, Some(&group), WhenFull::Wait);
    // It is never done, so whatever is to go into the group waits.
    let mut never = std::pin::pin!(requests::lock(&other, LockKind::Exclusive, 0, 0, true));
    assert!(never.as_mut().now_or_never().is_none());
    let long = "x/../".repeat(800);
    let (mut waiting, mut refused) = (Vec::new(), 0);
    for number in 0..CALLS {
        control::next(None, None, Some(&group), WhenFull::Wait);
        let paths = (format!("{long}missing-{number}"), format!("{long}new"));
        let mut call = Box::pin(requests::rename2(None, paths.0, None, paths.1, RenameFlags::empty()));
        match call.as_mut().now_or_never() {
            None => waiting.push(call),
            Some(result) => {
                fails(result, ErrorCode::WouldBlock);
                refused += 1;
            }
        }
    }
    // Two paths of 4,000 bytes each: there is room for some 2,000 of them.
    assert!(refused > CALLS / 2 && waiting.len() > 100, "{refused} of {CALLS} were refused");
    drop(taken);
}

/// Calls that wait.
async fn waiting_calls(how: &str) {
    let file = works(requests::open(None, "data".into(), OpenFlags::READ | OpenFlags::WRITE | OpenFlags::CREATE, 0o666).await);
    let other = works(requests::open(None, "data".into(), OpenFlags::WRITE, 0).await);
    works(requests::lock(&file, LockKind::Exclusive, 0, 0, false).await);
    let group = Group::new();
    group.set_limit(1);
    control::next(None, None, Some(&group), WhenFull::Wait);
    // It is never done, so whatever is to go into the group waits.
    let never = requests::lock(&other, LockKind::Exclusive, 0, 0, true);
    // Its own memory has room for few of these: each is made when its call is, and is the host's from then on.
    let many = join_all((0..400).map(|number| {
        let (file, group) = (&file, &group);
        async move {
            let content = vec![7; 4 << 20];
            control::next(None, None, Some(group), WhenFull::Wait);
            match how {
                "waiting-writes" => drop(requests::write(file, Some(0), content).await),
                "waiting-stores" => drop(requests::store(None, format!("f{number}"), content, 0o666).await),
                other => panic!("no guest takes {other}"),
            }
        }
    }));
    let (mut never, mut many) = (std::pin::pin!(never), std::pin::pin!(many));
    // All of them have been called by then, and none can be done.
    for _ in 0..3 {
        assert!(never.as_mut().now_or_never().is_none());
        let _ = many.as_mut().now_or_never();
        works(requests::nop().await);
    }
}
