//! Requests on one file: `open`, `close`, `read`, `write`, `seek`, `fstat`.

use super::tests;
use crate::check::{content, create, dir, exists, fails, path_errors, pattern, read_all, readable, works, writable};
use crate::face::{ErrorCode, Face, FileType, OpenFlags, Whence};

tests!(open, open_and_create, close, read, write, append, seek, fstat);

async fn open<F: Face>() {
    let sub = dir::<F>("sub").await;
    path_errors(async |at, path| F::open(at, path, OpenFlags::READ, 0).await, &sub).await;
    let making = OpenFlags::WRITE | OpenFlags::CREATE;
    path_errors(async |at, path| F::open(at, path, making, 0o666).await, &sub).await;
    fails(F::open(None, "missing", OpenFlags::READ, 0).await, ErrorCode::NoEntry);
    for flags in [
        OpenFlags::empty(),
        OpenFlags::CREATE,
        OpenFlags::READ | OpenFlags::CREATE,
        OpenFlags::WRITE | OpenFlags::EXCLUSIVE,
        OpenFlags::READ | OpenFlags::TRUNCATE,
        OpenFlags::APPEND | OpenFlags::TRUNCATE,
        OpenFlags::NO_FOLLOW,
    ] {
        let result = F::open(None, "digits", flags, 0o666).await;
        assert!(result.is_err(), "{flags:?} contradict each other, or say nothing");
        fails(result, ErrorCode::Invalid);
    }
    for path in ["sub", "sub/", ".", "link-dir", "bare"] {
        fails(F::open(None, path, OpenFlags::READ, 0).await, ErrorCode::IsDirectory);
        fails(F::open(None, path, OpenFlags::WRITE, 0).await, ErrorCode::IsDirectory);
    }
    for path in ["fifo", "socket", "/dev/null"] {
        fails(F::open(None, path, OpenFlags::READ, 0).await, ErrorCode::Unsupported);
    }
    fails(F::open(None, "fifo", OpenFlags::WRITE, 0).await, ErrorCode::Unsupported);
    fails(F::open(None, "fifo", OpenFlags::READ | OpenFlags::WRITE, 0).await, ErrorCode::Unsupported);
    fails(F::open(None, "digits/", OpenFlags::READ, 0).await, ErrorCode::NotDirectory);
    fails(F::open(None, "link-file", OpenFlags::READ | OpenFlags::NO_FOLLOW, 0).await, ErrorCode::Loop);
    fails(F::open(None, "link-loop", OpenFlags::READ, 0).await, ErrorCode::Loop);
    for path in ["link-out", "link-absolute", ".."] {
        fails(F::open(None, path, OpenFlags::READ, 0).await, ErrorCode::NotPermitted);
    }
    for flags in
        [OpenFlags::WRITE, OpenFlags::APPEND, OpenFlags::READ | OpenFlags::WRITE, OpenFlags::WRITE | OpenFlags::TRUNCATE]
    {
        fails(F::open(None, "/frozen/ice", flags, 0).await, ErrorCode::ReadOnly);
    }
    fails(F::open(None, "/frozen/new", making, 0o666).await, ErrorCode::ReadOnly);

    for path in ["digits", "link-file", "./digits", "sub/../digits", "link-dir/../digits", "/data/digits"] {
        assert_eq!(content::<F>(path).await, b"0123456789", "{path}");
    }
    let inner = works(F::open(Some(&sub), "inner", OpenFlags::READ | OpenFlags::NO_FOLLOW, 0).await);
    assert_eq!(works(F::read(&inner, None, 100).await), b"inner\n");
    let ice = works(F::open(None, "/frozen/ice", OpenFlags::READ, 0).await);
    assert_eq!(works(F::read(&ice, None, 100).await), b"cold");
}

/// The flags of `open` that make or cut a file.
async fn open_and_create<F: Face>() {
    let (write, create) = (OpenFlags::WRITE, OpenFlags::CREATE);
    let exclusive = write | create | OpenFlags::EXCLUSIVE;
    for path in ["digits", "link-file", "link-dangling", "link-out"] {
        fails(F::open(None, path, exclusive, 0o666).await, ErrorCode::Exist);
    }
    assert!(!exists::<F>("nowhere").await);
    fails(F::open(None, "link-out-new", write | create, 0o666).await, ErrorCode::NotPermitted);
    fails(F::open(None, "missing/new", write | create, 0o666).await, ErrorCode::NoEntry);

    drop(works(F::open(None, "private", exclusive, 0o600).await));
    let status = works(F::stat(None, "private").await);
    assert_eq!((status.type_, status.mode, status.size), (FileType::RegularFile, 0o600, 0));
    drop(works(F::open(None, "public", OpenFlags::APPEND | create, 0o666).await));
    assert_eq!(works(F::stat(None, "public").await).mode, 0o644, "the host's umask is 0o022 in these tests");
    drop(works(F::open(None, "special", write | create, 0o7777).await));
    assert_eq!(works(F::stat(None, "special").await).mode, 0o755, "set-user-id and its like are taken away");
    drop(works(F::open(None, "link-dangling", write | create, 0o666).await));
    assert_eq!(works(F::lstat(None, "nowhere").await).type_, FileType::RegularFile, "made where the link leads");

    drop(works(F::open(None, "digits", write | create, 0o777).await));
    assert_eq!(content::<F>("digits").await, b"0123456789", "what is there stays");
    assert_eq!(works(F::stat(None, "digits").await).mode, 0o640);
    drop(works(F::open(None, "digits", write | OpenFlags::TRUNCATE, 0).await));
    assert_eq!(works(F::stat(None, "digits").await).size, 0);
    let synced = works(F::open(None, "synced", exclusive | OpenFlags::DATA_SYNC | OpenFlags::SYNC, 0o666).await);
    assert_eq!(works(F::write(&synced, None, b"safe").await), 4);
    assert_eq!(content::<F>("synced").await, b"safe");
}

async fn close<F: Face>() {
    let file = create::<F>("closed", b"before").await;
    works(F::write(&file, Some(6), b", after").await);
    works(F::close(file).await);
    assert_eq!(content::<F>("closed").await, b"before, after");
    works(F::close(readable::<F>("digits").await).await);
    // The name is free for another object, and the other handle is another file.
    let (one, other) = (readable::<F>("digits").await, readable::<F>("digits").await);
    works(F::close(one).await);
    assert_eq!(works(F::read(&other, None, 3).await), b"012");
}

async fn read<F: Face>() {
    let only_written = writable::<F>("digits").await;
    fails(F::read(&only_written, Some(0), 4).await, ErrorCode::BadDescriptor);
    fails(F::read(&only_written, None, 4).await, ErrorCode::BadDescriptor);
    let file = readable::<F>("digits").await;
    fails(F::read(&file, Some(u64::MAX), 4).await, ErrorCode::Invalid);
    fails(F::read(&file, Some(1 << 63), 4).await, ErrorCode::Invalid);

    assert_eq!(works(F::read(&file, Some(3), 4).await), b"3456");
    assert_eq!(works(F::read(&file, Some(8), 100).await), b"89", "short at the end");
    assert_eq!(works(F::read(&file, Some(10), 4).await), b"");
    assert_eq!(works(F::read(&file, Some(1 << 40), 4).await), b"");
    assert_eq!(works(F::read(&file, Some(0), 0).await), b"");
    // The position is the file's own: reads with an offset neither use nor move it.
    assert_eq!(works(F::read(&file, None, 4).await), b"0123");
    assert_eq!(works(F::read(&file, Some(9), 1).await), b"9");
    assert_eq!(works(F::read(&file, None, 4).await), b"4567");
    assert_eq!(works(F::read(&file, None, 4).await), b"89");
    assert_eq!(works(F::read(&file, None, 4).await), b"");
    let again = readable::<F>("digits").await;
    assert_eq!(works(F::read(&again, None, 2).await), b"01");

    // Large ones take another way through the host than small ones: inline, on a worker, and in between.
    let pattern = pattern(3_000_000);
    let large = create::<F>("large", &pattern).await;
    for length in [4096, 65_536, 65_537, 1 << 20, 3_000_000] {
        assert!(read_all::<F>(&large, 7, length).await == pattern[7..], "other bytes in reads of {length}");
    }
}

async fn write<F: Face>() {
    let only_read = readable::<F>("digits").await;
    fails(F::write(&only_read, Some(0), b"x").await, ErrorCode::BadDescriptor);
    fails(F::write(&only_read, None, b"x").await, ErrorCode::BadDescriptor);
    let file = writable::<F>("digits").await;
    fails(F::write(&file, Some(u64::MAX), b"x").await, ErrorCode::Invalid);
    fails(F::write(&file, Some(1 << 63), b"x").await, ErrorCode::Invalid);
    assert_eq!(content::<F>("digits").await, b"0123456789");

    assert_eq!(works(F::write(&file, Some(2), b"ab").await), 2);
    assert_eq!(content::<F>("digits").await, b"01ab456789");
    assert_eq!(works(F::write(&file, None, b"cd").await), 2);
    assert_eq!(works(F::write(&file, None, b"ef").await), 2);
    assert_eq!(content::<F>("digits").await, b"cdef456789", "the position moves on, and only without an offset");
    assert_eq!(works(F::write(&file, Some(5), b"").await), 0);
    assert_eq!(works(F::write(&file, Some(12), b"!").await), 1);
    assert_eq!(content::<F>("digits").await, b"cdef456789\0\0!", "a gap reads as zeros");

    let both = create::<F>("both", b"one").await;
    assert_eq!(works(F::read(&both, None, 3).await), b"one");
    assert_eq!(works(F::write(&both, None, b" two").await), 4);
    assert_eq!(content::<F>("both").await, b"one two", "reads and writes share the position");
}

/// `write` to a file opened with `append`.
async fn append<F: Face>() {
    let file = works(F::open(None, "digits", OpenFlags::APPEND, 0).await);
    fails(F::read(&file, Some(0), 1).await, ErrorCode::BadDescriptor);
    assert_eq!(works(F::write(&file, None, b"a").await), 1);
    assert_eq!(works(F::write(&file, Some(0), b"b").await), 1);
    assert_eq!(works(F::write(&file, Some(3), b"c").await), 1);
    assert_eq!(content::<F>("digits").await, b"0123456789abc", "at the end, wherever the offset points");
    let both = works(F::open(None, "digits", OpenFlags::READ | OpenFlags::APPEND, 0).await);
    assert_eq!(works(F::read(&both, Some(8), 10).await), b"89abc");
    assert_eq!(works(F::write(&both, None, b"d").await), 1);
    assert_eq!(works(F::stat(None, "digits").await).size, 14);
    // A read moves the position by what it read, and only a write goes to the end.
    let both = works(F::open(None, "digits", OpenFlags::READ | OpenFlags::APPEND, 0).await);
    assert_eq!(works(F::read(&both, None, 3).await), b"012");
    assert_eq!(works(F::read(&both, None, 3).await), b"345");
    assert_eq!(works(F::write(&both, None, b"e").await), 1);
    assert_eq!(works(F::read(&both, None, 3).await), b"");
    assert_eq!(works(F::read(&both, Some(12), 3).await), b"cde");
}

async fn seek<F: Face>() {
    let file = readable::<F>("digits").await;
    for (offset, from) in [
        (-1, Whence::Start),
        (i64::MIN, Whence::Start),
        (-1, Whence::Current),
        (-11, Whence::End),
        (i64::MAX, Whence::End),
        (-1, Whence::Data),
        (-1, Whence::Hole),
    ] {
        fails(F::seek(&file, offset, from).await, ErrorCode::Invalid);
    }
    for from in [Whence::Data, Whence::Hole] {
        fails(F::seek(&file, 10, from).await, ErrorCode::NoDevice);
        fails(F::seek(&file, i64::MAX, from).await, ErrorCode::NoDevice);
    }
    assert_eq!(works(F::read(&file, None, 2).await), b"01", "a seek that fails moves nothing");

    assert_eq!(works(F::seek(&file, 4, Whence::Start).await), 4);
    assert_eq!(works(F::read(&file, None, 2).await), b"45");
    assert_eq!(works(F::seek(&file, 1, Whence::Current).await), 7);
    assert_eq!(works(F::seek(&file, -2, Whence::Current).await), 5);
    assert_eq!(works(F::read(&file, None, 1).await), b"5");
    assert_eq!(works(F::seek(&file, 0, Whence::Current).await), 6);
    assert_eq!(works(F::seek(&file, -1, Whence::End).await), 9);
    assert_eq!(works(F::read(&file, None, 5).await), b"9");
    assert_eq!(works(F::seek(&file, 100, Whence::End).await), 110, "there is room behind the end");
    assert_eq!(works(F::read(&file, None, 5).await), b"");
    assert_eq!(works(F::seek(&file, i64::MAX, Whence::Start).await), i64::MAX.cast_unsigned());
    fails(F::seek(&file, 1, Whence::Current).await, ErrorCode::Invalid);

    // The data of `sparse` is at 20 MiB, in a block that may begin before it.
    let sparse = readable::<F>("sparse").await;
    let data = works(F::seek(&sparse, 1, Whence::Data).await);
    assert!((20 << 20) - 65_536 <= data && data <= 20 << 20, "{data}");
    assert_eq!(works(F::seek(&sparse, 0, Whence::Current).await), data);
    assert_eq!(works(F::seek(&sparse, 5, Whence::Hole).await), 5);
    assert_eq!(works(F::seek(&sparse, 20 << 20, Whence::Hole).await), (20 << 20) + 5, "the end counts as a hole");

    let written = create::<F>("written", b"").await;
    assert_eq!(works(F::seek(&written, 3, Whence::Start).await), 3);
    assert_eq!(works(F::write(&written, None, b"x").await), 1);
    assert_eq!(content::<F>("written").await, b"\0\0\0x");
}

async fn fstat<F: Face>() {
    let file = readable::<F>("digits").await;
    let (by_file, by_path) = (works(F::fstat(&file).await), works(F::stat(None, "digits").await));
    assert_eq!((by_file.type_, by_file.mode, by_file.size), (FileType::RegularFile, 0o640, 10));
    assert_eq!(by_file.identity.device, by_path.identity.device);
    assert_eq!(by_file.identity.inode, by_path.identity.inode);
    assert_eq!(by_file.modified.seconds, 1_000_000_000);

    // It is the status of the file, not of the name, and also where the file is only written.
    works(F::rename(None, "digits", None, "elsewhere").await);
    drop(create::<F>("digits", b"another").await);
    assert_eq!(works(F::fstat(&file).await).size, 10);
    let written = create::<F>("written", b"").await;
    works(F::write(&written, Some(0), b"12345").await);
    assert_eq!(works(F::fstat(&written).await).size, 5);
    assert_eq!(works(F::fstat(&writable::<F>("elsewhere").await).await).identity.inode, by_file.identity.inode);
}
