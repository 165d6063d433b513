//! The scheduler of the host, with what it stands on: its budgets and limits. No files, no WebAssembly.
//!
//! `cargo test --manifest-path tests/model/Cargo.toml`. The tests are in `host/src/sched/model.rs`. With `--no-default-features` it
//! runs the other tests of the scheduler, on threads of the system.

// What is not used here is used in the host.
#![allow(dead_code, unused_imports, unreachable_pub, reason = "only a part of the host is here")]

#[path = "../../../host/src/budget.rs"]
mod budget;
#[path = "../../../host/src/limits.rs"]
mod limits;
#[path = "../../../host/src/reaper.rs"]
mod reaper;
#[path = "../../../host/src/sched/mod.rs"]
mod sched;
#[path = "../../../host/src/spin.rs"]
mod spin;
