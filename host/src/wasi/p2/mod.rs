//! The file system of WASI 0.2, in the place of that of `wasmtime_wasi`.
//!
//! The traits are those that `wasmtime_wasi` generates for its own file system, and so the names that they are linked under are the
//! same, with the version in them. A linker gives a guest the greatest version that it has; a file system of another one beside that
//! of `wasmtime_wasi` would be left aside without a word.

mod error;
mod files;
mod input;
mod output;
mod records;

use wasmtime::component::Linker;
use wasmtime_wasi::p2::bindings::filesystem::{preopens, types};

use crate::ctx::AioView;
use crate::wasi::filesystem::Filesystem;

pub(super) fn add_filesystem<T: AioView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    types::add_to_linker::<T, Filesystem>(linker, T::aio)?;
    preopens::add_to_linker::<T, Filesystem>(linker, T::aio)
}
