//! Each limit reached, with the error it gives. The host's side sets the lower ones that these tests count on.

use super::tests;
use crate::bindings::aiohost::aio::control::WhenFull;
use crate::bindings::aiohost::aio::{control, submit};
use crate::check::{create, dir, fails, readable, works};
use crate::face::{ErrorCode, Face, LockKind, OpenFlags, Outcome, Request};

tests!(
    limit_open_files,
    limit_in_flight,
    canceled_requests_kept_their_places,
    closing_found_no_place,
    limit_bytes_in_flight,
    limit_entries,
    limit_locks,
    limit_read_length,
    limit_path_length,
    limit_name_length,
    limit_memory,
    ends_at_limit_of_write_length,
    ends_at_limit_of_request_handles,
    ends_at_limit_of_time,
);

/// `--max-open-files 8`
async fn limit_open_files<F: Face>() {
    let mut files = Vec::new();
    for _ in 0..6 {
        files.push(readable::<F>("digits").await);
    }
    let dirs = [dir::<F>("sub").await, dir::<F>("bare").await];
    fails(F::open(None, "digits", OpenFlags::READ, 0).await, ErrorCode::TooManyOpenFiles);
    fails(F::open_dir(None, "sub").await, ErrorCode::TooManyOpenFiles);
    let making = OpenFlags::WRITE | OpenFlags::CREATE;
    fails(F::open(None, "new", making, 0o666).await, ErrorCode::TooManyOpenFiles);
    fails(F::lstat(None, "new").await, ErrorCode::NoEntry);
    // What needs no handle goes on, and so do the handles that are there.
    assert_eq!(works(F::readdir(None, "many").await).len(), 300);
    assert_eq!(works(F::read(&files[5], None, 2).await), b"01");
    assert_eq!(works(F::stat(Some(&dirs[0]), "inner").await).size, 6);

    // A file that was closed, and one that was dropped, make room again.
    for _ in 0..50 {
        works(F::close(files.pop().expect("six were opened")).await);
        files.push(readable::<F>("digits").await);
        drop(files.pop());
        files.push(readable::<F>("digits").await);
    }
    drop(dirs);
    files.push(readable::<F>("digits").await);
    files.push(readable::<F>("digits").await);
    fails(F::open(None, "digits", OpenFlags::READ, 0).await, ErrorCode::TooManyOpenFiles);
}

/// `--max-in-flight 4`: who submits more is made to wait, and all of it is done.
async fn limit_in_flight<F: Face>() {
    let requests: Vec<Request> = (0..200).map(|number| submit::mkdir(None, &format!("dir-{number}"), 0o777)).collect();
    let counters = control::count();
    assert!(counters.queued + counters.running <= 4, "{counters:?}");
    assert!(requests.iter().all(|request| matches!(request.wait(), Ok(Outcome::Done))));
    works(F::nop().await);
    assert_eq!(works(F::readdir(None, ".").await).iter().filter(|name| name.starts_with("dir-")).count(), 200);
}

/// `--max-in-flight 4`, and one worker, which is busy all the time.
async fn canceled_requests_kept_their_places<F: Face>() {
    let busy = submit::busy(u64::MAX);
    let group = control::Group::new();
    for round in 0..100 {
        let (deadline, end) = if round % 3 == 0 { (Some(1), ErrorCode::TimedOut) } else { (None, ErrorCode::Canceled) };
        let requests: Vec<Request> = (0..3)
            .map(|_| {
                control::next(None, deadline, Some(&group), WhenFull::Fail);
                submit::nop()
            })
            .collect();
        match round % 3 {
            0 => {}
            1 => requests.iter().for_each(Request::cancel),
            _ => group.cancel_subs(),
        }
        requests.into_iter().for_each(|request| fails(request.wait(), end));
    }
    busy.cancel();
    fails(busy.wait(), ErrorCode::Canceled);
    works(F::nop().await);
}

/// `--max-in-flight 8`, all of which wait for a lock: whoever has it can be closed, or dropped, and so give it to them.
async fn closing_found_no_place<F: Face>() {
    let open = async || works(F::open(None, "digits", OpenFlags::READ | OpenFlags::WRITE, 0).await);
    for is_closed in [true, false] {
        let (holder, other) = (open().await, open().await);
        works(F::lock(&holder, LockKind::Exclusive, 0, 0, false).await);
        let waiting: Vec<Request> = (0..8).map(|_| submit::lock(&other, LockKind::Exclusive, 0, 0, true)).collect();
        if is_closed {
            works(F::close(holder).await);
        } else {
            drop(holder);
        }
        assert!(waiting.iter().all(|request| request.wait().is_ok()));
        works(F::close(other).await);
    }
}

/// `--max-entries 10`
async fn limit_entries<F: Face>() {
    fails(F::readdir(None, "many").await, ErrorCode::Overflow);
    fails(F::scandir(None, "many", 0).await, ErrorCode::Overflow);
    for number in 0..10 {
        works(F::mkdir(None, &format!("bare/{number}"), 0o777).await);
    }
    assert_eq!(works(F::readdir(None, "bare").await).len(), 10);
    assert_eq!(works(F::scandir(None, "bare", 0).await).directories.len(), 10);
    works(F::mkdir(None, "bare/more", 0o777).await);
    fails(F::readdir(None, "bare").await, ErrorCode::Overflow);
    fails(F::scandir(None, "bare", 0).await, ErrorCode::Overflow);

    let file = create::<F>("islands", b"").await;
    for number in 0..11 {
        works(F::write(&file, Some(number << 20), b"land").await);
    }
    fails(F::extents(&file, 0, None).await, ErrorCode::Overflow);
    assert_eq!(works(F::extents(&file, 1 << 20, None).await).len(), 10, "from a later offset on");
    assert_eq!(works(F::extents(&file, 0, Some(10 << 20)).await).len(), 10);
}

/// Neighbours are one lock; what lies apart is not, also after a part in between was given back.
async fn limit_locks<F: Face>() {
    let file = readable::<F>("digits").await;
    for at in 0..1024 {
        works(F::lock(&file, LockKind::Shared, 2 * at, 1, false).await);
    }
    fails(F::lock(&file, LockKind::Shared, 2 * 1024, 1, false).await, ErrorCode::NoLock);
    works(F::lock(&file, LockKind::Shared, 2 * 1023, 100, false).await);
    works(F::lock(&file, LockKind::Shared, 1, 1, false).await);
    works(F::lock(&file, LockKind::Shared, 1 << 40, 0, false).await);
    fails(F::unlock(&file, 2 * 1023 + 50, 1).await, ErrorCode::NoLock);
    works(F::unlock(&file, 0, 0).await);
    // Locks that come and go are not counted together.
    for _ in 0..1100 {
        works(F::lock(&file, LockKind::Shared, 0, 1, false).await);
        works(F::unlock(&file, 0, 0).await);
    }
}

/// A read of more is short, and no error.
async fn limit_read_length<F: Face>() {
    let file = readable::<F>("sparse").await;
    for length in [(16 << 20) + 1, u32::MAX] {
        let data = works(F::read(&file, Some(0), length).await);
        assert!(!data.is_empty() && data.len() <= 16 << 20, "{} bytes", data.len());
    }
    let end = works(F::read(&file, Some(20 << 20), u32::MAX).await);
    assert_eq!(end, b"right", "and at the end of the file it is as short as any");
}

async fn limit_path_length<F: Face>() {
    // 4,096 bytes with the NUL that ends it for the system.
    let fits = format!("{}digits", "/".repeat(4095 - "./digits".len()));
    assert_eq!(works(F::stat(None, &format!("./{fits}")).await).size, 10);
    for length in [4097, 5000, 100_000] {
        let path = format!("{}digits", "./".repeat(length / 2));
        fails(F::stat(None, &path).await, ErrorCode::NameTooLong);
        fails(F::open(None, &path, OpenFlags::READ, 0).await, ErrorCode::NameTooLong);
        fails(F::unlink(None, &path).await, ErrorCode::NameTooLong);
    }
}

async fn limit_name_length<F: Face>() {
    let (fits, longer) = ("n".repeat(255), "n".repeat(256));
    drop(create::<F>(&fits, b"x").await);
    works(F::rename(None, &fits, None, "short").await);
    fails(F::rename(None, "short", None, &longer).await, ErrorCode::NameTooLong);
    fails(F::mkdir(None, &format!("sub/{longer}"), 0o777).await, ErrorCode::NameTooLong);
    // The limit is on bytes of the file system's name: 85 characters of three bytes fit, 86 do not.
    works(F::rename(None, "short", None, &"\u{20ac}".repeat(85)).await);
    fails(F::stat(None, &"\u{20ac}".repeat(86)).await, ErrorCode::NameTooLong);
}

/// Results that nobody takes may not pile up without end.
async fn limit_bytes_in_flight<F: Face>() {
    let file = readable::<F>("sparse").await;
    let requests: Vec<Request> = (0..20).map(|_| submit::read(&file, Some(0), 16 << 20)).collect();
    let mut refused = 0;
    for request in &requests {
        match request.wait() {
            Ok(Outcome::Data(data)) => assert!(!data.is_empty()),
            result => {
                fails(result, ErrorCode::WouldBlock);
                refused += 1;
            }
        }
    }
    assert!((1..=5).contains(&refused), "20 times 16 MiB against 256 MiB: {refused} were refused");
    // Taken results make room.
    assert!(matches!(works(submit::read(&file, Some(0), 16 << 20).wait()), Outcome::Data(_)));
    drop(requests);

    // However small each of them is, and wherever it is done.
    let requests: Vec<Request> = (0..1100)
        .map(|_| {
            control::next(None, None, None, WhenFull::Fail);
            submit::read(&file, Some(0), 256 << 10)
        })
        .collect();
    control::flush();
    works(F::nop().await);
    let refused = requests.iter().filter(|request| request.wait().is_err()).count();
    assert!((76..=100).contains(&refused), "1,100 times 256 KiB against 256 MiB: {refused} were refused");
}

/// `--max-memory 32MiB`: memory that is not to be had is an error like on any machine.
async fn limit_memory<F: Face>() {
    let mut memory = Vec::<u8>::new();
    assert!(memory.try_reserve_exact(64 << 20).is_err());
    assert!(memory.try_reserve_exact(8 << 20).is_ok());
    assert_eq!(works(F::stat(None, "digits").await).size, 10);
}

/// There is no other answer to more than 16 MiB in one call.
async fn ends_at_limit_of_write_length<F: Face>() {
    let file = create::<F>("large", b"").await;
    assert!(works(F::write(&file, Some(0), &vec![1; 15 << 20]).await) > 0);
    let count = F::write(&file, Some(0), &vec![1; (16 << 20) + 1]).await;
    panic!("it was taken: {count:?}");
}

/// Nor to one handle more than 10,000.
async fn ends_at_limit_of_request_handles<F: Face>() {
    let mut requests: Vec<Request> = (0..10_000).map(|_| submit::nop()).collect();
    control::flush();
    works(F::nop().await);
    drop(requests.pop());
    requests.push(submit::nop());
    requests.push(submit::nop());
    panic!("{} handles were given", requests.len());
}

/// `--timeout 200ms`
async fn ends_at_limit_of_time<F: Face>() {
    works(F::nop().await);
    loop {
        std::hint::black_box(());
    }
}
