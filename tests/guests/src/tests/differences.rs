//! Where random plans found a result that is not the system's; each named after it.

use super::tests;
use crate::check::{fails, works};
use crate::face::{ErrorCode, Face, OpenFlags, Whence};

tests!(link_told_of_the_new_name_first, empty_read_of_a_write_only_file_worked, empty_write_moved_the_position,);

/// Where both names of a `link` were wrong, the error was that of the new one.
async fn link_told_of_the_new_name_first<F: Face>() {
    fails(F::link(None, "missing", None, "digits/new").await, ErrorCode::NoEntry);
    fails(F::link(None, "digits", None, "digits/new").await, ErrorCode::NotDirectory);
}

/// It was done on the guest's own thread, without a system call that would have said so.
async fn empty_read_of_a_write_only_file_worked<F: Face>() {
    let file = works(F::open(None, "digits", OpenFlags::WRITE, 0).await);
    for offset in [None, Some(0)] {
        fails(F::read(&file, offset, 0).await, ErrorCode::BadDescriptor);
    }
}

/// In append mode, a write of nothing moved the position to the end of the file.
async fn empty_write_moved_the_position<F: Face>() {
    let file = works(F::open(None, "digits", OpenFlags::READ | OpenFlags::APPEND, 0).await);
    assert_eq!(works(F::write(&file, None, b"").await), 0);
    assert_eq!(works(F::seek(&file, 0, Whence::Current).await), 0);
    assert_eq!(works(F::write(&file, None, b"x").await), 1);
    assert_eq!(works(F::seek(&file, 0, Whence::Current).await), 11);
}
