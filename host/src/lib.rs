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
//!     // Without this the guest's `std::fs` sees no directory.
//!     aiohost::wasi::add_filesystem_to_linker(&mut linker)?;
//!     aiohost::add_to_linker(&mut linker)?;
//!
//!     // For each plugin: a store of its own, with the directories that it gets.
//!     let aio = AioCtx::builder().dir("data", ".", Rights::ReadWrite)?;
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
//! `Host`, with the default feature `host`, has everything included: it loads, limits, caches and runs plugins, for any number of
//! tenants.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use aiohost::{Host, Limits, Rights, Stdout};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), aiohost::Problem> {
//!     // Once: engines, workers, and what each guest may have.
//!     let limits = Limits { memory_bytes_max: 64 << 20, timeout: Some(Duration::from_secs(10)), ..Limits::default() };
//!     let host = Host::builder().limits(limits).build()?;
//!     // Once for each plugin.
//!     let plugin = host.load("plugin.wasm")?;
//!     // For each run: directories, arguments and streams of its own.
//!     let (stdout, output) = Stdout::captured(1 << 20);
//!     let mut guest = plugin.guest().dir("tenants/anna", ".", Rights::ReadWrite).arg("--all").stdout(stdout).build()?;
//!     let status = guest.run().await?;
//!     println!("{status}: {}", output.text());
//!     Ok(())
//! }
//! ```
//!
//! `host/examples/` has whole programs: `embed` with its own linker, `processor` with its own world, and `server`, which runs a plugin
//! for each HTTP request.
//!
//! # From `wasmtime-wasi` to aiohost
//!
//! An application that runs WASI components with `wasmtime-wasi` keeps its linker, its stores and the rest of WASI. It changes three
//! places: the store's data holds an [`AioCtx`], the linker gets aiohost's file system, and directories are granted to the `AioCtx`
//! instead of the `WasiCtx`. From then on programs that know only WASI, in any language, have the same limits, counters and sandbox as
//! those that call `aiohost:aio`.
//!
//! ```no_run
//! # use aiohost::{AioCtx, AioCtxView, AioEngine, AioView, Limits, Rights, StoreCeiling};
//! # use wasmtime::component::{Linker, ResourceTable};
//! # use wasmtime::{Engine, Store};
//! # use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
//! struct State {
//!     wasi: WasiCtx,
//!     table: ResourceTable,
//!     aio: AioCtx,           // new
//!     ceiling: StoreCeiling, // new, for the limits that the store holds
//! }
//!
//! impl AioView for State {
//!     fn aio(&mut self) -> AioCtxView<'_> {
//!         AioCtxView { ctx: &mut self.aio, table: &mut self.table }
//!     }
//! }
//! # impl WasiView for State {
//! #     fn ctx(&mut self) -> WasiCtxView<'_> { WasiCtxView { ctx: &mut self.wasi, table: &mut self.table } }
//! # }
//!
//! # fn main() -> anyhow::Result<()> {
//! # let engine = Engine::default();
//! let mut linker: Linker<State> = Linker::new(&engine);
//! wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
//! aiohost::wasi::add_filesystem_to_linker(&mut linker)?; // new: instead of wasmtime-wasi's files
//! aiohost::add_to_linker(&mut linker)?; // new: `aiohost:aio` itself
//!
//! let workers = AioEngine::new(); // new, once in the application
//! let limits = Limits { memory_bytes_max: 64 << 20, ..Limits::default() };
//! // Was: WasiCtx::builder().preopened_dir("data", ".", DirPerms::all(), FilePerms::all())?
//! let aio = AioCtx::builder().dir("data", ".", Rights::ReadWrite)?.limits(limits.requests.clone()).build(&workers);
//! let (wasi, table, ceiling) = (WasiCtx::builder().build(), limits.table(), limits.ceiling());
//! let mut store = Store::new(&engine, State { wasi, table, aio, ceiling });
//! limits.apply(&mut store, |state| &mut state.ceiling);
//! # Ok(())
//! # }
//! ```
//!
//! What `Host` sets, and an application with stores of its own sets itself:
//!
//! | what | how |
//! |---|---|
//! | memory, tables, handles, bytes of a call | [`Limits::apply`] |
//! | memories of a guest, and of all guests of the process | the same, by the ceiling of [`Limits::ceiling`]: 64, and 16,384 |
//! | what instances and types take beside memories and tables | `PoolingAllocationConfig` has the largest instance and how many there may be. `Host` refuses a plugin whose instances take more than 16 MiB, and one whose streams of flags take more than is counted for them; no store sees either |
//! | the stack | `Config::async_stack_size` of twice `Config::max_wasm_stack` and 1 MiB at least, as by default: with less a guest can end the process. `Host` gives WebAssembly 1 MiB, and 4 MiB in all |
//! | the end of a guest that computes | `Config::epoch_interruption`, an [`EpochTicker`], [`Limits::timeout`] with [`Limits::apply`] |
//! | the end of a guest that waits | drop the future of its call, as `tokio::time::timeout` does |
//! | files of WASI with the limits and counters of aiohost | [`wasi::add_filesystem_to_linker`] |
//! | identity and status of a file by one look, for programs of WASI 0.2 | [`AioCtxBuilder::host_calls`], and a `Store::call_hook` that counts by [`HostCalls`] |
//! | random bytes of one call of WASI 0.2 or 0.3 | `WasiCtxBuilder::max_random_size`: `Host` gives 4 MiB, and 64 MiB is the default |
//! | core modules of WASI preview 1 | [`wasi::add_preview1_to_linker`] |
//! | no network | `WasiCtx` as it is: it grants none |
//! | compiled code that is kept | `wasmtime::Cache`, in a place that no guest reaches |
//! | a bound for what it takes to compile | a process with limits of its own |
//! | one engine for plugins with and without async | an engine of each kind: `Config::concurrency_support` |
//!
//! The [`AioCtx`] itself enforces [`RequestLimits`], with any store: requests, bytes in flight, open files, groups, paths, entries.
//!
//! # Which thread does what
//!
//! What cannot wait is done on the thread that polls the guest; the rest is done by the threads of an [`AioEngine`], which many
//! guests share.
//!
//! `aiohost:aio`, the [`AioEngine`], [`Limits::apply`] and the [`EpochTicker`] need no runtime of tokio: any executor will do, since
//! only a [`Waker`](std::task::Waker) is used. WASI needs one whose time is enabled, that of `wasmtime_wasi` as well as that of
//! [`wasi`]: a guest that sleeps does so by tokio's clock. So do the guests of `Host`, which have WASI and may have a timeout.
//!
//! # Cancellation
//!
//! The future of a guest's call may be dropped at any time. Its queued requests are then dropped; one that is on a worker is finished,
//! since a system call cannot be undone, and its result is dropped. As with wasmtime in general, the store must not be used again
//! after that, nor after a trap.
//!
//! # Guests that only compute
//!
//! A guest yields its thread at each tick of wasmtime's epoch, if the application asks for that. With
//! `Store::epoch_deadline_async_yield_and_update` it wakes itself at once, and a tokio runtime with one thread then polls it for some
//! thirty ticks before it looks at the answers that workers have for other guests. Let it yield to the runtime instead, as `Host`
//! does:
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
//! A write beyond the process's limit for the size of files (`RLIMIT_FSIZE`; `LimitFSIZE=` of systemd) ends the process with
//! `SIGXFSZ`, and all guests with it, unless the application ignores that signal, as the command does. The write then fails with
//! `file-too-large`.
//!
//! # Trust
//!
//! A guest reaches what is in its directories and nothing else, and every number it passes is checked against [`Limits`]. wasmtime
//! limits the memory and the run time of the guest itself, with `Store::limiter`, `Store::set_hostcall_fuel` and epochs:
//! [`Limits::apply`] sets them, and `Host` does so for its guests.

mod allowed;
mod arguments;
pub mod bindings;
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
mod problem;
mod reaper;
mod sandbox;
mod sched;
pub mod shown;
mod spin;
mod store;
mod streams;
mod ticker;
mod types;
pub mod wasi;

/// Crates whose types stand in signatures here, in the versions that these signatures mean.
pub use {cap_std, wasmtime, wasmtime_wasi};

pub use allowed::Gated;
pub use ctx::{AioCtx, AioCtxBuilder, AioCtxView, AioView, HostCalls};
pub use engine::{AioEngine, AioEngineBuilder};
pub use error::{Error, ErrorCode};
pub use limits::{Limits, RequestLimits};
pub use linker::{add_plain_to_linker, add_to_linker};
#[cfg(feature = "host")]
pub use plugin::{Captured, Guest, GuestBuilder, GuestHandle, GuestState, Host, HostBuilder, Plugin, Stdin, Stdout};
pub use problem::{Problem, ProblemKind};
pub use sandbox::{Resolver, Rights};
pub use sched::{Counters, RequestStats, Stats};
pub use store::StoreCeiling;
pub use ticker::{EpochTicker, Ticks};
