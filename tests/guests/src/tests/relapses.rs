//! What went wrong in IO::AIO and its relatives with attributes, names and ranges, and must not here; each named after it.

use super::tests;
use crate::check::{content, create, dir, exists, fails, readable, works};
use crate::face::{AllocateFlags, ErrorCode, Face, File, LockKind, NewTime, OpenFlags, SyncRangeFlags, Timestamp, Whence};

tests!(
    undefined_time_meant_minus_one,
    times_were_cut_to_microseconds,
    link_was_made_in_another_directory,
    readlink_cut_the_target,
    realpath_gave_garbage_for_long_names,
    realpath_went_stale_after_rename,
    working_directory_itself_was_not_to_be_had,
    status_was_success_and_nothing_was_done,
    range_arguments_were_mixed_up,
    results_were_cut_to_32_bits,
    lock_outlived_its_handle,
    attribute_of_a_frozen_file_was_changed,
);

fn at(seconds: i64, nanoseconds: u32) -> NewTime {
    NewTime::At(Timestamp { seconds, nanoseconds })
}

async fn times<F: Face>(path: &str) -> [(i64, u32); 2] {
    let status = works(F::stat(None, path).await);
    [status.accessed, status.modified].map(|time| (time.seconds, time.nanoseconds))
}

/// `aio_utime` with one time left out set the other to -1, and two times of -1 were taken for "now".
async fn undefined_time_meant_minus_one<F: Face>() {
    let before = times::<F>("digits").await;
    works(F::utime(None, "digits", at(5, 0), NewTime::Omit).await);
    assert_eq!(times::<F>("digits").await, [(5, 0), before[1]]);
    works(F::utime(None, "digits", NewTime::Omit, at(5, 0)).await);
    assert_eq!(times::<F>("digits").await, [(5, 0), (5, 0)]);
    works(F::utime(None, "digits", at(-1, 0), at(-1, 0)).await);
    assert_eq!(times::<F>("digits").await, [(-1, 0), (-1, 0)]);
    works(F::futime(&readable::<F>("digits").await, at(-1, 999_999_999), at(-2, 1)).await);
    assert_eq!(times::<F>("digits").await, [(-1, 999_999_999), (-2, 1)]);
}

/// Seconds in a double, or a `timeval`.
async fn times_were_cut_to_microseconds<F: Face>() {
    works(F::utime(None, "digits", at(1_700_000_000, 123_456_789), at(1_700_000_001, 1)).await);
    assert_eq!(times::<F>("digits").await, [(1_700_000_000, 123_456_789), (1_700_000_001, 1)]);
}

/// `aio_symlink` took the directory of the target for the link's.
async fn link_was_made_in_another_directory<F: Face>() {
    let (sub, bare) = (dir::<F>("sub").await, dir::<F>("bare").await);
    works(F::symlink("inner", Some(&sub), "new").await);
    assert!(exists::<F>("sub/new").await && !exists::<F>("new").await && !exists::<F>("inner").await);
    assert_eq!(content::<F>("sub/new").await, b"inner\n");
    works(F::link(Some(&sub), "inner", Some(&bare), "hard").await);
    assert!(exists::<F>("bare/hard").await && !exists::<F>("sub/hard").await);
}

/// At the length of a name, where the target is a path.
async fn readlink_cut_the_target<F: Face>() {
    for length in [1_usize, 254, 255, 256, 257, 1023, 1024, 4094, 4095] {
        let target = "x/".repeat(length.div_ceil(2))[..length].to_owned();
        let name = format!("link-{length}");
        works(F::symlink(&target, None, &name).await);
        assert_eq!(works(F::readlink(None, &name).await), target, "{length} bytes");
    }
    fails(F::stat(None, "link-4095").await, ErrorCode::NoEntry);
}

/// Names as long as names get, and as deep as a path reaches; and beyond that.
async fn realpath_gave_garbage_for_long_names<F: Face>() {
    let name = "n".repeat(255);
    let mut path = String::from("/data");
    let mut at = dir::<F>(".").await;
    for depth in 1..=17 {
        works(F::mkdir(Some(&at), &name, 0o777).await);
        at = works(F::open_dir(Some(&at), &name).await);
        path = format!("{path}/{name}");
        // The host's own path to it is longer by what comes before `data`.
        match F::realpath(Some(&at), ".").await {
            Ok(real) => assert_eq!(real, path),
            result => {
                assert!(depth > 14, "{result:?} at a depth of {depth}");
                fails(result, ErrorCode::NameTooLong);
            }
        }
    }
    assert_eq!(works(F::realpath(None, &name).await).len(), "/data/".len() + 255);
}

/// The path of a directory was the text it was once opened by.
async fn realpath_went_stale_after_rename<F: Face>() {
    let sub = dir::<F>("sub").await;
    works(F::rename(None, "sub", None, "renamed").await);
    works(F::mkdir(None, "sub", 0o777).await);
    assert_eq!(works(F::realpath(Some(&sub), ".").await), "/data/renamed");
    assert_eq!(works(F::realpath(Some(&sub), "deep/leaf").await), "/data/renamed/deep/leaf");
    works(F::rename(None, "renamed", None, "bare/again").await);
    assert_eq!(works(F::realpath(Some(&sub), "inner").await), "/data/bare/again/inner");
    // Into another grant: it is that one's now, and this handle's no more.
    works(F::rename(None, "bare/again", None, "/other/again").await);
    fails(F::realpath(Some(&sub), ".").await, ErrorCode::NotPermitted);
    assert_eq!(works(F::realpath(None, "/other/again").await), "/other/again");
}

/// A directory handle with the path `.`.
async fn working_directory_itself_was_not_to_be_had<F: Face>() {
    let sub = dir::<F>("sub").await;
    works(F::rename(None, "sub", None, "renamed").await);
    works(F::chmod(Some(&sub), ".", 0o750).await);
    works(F::utime(Some(&sub), ".", at(1, 2), at(3, 4)).await);
    works(F::pathsync(Some(&sub), ".").await);
    assert_eq!(works(F::statvfs(Some(&sub), ".").await).blocks, works(F::statvfs(None, ".").await).blocks);
    assert_eq!(works(F::stat(None, "renamed").await).mode, 0o750);
    assert_eq!(times::<F>("renamed").await, [(1, 2), (3, 4)]);
    fails(F::truncate(Some(&sub), ".", 0).await, ErrorCode::IsDirectory);
    fails(F::link(Some(&sub), ".", None, "target").await, ErrorCode::NotPermitted);
    fails(F::symlink("x", Some(&sub), ".").await, ErrorCode::Exist);
    fails(F::readlink(Some(&sub), ".").await, ErrorCode::Invalid);
}

/// The status of `utime` was always 0; a thin wrapper may also do nothing, or the work of its neighbour.
async fn status_was_success_and_nothing_was_done<F: Face>() {
    let before = works(F::stat(None, "digits").await);
    fails(F::utime(None, "missing", at(1, 0), at(2, 0)).await, ErrorCode::NoEntry);
    works(F::chmod(None, "digits", 0o751).await);
    let status = works(F::stat(None, "digits").await);
    assert_eq!((status.mode, status.size, status.modified.seconds), (0o751, 10, before.modified.seconds));
    works(F::truncate(None, "digits", 7).await);
    let status = works(F::stat(None, "digits").await);
    assert_eq!((status.mode, status.size), (0o751, 7));
    works(F::utime(None, "digits", at(1, 0), at(2, 0)).await);
    assert_eq!(times::<F>("digits").await, [(1, 0), (2, 0)], "which of the two is which");
    let file = readable::<F>("digits").await;
    works(F::fchmod(&file, 0o640).await);
    works(F::futime(&file, at(3, 0), at(4, 0)).await);
    assert_eq!(works(F::stat(None, "digits").await).mode, 0o640);
    assert_eq!(times::<F>("digits").await, [(3, 0), (4, 0)]);
}

/// Offset and length, and the two ends of a copy.
async fn range_arguments_were_mixed_up<F: Face>() {
    let file = create::<F>("file", b"").await;
    works(F::allocate(&file, AllocateFlags::empty(), 5, 3).await);
    assert_eq!(works(F::fstat(&file).await).size, 8);
    works(F::write(&file, Some(0), &[b'x'; 30_000]).await);
    works(F::allocate(&file, AllocateFlags::KEEP_SIZE | AllocateFlags::PUNCH_HOLE, 4096, 8192).await);
    let data = works(F::read(&file, Some(0), 30_000).await);
    assert_eq!((data.iter().position(|byte| *byte == 0), data.iter().rposition(|byte| *byte == 0)), (Some(4096), Some(12_287)));
    // Out of range only as an offset, or only as an end.
    let end = i64::MAX.cast_unsigned();
    works(F::sync_file_range(&file, 1, end - 1, SyncRangeFlags::WRITE).await);
    fails(F::sync_file_range(&file, end, 2, SyncRangeFlags::WRITE).await, ErrorCode::Invalid);
    let other = works(F::open(None, "file", OpenFlags::READ | OpenFlags::WRITE, 0).await);
    works(F::lock(&file, LockKind::Exclusive, 10, 2, false).await);
    works(F::lock(&other, LockKind::Exclusive, 2, 8, false).await);
    fails(F::lock(&other, LockKind::Exclusive, 11, 1, false).await, ErrorCode::WouldBlock);
    works(F::lock(&other, LockKind::Exclusive, 12, 1, false).await);
}

async fn results_were_cut_to_32_bits<F: Face>() {
    let far = (5 << 32) + 7;
    let file = create::<F>("file", b"").await;
    works(F::ftruncate(&file, far).await);
    assert_eq!(works(F::fstat(&file).await).size, far);
    assert_eq!(works(F::seek(&file, 0, Whence::End).await), far);
    assert_eq!(works(F::write(&file, None, b"x").await), 1);
    assert_eq!(works(F::seek(&file, -1, Whence::Current).await), far);
    assert_eq!(works(F::read(&file, None, 10).await), b"x");
    works(F::allocate(&file, AllocateFlags::empty(), far + 10, 1).await);
    assert_eq!(works(F::fstat(&file).await).size, far + 11);
    works(F::truncate(None, "file", far - 1).await);
    assert_eq!(works(F::stat(None, "file").await).size, far - 1);
}

/// A lock ends with its handle: when that is closed, and when it is dropped.
async fn lock_outlived_its_handle<F: Face>() {
    let open = async || works(F::open(None, "digits", OpenFlags::READ | OpenFlags::WRITE, 0).await);
    let other: File = open().await;
    let one = open().await;
    works(F::lock(&one, LockKind::Exclusive, 0, 0, false).await);
    fails(F::lock(&other, LockKind::Exclusive, 0, 0, false).await, ErrorCode::WouldBlock);
    works(F::close(one).await);
    works(F::lock(&other, LockKind::Exclusive, 0, 0, false).await);
    works(F::unlock(&other, 0, 0).await);

    let one = open().await;
    works(F::lock(&one, LockKind::Exclusive, 0, 0, false).await);
    drop(one);
    // It is still to be closed perhaps, and the call waits for that.
    works(F::lock(&other, LockKind::Exclusive, 0, 0, false).await);
    // Another handle of the same file that is closed takes no lock with it, as locks of a process would go.
    works(F::close(open().await).await);
    fails(F::lock(&open().await, LockKind::Shared, 0, 0, false).await, ErrorCode::WouldBlock);
}

/// A file that may only be read is no way to change what only its status says.
async fn attribute_of_a_frozen_file_was_changed<F: Face>() {
    let frozen = dir::<F>("/frozen").await;
    let before = works(F::stat(None, "/frozen/ice").await);
    for file in [readable::<F>("/frozen/ice").await, works(F::open(Some(&frozen), "ice", OpenFlags::READ, 0).await)] {
        fails(F::futime(&file, at(1, 0), at(2, 0)).await, ErrorCode::ReadOnly);
        fails(F::fchmod(&file, 0o777).await, ErrorCode::ReadOnly);
        fails(F::ftruncate(&file, 0).await, ErrorCode::BadDescriptor);
        fails(F::allocate(&file, AllocateFlags::empty(), 0, 100).await, ErrorCode::BadDescriptor);
    }
    fails(F::chmod(Some(&frozen), "ice", 0o777).await, ErrorCode::ReadOnly);
    fails(F::utime(Some(&frozen), "ice", at(1, 0), at(2, 0)).await, ErrorCode::ReadOnly);
    fails(F::truncate(Some(&frozen), "ice", 0).await, ErrorCode::ReadOnly);
    fails(F::link(Some(&frozen), "ice", None, "ice").await, ErrorCode::ReadOnly);
    let after = works(F::stat(None, "/frozen/ice").await);
    assert_eq!(
        (before.mode, before.modified.seconds, before.changed.nanoseconds),
        (after.mode, after.modified.seconds, after.changed.nanoseconds)
    );
}
