//! Whether a benchmark is over before its time: whatever takes long looks at it again and again.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

/// Set once somebody wants it to end.
#[derive(Clone, Default)]
pub(super) struct Over {
    is_set: Arc<AtomicBool>,
    /// After so many looks it sets itself, in a test that wants that.
    #[cfg(test)]
    looks_left: Arc<std::sync::Mutex<Option<u32>>>,
}

impl Over {
    pub(super) fn set(&self) {
        self.is_set.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_set(&self) -> bool {
        #[cfg(test)]
        self.look();
        self.is_set.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn set_after(&self, looks: u32) {
        *self.looks_left.lock().expect("nobody panics with it") = Some(looks);
    }

    #[cfg(test)]
    fn look(&self) {
        if let Some(left) = self.looks_left.lock().expect("nobody panics with it").as_mut() {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.set();
            }
        }
    }

    /// Fails once it is over.
    pub(super) fn check(&self) -> io::Result<()> {
        if self.is_set() { Err(io::Error::new(ErrorKind::Interrupted, "it was ended")) } else { Ok(()) }
    }

    /// What a plugin does, or an error once it is over: a plugin gives its thread back at each tick, and is given up then.
    pub(super) async fn or<T>(&self, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        let mut work = pin!(work);
        poll_fn(|context| match self.check() {
            Ok(()) => work.as_mut().poll(context),
            Err(error) => Poll::Ready(Err(error.into())),
        })
        .await
    }
}
