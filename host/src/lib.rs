//! A WebAssembly component host that gives guests asynchronous file I/O as imported functions: the requests of Perl's IO::AIO,
//! called as if they were blocking, over directories that were granted.
//!
//! This is how an application adds it to its own wasmtime [`Linker`](wasmtime::component::Linker), beside `wasmtime_wasi`:
//!
//! ```no_run
//! use aiohost::{AioCtx, AioCtxView, AioEngine, AioView, Rights};
//! use wasmtime::component::{Component, Linker, ResourceTable};
//! use wasmtime::{Engine, Store};
//! use wasmtime_wasi::p2::bindings::Command;
//! use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
//!
//! struct State {
//!     wasi: WasiCtx,
//!     aio: AioCtx,
//!     table: ResourceTable,
//! }
//!
//! impl WasiView for State {
//!     fn ctx(&mut self) -> WasiCtxView<'_> {
//!         WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
//!     }
//! }
//!
//! impl AioView for State {
//!     fn aio(&mut self) -> AioCtxView<'_> {
//!         AioCtxView { ctx: &mut self.aio, table: &mut self.table }
//!     }
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> anyhow::Result<()> {
//!     // Once: wasmtime's engine, the workers, and a linker with WASI and aiohost.
//!     let engine = Engine::default();
//!     let workers = AioEngine::new();
//!     let mut linker: Linker<State> = Linker::new(&engine);
//!     wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
//!     aiohost::add_to_linker(&mut linker)?;
//!
//!     // For each plugin: a store of its own, with the directories that it gets.
//!     let mut aio = AioCtx::builder();
//!     aio.dir("data", ".", Rights::ReadWrite)?;
//!     let wasi = WasiCtx::builder().inherit_stdio().build();
//!     let mut store = Store::new(&engine, State { wasi, aio: aio.build(&workers), table: ResourceTable::new() });
//!
//!     let component = Component::from_file(&engine, "plugin.wasm")?;
//!     let command = Command::instantiate_async(&mut store, &component, &linker).await?;
//!     let outcome = command.wasi_cli_run().call_run(&mut store).await?;
//!     println!("{:?}, {:?}", outcome, store.data().aio.counters());
//!     Ok(())
//! }
//! ```
//!
//! `Host`, with the default feature `host`, is the same with everything included.
//!
//! # Which thread does what
//!
//! What cannot wait is done on the thread that polls the guest; the rest is done by the threads of an [`AioEngine`], which many
//! guests share. Nothing here needs tokio: any executor will do, since only a [`Waker`](std::task::Waker) is used.
//!
//! # Cancellation
//!
//! A future of a guest's call may be dropped at any time. Its requests that are queued are then dropped; one that is on a worker
//! is finished, since no system call can be taken back, and its result is dropped. As with wasmtime in general, the store must not
//! be used again after that, nor after a trap.
//!
//! # Guests that only compute
//!
//! A guest gives its thread back at each tick of wasmtime's epoch, if the application asks for that. With
//! `Store::epoch_deadline_async_yield_and_update` it wakes itself at once, and an event loop of tokio with one thread then goes on
//! with it for some thirty ticks before it looks at the answers that workers have for other guests. Let it wait for the event loop
//! instead, as `Host` does:
//!
//! ```
//! # let engine = wasmtime::Engine::default();
//! # let mut store = wasmtime::Store::new(&engine, ());
//! use wasmtime::UpdateDeadline;
//!
//! store.set_epoch_deadline(1);
//! store.epoch_deadline_callback(|_| Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))));
//! ```
//!
//! # Signals
//!
//! A write over the limit that the process has for the size of files (`RLIMIT_FSIZE`; `LimitFSIZE=` of systemd) ends the process by
//! `SIGXFSZ`, with all guests, unless the application ignores that signal. The command does. The write then fails with
//! `file-too-large`.
//!
//! # Trust
//!
//! A guest reaches what is in its directories and nothing else; every number it gives is held against [`Limits`]. Memory and run
//! time of the guest itself are wasmtime's business: see `Store::limiter`, `Store::set_hostcall_fuel` and epochs. `Host` sets
//! them all.

mod allowed;
mod arguments;
mod budget;
mod ctx;
mod door;
mod engine;
mod error;
mod faces;
mod gated;
mod granted;
mod limits;
mod linker;
mod ops;
mod output;
#[cfg(feature = "host")]
pub mod plugin;
mod reaper;
mod sandbox;
mod sched;
mod streams;
mod types;
pub mod wasi;

pub use allowed::Gated;
pub use ctx::{AioCtx, AioCtxBuilder, AioCtxView, AioView};
pub use engine::{AioEngine, AioEngineBuilder};
pub use error::{Error, ErrorCode};
pub use limits::Limits;
pub use linker::{add_plain_to_linker, add_to_linker};
#[cfg(feature = "host")]
pub use plugin::{Guest, Host, HostBuilder, Plugin, Problem, ProblemKind};
pub use sandbox::{Resolver, Rights};
pub use sched::{Counters, RequestStats, Stats};
