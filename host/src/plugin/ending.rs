//! How a guest came to its end, and whose fault it was.

use std::time::Duration;

use wasmtime::component::ResourceTableError;
use wasmtime::{ThrownException, Trap};
use wasmtime_wasi::I32Exit;

use super::trace;
use crate::problem::{Problem, ProblemKind, Remedy, Result};

const MISTAKE: &str = "this is a mistake in the plugin's own code";

/// How a call of a guest ended.
pub(super) enum Ending<T> {
    /// It returned.
    Returned(T),
    /// wasmtime or a host function ended it.
    Failed(wasmtime::Error),
    /// It took too long.
    TimedOut(Duration),
}

/// The value that was returned, or what went wrong in words for people.
pub(super) fn report<T>(name: &str, ending: Ending<T>) -> Result<T> {
    match ending {
        Ending::Returned(value) => Ok(value),
        Ending::TimedOut(timeout) => {
            Err(Problem::new(ProblemKind::Timeout, format!("{name} was stopped: it took longer than {timeout:?}")).help_for(
                "give it more time with Limits::timeout, or none to wait as long as it takes",
                "give it more time with --timeout, or none to wait as long as it takes",
            ))
        }
        Ending::Failed(error) => Err(failure(name, error)),
    }
}

fn failure(name: &str, error: wasmtime::Error) -> Problem {
    if let Some(trap) = error.downcast_ref::<Trap>() {
        let trap_text = trap.to_string();
        let what = format!("{name} trapped: {}", trap_text.trim_start_matches("wasm trap: "));
        let problem = Problem::new(ProblemKind::Trap, what).help_with(remedy_for_trap(*trap));
        // The trap itself is said already; what is left is where it happened.
        return match trace::of(&error) {
            Some(trace) => problem.because_text(trace),
            None => problem,
        };
    }
    if error.is::<ThrownException>() {
        return Problem::new(ProblemKind::Trap, format!("{name} trapped: an exception was thrown and not caught"))
            .help_with(MISTAKE);
    }
    if let Some(I32Exit(status)) = error.downcast_ref::<I32Exit>() {
        return Problem::new(ProblemKind::Host, format!("{name} ended itself with exit status {status}"))
            .help_with("a function that is called may not exit: run the plugin as a command instead");
    }
    if let Some(remedy) = remedy_for_limit(&error) {
        let cause = anyhow::Error::msg(error.root_cause().to_string());
        return Problem::new(ProblemKind::Limit, format!("{name} reached a limit")).because(cause).help_with(remedy);
    }
    let (cause, trace) = (error.root_cause().to_string(), trace::of(&error));
    if trace.is_none() && !is_about_values(&cause) {
        return Problem::new(ProblemKind::Host, format!("{name} was ended by the host")).because(anyhow::Error::msg(cause));
    }
    // What the plugin gave to the host, or wanted of it, is not as its own interface says.
    let problem = Problem::new(ProblemKind::Trap, format!("{name} trapped: {cause}")).help_with(MISTAKE);
    match trace {
        Some(trace) => problem.because_text(trace),
        None => problem,
    }
}

fn remedy_for_trap(trap: Trap) -> &'static str {
    match trap {
        Trap::UnreachableCodeReached => {
            "the plugin gave up, as for a panic or a failed assertion; its last words are above, if it had any"
        }
        Trap::StackOverflow => "the plugin recursed too deeply",
        Trap::CannotBlockSyncTask => {
            "the plugin called an `async func` from a plain one: use aiohost:aio/blocking or submit there, or export \
             wasi:cli/run of WASI 0.3"
        }
        Trap::AsyncDeadlock => "the plugin waits for something that cannot happen any more",
        _ => MISTAKE,
    }
}

/// Whether something is wrong with a value that the plugin has returned, when none of its code runs any more. As below, it goes by texts.
fn is_about_values(cause: &str) -> bool {
    ["discriminant", "utf-8", "utf-16", "out of bounds", "not aligned", "unaligned", "unknown handle"]
        .iter()
        .any(|text| cause.contains(text))
}

/// What to do about a limit, if one was reached. wasmtime has no types for these errors, so it goes by their texts; should
/// one change, a test fails and users get the bare error.
fn remedy_for_limit(error: &wasmtime::Error) -> Option<Remedy> {
    let text = error.root_cause().to_string();
    if text.contains("exceeds memory limits") {
        return Some(Remedy::of(
            "give it more memory with Limits::memory_bytes_max",
            "give it more memory with --max-memory, as in --max-memory 2GiB",
        ));
    }
    if text.contains("GC heap out of memory") {
        return Some(Remedy::of(
            "give it more memory with Limits::memory_bytes_max: what it makes takes all of that",
            "give it more memory with --max-memory, as in --max-memory 2GiB: what it makes takes all of that",
        ));
    }
    if text.contains("File too large") {
        return Some(Remedy::of(
            "raise the limit of this process for files, RLIMIT_FSIZE: wasmtime keeps a plugin's data in a file without a name",
            "raise the limit for files, as with `ulimit -f unlimited`: wasmtime keeps a plugin's data in a file without a name",
        ));
    }
    remedy_in_the_plugin(error, &text).map(Remedy::from)
}

/// The same where nothing can be done about it but in the plugin.
fn remedy_in_the_plugin(error: &wasmtime::Error, text: &str) -> Option<&'static str> {
    if text.contains("memory count too high") {
        return Some("it has more memories than any toolchain makes: build it of fewer parts");
    }
    if text.contains("mmap failed to reserve") {
        return Some("the host has no addresses left: run fewer plugins at a time in one process");
    }
    if text.contains("exceeds table limits") {
        return Some("its tables are larger than any compiler makes them: build it again");
    }
    if text.contains("too much data is being copied") {
        return Some("the plugin has to hand over less at a time, as by writing in pieces");
    }
    if text.contains("request handles") || text.contains("handle limit exceeded") {
        return Some("the plugin has to take results and drop handles as it goes");
    }
    let table_is_full = matches!(error.downcast_ref::<ResourceTableError>(), Some(ResourceTableError::Full));
    table_is_full.then_some("the plugin has to close files and drop handles as it goes")
}
