//! What went wrong in IO::AIO and its relatives, and must not here; each named after it.

use std::collections::BTreeSet;
use std::time::Instant;

use super::tests;
use crate::bindings::aiohost::aio::control::WhenFull;
use crate::bindings::aiohost::aio::types::Group;
use crate::bindings::aiohost::aio::{control, submit};
use crate::check::{MOMENT, content, create, dir, exists, fails, readable, works, writable};
use crate::face::{ErrorCode, Face, File, LockKind, OpenFlags, Outcome, Request, Whence};

tests!(
    discarded_open_leaked_its_descriptor,
    dropped_requests_outlived_their_guest,
    nul_cut_the_path,
    huge_offset_meant_the_position,
    canceled_read_reached_the_buffer,
    wait_on_a_finished_request_slept_for_ever,
    counters_went_negative,
    blocked_fifos_stopped_every_request,
    close_did_not_close,
    close_pulled_the_file_from_under_a_read,
    high_priorities_starved_low_ones,
    completion_came_twice,
    working_directory_went_stale_after_rename,
    symlink_outside_followed_by_create,
    arguments_were_swapped,
    canceled_walk_lost_its_entries,
    late_walk_lost_its_entries,
    late_requests_moved_the_position,
    dropped_results_came_back_late,
    canceled_requests_moved_the_position,
    canceled_lock_was_held,
    dropped_lock_took_others_along,
    untaken_results_kept_their_file_open,
    untaken_locks_left_one_behind,
    untaken_reads_moved_the_position,
    canceled_requests_went_on_after_a_flush,
);

/// `--max-open-files 8`: a leaked descriptor takes a place for ever.
async fn discarded_open_leaked_its_descriptor<F: Face>() {
    for _ in 0..20 {
        let canceled: Vec<Request> = (0..4).map(|_| submit::open(None, "digits", OpenFlags::READ, 0)).collect();
        canceled.iter().for_each(Request::cancel);
        canceled.iter().for_each(|request| drop(request.wait()));
        let dirs: Vec<Request> = (0..4).map(|_| submit::open_dir(None, "sub")).collect();
        dirs.iter().for_each(Request::cancel);
        drop((canceled, dirs));
        drop((submit::open(None, "digits", OpenFlags::READ, 0), submit::open_dir(None, "sub")));
        // Done and never taken, in a handle that is then dropped.
        let finished = submit::open(None, "digits", OpenFlags::READ, 0);
        control::flush();
        drop(finished);
        drop((submit::readdir(None, "many"), submit::scandir(None, "kinds", 0)));
        settle();
    }
    let mut files = Vec::new();
    for _ in 0..8 {
        files.push(readable::<F>("digits").await);
    }
    fails(F::open(None, "digits", OpenFlags::READ, 0).await, ErrorCode::TooManyOpenFiles);
}

/// Goes on until no request is queued or on a worker; those without a handle are counted too.
fn settle() {
    while let counters = control::count()
        && counters.queued + counters.running > 0
    {
        // Each gives the workers a turn.
        works(submit::nop().wait());
    }
}

/// The guest ends while requests without a handle are under way: the host has to come to an end too, and cleanly.
async fn dropped_requests_outlived_their_guest<F: Face>() {
    let file = create::<F>("written", b"").await;
    for number in 0..300 {
        drop(submit::stat(None, "digits"));
        drop(submit::write(&file, Some(number), b"x"));
        drop(submit::open(None, "digits", OpenFlags::READ, 0));
        drop(submit::scandir(None, "many", 0));
    }
    let canceled = submit::mkdir(None, "new", 0o777);
    canceled.cancel();
}

async fn nul_cut_the_path<F: Face>() {
    for path in ["digits\0", "digits\0.txt", "\0digits", "\0", "sub/inner\0/", "sub\0/inner", "/data/digits\0"] {
        fails(F::open(None, path, OpenFlags::READ, 0).await, ErrorCode::Invalid);
        fails(F::open(None, path, OpenFlags::WRITE | OpenFlags::TRUNCATE, 0).await, ErrorCode::Invalid);
        fails(F::stat(None, path).await, ErrorCode::Invalid);
        fails(F::unlink(None, path).await, ErrorCode::Invalid);
        fails(F::rename(None, path, None, "target").await, ErrorCode::Invalid);
        fails(F::rename(None, "digits", None, path).await, ErrorCode::Invalid);
    }
    fails(F::mkdir(None, "new\0name", 0o777).await, ErrorCode::Invalid);
    assert!(!exists::<F>("new").await);
    assert_eq!(content::<F>("digits").await, b"0123456789");
}

/// -1 is `u64::MAX` here; so is any number that the system would take as negative.
async fn huge_offset_meant_the_position<F: Face>() {
    let file = create::<F>("both", b"0123456789").await;
    for offset in [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) + 4] {
        fails(F::read(&file, Some(offset), 4).await, ErrorCode::Invalid);
        fails(F::write(&file, Some(offset), b"wrong").await, ErrorCode::Invalid);
        fails(F::sendfile(&file, Some(offset), &file, 0, 1).await, ErrorCode::Invalid);
        fails(F::sendfile(&file, Some(0), &file, offset, 1).await, ErrorCode::Invalid);
        fails(F::readahead(&file, offset, 1).await, ErrorCode::Invalid);
    }
    assert_eq!(content::<F>("both").await, b"0123456789");
    assert_eq!(works(F::read(&file, None, 2).await), b"01", "the position did not move either");
}

/// A result that was dropped is nowhere, and the bytes given to a write are the guest's own again at once.
async fn canceled_read_reached_the_buffer<F: Face>() {
    let file = readable::<F>("digits").await;
    for _ in 0..100 {
        let request = submit::read(&file, Some(0), 10);
        request.cancel();
        match request.wait() {
            Ok(Outcome::Data(data)) => assert_eq!(data, b"0123456789"),
            result => fails(result, ErrorCode::Canceled),
        }
    }
    let written = create::<F>("written", b"").await;
    let mut buffer = *b"as it was when it was submitted";
    let request = submit::write(&written, Some(0), &buffer);
    buffer.fill(b'!');
    assert!(matches!(works(request.wait()), Outcome::Count(31)));
    assert_eq!(content::<F>("written").await, b"as it was when it was submitted");
}

async fn wait_on_a_finished_request_slept_for_ever<F: Face>() {
    let requests = [submit::stat(None, "digits"), submit::stat(None, "missing"), submit::nop()];
    control::flush();
    assert_eq!(control::wait_any().len(), 3);
    assert!(matches!(works(requests[0].wait()), Outcome::Status(_)));
    fails(requests[1].wait(), ErrorCode::NoEntry);
    assert!(matches!(works(requests[2].wait()), Outcome::Done));
    for request in &requests {
        fails(request.wait(), ErrorCode::Already);
    }
}

async fn counters_went_negative<F: Face>() {
    let mut submitted = 0;
    for round in 0..30 {
        let requests: Vec<Request> = (0..10).map(|_| submit::nop()).collect();
        requests[round % 10].cancel();
        submitted += 10;
        let counters = control::count();
        let ended = counters.done + counters.failed + counters.canceled;
        assert_eq!(counters.queued + counters.running + ended, submitted, "{counters:?}");
        assert!(counters.queued + counters.running <= submitted, "{counters:?}");
    }
    settle();
    let counters = control::count();
    assert_eq!((counters.queued, counters.running, counters.failed), (0, 0, 0));
}

/// Opening a FIFO waits for the other end. Far more of them than there are workers must not hold up the rest.
async fn blocked_fifos_stopped_every_request<F: Face>() {
    let open = |flags| submit::open(None, "fifo", flags, 0);
    let fifos: Vec<Request> = (0..50).flat_map(|_| [open(OpenFlags::READ), open(OpenFlags::WRITE)]).collect();
    works(F::nop().await);
    assert_eq!(content::<F>("digits").await, b"0123456789");
    for request in &fifos {
        fails(request.wait(), ErrorCode::Unsupported);
    }
}

/// It is a real close: the place is free (`--max-open-files 8`), and its answer is one.
async fn close_did_not_close<F: Face>() {
    for round in 0..30 {
        let file = create::<F>(&format!("closed-{round}"), b"content").await;
        works(F::close(file).await);
        let Outcome::File(file) = works(submit::open(None, "digits", OpenFlags::READ, 0).wait()) else { panic!("no file") };
        assert!(matches!(works(submit::close(file).wait()), Outcome::Done));
    }
}

/// The file is closed after the last request on it, whoever closes or drops the handle before.
async fn close_pulled_the_file_from_under_a_read<F: Face>() {
    for round in 0..50 {
        let file = readable::<F>("digits").await;
        let reads: Vec<Request> = (0..10).map(|number| submit::read(&file, Some(number), 1)).collect();
        let closed: Option<File> = if round % 2 == 0 { Some(file) } else { None };
        let close = closed.map(submit::close);
        // Others take the number of the descriptor, if it is free too early.
        let other = create::<F>(&format!("other-{round}"), b"xxxxxxxxxx").await;
        for (digit, read) in (b'0'..).zip(&reads) {
            let Outcome::Data(data) = works(read.wait()) else { panic!("a read gives data") };
            assert_eq!(data, [digit]);
        }
        if let Some(close) = close {
            assert!(matches!(works(close.wait()), Outcome::Done));
        }
        drop(other);
    }
}

/// One request of the lowest priority (`--workers 1`), and always hundreds of the highest in the queue, as long as it has not been
/// done.
async fn high_priorities_starved_low_ones<F: Face>() {
    // Each is done by a worker, whether somebody has its handle or not, and takes longer there than to be asked for: so the
    // queue is never empty.
    let many = || {
        for _ in 0..500 {
            control::set_priority(4);
            drop(submit::readdir(None, "many"));
        }
    };
    many();
    many();
    control::set_priority(-4);
    let low = submit::readdir(None, "kinds");
    let mut more = 0;
    while !control::poll().contains(&low.id()) {
        if control::count().queued < 800 {
            many();
            more += 500;
        }
        assert!(more < 50_000, "{more} requests of a higher priority went before it");
    }
    assert!(matches!(works(low.wait()), Outcome::Names(_)));
}

/// Exactly one completion for each request, those that fail and those that are canceled too.
async fn completion_came_twice<F: Face>() {
    let mut open: Vec<Request> = Vec::new();
    for number in 0..300 {
        open.push(match number % 4 {
            0 => submit::scandir(None, "missing", 0),
            1 => submit::scandir(None, "kinds", 1),
            2 => submit::readdir(None, "digits"),
            _ => submit::open(None, "digits\0", OpenFlags::READ, 0),
        });
        if number % 7 == 0 {
            open[number].cancel();
        }
    }
    let mut ids = Vec::new();
    while let some = control::wait_any()
        && !some.is_empty()
    {
        ids.extend(some);
    }
    assert_eq!(ids.len(), 300);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 300);
    for request in &open {
        let (first, second) = (request.wait(), request.wait());
        fails(second, ErrorCode::Already);
        drop(first);
    }
}

/// A directory handle stands for the directory, not for the name it once had.
async fn working_directory_went_stale_after_rename<F: Face>() {
    let sub = dir::<F>("sub").await;
    works(F::rename(None, "sub", None, "renamed").await);
    works(F::mkdir(None, "sub", 0o777).await);
    assert_eq!(works(F::stat(Some(&sub), "inner").await).size, 6);
    let inner = works(F::open(Some(&sub), "inner", OpenFlags::READ, 0).await);
    assert_eq!(works(F::read(&inner, None, 100).await), b"inner\n");
    works(F::mkdir(Some(&sub), "new", 0o777).await);
    assert!(exists::<F>("renamed/new").await && !exists::<F>("sub/new").await);
    works(F::rename(Some(&sub), "new", Some(&sub), "newer").await);
    works(F::rmdir(Some(&sub), "newer").await);
    works(F::unlink(Some(&sub), "inner").await);
    assert!(!exists::<F>("renamed/inner").await);
    assert!(works(F::readdir(Some(&sub), ".").await).contains(&String::from("deep")));
    // A directory that is gone has nothing in it.
    let bare = dir::<F>("bare").await;
    works(F::rmdir(None, "bare").await);
    fails(F::stat(Some(&bare), "x").await, ErrorCode::NoEntry);
    fails(F::mkdir(Some(&bare), "x", 0o777).await, ErrorCode::NoEntry);
}

/// A dangling link may lead out like any other; making the file it names would be the first trace of it.
async fn symlink_outside_followed_by_create<F: Face>() {
    let making = OpenFlags::WRITE | OpenFlags::CREATE;
    fails(F::open(None, "link-out-new", making, 0o666).await, ErrorCode::NotPermitted);
    fails(F::open(None, "link-out-dir/new", making, 0o666).await, ErrorCode::NotPermitted);
    fails(F::mkdir(None, "link-out-dir/new", 0o777).await, ErrorCode::NotPermitted);
    fails(F::rename(None, "digits", None, "link-out-dir/new").await, ErrorCode::NotPermitted);
    fails(F::open(None, "link-out", OpenFlags::WRITE | OpenFlags::TRUNCATE, 0).await, ErrorCode::NotPermitted);
}

/// Thin wrappers that mixed up their arguments: each of these has arguments that could be.
async fn arguments_were_swapped<F: Face>() {
    let (input, output) = (create::<F>("input", b"abcdefgh").await, create::<F>("output", b"--------").await);
    assert_eq!(works(F::sendfile(&output, Some(1), &input, 5, 2).await), 2);
    assert_eq!(content::<F>("output").await, b"-fg-----");
    assert_eq!(content::<F>("input").await, b"abcdefgh");
    assert_eq!(works(F::read(&input, Some(2), 5).await), b"cdefg");
    let (sub, bare) = (dir::<F>("sub").await, dir::<F>("bare").await);
    works(F::rename(Some(&sub), "inner", Some(&bare), "target").await);
    assert!(exists::<F>("bare/target").await && !exists::<F>("sub/inner").await);
}

/// Waits until a worker has begun, or is through with it already.
fn wait_until_begun() {
    while control::count().queued > 0 {}
}

/// What a canceled `walk-next` has found is there to be found again, whether the request or its group was canceled.
async fn canceled_walk_lost_its_entries<F: Face>() {
    for number in 0..2000 {
        drop(create::<F>(&format!("bare/{number}"), b"").await);
    }
    for round in 0..30 {
        let walker = works(F::walk(None, "bare", 0, 1).await);
        let mut found = BTreeSet::new();
        for number in 0.. {
            let group = Group::new();
            control::next(None, None, Some(&group), WhenFull::Wait);
            let request = submit::walk_next(&walker, 500);
            match number % 3 {
                0 => {
                    wait_until_begun();
                    request.cancel();
                }
                1 => {
                    wait_until_begun();
                    group.cancel_subs();
                }
                _ => {}
            }
            match request.wait() {
                Ok(Outcome::Walked(entries)) if entries.is_empty() => break,
                Ok(Outcome::Walked(entries)) => {
                    for entry in entries {
                        assert!(found.insert(entry.path), "an entry came twice");
                    }
                }
                result => fails(result, ErrorCode::Canceled),
            }
            settle();
        }
        assert_eq!(found.len(), 2000, "in round {round}");
    }
}

/// The same where its time was over, or where nobody took what it had found.
async fn late_walk_lost_its_entries<F: Face>() {
    for number in 0..2000 {
        drop(create::<F>(&format!("bare/{number}"), b"").await);
    }
    for round in 0..20 {
        let walker = works(F::walk(None, "bare", 0, 1).await);
        let (mut found, mut last_found) = (BTreeSet::new(), Instant::now());
        for number in 0.. {
            let deadline = if number % 3 == 0 { Some(round % 2) } else { None };
            control::next(None, deadline, None, WhenFull::Wait);
            let request = submit::walk_next(&walker, 100);
            if number % 3 == 1 {
                control::flush();
                drop(request);
                continue;
            }
            match request.wait() {
                // What was found before comes back a moment later.
                Ok(Outcome::Walked(entries)) if entries.is_empty() => {
                    assert!(last_found.elapsed() < MOMENT, "{} entries came in round {round}", found.len());
                }
                Ok(Outcome::Walked(entries)) => {
                    last_found = Instant::now();
                    for entry in entries {
                        assert!(found.insert(entry.path), "an entry came twice");
                    }
                }
                result => fails(result, ErrorCode::TimedOut),
            }
            if found.len() == 2000 {
                break;
            }
        }
        assert!(works(F::walk_next(&walker, 0).await).is_empty());
    }
}

/// Nor does one move it that was late, or whose group was canceled.
async fn late_requests_moved_the_position<F: Face>() {
    // As below: it takes some milliseconds.
    const LENGTH: u32 = 8 << 20;
    let file = create::<F>("numbers", b"").await;
    works(F::ftruncate(&file, 40 * u64::from(LENGTH)).await);
    let mut expected = 0;
    for round in 0..40 {
        let group = Group::new();
        let deadline = if round % 2 == 0 { Some(1) } else { None };
        control::next(None, deadline, Some(&group), WhenFull::Wait);
        let request = submit::read(&file, None, LENGTH);
        if deadline.is_none() {
            wait_until_begun();
            group.cancel_subs();
        }
        match request.wait() {
            Ok(_) => expected += u64::from(LENGTH),
            result => fails(result, if deadline.is_some() { ErrorCode::TimedOut } else { ErrorCode::Canceled }),
        }
        settle();
        // As below: it comes back a moment later.
        let begun = Instant::now();
        while works(F::seek(&file, 0, Whence::Current).await) != expected {
            assert!(begun.elapsed() < MOMENT, "the position is not {expected}, in round {round}");
        }
    }
}

/// What a request has found whose handle is dropped is there at once for the next one.
async fn dropped_results_came_back_late<F: Face>() {
    for number in 0..2000 {
        drop(create::<F>(&format!("bare/{number}"), b"").await);
    }
    // So much that it takes a worker to read it, and to free its memory.
    let file = create::<F>("large", b"first").await;
    works(F::ftruncate(&file, 8 << 20).await);
    for round in 0..100 {
        let walker = works(F::walk(None, "bare", 0, 1).await);
        let dropped = [submit::walk_next(&walker, 0), submit::read(&file, None, 8 << 20)];
        control::flush();
        drop(dropped);
        assert_eq!(works(F::seek(&file, 0, Whence::Current).await), 0, "in round {round}");
        assert_eq!(works(F::walk_next(&walker, 0).await).len(), 2000, "in round {round}");
    }
    assert_eq!(works(F::read(&file, None, 5).await), b"first");
}

/// A read at the position that is canceled leaves the position where it was.
async fn canceled_requests_moved_the_position<F: Face>() {
    // It takes some milliseconds, so that many are canceled in the midst of it.
    const LENGTH: u32 = 8 << 20;
    let offset = |number: u8| u64::from(number) * u64::from(LENGTH);
    let file = create::<F>("numbers", b"").await;
    for number in 0..30 {
        works(F::write(&file, Some(offset(number)), &[number]).await);
    }
    works(F::ftruncate(&file, offset(30)).await);
    let mut expected = 0;
    for round in 0.. {
        let request = submit::read(&file, None, LENGTH);
        match round % 4 {
            0 => request.cancel(),
            1 | 2 => {
                wait_until_begun();
                request.cancel();
            }
            _ => {}
        }
        match request.wait() {
            Ok(Outcome::Data(data)) => {
                assert_eq!((data.len(), data[0]), (LENGTH as usize, expected), "in round {round}");
                expected += 1;
            }
            result => fails(result, ErrorCode::Canceled),
        }
        settle();
        // It comes back a moment after the request has ended.
        let begun = Instant::now();
        while works(F::seek(&file, 0, Whence::Current).await) != offset(expected) {
            assert!(begun.elapsed() < MOMENT, "the position is not {expected} reads from the start, in round {round}");
        }
        if expected == 30 {
            break;
        }
    }
}

/// A lock that comes when its request was canceled is given back.
async fn canceled_lock_was_held<F: Face>() {
    let (one, other) = (create::<F>("locked", b"").await, writable::<F>("locked").await);
    for round in 0..1000 {
        if round % 2 == 0 {
            works(F::lock(&one, LockKind::Exclusive, 0, 0, false).await);
        }
        let waiting = submit::lock(&other, LockKind::Exclusive, 0, 0, true);
        wait_until_begun();
        if round % 2 == 0 {
            works(F::unlock(&one, 0, 0).await);
        }
        waiting.cancel();
        match waiting.wait() {
            Ok(_) => works(F::unlock(&other, 0, 0).await),
            result => fails(result, ErrorCode::Canceled),
        }
        settle();
        works(F::lock(&one, LockKind::Exclusive, 0, 0, false).await);
        works(F::unlock(&one, 0, 0).await);
    }
}

/// A lock whose answer nobody takes is given back: itself, and neither what was locked since nor what was before.
async fn dropped_lock_took_others_along<F: Face>() {
    let (file, other) = (create::<F>("locked", b"").await, writable::<F>("locked").await);
    let untaken = || {
        let request = submit::lock(&file, LockKind::Exclusive, 0, 10, true);
        control::flush();
        request
    };
    let request = untaken();
    works(F::lock(&file, LockKind::Exclusive, 0, 5, false).await);
    drop(request);
    works(F::lock(&other, LockKind::Exclusive, 5, 0, false).await);
    works(F::unlock(&other, 0, 0).await);
    fails(F::lock(&other, LockKind::Exclusive, 4, 1, false).await, ErrorCode::WouldBlock);
    // The same once more, where it was locked before; and where it was unlocked and locked since.
    let request = untaken();
    drop(request);
    works(F::lock(&other, LockKind::Exclusive, 5, 0, false).await);
    works(F::unlock(&other, 0, 0).await);
    fails(F::lock(&other, LockKind::Exclusive, 0, 1, false).await, ErrorCode::WouldBlock);
    let request = untaken();
    works(F::unlock(&file, 0, 9).await);
    works(F::lock(&file, LockKind::Exclusive, 0, 1, false).await);
    drop(request);
    works(F::lock(&other, LockKind::Exclusive, 9, 0, false).await);
    fails(F::lock(&other, LockKind::Exclusive, 0, 1, false).await, ErrorCode::WouldBlock);
}

/// Several that nobody takes, one above the other, leave nothing; and neither does one whose handle is gone, for a call that does
/// not wait.
async fn untaken_locks_left_one_behind<F: Face>() {
    let (file, other) = (create::<F>("locked", b"").await, writable::<F>("locked").await);
    for order in [[0, 1], [1, 0]] {
        let kinds = [LockKind::Shared, LockKind::Exclusive];
        let mut untaken = kinds.map(|kind| {
            let request = submit::lock(&file, kind, 0, 10, true);
            control::flush();
            Some(request)
        });
        for at in order {
            drop(untaken[at].take());
        }
        works(F::lock(&other, LockKind::Exclusive, 0, 0, false).await);
        works(F::unlock(&other, 0, 0).await);
    }
    for round in 0..100 {
        let holder = works(F::open(None, "locked", OpenFlags::READ, 0).await);
        works(F::lock(&holder, LockKind::Shared, 0, 0, false).await);
        if round % 2 == 0 {
            drop(holder);
        } else {
            works(F::close(holder).await);
        }
        works(F::lock(&other, LockKind::Exclusive, 0, 0, false).await);
        works(F::unlock(&other, 0, 0).await);
    }
}

/// Results of reads that nobody takes: the position is where it was, in whatever order they are dropped.
async fn untaken_reads_moved_the_position<F: Face>() {
    let file = readable::<F>("digits").await;
    for reversed in [false, true] {
        let mut reads: Vec<Request> = (0..4).map(|_| submit::read(&file, None, 2)).collect();
        control::flush();
        if reversed {
            reads.reverse();
        }
        reads.into_iter().for_each(drop);
        assert_eq!(works(F::seek(&file, 0, Whence::Current).await), 0);
    }
    let read = submit::read(&file, None, 2);
    control::flush();
    assert_eq!(works(F::seek(&file, 2, Whence::Start).await), 2, "where it is already");
    drop(read);
    assert_eq!(works(F::seek(&file, 0, Whence::Current).await), 2);
}

/// `flush` waits for what was canceled, too.
async fn canceled_requests_went_on_after_a_flush<F: Face>() {
    let file = create::<F>("written", b"").await;
    let content = vec![b'x'; 4 << 20];
    for _ in 0..20 {
        let write = submit::write(&file, Some(0), &content);
        wait_until_begun();
        write.cancel();
        control::flush();
        let counters = control::count();
        assert_eq!(counters.queued + counters.running, 0);
        works(F::ftruncate(&file, 0).await);
        assert_eq!(works(F::fstat(&file).await).size, 0);
    }
}

/// Locks end with the handle, also while the guest has yet to take what it has asked of it.
async fn untaken_results_kept_their_file_open<F: Face>() {
    for is_closed in [true, false] {
        let name = format!("locked-{is_closed}");
        let (file, other) = (create::<F>(&name, b"content").await, writable::<F>(&name).await);
        works(F::lock(&file, LockKind::Exclusive, 0, 1, false).await);
        let untaken = [submit::lock(&file, LockKind::Exclusive, 1, 0, true), submit::read(&file, None, 4)];
        control::flush();
        if is_closed {
            works(F::close(file).await);
        } else {
            drop(file);
        }
        works(F::lock(&other, LockKind::Exclusive, 0, 0, false).await);
        let [locked, read] = untaken.map(|request| request.wait());
        assert!(matches!(works(locked), Outcome::Done), "it was got, and is gone");
        assert!(matches!(works(read), Outcome::Data(data) if data == b"cont"));
    }
}
