//! A WebAssembly component host that gives guests asynchronous file I/O as imported functions.

mod arguments;
mod ctx;
mod door;
mod engine;
mod error;
mod limits;
mod linker;
mod observe;
mod ops;
mod output;
mod sandbox;
mod sched;

pub use ctx::{AioCtx, AioCtxBuilder, AioCtxView, AioView};
pub use engine::{AioEngine, AioEngineBuilder};
pub use error::{Error, ErrorCode};
pub use limits::Limits;
pub use linker::{add_plain_to_linker, add_to_linker};
pub use observe::{RequestStats, Stats};
pub use sandbox::{Resolver, Rights};
pub use sched::Counters;
