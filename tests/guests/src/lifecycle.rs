//! A guest that ends, in one way or another, with requests on workers and in the queue. The host's side counts what is left.

use crate::bindings::aiohost::aio::types::{ErrorCode, File, LockKind, OpenFlags, Outcome, Request};
use crate::bindings::aiohost::aio::{blocking, control, submit};

/// Copies that run: more than one, and fewer than the workers there may be.
const COPIES: usize = 3;

/// Requests behind them in the queue.
const QUEUED: usize = 100;

/// What is under way.
struct UnderWay {
    copies: Vec<(Request, File)>,
    queued: Vec<Request>,
}

pub fn run(how: &str) {
    if how == "read" {
        return read_much();
    }
    // The one that waits for a lock would count as running until the end.
    let _locks = (how != "cancel").then(hold_locks);
    let UnderWay { copies, queued } = begin();
    match how {
        "return" => {}
        "exit" => std::process::exit(1),
        "trap" => panic!("the guest traps"),
        "loop" => loop {
            std::hint::black_box(());
        },
        "wait" => drop(copies[0].0.wait()),
        "cancel" => cancel(copies, queued),
        other => panic!("cannot end by {other:?}"),
    }
}

/// Reads as much as is done on this thread at once, and a byte more, on two faces.
fn read_much() {
    let file = blocking::open(None, "read", OpenFlags::READ, 0).expect("the host has made it");
    for length in [1 << 20, (1 << 20) + 1] {
        let bytes = blocking::read(&file, Some(0), length).expect("it is that long");
        assert_eq!(bytes.len(), length as usize);
    }
    for length in [256 << 10, (256 << 10) + 1] {
        let request = submit::read(&file, Some(0), length);
        assert!(matches!(request.wait(), Ok(Outcome::Data(bytes)) if bytes.len() == length as usize));
    }
}

/// A lock, and a request that waits for it in vain.
fn hold_locks() -> (File, File, Request) {
    let flags = OpenFlags::WRITE | OpenFlags::CREATE;
    let open = || blocking::open(None, "locked", flags, 0o666).expect("it can be made");
    let (holder, other) = (open(), open());
    blocking::lock(&holder, LockKind::Exclusive, 0, 0, false).expect("nobody else has it");
    let waiting = submit::lock(&other, LockKind::Exclusive, 0, 0, true);
    (holder, other, waiting)
}

/// Starts copies of a large file, on workers, and more behind them.
fn begin() -> UnderWay {
    let input = blocking::open(None, "large", OpenFlags::READ, 0).expect("the host has made it");
    let copies: Vec<_> = (0..COPIES)
        .map(|number| {
            let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE;
            let output = blocking::open(None, &format!("copy-{number}"), flags, 0o666).expect("it can be made");
            (submit::sendfile(&output, Some(0), &input, 0, u64::MAX), output)
        })
        .collect();
    while control::count().running == 0 {}
    let queued = (0..QUEUED).map(|_| submit::readdir(None, ".")).collect();
    UnderWay { copies, queued }
}

/// Takes everything back: what runs is answered at once, and what is queued never runs.
fn cancel(copies: Vec<(Request, File)>, queued: Vec<Request>) {
    let requests: Vec<Request> = copies.into_iter().map(|(request, _)| request).chain(queued).collect();
    requests.iter().for_each(Request::cancel);
    let answers: Vec<_> = requests.iter().map(Request::wait).collect();
    let canceled = answers.iter().filter(|answer| matches!(answer, Err(error) if error.code == ErrorCode::Canceled)).count();
    let done = answers.iter().filter(|answer| matches!(answer, Ok(Outcome::Names(_)))).count();
    assert_eq!(canceled + done, COPIES + QUEUED, "each is canceled, or was done before that");
    assert!(canceled >= COPIES, "the copies take longer than this");
    control::flush();
    assert!(requests.iter().all(|request| matches!(request.wait(), Err(error) if error.code == ErrorCode::Already)));
    // What was canceled while it ran still runs, for a step; then it counts as canceled.
    while control::count().running > 0 {}
    let counters = control::count();
    assert_eq!((counters.queued, counters.canceled), (0, canceled as u64));
}
