//! Requests on whole files: `load`, `slurp`, `store`, `copy`, `move`.

use super::tests;
use crate::check::{content, create, dir, exists, fails, path_errors, readable, works};
use crate::face::{ErrorCode, Face, File, FileType, NewTime, OpenFlags, Timestamp};

tests!(
    load,
    slurp,
    store,
    copy,
    move_,
    slurp_past_the_end_failed,
    slurp_of_a_directory_ran_out_of_memory,
    load_of_a_file_without_a_size_was_empty,
    failed_store_left_a_part,
    copy_of_a_file_without_a_size_was_empty,
    copy_onto_itself_emptied_the_file,
    copy_of_a_directory_left_a_file,
    failed_copy_left_a_part,
    copy_of_much_was_cut,
    copy_filled_the_holes,
    move_that_had_to_copy_failed,
    move_of_a_directory_to_another_device_left_a_file,
    failed_unlink_of_a_move_was_silent,
    move_lost_what_was_written_meanwhile,
    what_a_killed_host_left_stayed_for_ever,
);

/// What is in the working directory, which names on their way are too.
async fn names<F: Face>() -> Vec<String> {
    let mut names = works(F::readdir(None, ".").await);
    names.sort();
    names
}

async fn load<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::load(at, path).await, &sub).await;
    fails(F::load(None, "missing").await, ErrorCode::NoEntry);
    for path in ["sub", "link-dir", "."] {
        fails(F::load(None, path).await, ErrorCode::IsDirectory);
    }
    for path in ["fifo", "socket", "/dev/null"] {
        fails(F::load(None, path).await, ErrorCode::Unsupported);
    }
    fails(F::load(None, "digits/").await, ErrorCode::NotDirectory);
    fails(F::load(None, "sparse").await, ErrorCode::FileTooLarge);

    for path in ["digits", "link-file", "chain-in-1", "/data/digits"] {
        assert_eq!(works(F::load(None, path).await), b"0123456789", "{path}");
    }
    assert_eq!(works(F::load(Some(&sub), "inner").await), b"inner\n");
    assert_eq!(works(F::load(None, "/frozen/ice").await), b"cold");
    assert_eq!(works(F::load(None, "empty").await), b"");
    // As much as one read may return is not too much.
    let large = create::<F>("large", b"").await;
    works(F::write(&large, Some((16 << 20) - 1), b"x").await);
    let data = works(F::load(None, "large").await);
    assert_eq!((data.len(), data.last()), (16 << 20, Some(&b'x')));
}

async fn slurp<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::slurp(at, path, 0, None).await, &sub).await;
    fails(F::slurp(None, "missing", 0, None).await, ErrorCode::NoEntry);
    fails(F::slurp(None, "fifo", 0, None).await, ErrorCode::Unsupported);
    for before in [-11, i64::MIN] {
        fails(F::slurp(None, "digits", before, None).await, ErrorCode::Invalid);
    }
    for (offset, length, expected) in [
        (0, None, "0123456789"),
        (3, None, "3456789"),
        (3, Some(4), "3456"),
        (8, Some(100), "89"),
        (0, Some(0), ""),
        (-10, None, "0123456789"),
        (-3, None, "789"),
        (-3, Some(2), "78"),
    ] {
        let data = works(F::slurp(None, "digits", offset, length).await);
        assert_eq!(data, expected.as_bytes(), "{offset}, {length:?}");
    }
    assert_eq!(works(F::slurp(Some(&sub), "inner", 1, None).await), b"nner\n");
    for length in [None, Some(u32::MAX)] {
        assert_eq!(works(F::slurp(None, "sparse", 0, length).await).len(), 16 << 20);
        assert_eq!(works(F::slurp(None, "sparse", 20 << 20, length).await), b"right");
    }
    assert_eq!(works(F::slurp(None, "sparse", -7, None).await), b"\0\0right");
}

async fn store<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::store(at, path, b"x", 0o666).await, &sub).await;
    for path in ["sub", "sub/", ".", "sub/..", "/data"] {
        fails(F::store(None, path, b"x", 0o666).await, ErrorCode::IsDirectory);
    }
    fails(F::store(None, "digits/", b"x", 0o666).await, ErrorCode::NotDirectory);
    fails(F::store(None, "missing/", b"x", 0o666).await, ErrorCode::NoEntry);
    for path in ["/frozen/ice", "/frozen/new"] {
        fails(F::store(None, path, b"x", 0o666).await, ErrorCode::ReadOnly);
    }
    let before = names::<F>().await;

    let old = readable::<F>("digits").await;
    works(F::store(None, "digits", b"new", 0o666).await);
    assert_eq!(content::<F>("digits").await, b"new");
    assert_eq!(works(F::read(&old, Some(0), 100).await), b"0123456789", "whoever has it open has the old file");
    works(F::store(None, "twin-one", b"alone", 0o666).await);
    assert_eq!(content::<F>("twin-two").await, b"twins");
    // A link is replaced, not followed.
    for path in ["link-file", "link-out", "link-dangling", "link-loop"] {
        works(F::store(None, path, b"stored", 0o600).await);
        assert_eq!(works(F::lstat(None, path).await).type_, FileType::RegularFile);
        assert_eq!(content::<F>(path).await, b"stored");
    }
    assert_eq!(content::<F>("digits").await, b"new");
    assert_eq!(names::<F>().await, before);
    for (mode, expected) in [(0o666, 0o644), (0o7777, 0o755), (0o400, 0o400), (0, 0)] {
        works(F::store(Some(&sub), "made", b"", mode).await);
        assert_eq!(works(F::stat(None, "sub/made").await).mode, expected);
    }
    let large = crate::check::pattern(10_000_000);
    works(F::store(None, "large", &large, 0o666).await);
    assert!(works(F::load(None, "large").await) == large, "other bytes came back");
}

async fn copy<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::copy(at, path, None, "new").await, &sub).await;
    path_errors(async |at, path| F::copy(None, "digits", at, path).await, &sub).await;
    fails(F::copy(None, "missing", None, "new").await, ErrorCode::NoEntry);
    for path in ["fifo", "socket", "/dev/null"] {
        fails(F::copy(None, path, None, "new").await, ErrorCode::Unsupported);
    }
    for target in ["sub", "bare", "sub/", "."] {
        fails(F::copy(None, "digits", None, target).await, ErrorCode::IsDirectory);
    }
    fails(F::copy(None, "digits", None, "empty/").await, ErrorCode::NotDirectory);
    fails(F::copy(None, "digits", None, "/frozen/ice").await, ErrorCode::ReadOnly);
    assert!(!exists::<F>("new").await);

    assert_eq!(works(F::copy(None, "digits", None, "copy").await), 10);
    assert_eq!(content::<F>("copy").await, b"0123456789");
    let status = works(F::stat(None, "copy").await);
    assert_eq!(status.mode, 0o640);
    assert_eq!((status.modified.seconds, status.modified.nanoseconds), (1_000_000_000, 123_456_789));
    let old = works(F::copy(None, "old", Some(&sub), "old").await);
    assert_eq!(old, 0);
    let modified = works(F::stat(None, "sub/old").await).modified;
    assert_eq!((modified.seconds, modified.nanoseconds), (-2, 500_000_000));
    // What has the name is replaced: a file, and a link that is not followed.
    assert_eq!(works(F::copy(None, "/frozen/ice", None, "copy").await), 4);
    assert_eq!(content::<F>("copy").await, b"cold");
    for link in ["link-out", "link-out-new", "link-loop"] {
        assert_eq!(works(F::copy(None, "link-dir/inner", None, link).await), 6);
        assert_eq!(works(F::lstat(None, link).await).type_, FileType::RegularFile);
    }
    // A link to the file itself is another thing than the file.
    assert_eq!(works(F::copy(None, "digits", None, "link-file").await), 10);
    assert_eq!(content::<F>("digits").await, b"0123456789");
}

async fn move_<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::move_(at, path, None, "new").await, &sub).await;
    path_errors(async |at, path| F::move_(None, "digits", at, path).await, &sub).await;
    fails(F::move_(None, "missing", None, "new").await, ErrorCode::NoEntry);
    fails(F::move_(None, "digits", None, "sub").await, ErrorCode::IsDirectory);
    fails(F::move_(None, "sub", None, "sub/deep/new").await, ErrorCode::Invalid);
    fails(F::move_(None, "/frozen/ice", None, "new").await, ErrorCode::ReadOnly);
    fails(F::move_(None, "digits", None, "/frozen/new").await, ErrorCode::ReadOnly);

    works(F::move_(None, "digits", Some(&sub), "moved").await);
    assert!(!exists::<F>("digits").await);
    assert_eq!(content::<F>("sub/moved").await, b"0123456789");
    works(F::move_(None, "bare", None, "/other/bare").await);
    assert!(exists::<F>("/other/bare").await && !exists::<F>("bare").await, "a directory too, on one device");
    works(F::move_(None, "link-dangling", None, "moved").await);
    assert_eq!(works(F::lstat(None, "moved").await).type_, FileType::SymbolicLink);
}

async fn slurp_past_the_end_failed<F: Face>() {
    for _ in 0..2000 {
        assert_eq!(works(F::slurp(None, "digits", 11, None).await), b"");
    }
    for offset in [10, 1 << 40, i64::MAX] {
        assert_eq!(works(F::slurp(None, "digits", offset, None).await), b"");
        assert_eq!(works(F::slurp(None, "digits", offset, Some(10)).await), b"");
    }
}

async fn slurp_of_a_directory_ran_out_of_memory<F: Face>() {
    for path in ["sub", "link-dir", "/proc"] {
        fails(F::slurp(None, path, 0, None).await, ErrorCode::IsDirectory);
        fails(F::slurp(None, path, 0, Some(10)).await, ErrorCode::IsDirectory);
    }
}

async fn load_of_a_file_without_a_size_was_empty<F: Face>() {
    assert_eq!(works(F::stat(None, "/proc/stat").await).size, 0);
    for data in [F::load(None, "/proc/stat").await, F::slurp(None, "/proc/stat", 0, None).await] {
        let text = String::from_utf8(works(data)).expect("it is text");
        assert!(text.starts_with("cpu ") && text.contains("btime "), "{text}");
    }
}

async fn failed_store_left_a_part<F: Face>() {
    let before = names::<F>().await;
    fails(F::store(None, &"n".repeat(256), b"x", 0o666).await, ErrorCode::NameTooLong);
    fails(F::store(None, "sub", b"x", 0o666).await, ErrorCode::IsDirectory);
    assert_eq!(names::<F>().await, before);
}

async fn copy_of_a_file_without_a_size_was_empty<F: Face>() {
    let version = works(F::load(None, "/proc/version").await);
    assert_eq!(works(F::copy(None, "/proc/version", None, "version").await), version.len() as u64);
    assert_eq!(content::<F>("version").await, version);
}

async fn copy_onto_itself_emptied_the_file<F: Face>() {
    let sub = dir::<F>("sub").await;
    for (path, target) in
        [("digits", "digits"), ("digits", "./sub/../digits"), ("link-file", "digits"), ("twin-one", "twin-two")]
    {
        fails(F::copy(None, path, None, target).await, ErrorCode::Invalid);
    }
    fails(F::copy(Some(&sub), "inner", None, "sub/inner").await, ErrorCode::Invalid);
    assert_eq!(content::<F>("digits").await, b"0123456789");
    assert_eq!(content::<F>("twin-two").await, b"twins");
}

async fn copy_of_a_directory_left_a_file<F: Face>() {
    let before = names::<F>().await;
    for path in ["sub", "link-dir", ".", "/frozen"] {
        fails(F::copy(None, path, None, "new").await, ErrorCode::IsDirectory);
    }
    assert_eq!(names::<F>().await, before);
}

/// What is read of `/stuck/broken` is an error.
async fn failed_copy_left_a_part<F: Face>() {
    let before = names::<F>().await;
    fails(F::copy(None, "/stuck/broken", None, "new").await, ErrorCode::Io);
    fails(F::copy(None, "/stuck/broken", None, "digits").await, ErrorCode::Io);
    fails(F::copy(None, "digits", None, &"n".repeat(256)).await, ErrorCode::NameTooLong);
    assert_eq!(names::<F>().await, before);
    assert_eq!(content::<F>("digits").await, b"0123456789", "what was there stays");
}

/// A file of more than 4 GiB with nothing in it but its ends and its middle.
async fn huge<F: Face>() -> File {
    let file = create::<F>("huge", b"start").await;
    works(F::write(&file, Some(1 << 31), b"middle").await);
    works(F::write(&file, Some(5 << 30), b"end").await);
    file
}

async fn copy_of_much_was_cut<F: Face>() {
    let file = huge::<F>().await;
    assert_eq!(works(F::copy(None, "huge", None, "copy").await), (5 << 30) + 3);
    let copy = readable::<F>("copy").await;
    assert_eq!(works(F::read(&copy, Some((1 << 31) - 1), 8).await), b"\0middle\0");
    assert_eq!(works(F::read(&copy, Some((5 << 30) - 1), 100).await), b"\0end");
    assert_eq!(works(F::read(&copy, Some(0), 6).await), b"start\0");
    // And `sendfile`, on both sides of where 32 bits end.
    for at in [1u64 << 31, 5 << 30] {
        let output = works(F::open(None, "part", OpenFlags::READ | OpenFlags::WRITE | OpenFlags::CREATE, 0o666).await);
        assert_eq!(works(F::sendfile(&output, Some(at - 2), &file, at - 2, 5).await), 5);
        assert_eq!(works(F::read(&output, Some(at), 3).await), works(F::read(&file, Some(at), 3).await));
    }
}

async fn copy_filled_the_holes<F: Face>() {
    drop(huge::<F>().await);
    works(F::copy(None, "huge", None, "copy").await);
    let copied = works(F::stat(None, "copy").await);
    assert_eq!(copied.size, (5 << 30) + 3);
    assert!(copied.blocks <= 1000, "{} blocks", copied.blocks);
    // A hole at the end.
    works(F::copy(None, "sparse", None, "large").await);
    assert!(works(F::stat(None, "large").await).blocks <= 1000);
    assert_eq!(works(F::slurp(None, "large", 20 << 20, None).await), b"right");
}

/// `/far` is on another device.
async fn move_that_had_to_copy_failed<F: Face>() {
    fails(F::rename(None, "digits", None, "/far/digits").await, ErrorCode::CrossDevice);
    let before = works(F::stat(None, "digits").await);
    works(F::move_(None, "digits", None, "/far/digits").await);
    assert!(!exists::<F>("digits").await);
    assert_eq!(content::<F>("/far/digits").await, b"0123456789");
    let after = works(F::stat(None, "/far/digits").await);
    assert_eq!((after.mode, after.modified.nanoseconds), (before.mode, before.modified.nanoseconds));
    // Over what is there, and back.
    works(F::store(None, "digits", b"other", 0o666).await);
    works(F::move_(None, "/far/digits", None, "digits").await);
    assert_eq!(content::<F>("digits").await, b"0123456789");
    assert_eq!(works(F::readdir(None, "/far").await), Vec::<String>::new());
    fails(F::move_(None, "/far/missing", None, "digits").await, ErrorCode::NoEntry);
    // Copies go there too, with their holes.
    assert_eq!(works(F::copy(None, "sparse", None, "/far/sparse").await), (20 << 20) + 5);
    assert!(works(F::stat(None, "/far/sparse").await).blocks <= 1000);
    assert_eq!(works(F::copy_tree(None, "sub", None, "/far/sub", 0).await), 6);
    assert_eq!(content::<F>("/far/sub/deep/leaf").await, b"leaf\n");
    let pattern = crate::check::pattern(9_000_000);
    works(F::store(None, "large", &pattern, 0o666).await);
    works(F::move_(None, "large", None, "/far/large").await);
    assert!(works(F::load(None, "/far/large").await) == pattern, "other bytes came");
}

async fn move_of_a_directory_to_another_device_left_a_file<F: Face>() {
    for path in ["sub", "fifo", "link-file", "link-dangling"] {
        fails(F::move_(None, path, None, "/far/new").await, ErrorCode::CrossDevice);
        assert!(exists::<F>(path).await);
    }
    works(F::mkdir(None, "/far/dir", 0o777).await);
    fails(F::move_(None, "digits", None, "/far/dir").await, ErrorCode::IsDirectory);
    assert_eq!(works(F::readdir(None, "/far").await), ["dir"]);
    assert!(exists::<F>("digits").await);
}

/// `/stuck` is on another device, and nothing there can be removed.
async fn failed_unlink_of_a_move_was_silent<F: Face>() {
    let before = names::<F>().await;
    fails(F::move_(None, "/stuck/file", None, "new").await, ErrorCode::Access);
    assert_eq!(names::<F>().await, before, "the copy is gone again");
    // What it was to replace is there as it was.
    fails(F::move_(None, "/stuck/file", None, "digits").await, ErrorCode::Access);
    assert_eq!((names::<F>().await, content::<F>("digits").await), (before, b"0123456789".to_vec()));
}

/// `/far` is on another device. Whoever has a file open could write to it when it is copied already.
async fn move_lost_what_was_written_meanwhile<F: Face>() {
    works(F::store(None, "/far/target", b"old", 0o666).await);
    let file = works(F::open(None, "digits", OpenFlags::READ | OpenFlags::WRITE, 0).await);
    fails(F::move_(None, "digits", None, "/far/target").await, ErrorCode::Busy);
    assert_eq!(works(F::write(&file, Some(10), b"!").await), 1);
    assert_eq!(content::<F>("digits").await, b"0123456789!");
    assert_eq!(content::<F>("/far/target").await, b"old");
    // On one device it goes along.
    works(F::move_(None, "digits", None, "renamed").await);
    assert_eq!(works(F::write(&file, Some(11), b"!").await), 1);
    // A handle that is dropped is closed by and by, which is waited for.
    drop(file);
    works(F::move_(None, "renamed", None, "/far/target").await);
    assert_eq!(content::<F>("/far/target").await, b"0123456789!!");
    assert!(!exists::<F>("renamed").await);
    assert_eq!(works(F::readdir(None, "/far").await), ["target"]);
}

async fn what_a_killed_host_left_stayed_for_ever<F: Face>() {
    let now = works(F::stat(None, "digits").await).changed;
    let long_ago = NewTime::At(Timestamp { seconds: now.seconds - 2 * 3600, ..now });
    let (file, dir, young) = (".aiohost-0123456789abcdef", ".aiohost-00000000000000ff", ".aiohost-fedcba9876543210");
    for request in ["store", "copy", "copy-tree", "move"] {
        drop(create::<F>(file, b"a part").await);
        drop(create::<F>(young, b"a part").await);
        drop(create::<F>(".aiohost-of-mine", b"mine").await);
        works(F::mkdir(None, dir, 0o777).await);
        drop(create::<F>(&format!("{dir}/file"), b"a part").await);
        for path in [file, dir, ".aiohost-of-mine"] {
            works(F::utime(None, path, NewTime::Omit, long_ago).await);
        }
        match request {
            "store" => works(F::store(None, "new", b"x", 0o666).await),
            "copy" => drop(works(F::copy(None, "digits", None, "new").await)),
            "copy-tree" => drop(works(F::copy_tree(None, "bare", None, "bare-copy", 0).await)),
            _ => {
                works(F::copy(None, "digits", None, "/far/digits").await);
                works(F::move_(None, "/far/digits", None, "new").await);
            }
        }
        let left: Vec<String> = names::<F>().await.into_iter().filter(|name| name.starts_with(".aiohost-")).collect();
        assert_eq!(left, [young, ".aiohost-of-mine"], "{request}");
        for path in left {
            works(F::unlink(None, &path).await);
        }
    }
}
