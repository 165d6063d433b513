//! Requests that move bytes without the guest: `sendfile`, `readahead`.

use super::tests;
use crate::check::{content, create, fails, readable, works, writable};
use crate::face::{ErrorCode, Face, OpenFlags};

tests!(
    sendfile,
    sendfile_within_a_file,
    sendfile_of_a_file_into_itself_never_ended,
    sendfile_much,
    sendfile_over_two_gib,
    readahead,
);

async fn sendfile<F: Face>() {
    let input = readable::<F>("digits").await;
    let output = create::<F>("copy", b"").await;
    let (only_written, only_read) = (writable::<F>("empty").await, readable::<F>("sub/inner").await);
    fails(F::sendfile(&output, Some(0), &only_written, 0, 4).await, ErrorCode::BadDescriptor);
    fails(F::sendfile(&only_read, Some(0), &input, 0, 4).await, ErrorCode::BadDescriptor);
    for outside in [1 << 63, u64::MAX] {
        fails(F::sendfile(&output, Some(outside), &input, 0, 4).await, ErrorCode::Invalid);
        fails(F::sendfile(&output, Some(0), &input, outside, 4).await, ErrorCode::Invalid);
    }
    assert_eq!(content::<F>("copy").await, b"");

    assert_eq!(works(F::sendfile(&output, Some(2), &input, 3, 4).await), 4);
    assert_eq!(content::<F>("copy").await, b"\0\x003456");
    // Without an offset it goes on at the output's position, which is still at the start, and leaves the input's alone.
    assert_eq!(works(F::sendfile(&output, None, &input, 0, 2).await), 2);
    assert_eq!(works(F::sendfile(&output, None, &input, 8, 2).await), 2);
    assert_eq!(content::<F>("copy").await, b"018956");
    assert_eq!(works(F::read(&input, None, 3).await), b"012");
    // Up to the end of the input, and no error after it.
    assert_eq!(works(F::sendfile(&output, Some(0), &input, 7, 100).await), 3);
    assert_eq!(works(F::sendfile(&output, Some(0), &input, 0, u64::MAX).await), 10);
    assert_eq!(works(F::sendfile(&output, Some(0), &input, 10, 100).await), 0);
    assert_eq!(works(F::sendfile(&output, Some(0), &input, 1 << 40, 100).await), 0);
    assert_eq!(works(F::sendfile(&output, Some(0), &input, 0, 0).await), 0);
    assert_eq!(content::<F>("copy").await, b"0123456789");
    // A copy from a grant for reading only is no write to it.
    let ice = readable::<F>("/frozen/ice").await;
    assert_eq!(works(F::sendfile(&output, Some(10), &ice, 0, 4).await), 4);
    assert_eq!(content::<F>("copy").await, b"0123456789cold");

    let end = works(F::open(None, "empty", OpenFlags::APPEND, 0).await);
    assert_eq!(works(F::sendfile(&end, None, &input, 0, 3).await), 3);
    assert_eq!(works(F::sendfile(&end, None, &input, 7, 3).await), 3);
    assert_eq!(content::<F>("empty").await, b"012789");
}

/// `sendfile` where input and output are one file.
async fn sendfile_within_a_file<F: Face>() {
    let file = create::<F>("file", b"0123456789").await;
    let again = readable::<F>("file").await;
    fails(F::sendfile(&file, Some(4), &file, 0, 5).await, ErrorCode::Invalid);
    fails(F::sendfile(&file, Some(0), &again, 4, 5).await, ErrorCode::Invalid);
    assert_eq!(content::<F>("file").await, b"0123456789");
    assert_eq!(works(F::sendfile(&file, Some(5), &file, 0, 5).await), 5);
    assert_eq!(content::<F>("file").await, b"0123401234");
}

/// It ends where the file ended at the start, and not where it ends by then.
async fn sendfile_of_a_file_into_itself_never_ended<F: Face>() {
    let length = 9 << 20;
    for flags in [OpenFlags::WRITE, OpenFlags::APPEND] {
        let file = works(F::open(None, "large", flags | OpenFlags::READ | OpenFlags::CREATE, 0o666).await);
        crate::check::write_all::<F>(&file, &vec![b'x'; length]).await;
        let end = works(F::fstat(&file).await).size;
        for wanted in [u64::MAX, end + 1] {
            let end = works(F::fstat(&file).await).size;
            assert_eq!(works(F::sendfile(&file, Some(end), &file, 0, wanted).await), end);
            assert_eq!(works(F::fstat(&file).await).size, 2 * end);
            works(F::ftruncate(&file, end).await);
        }
        // At the position, which is behind what was copied then.
        works(F::seek(&file, i64::try_from(end).expect("it fits"), crate::face::Whence::Start).await);
        assert_eq!(works(F::sendfile(&file, None, &file, 0, u64::MAX).await), end);
        assert_eq!(works(F::seek(&file, 0, crate::face::Whence::Current).await), 2 * end);
        works(F::unlink(None, "large").await);
    }
}

/// More than one system call moves.
async fn sendfile_much<F: Face>() {
    let length = 20 * 1024 * 1024 + 5;
    let input = readable::<F>("sparse").await;
    let output = create::<F>("copy", b"").await;
    assert_eq!(works(F::sendfile(&output, Some(0), &input, 0, u64::MAX).await), length);
    assert_eq!(works(F::fstat(&output).await).size, length);
    assert_eq!(works(F::read(&output, Some(length - 7), 100).await), b"\0\0right");
}

/// More than one system call can move: the kernel stops at 2 GiB less a page.
async fn sendfile_over_two_gib<F: Face>() {
    let length = (2 << 30) + 12_345;
    let input = create::<F>("input", b"left").await;
    assert_eq!(works(F::write(&input, Some(length - 5), b"right").await), 5);
    let output = create::<F>("output", b"").await;
    assert_eq!(works(F::sendfile(&output, Some(0), &input, 0, u64::MAX).await), length);
    assert_eq!(works(F::fstat(&output).await).size, length);
    assert_eq!(works(F::read(&output, Some(0), 6).await), b"left\0\0");
    assert_eq!(works(F::read(&output, Some(length - 7), 100).await), b"\0\0right");
}

async fn readahead<F: Face>() {
    fails(F::readahead(&writable::<F>("digits").await, 0, 4).await, ErrorCode::BadDescriptor);
    let file = readable::<F>("digits").await;
    fails(F::readahead(&file, u64::MAX, 4).await, ErrorCode::Invalid);
    fails(F::readahead(&file, 1 << 63, 4).await, ErrorCode::Invalid);

    // All of it can be seen only on a clock; what must not be seen is any other effect.
    for (offset, length) in [(0, 10), (3, 4), (0, 0), (5, u64::MAX), (10, 1), (1 << 40, 1 << 40)] {
        works(F::readahead(&file, offset, length).await);
    }
    assert_eq!(works(F::read(&file, None, 100).await), b"0123456789");
    assert_eq!(works(F::fstat(&file).await).modified.seconds, 1_000_000_000);
}
