//! The file system of WASI 0.3, in the place of that of `wasmtime_wasi`: by the traits that this generates, as for 0.2.

mod entries;
mod error;
mod files;
mod records;

use wasmtime::component::Linker;
use wasmtime_wasi::p3::bindings::filesystem::{preopens, types};

use crate::ctx::AioView;
use crate::wasi::filesystem::Filesystem;

pub(super) fn add_filesystem<T: AioView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    types::add_to_linker::<T, Filesystem>(linker, T::aio)?;
    preopens::add_to_linker::<T, Filesystem>(linker, T::aio)
}
