//! Where the thread of a guest is: in the guest's own code, or in the host's on its behalf.

use std::sync::atomic::{AtomicBool, Ordering};

use wasmtime::CallHook;

/// Whose code runs. Others may look at it, and say that it is to end.
#[derive(Debug, Default)]
pub(super) struct Whereabouts {
    computes: AtomicBool,
    is_stopped: AtomicBool,
}

impl Whereabouts {
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
    }

    /// Whether it is the guest's own code that runs.
    pub(super) fn computes(&self) -> bool {
        self.computes.load(Ordering::SeqCst)
    }
}
