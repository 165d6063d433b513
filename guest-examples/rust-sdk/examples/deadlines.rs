//! An end to waiting: deadlines of groups and of requests, and requests that are taken back.

use std::io;
use std::time::Duration;

use aiohost_guest::types::LockKind;
use aiohost_guest::{Dir, File, Group, Next, OpenOptions, Request, submit};

fn main() -> io::Result<()> {
    side_by_side()?;
    // A lock that somebody has is waited for as long as it takes.
    let (holder, waiter) = (File::create("lock")?, OpenOptions::new().write(true).open("lock")?);
    holder.lock()?;
    let wait = || submit::lock(&waiter, LockKind::Exclusive, 0, 0, true);

    let request = Next::new().deadline(Duration::from_millis(20)).submit(wait);
    println!("of a request: {}", request.wait().expect_err("its time is up"));

    let group = Group::new();
    group.set_deadline(Some(Duration::from_millis(20)));
    let request = Next::new().group(&group).submit(wait);
    println!("of a group: {}", group.wait().expect_err("its time is up"));
    assert_eq!(request.wait().expect_err("it was a member").kind(), io::ErrorKind::TimedOut);

    let request = wait();
    request.cancel();
    println!("taken back: {}", request.wait().expect_err("it never had the lock"));
    // A group can be used again after the first, and not after the second.
    let group = Group::new();
    let (first, second) = (wait(), wait());
    group.add(&first)?;
    group.cancel_members();
    group.add(&second)?;
    group.cancel();
    let third = Next::new().group(&group).submit(wait);
    assert!([first, second, third].into_iter().all(|request| request.wait().is_err()));
    Ok(())
}

/// Two groups in one, with a deadline for both: what is urgent comes first, and the rest is fed as it gets done.
fn side_by_side() -> io::Result<()> {
    let (all, urgent, rest) = (Group::new(), Group::new(), Group::new());
    all.set_deadline(Some(Duration::from_secs(60)));
    urgent.set_priority(4);
    rest.set_priority(-4);
    all.add_group(&urgent)?;
    all.add_group(&rest)?;
    let here = Dir::current();
    let missing = Next::new().group(&urgent).submit(|| submit::stat(&here, "none"));
    for _ in 0..100 {
        rest.wait_below(8);
        // The group knows what becomes of it.
        drop(Next::new().group(&rest).submit(submit::nop));
    }
    let outcome = all.wait()?;
    println!("{} done, {} failed", outcome.done, outcome.failed);
    assert_eq!(outcome.first_failure.map(|failure| failure.id), Some(missing.id()));
    assert_eq!(all.count().running, 0);

    // Where as much is in flight as may be, this one comes to an error in place of waiting.
    let request: Request<()> = Next::new().priority(-4).or_fail().submit(submit::nop);
    match request.wait() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => println!("too much is in flight"),
        outcome => outcome?,
    }
    // To keep a worker of the host busy takes `--allow busy`.
    println!("busy: {:?}", submit::busy(10).wait().map_err(|error| error.kind()));
    Ok(())
}
