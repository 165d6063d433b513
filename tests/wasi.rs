//! Programs that know only WASI: random plans of calls, beside `wasmtime-wasi`, what they are held to, and programs of other languages.
//!
//! A plan that fails can be had again: `AIOHOST_PLAN_SEED=1234 AIOHOST_PLAN_STEPS=4000`. There are more of them with
//! `AIOHOST_PLAN_COUNT=100`. Programs whose toolchain cannot be had are
//! skipped, and said to be.

#[path = "wasi/comparison.rs"]
mod comparison;
#[path = "support/fuse.rs"]
mod fuse;
#[path = "wasi/guests.rs"]
mod guests;
#[path = "wasi/held.rs"]
mod held;
#[path = "support/more_time.rs"]
mod more_time;
#[path = "wasi/neighbours.rs"]
mod neighbours;
#[path = "wasi/p2.rs"]
mod p2;
#[path = "wasi/p3.rs"]
mod p3;
#[path = "wasi/plans.rs"]
mod plans;
#[path = "support/program.rs"]
mod program;
#[path = "wasi/programs.rs"]
mod programs;
#[path = "wasi/sockets.rs"]
mod sockets;
#[path = "support/toolchains.rs"]
#[allow(dead_code, reason = "this suite needs zig, go and rust only")]
mod toolchains;
