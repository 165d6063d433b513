//! Runs that are to be ended by their time, and say a word before.

use std::time::{Duration, Instant};

/// What a run is given at first.
const SHORT: Duration = Duration::from_millis(300);

/// What it is given at the most, on a machine on which it does not come to say its word before.
const LONG: Duration = Duration::from_secs(30);

/// Runs something with a short time, and with twice that as long as its time was up before it had said its word. Tells what came of
/// it, and how much longer it took than it was given.
pub(crate) fn until_heard<T>(mut run: impl FnMut(&str) -> T, was_too_short: impl Fn(&T) -> bool) -> (T, Duration) {
    let mut time = SHORT;
    loop {
        let start = Instant::now();
        let outcome = run(&format!("{}ms", time.as_millis()));
        let over = start.elapsed().saturating_sub(time);
        if time == LONG || !was_too_short(&outcome) {
            return (outcome, over);
        }
        time = LONG.min(time * 2);
    }
}
