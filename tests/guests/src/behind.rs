//! Requests at the position of a file behind one that is not answered, for `tests/sandbox/remote.rs` of the host: they wait, some are
//! canceled, and nothing else is held up.

use crate::bindings::aiohost::aio::types::{ErrorCode, OpenFlags, Outcome, Request, Whence};
use crate::bindings::aiohost::aio::{blocking, submit};
use crate::check::{fails, works};

pub fn run(path: &str) {
    let file = works(blocking::open(None, path, OpenFlags::READ | OpenFlags::WRITE, 0));
    let first = submit::read(&file, None, 1);
    let behind: Vec<Request> = (0..10)
        .map(|number| match number % 3 {
            0 => submit::read(&file, None, 1),
            1 => submit::write(&file, None, b"x"),
            _ => submit::seek(&file, 1, Whence::Current),
        })
        .collect();
    behind.iter().step_by(2).for_each(Request::cancel);
    for request in behind.iter().step_by(2) {
        fails(request.wait(), ErrorCode::Canceled);
    }
    works(submit::nop().wait());
    // By that the host knows that the rest may be answered.
    works(submit::store(None, "done", b"", 0o666).wait());
    let Outcome::Data(data) = works(first.wait()) else { panic!("a read gives data") };
    assert_eq!(data, b"0");
    for request in behind.iter().skip(1).step_by(2) {
        works(request.wait());
    }
    // Each of those that were not canceled has moved it by one.
    assert_eq!(works(blocking::seek(&file, 0, Whence::Current)), 6);
}
