//! `async` code in a plain program.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use crate::completions;

/// Run a future to its end, and return its output; the requests that it waits for are in flight together. This is for the plain
/// `fn main` of WASI 0.2, and needs neither an executor nor a thread.
///
/// # Examples
///
/// ```no_run
#[doc = include_str!("../examples/futures.rs")]
/// ```
///
/// # Panics
///
/// If the future waits only for something other than a [`Request`](crate::Request): nothing would ever wake it.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(woken.clone());
    loop {
        if woken.0.swap(false, Ordering::Relaxed) {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return output;
            }
        } else {
            assert!(completions::wait(), "the future waits, and there is no request that it could wait for");
        }
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
