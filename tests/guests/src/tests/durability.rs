//! Requests that bring data to the device, and `busy`. What the former do cannot be seen while the power is on; the tests hold
//! them to what must not change, and to every kind of handle.

use std::time::{Duration, Instant};

use super::tests;
use crate::bindings::aiohost::aio::submit;
use crate::check::{content, create, dir, fails, path_errors, readable, works};
use crate::face::{Error, ErrorCode, Face, File, OpenFlags, SyncRangeFlags};

tests!(fsync, fdatasync, sync_file_range, syncfs, pathsync, busy, gated);

async fn sync_every_handle<F: Face>(sync: impl AsyncFn(&File) -> Result<(), Error>) {
    let file = create::<F>("written", b"first").await;
    works(sync(&file).await);
    works(F::write(&file, None, b"again").await);
    works(sync(&file).await);
    works(sync(&file).await);
    assert_eq!(content::<F>("written").await, b"again", "the position stays where it was");
    assert_eq!(works(F::write(&file, None, b"!").await), 1);
    assert_eq!(content::<F>("written").await, b"again!");

    works(sync(&readable::<F>("digits").await).await);
    works(sync(&readable::<F>("/frozen/ice").await).await);
    works(sync(&works(F::open(None, "digits", OpenFlags::APPEND, 0).await)).await);
    works(F::unlink(None, "written").await);
    works(sync(&file).await);
}

async fn fsync<F: Face>() {
    sync_every_handle::<F>(async |file| F::fsync(file).await).await;
}

async fn fdatasync<F: Face>() {
    sync_every_handle::<F>(async |file| F::fdatasync(file).await).await;
}

async fn sync_file_range<F: Face>() {
    let all = SyncRangeFlags::WAIT_BEFORE | SyncRangeFlags::WRITE | SyncRangeFlags::WAIT_AFTER;
    let file = create::<F>("ranges", b"0123456789").await;
    for (offset, length) in [(u64::MAX, 1), (1 << 63, 1), (0, 1 << 63), (i64::MAX.cast_unsigned(), 2)] {
        fails(F::sync_file_range(&file, offset, length, all).await, ErrorCode::Invalid);
    }
    for flags in [SyncRangeFlags::empty(), SyncRangeFlags::WRITE, all] {
        for (offset, length) in [(0, 0), (0, 10), (4, 2), (0, i64::MAX.cast_unsigned()), (1 << 40, 1)] {
            works(F::sync_file_range(&file, offset, length, flags).await);
        }
    }
    sync_every_handle::<F>(async |file| F::sync_file_range(file, 0, 0, all).await).await;
}

/// `--allow syncfs`
async fn syncfs<F: Face>() {
    sync_every_handle::<F>(async |file| F::syncfs(file).await).await;
}

async fn pathsync<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::pathsync(at, path).await, &sub).await;
    fails(F::pathsync(None, "missing").await, ErrorCode::NoEntry);
    fails(F::pathsync(None, "digits/").await, ErrorCode::NotDirectory);
    fails(F::pathsync(None, "link-out").await, ErrorCode::NotPermitted);
    fails(F::pathsync(None, "link-dangling").await, ErrorCode::NoEntry);
    for path in ["fifo", "socket", "/dev/null"] {
        fails(F::pathsync(None, path).await, ErrorCode::Unsupported);
    }

    let file = create::<F>("written", b"safe").await;
    for path in ["written", ".", "sub", "sub/", "link-file", "link-dir", "/frozen/ice", "/frozen"] {
        works(F::pathsync(None, path).await);
    }
    works(F::pathsync(Some(&sub), "inner").await);
    works(F::pathsync(Some(&sub), ".").await);
    drop(file);
    assert_eq!(content::<F>("written").await, b"safe");
}

/// `--allow busy`
async fn busy<F: Face>() {
    let start = Instant::now();
    works(F::busy(0).await);
    works(F::busy(30).await);
    assert!(start.elapsed() >= Duration::from_millis(30), "{:?}", start.elapsed());
    // It would be busy for longer than the world has been there, and is not.
    let request = submit::busy(u64::MAX);
    works(F::busy(1).await);
    request.cancel();
    fails(request.wait(), ErrorCode::Canceled);
}

/// What the host has to allow, and here does not.
async fn gated<F: Face>() {
    fails(F::mkfifo(None, "new", 0o666).await, ErrorCode::NotPermitted);
    fails(F::lstat(None, "new").await, ErrorCode::NoEntry);
    fails(F::syncfs(&readable::<F>("digits").await).await, ErrorCode::NotPermitted);
    fails(F::busy(u64::MAX).await, ErrorCode::NotPermitted);
}
