//! Limits to waiting: deadlines of groups and of requests, and cancellation.

use std::io;
use std::time::Duration;

use aiohost_guest::types::LockKind;
use aiohost_guest::{Dir, File, Group, Next, OpenOptions, Request, submit};

fn main() -> io::Result<()> {
    side_by_side()?;
    // A request for a lock that another handle has waits as long as it takes.
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
    // A group can still be used after `cancel_members`, but not after `cancel`.
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

/// Two groups in one, with a deadline for both: urgent requests come first, and more of the rest are submitted as others get
/// done.
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
        // The group keeps track of its result.
        drop(Next::new().group(&rest).submit(submit::nop));
    }
    let outcome = all.wait()?;
    println!("{} done, {} failed", outcome.done, outcome.failed);
    assert_eq!(outcome.first_failure.map(|failure| failure.id), Some(missing.id()));
    assert_eq!(all.count().running, 0);

    // If as much is in flight as is allowed, this one fails instead of waiting.
    let request: Request<()> = Next::new().priority(-4).or_fail().submit(submit::nop);
    match request.wait() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => println!("too much is in flight"),
        outcome => outcome?,
    }
    // Keeping a worker of the host busy requires `--allow busy`.
    println!("busy: {:?}", submit::busy(10).wait().map_err(|error| error.kind()));
    Ok(())
}
