//! Requests on a range of a file that move no data: `allocate`, `advise`, `extents`, `lock`, `unlock`, `clone-range`.

use super::tests;
use crate::bindings::aiohost::aio::{control, submit};
use crate::check::{content, create, fails, pattern, read_all, readable, works, writable, write_all};
use crate::face::{Advice, AllocateFlags, Error, ErrorCode, Extent, Face, LockKind, OpenFlags, Outcome, Request};

tests!(allocate, advise, extents, lock, lock_and_wait, unlock, clone_range);

async fn allocate<F: Face>() {
    let none = AllocateFlags::empty();
    let (keep, punch, zero) = (AllocateFlags::KEEP_SIZE, AllocateFlags::PUNCH_HOLE, AllocateFlags::ZERO_RANGE);
    let (collapse, insert) = (AllocateFlags::COLLAPSE_RANGE, AllocateFlags::INSERT_RANGE);
    fails(F::allocate(&readable::<F>("digits").await, none, 0, 4).await, ErrorCode::BadDescriptor);
    fails(F::allocate(&readable::<F>("/frozen/ice").await, keep, 0, 4).await, ErrorCode::BadDescriptor);
    let file = create::<F>("file", b"0123456789").await;
    for (flags, offset, length) in [
        (none, 0, 0),
        (none, u64::MAX, 1),
        (none, 0, u64::MAX),
        (punch, 0, 4),
        (punch | zero | keep, 0, 4),
        (collapse | insert, 0, 4096),
        (collapse | keep, 0, 4096),
        (insert | zero, 0, 4096),
    ] {
        fails(F::allocate(&file, flags, offset, length).await, ErrorCode::Invalid);
    }
    fails(F::allocate(&file, none, i64::MAX.cast_unsigned(), 1).await, ErrorCode::FileTooLarge);
    assert_eq!(content::<F>("file").await, b"0123456789");

    works(F::allocate(&file, none, 8, 4).await);
    assert_eq!(content::<F>("file").await, b"0123456789\0\0", "it grows, and keeps what is there");
    works(F::allocate(&file, keep, 0, 1 << 20).await);
    let status = works(F::fstat(&file).await);
    assert_eq!(status.size, 12);
    assert!(status.blocks * 512 >= 1 << 20, "{status:?}");

    let data = pattern(64 << 10);
    let large = create::<F>("large", &data).await;
    works(F::fsync(&large).await);
    works(F::allocate(&large, punch | keep, 16 << 10, 32 << 10).await);
    let mut expected = data.clone();
    expected[16 << 10..48 << 10].fill(0);
    assert!(read_all::<F>(&large, 0, 1 << 20).await == expected, "a hole was punched elsewhere");
    works(F::allocate(&large, zero, 0, 4096).await);
    expected[..4096].fill(0);
    assert!(read_all::<F>(&large, 0, 1 << 20).await == expected, "the wrong range reads as zeroes");
    works(F::allocate(&large, zero | keep, 60 << 10, 32 << 10).await);
    expected[60 << 10..].fill(0);
    assert!(read_all::<F>(&large, 0, 1 << 20).await == expected, "it grew, or other bytes were zeroed");

    // Only some file systems move what follows.
    match F::allocate(&large, insert, 8192, 4096).await {
        Ok(()) => {
            expected.splice(8192..8192, [0; 4096]);
            works(F::allocate(&large, collapse, 0, 4096).await);
            expected.drain(..4096);
            assert!(read_all::<F>(&large, 0, 1 << 20).await == expected, "other bytes were moved");
        }
        result => fails(result, ErrorCode::Unsupported),
    }
}

async fn advise<F: Face>() {
    let every = [Advice::Normal, Advice::Sequential, Advice::Random, Advice::NoReuse, Advice::WillNeed, Advice::DontNeed];
    let file = readable::<F>("digits").await;
    fails(F::advise(&file, u64::MAX, 4, Advice::WillNeed).await, ErrorCode::Invalid);
    fails(F::advise(&file, 1 << 63, 0, Advice::Normal).await, ErrorCode::Invalid);

    // What must not be seen is any effect.
    for advice in every {
        for (offset, length) in [(0, 0), (0, 10), (3, 4), (5, u64::MAX), (i64::MAX.cast_unsigned(), 1), (1 << 40, 0)] {
            works(F::advise(&file, offset, length, advice).await);
        }
        works(F::advise(&writable::<F>("empty").await, 0, 0, advice).await);
        works(F::advise(&readable::<F>("/frozen/ice").await, 0, 0, advice).await);
    }
    assert_eq!(works(F::read(&file, None, 100).await), b"0123456789");
    assert_eq!(works(F::fstat(&file).await).modified.seconds, 1_000_000_000);
    let written = create::<F>("written", b"not on the disk yet").await;
    works(F::advise(&written, 0, 0, Advice::DontNeed).await);
    assert_eq!(content::<F>("written").await, b"not on the disk yet");
}

fn pairs(extents: &[Extent]) -> Vec<(u64, u64)> {
    extents.iter().map(|extent| (extent.offset, extent.length)).collect()
}

async fn extents<F: Face>() {
    let digits = readable::<F>("digits").await;
    fails(F::extents(&digits, u64::MAX, None).await, ErrorCode::Invalid);
    fails(F::extents(&digits, 1 << 63, Some(1)).await, ErrorCode::Invalid);

    assert_eq!(pairs(&works(F::extents(&digits, 0, None).await)), [(0, 10)]);
    assert_eq!(pairs(&works(F::extents(&digits, 3, None).await)), [(3, 7)]);
    assert_eq!(pairs(&works(F::extents(&digits, 3, Some(4)).await)), [(3, 4)]);
    assert_eq!(pairs(&works(F::extents(&digits, 3, Some(u64::MAX)).await)), [(3, 7)]);
    for (offset, length) in [(0, Some(0)), (10, None), (1 << 40, Some(1)), (i64::MAX.cast_unsigned(), None)] {
        assert_eq!(pairs(&works(F::extents(&digits, offset, length).await)), [], "{offset}, {length:?}");
    }
    assert_eq!(pairs(&works(F::extents(&readable::<F>("empty").await, 0, None).await)), []);
    assert_eq!(works(F::read(&digits, None, 3).await), b"012", "the position is not touched");

    // Three islands of a MiB, as far apart as no block reaches.
    let file = create::<F>("islands", b"").await;
    let land = vec![b'x'; 1 << 20];
    for at in [0, 4, 9_000] {
        works(F::seek(&file, 0, crate::face::Whence::Start).await);
        let mut done = 0;
        while done < land.len() {
            let count = works(F::write(&file, Some((at << 20) + u64::try_from(done).expect("it fits")), &land[done..]).await);
            done += usize::try_from(count).expect("it fits");
        }
    }
    let mib = |number: u64| number << 20;
    assert_eq!(
        pairs(&works(F::extents(&file, 0, None).await)),
        [(0, mib(1)), (mib(4), mib(1)), (mib(9_000), mib(1))],
        "holes between what was written"
    );
    assert_eq!(pairs(&works(F::extents(&file, mib(1), Some(mib(4))).await)), [(mib(4), mib(1))]);
    assert_eq!(pairs(&works(F::extents(&file, mib(4) + 5, Some(7)).await)), [(mib(4) + 5, 7)]);
    let only_written = works(F::open(None, "islands", OpenFlags::WRITE, 0).await);
    assert_eq!(works(F::extents(&only_written, mib(2), None).await).len(), 2);
}

const SHARED: LockKind = LockKind::Shared;
const EXCLUSIVE: LockKind = LockKind::Exclusive;

/// The file `digits`, open for both.
async fn both<F: Face>() -> crate::face::File {
    works(F::open(None, "digits", OpenFlags::READ | OpenFlags::WRITE, 0).await)
}

async fn lock<F: Face>() {
    let (one, other) = (both::<F>().await, both::<F>().await);
    let (read, written) = (readable::<F>("digits").await, writable::<F>("digits").await);
    for wait in [false, true] {
        fails(F::lock(&read, EXCLUSIVE, 0, 0, wait).await, ErrorCode::BadDescriptor);
        fails(F::lock(&written, SHARED, 0, 0, wait).await, ErrorCode::BadDescriptor);
        let end = i64::MAX.cast_unsigned();
        for (offset, length) in [(u64::MAX, 0), (1 << 63, 1), (0, 1 << 63), (end, 2), (2, end)] {
            fails(F::lock(&one, SHARED, offset, length, wait).await, ErrorCode::Invalid);
        }
    }

    works(F::lock(&one, EXCLUSIVE, 0, 4, false).await);
    for kind in [SHARED, EXCLUSIVE] {
        fails(F::lock(&other, kind, 0, 4, false).await, ErrorCode::WouldBlock);
        fails(F::lock(&other, kind, 3, 0, false).await, ErrorCode::WouldBlock);
        works(F::lock(&one, kind, 0, 4, false).await);
    }
    works(F::lock(&other, EXCLUSIVE, 4, 0, true).await);
    fails(F::lock(&one, SHARED, 1 << 40, 1, false).await, ErrorCode::WouldBlock);
    // A shared lock lets others share.
    works(F::lock(&one, SHARED, 0, 4, false).await);
    works(F::lock(&read, SHARED, 0, 4, true).await);
    fails(F::lock(&written, EXCLUSIVE, 0, 1, false).await, ErrorCode::WouldBlock);
    fails(F::lock(&one, EXCLUSIVE, 0, 1, false).await, ErrorCode::WouldBlock);
    // They are advisory.
    assert_eq!(works(F::write(&written, Some(0), b"x").await), 1);
    works(F::lock(&readable::<F>("/frozen/ice").await, SHARED, 0, 0, false).await);
}

/// A request that waits for a lock holds no worker, gets it in the end, and can be taken back.
async fn lock_and_wait<F: Face>() {
    let (one, other) = (both::<F>().await, both::<F>().await);
    works(F::lock(&one, EXCLUSIVE, 0, 0, true).await);
    // More than there are workers.
    let waiting: Vec<Request> = (0..100).map(|at| submit::lock(&other, EXCLUSIVE, at, 1, true)).collect();
    for _ in 0..10 {
        works(F::nop().await);
        assert_eq!(works(F::stat(None, "digits").await).size, 10);
    }
    assert_eq!(control::poll(), [], "none of them is done");
    waiting[50].cancel();
    fails(waiting[50].wait(), ErrorCode::Canceled);
    works(F::unlock(&one, 0, 0).await);
    for request in waiting.iter().filter(|request| request.id() != waiting[50].id()) {
        assert!(matches!(works(request.wait()), Outcome::Done));
    }
    fails(F::lock(&one, SHARED, 0, 1, false).await, ErrorCode::WouldBlock);
    works(F::lock(&one, EXCLUSIVE, 50, 1, false).await);
}

async fn unlock<F: Face>() {
    let (one, other) = (both::<F>().await, both::<F>().await);
    let end = i64::MAX.cast_unsigned();
    for (offset, length) in [(u64::MAX, 0), (1 << 63, 1), (0, 1 << 63), (end, 2)] {
        fails(F::unlock(&one, offset, length).await, ErrorCode::Invalid);
    }
    works(F::unlock(&one, 0, 0).await);
    works(F::unlock(&readable::<F>("/frozen/ice").await, 5, 5).await);

    works(F::lock(&one, EXCLUSIVE, 0, 100, false).await);
    works(F::unlock(&other, 0, 0).await);
    fails(F::lock(&other, SHARED, 0, 1, false).await, ErrorCode::WouldBlock);
    // A part in the middle: the rest on both sides stays.
    works(F::unlock(&one, 40, 20).await);
    works(F::lock(&other, EXCLUSIVE, 40, 20, false).await);
    fails(F::lock(&other, EXCLUSIVE, 39, 1, false).await, ErrorCode::WouldBlock);
    fails(F::lock(&other, EXCLUSIVE, 60, 1, false).await, ErrorCode::WouldBlock);
    works(F::lock(&other, EXCLUSIVE, 100, 0, false).await);
    works(F::unlock(&one, 0, 0).await);
    works(F::lock(&other, EXCLUSIVE, 0, 0, false).await);
}

async fn clone_range<F: Face>() {
    let data = pattern(64 << 10);
    let input = create::<F>("input", &data).await;
    let output = create::<F>("output", b"").await;
    write_all::<F>(&output, b"before").await;
    fails(F::clone_range(&output, 0, &writable::<F>("input").await, 0, 4096).await, ErrorCode::BadDescriptor);
    fails(F::clone_range(&readable::<F>("output").await, 0, &input, 0, 4096).await, ErrorCode::BadDescriptor);
    for outside in [1 << 63, u64::MAX] {
        fails(F::clone_range(&output, outside, &input, 0, 4096).await, ErrorCode::Invalid);
        fails(F::clone_range(&output, 0, &input, outside, 4096).await, ErrorCode::Invalid);
    }
    assert_eq!(content::<F>("output").await, b"before");

    // Few file systems share space; those that do not say so, and change nothing.
    let refused = |result: Result<(), Error>| fails(result, ErrorCode::Unsupported);
    match F::clone_range(&output, 0, &input, 16 << 10, 32 << 10).await {
        Ok(()) => {
            assert!(read_all::<F>(&output, 0, 1 << 20).await == data[16 << 10..48 << 10], "another range");
            works(F::write(&input, Some(16 << 10), b"later").await);
            assert_eq!(works(F::read(&output, Some(0), 5).await), data[16 << 10..][..5], "they are two files");
            works(F::clone_range(&output, 0, &input, 0, 0).await);
            assert_eq!(works(F::fstat(&output).await).size, 64 << 10);
        }
        result => {
            refused(result);
            refused(F::clone_range(&output, 0, &input, 0, 0).await);
            assert_eq!(content::<F>("output").await, b"before");
        }
    }
}
