//! Requests on what an object has beside its content: permission bits, times, length, and its file system.

use super::tests;
use crate::check::{content, create, dir, fails, path_errors, readable, works, writable};
use crate::face::{Error, ErrorCode, Face, File, FileType, NewTime, OpenFlags, Status, Timestamp};

tests!(statvfs, utime, futime, chmod, fchmod, truncate, ftruncate);

async fn statvfs<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::statvfs(at, path).await, &sub).await;
    fails(F::statvfs(None, "missing").await, ErrorCode::NoEntry);
    fails(F::statvfs(None, "link-out").await, ErrorCode::NotPermitted);
    fails(F::statvfs(None, "..").await, ErrorCode::NotPermitted);

    let volume = works(F::statvfs(None, "digits").await);
    assert!(volume.block_size.is_power_of_two() && volume.fragment_size.is_power_of_two(), "{volume:?}");
    assert!(volume.blocks >= volume.blocks_free && volume.blocks_free >= volume.blocks_available, "{volume:?}");
    assert!(volume.files >= volume.files_free && volume.files_free >= volume.files_available, "{volume:?}");
    assert!(volume.blocks_available > 0 && volume.name_max >= 255 && !volume.read_only, "{volume:?}");
    for path in ["sub", "link-file", "fifo", ".", "/frozen/ice"] {
        assert_eq!(works(F::statvfs(None, path).await).blocks, volume.blocks, "{path}");
    }
    assert_eq!(works(F::statvfs(Some(&sub), "inner").await).files, volume.files);
    let other = works(F::statvfs(None, "/proc/uptime").await);
    assert_eq!((other.blocks, other.blocks_free), (0, 0), "procfs has no blocks");
}

fn at(seconds: i64, nanoseconds: u32) -> NewTime {
    NewTime::At(Timestamp { seconds, nanoseconds })
}

/// The two times of a status, as pairs.
fn times(status: &Status) -> [(i64, u32); 2] {
    [&status.accessed, &status.modified].map(|time| (time.seconds, time.nanoseconds))
}

/// What is the same for a path and for a handle.
async fn set_times(set: impl AsyncFn(NewTime, NewTime) -> Result<(), Error>, status: impl AsyncFn() -> Status) {
    for nanoseconds in [1_000_000_000, (1 << 30) - 2, (1 << 30) - 1, u32::MAX] {
        fails(set(at(1, nanoseconds), NewTime::Omit).await, ErrorCode::Invalid);
        fails(set(NewTime::Omit, at(1, nanoseconds)).await, ErrorCode::Invalid);
    }
    assert_eq!(times(&status().await), [(1_100_000_000, 987_654_321), (1_000_000_000, 123_456_789)]);

    works(set(NewTime::Omit, NewTime::Omit).await);
    assert_eq!(times(&status().await), [(1_100_000_000, 987_654_321), (1_000_000_000, 123_456_789)]);
    works(set(at(1_234_567_890, 1), at(1_300_000_000, 999_999_999)).await);
    assert_eq!(times(&status().await), [(1_234_567_890, 1), (1_300_000_000, 999_999_999)]);
    works(set(NewTime::Omit, at(-1, 250_000_000)).await);
    assert_eq!(times(&status().await), [(1_234_567_890, 1), (-1, 250_000_000)]);
    works(set(at(0, 0), NewTime::Omit).await);
    assert_eq!(times(&status().await), [(0, 0), (-1, 250_000_000)]);

    // A time that the file system cannot hold becomes the nearest that it can.
    works(set(at(i64::MIN, 0), at(i64::MAX, 0)).await);
    let [accessed, modified] = times(&status().await);
    assert!(accessed.0 <= i32::MIN.into() && modified.0 >= i32::MAX.into(), "{accessed:?}, {modified:?}");

    works(set(NewTime::Now, at(5, 6)).await);
    let now = status().await;
    assert_eq!(times(&now)[1], (5, 6));
    assert!(now.accessed.seconds >= now.changed.seconds - 2 && now.accessed.seconds > 1_600_000_000, "{now:?}");
    works(set(at(7, 8), NewTime::Now).await);
    let now = status().await;
    assert_eq!(times(&now)[0], (7, 8));
    assert!(now.modified.seconds >= now.changed.seconds - 2 && now.modified.seconds > 1_600_000_000, "{now:?}");
}

async fn utime<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::utime(at, path, NewTime::Now, NewTime::Now).await, &sub).await;
    path_errors(async |at, path| F::utime(at, path, NewTime::Omit, NewTime::Omit).await, &sub).await;
    fails(F::utime(None, "missing", NewTime::Now, NewTime::Now).await, ErrorCode::NoEntry);
    fails(F::utime(None, "digits/", NewTime::Now, NewTime::Now).await, ErrorCode::NotDirectory);
    fails(F::utime(None, "link-dangling", NewTime::Now, NewTime::Now).await, ErrorCode::NoEntry);
    fails(F::utime(None, "link-out", NewTime::Now, NewTime::Now).await, ErrorCode::NotPermitted);
    for path in ["/frozen/ice", "/frozen/link-ice", "/frozen"] {
        fails(F::utime(None, path, NewTime::Now, NewTime::Now).await, ErrorCode::ReadOnly);
    }

    let set = async |accessed, modified| F::utime(None, "digits", accessed, modified).await;
    set_times(set, async || works(F::stat(None, "digits").await)).await;
    // A link is followed, and has times of its own.
    let link = times(&works(F::lstat(None, "link-file").await));
    works(F::utime(None, "link-file", at(10, 0), at(20, 0)).await);
    assert_eq!(times(&works(F::stat(None, "digits").await)), [(10, 0), (20, 0)]);
    assert_eq!(times(&works(F::lstat(None, "link-file").await))[1], link[1]);
    // Any kind of object, without opening it.
    for path in ["sub", "fifo", "socket", "bare/."] {
        works(F::utime(None, path, at(30, 1), at(40, 2)).await);
        assert_eq!(times(&works(F::stat(None, path).await)), [(30, 1), (40, 2)], "{path}");
    }
    works(F::utime(Some(&sub), "inner", at(1, 2), at(3, 4)).await);
    assert_eq!(times(&works(F::stat(None, "sub/inner").await)), [(1, 2), (3, 4)]);
}

async fn futime<F: Face>() {
    let ice = readable::<F>("/frozen/ice").await;
    fails(F::futime(&ice, NewTime::Now, NewTime::Now).await, ErrorCode::ReadOnly);
    fails(F::futime(&ice, NewTime::Omit, NewTime::Omit).await, ErrorCode::ReadOnly);

    // As in POSIX the file need not be open for writing.
    let file = readable::<F>("digits").await;
    let set = async |accessed, modified| F::futime(&file, accessed, modified).await;
    set_times(set, async || works(F::fstat(&file).await)).await;
    works(F::futime(&writable::<F>("digits").await, at(1, 2), at(3, 4)).await);
    assert_eq!(times(&works(F::stat(None, "digits").await)), [(1, 2), (3, 4)]);
    // The file, and not its name.
    works(F::rename(None, "digits", None, "elsewhere").await);
    drop(create::<F>("digits", b"another").await);
    works(F::futime(&file, at(5, 0), at(6, 0)).await);
    assert_eq!(times(&works(F::stat(None, "elsewhere").await)), [(5, 0), (6, 0)]);
    assert!(times(&works(F::stat(None, "digits").await))[1].0 > 1_600_000_000);
}

/// Modes with set-user-id and its like.
const TOO_MUCH: [u16; 5] = [0o1000, 0o2755, 0o4755, 0o7777, u16::MAX];

async fn chmod<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::chmod(at, path, 0o644).await, &sub).await;
    fails(F::chmod(None, "missing", 0o644).await, ErrorCode::NoEntry);
    fails(F::chmod(None, "digits/", 0o644).await, ErrorCode::NotDirectory);
    fails(F::chmod(None, "link-out", 0o644).await, ErrorCode::NotPermitted);
    fails(F::chmod(None, "link-dangling", 0o644).await, ErrorCode::NoEntry);
    for mode in TOO_MUCH {
        fails(F::chmod(None, "digits", mode).await, ErrorCode::NotPermitted);
    }
    for path in ["/frozen/ice", "/frozen/link-ice", "/frozen"] {
        fails(F::chmod(None, path, 0o777).await, ErrorCode::ReadOnly);
    }
    assert_eq!(works(F::stat(None, "digits").await).mode, 0o640);

    // The host's umask has no part in it.
    for mode in [0o777, 0o600, 0o000, 0o644] {
        works(F::chmod(None, "digits", mode).await);
        assert_eq!(works(F::stat(None, "digits").await).mode, mode);
    }
    works(F::chmod(None, "link-file", 0o604).await);
    assert_eq!(works(F::stat(None, "digits").await).mode, 0o604);
    for path in ["bare", "fifo", "socket"] {
        works(F::chmod(None, path, 0o711).await);
        assert_eq!(works(F::stat(None, path).await).mode, 0o711, "{path}");
    }
    works(F::chmod(Some(&sub), "inner", 0o444).await);
    assert_eq!(works(F::stat(None, "sub/inner").await).mode, 0o444);
    works(F::chmod(Some(&sub), ".", 0o700).await);
    assert_eq!(works(F::stat(None, "sub").await).mode, 0o700);
}

async fn fchmod<F: Face>() {
    let ice = readable::<F>("/frozen/ice").await;
    fails(F::fchmod(&ice, 0o777).await, ErrorCode::ReadOnly);
    let file = readable::<F>("digits").await;
    for mode in TOO_MUCH {
        fails(F::fchmod(&file, mode).await, ErrorCode::NotPermitted);
    }
    assert_eq!(works(F::fstat(&file).await).mode, 0o640);

    for mode in [0o777, 0o600, 0o000, 0o644] {
        works(F::fchmod(&file, mode).await);
        assert_eq!(works(F::stat(None, "digits").await).mode, mode);
    }
    works(F::fchmod(&works(F::open(None, "empty", OpenFlags::APPEND, 0).await), 0o604).await);
    assert_eq!(works(F::stat(None, "empty").await).mode, 0o604);
}

async fn truncate<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::truncate(at, path, 4).await, &sub).await;
    fails(F::truncate(None, "missing", 4).await, ErrorCode::NoEntry);
    fails(F::lstat(None, "missing").await, ErrorCode::NoEntry);
    for path in ["sub", "sub/", ".", "link-dir"] {
        fails(F::truncate(None, path, 4).await, ErrorCode::IsDirectory);
    }
    for path in ["fifo", "socket"] {
        fails(F::truncate(None, path, 4).await, ErrorCode::Unsupported);
    }
    fails(F::truncate(None, "digits/", 4).await, ErrorCode::NotDirectory);
    fails(F::truncate(None, "link-out", 4).await, ErrorCode::NotPermitted);
    fails(F::truncate(None, "/frozen/ice", 0).await, ErrorCode::ReadOnly);
    fails(F::truncate(None, "digits", u64::MAX).await, ErrorCode::Invalid);
    too_long(F::truncate(None, "digits", i64::MAX.cast_unsigned()).await);
    assert_eq!(content::<F>("digits").await, b"0123456789");

    works(F::truncate(None, "digits", 4).await);
    assert_eq!(content::<F>("digits").await, b"0123");
    works(F::truncate(None, "link-file", 6).await);
    assert_eq!(content::<F>("digits").await, b"0123\0\0");
    works(F::truncate(Some(&sub), "inner", 0).await);
    assert_eq!(works(F::stat(None, "sub/inner").await).size, 0);
    works(F::truncate(None, "empty", 5 << 30).await);
    let status = works(F::stat(None, "empty").await);
    assert_eq!((status.type_, status.size, status.blocks), (FileType::RegularFile, 5 << 30, 0), "it takes no space");
}

/// How long is too long depends on the file system, and so does the error.
fn too_long(result: Result<(), Error>) {
    let code = result.as_ref().expect_err("no file is that long").code;
    assert!(matches!(code, ErrorCode::Invalid | ErrorCode::FileTooLarge), "{result:?}");
}

async fn ftruncate<F: Face>() {
    fails(F::ftruncate(&readable::<F>("digits").await, 0).await, ErrorCode::BadDescriptor);
    fails(F::ftruncate(&readable::<F>("/frozen/ice").await, 0).await, ErrorCode::BadDescriptor);
    let file: File = writable::<F>("digits").await;
    fails(F::ftruncate(&file, u64::MAX).await, ErrorCode::Invalid);
    too_long(F::ftruncate(&file, i64::MAX.cast_unsigned()).await);
    assert_eq!(content::<F>("digits").await, b"0123456789");

    works(F::ftruncate(&file, 3).await);
    assert_eq!(content::<F>("digits").await, b"012");
    works(F::ftruncate(&file, 5).await);
    assert_eq!(content::<F>("digits").await, b"012\0\0", "what was cut off is lost");
    let end = works(F::open(None, "digits", OpenFlags::APPEND, 0).await);
    works(F::ftruncate(&end, 2).await);
    works(F::write(&end, None, b"!").await);
    assert_eq!(content::<F>("digits").await, b"01!");
    works(F::ftruncate(&file, (5 << 30) + 1).await);
    assert_eq!(works(F::fstat(&file).await).size, (5 << 30) + 1);
}
