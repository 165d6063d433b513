//! WASI on aiohost's own engine: what programs that know only WASI call, through the same door as every request.
//!
//! An embedder has several choices. All of WASI 0.2, and of 0.3 where the linker's engine has concurrency support, with files on
//! aiohost's engine:
//!
//! ```
//! # use aiohost::AioView;
//! # use wasmtime::component::Linker;
//! # use wasmtime_wasi::WasiView;
//! # fn add<T: AioView + WasiView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
//! aiohost::wasi::add_to_linker(linker)
//! # }
//! ```
//!
//! Only the file system, in place of that of `wasmtime_wasi`, which was added before:
//!
//! ```
//! # use aiohost::AioView;
//! # use wasmtime::component::Linker;
//! # use wasmtime_wasi::WasiView;
//! # fn add<T: AioView + WasiView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
//! wasmtime_wasi::p2::add_to_linker_async(linker)?;
//! wasmtime_wasi::p3::add_to_linker(linker)?;
//! aiohost::wasi::add_filesystem_to_linker(linker)
//! # }
//! ```
//!
//! The functions of preview 1 for core modules: [`add_preview1_to_linker`]. Or `wasmtime_wasi` as it is, whose files are then outside
//! of aiohost's limits and counters.
//!
//! The directories are those of the guest's [`AioCtx`](crate::AioCtx). A guest that has its thread to itself waits for the file system
//! on it: see [`AioCtxBuilder::own_thread`](crate::AioCtxBuilder::own_thread).

mod filesystem;
mod linker;
mod p2;
mod p3;
mod preopens;
pub(crate) mod preview1;
mod requests;
mod runs;
mod sockets;

pub use linker::{add_filesystem_to_linker, add_to_linker};
pub use preview1::{Preview1, Preview1View, add_to_linker as add_preview1_to_linker};
