//! Where the thread of a guest is: in the guest's own code, or in the host's on its behalf.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use wasmtime::CallHook;

/// Whose code runs. Others may look at it, and say that it is to end.
#[derive(Debug, Default)]
pub(super) struct Whereabouts {
    computes: AtomicBool,
    is_stopped: AtomicBool,
    /// Wakes the guest's thread where the host waits on it for whoever reads what the guest writes.
    alarm: Option<OwnedFd>,
}

impl Whereabouts {
    /// Those of a guest whose thread may wait. Without a descriptor to be had it cannot be woken, no more.
    pub(super) fn of_waiting() -> Self {
        Self { alarm: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok(), ..Self::default() }
    }

    /// What is noted wherever the guest's thread goes from the one to the other.
    pub(super) fn note(&self, hook: CallHook) -> wasmtime::Result<()> {
        self.computes.store(hook.exiting_host(), Ordering::SeqCst);
        // Looked at afterwards, so that either this sees it, or whoever stops the guest sees where it is.
        if self.is_stopped.load(Ordering::SeqCst) {
            self.computes.store(false, Ordering::SeqCst);
            return Err(wasmtime::format_err!("it was told to stop"));
        }
        Ok(())
    }

    pub(super) fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        if let Some(alarm) = &self.alarm {
            // It can only fail if it rings already.
            let _ringing = rustix::io::write(alarm, &1u64.to_ne_bytes());
        }
    }

    /// Waits until a stream can be written. False if the guest was told to stop.
    pub(super) fn wait_until_writable(&self, stream: BorrowedFd<'_>) -> bool {
        let mut streams = vec![PollFd::from_borrowed_fd(stream, PollFlags::OUT)];
        streams.extend(self.alarm.as_ref().map(|alarm| PollFd::from_borrowed_fd(alarm.as_fd(), PollFlags::IN)));
        // If it cannot be waited for, the next write tells why.
        let _waited = poll(&mut streams, None);
        !self.is_stopped.load(Ordering::SeqCst)
    }

    /// Whether it is the guest's own code that runs.
    pub(super) fn computes(&self) -> bool {
        self.computes.load(Ordering::SeqCst)
    }
}
