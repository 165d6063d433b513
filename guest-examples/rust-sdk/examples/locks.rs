//! Locks: of a whole file, as with `std`, and of a range, with a limit to the wait.

use std::io;
use std::time::Duration;

use aiohost_guest::types::LockKind;
use aiohost_guest::{ErrorCode, File, InFlight, reason, submit};

fn main() -> io::Result<()> {
    // Two handles, as two programs would have them.
    let open = || File::options().read(true).write(true).open("one");
    let (mine, other) = (open()?, open()?);

    mine.lock_shared()?;
    other.lock_shared()?;
    let error = other.try_lock().expect_err("two share it");
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    mine.unlock()?;
    other.unlock()?;

    // A request waits for the first ten bytes, and the program continues meanwhile.
    mine.lock()?;
    let mut in_flight = InFlight::new();
    in_flight.push("the first line", submit::lock(&other, LockKind::Exclusive, 0, 10, true));
    if in_flight.next_within(Duration::from_millis(20)).is_none() {
        println!("{} request waits", in_flight.len());
        in_flight.cancel();
    }
    let (name, outcome) = in_flight.next().expect("one is in flight");
    let error = outcome.expect_err("it was taken back");
    assert_eq!(reason(&error).map(|why| why.code), Some(ErrorCode::Canceled));

    // Only these bytes are unlocked, and the other handle can lock them at once.
    submit::unlock(&mine, 0, 10).wait()?;
    submit::lock(&other, LockKind::Exclusive, 0, 10, false).wait()?;
    println!("{name} is locked");
    Ok(())
}
