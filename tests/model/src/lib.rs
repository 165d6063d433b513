//! The scheduler of the host, with as little around it as it needs, and without wasmtime.
//!
//! `cargo test --manifest-path tests/model/Cargo.toml`. The tests are in `host/src/sched/model.rs`.

// What is not used here is used in the host.
#![allow(dead_code, unused_imports, unreachable_pub, reason = "only a part of the host is here")]

// The host's types derive what wasmtime needs of them. Here these derives do nothing.
extern crate self as wasmtime;

mod component {
    pub(crate) use aiohost_model_derives::{ComponentType, Lift, Lower};
}

#[path = "../../../host/src/error.rs"]
mod error;
#[path = "../../../host/src/limits.rs"]
mod limits;
#[path = "../../../host/src/observe.rs"]
mod observe;
#[path = "../../../host/src/sched/mod.rs"]
mod sched;

mod output {
    /// As many results as the tests have.
    #[derive(Debug)]
    pub(crate) enum Output {
        Done,
        Count(u64),
        Data(Vec<u8>),
    }
}
