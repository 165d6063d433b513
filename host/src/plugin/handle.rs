//! A guest as seen from another thread, which may have to end it.

use std::sync::{Arc, Weak};

use super::whereabouts::Whereabouts;
use crate::output::Member;
use crate::sched::{Counters, Stats};

/// A handle of a guest for other threads than the one that it runs on. It does not keep the guest alive. Cheap to clone. None of its
/// methods wait.
///
/// ```
/// use std::thread;
///
/// # fn main() -> Result<(), aiohost::Problem> {
/// // Calls the host for ever.
/// let text = br#"(module
///     (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
///     (memory (export "memory") 1)
///     (func (export "_start") (loop $again (drop (call $yield)) (br $again))))"#;
/// let plugin = aiohost::Host::builder().build()?.load_bytes("endless.wat", text)?;
/// let mut guest = plugin.guest().build()?;
/// let handle = guest.handle();
/// let running = thread::spawn(move || {
///     let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an event loop");
///     runtime.block_on(guest.run())
/// });
/// assert!(handle.counters().is_some_and(|counters| counters.queued == 0));
/// assert!(handle.stats().is_some_and(|stats| stats.is_empty()));
/// handle.stop();
/// let problem = running.join().expect("it does not panic").expect_err("it was told to stop");
/// assert!(!handle.computes() && !handle.is_in_request(), "{problem}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct GuestHandle {
    member: Weak<Member>,
    whereabouts: Arc<Whereabouts>,
}

impl GuestHandle {
    pub(super) fn new(member: &Arc<Member>, whereabouts: &Arc<Whereabouts>) -> Self {
        Self { member: Arc::downgrade(member), whereabouts: Arc::clone(whereabouts) }
    }

    /// Ends the guest at its next call of the host, or when it returns from one: [`Guest::run`](super::Guest::run) then fails. Its
    /// requests are ended at once: those that are queued never run; those that run are finished and their results are dropped. This
    /// does not wait for any of that, and may be called again.
    pub fn stop(&self) {
        self.whereabouts.stop();
        if let Some(member) = self.member.upgrade() {
            member.close();
        }
    }

    /// Whether the guest's own code runs now, and not the host's on its behalf. If so after [`stop`](Self::stop), the guest has not
    /// called the host since, and the host has left nothing half done.
    pub fn computes(&self) -> bool {
        self.whereabouts.computes()
    }

    /// Whether one of its requests is being done on its own thread, see [`HostBuilder::blocking_wasi`](super::HostBuilder::blocking_wasi).
    /// A guest that was stopped, and neither computes nor is in a request, has left nothing half done either: it is in wasmtime, for
    /// instance while that collects the guest's garbage, or about to return.
    pub fn is_in_request(&self) -> bool {
        self.member.upgrade().is_some_and(|member| member.account().waits_here())
    }

    /// Statistics of its requests, by name; none if the guest is gone.
    pub fn stats(&self) -> Option<Stats> {
        Some(self.member.upgrade()?.account().stats())
    }

    /// Number of its requests in each state; none if the guest is gone.
    pub fn counters(&self) -> Option<Counters> {
        Some(self.member.upgrade()?.counters())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::plugin::{Host, Plugin};

    fn plugin(text: &str, epochs: bool) -> Plugin {
        let host = Host::builder().epoch_interruption(epochs).build().expect("a host without directories");
        host.load_bytes("test.wat", text.as_bytes()).expect("a valid test plugin")
    }

    /// Runs a guest on a thread of its own; gives its handle, and what comes of it at its end.
    fn started(plugin: Plugin) -> (GuestHandle, mpsc::Receiver<String>) {
        let ((sender, handle), (end, ended)) = (mpsc::channel(), mpsc::channel());
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an event loop");
            let mut guest = plugin.guest().build().expect("a guest");
            sender.send(guest.handle()).expect("it is waited for");
            let outcome = runtime.block_on(guest.run());
            drop(guest);
            // Nobody waits for the end of one that computes.
            let _ = end.send(format!("{:#}", anyhow::Error::from(outcome.expect_err("it does not end by itself"))));
        });
        (handle.recv().expect("it starts"), ended)
    }

    #[test]
    fn a_guest_that_calls_the_host_is_stopped_from_another_thread() {
        let text = r#"(module
            (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
            (memory (export "memory") 1)
            (func (export "_start") (loop $again (drop (call $yield)) (br $again))))"#;
        for epochs in [true, false] {
            let (handle, ended) = started(plugin(text, epochs));
            handle.stop();
            let error = ended.recv().expect("it ends");
            assert!(error.contains("it was told to stop"), "{error}");
            assert!(!handle.computes());
            // The handle keeps nothing of it.
            while handle.stats().is_some() {
                thread::yield_now();
            }
        }
    }

    #[test]
    fn a_guest_that_computes_is_seen_to() {
        // For some seconds; then it ends, so that it is in the way of no other test.
        let text = r#"(module
            (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
            (memory (export "memory") 1)
            (func (export "_start") (local $count i64)
                (loop $again
                    (local.set $count (i64.add (local.get $count) (i64.const 1)))
                    (br_if $again (i64.lt_u (local.get $count) (i64.const 10_000_000_000))))
                (drop (call $yield))))"#;
        let handle = loop {
            let (handle, ended) = started(plugin(text, false));
            while !handle.computes() {
                thread::yield_now();
            }
            handle.stop();
            match ended.recv_timeout(Duration::from_secs(1)) {
                // It was about to begin, and was seen to.
                Ok(error) => assert!(error.contains("it was told to stop"), "{error}"),
                Err(_) => break handle,
            }
        };
        // Nothing changes that: it does not call the host.
        assert!(handle.computes());
        assert_eq!(handle.counters().map(|counters| counters.running), Some(0));
    }

    #[test]
    fn code_with_checks_is_told_from_code_without() {
        let text = "(component)";
        for epochs in [true, false] {
            let code = plugin(text, epochs).compiled().expect("there is memory");
            let dir = tempfile::tempdir().expect("a directory");
            let file = dir.path().join("test.cwasm");
            std::fs::write(&file, code).expect("it can be written");
            let load = |epochs: bool| {
                let host = Host::builder().epoch_interruption(epochs).build().expect("a host without directories");
                // SAFETY: it was made just now, in a directory of our own.
                unsafe { host.load_trusted(&file) }.map(drop)
            };
            load(epochs).expect("it is of this kind");
            let problem = load(!epochs).expect_err("it is of the other kind");
            assert_eq!(problem.to_string(), "test.cwasm was compiled with other settings");
            assert!(problem.help().is_some_and(|help| help.contains("HostBuilder::epoch_interruption")), "{problem:?}");
        }
    }
}
