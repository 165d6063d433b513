//! WASI 0.2: that of `wasmtime_wasi`, but for its file system, whose functions take the way of every request.
//!
//! The traits are those that `wasmtime_wasi` generates for its own file system, and so the names that they are linked under are the
//! same, with the version in them. A linker gives a guest the greatest version that it has; a file system of another one beside that
//! of `wasmtime_wasi` would be left aside without a word.

mod descriptor;
mod error;
mod files;
mod input;
mod output;
mod records;
mod requests;
mod steps;

use wasmtime::component::{HasData, Linker};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::bindings::filesystem::{preopens, types};

use crate::ctx::{AioCtxView, AioView};

/// The file system of a guest, which is found by its [`AioView`].
struct Filesystem;

impl HasData for Filesystem {
    type Data<'a> = AioCtxView<'a>;
}

/// Adds all of WASI 0.2, with files on aiohost's engine.
///
/// # Errors
///
/// If a name is taken in the linker.
pub fn add_to_linker<T: AioView + WasiView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    add_filesystem_to_linker(linker)
}

/// Adds the file system of WASI 0.2 alone, in place of one that is there. From here on the linker refuses names that are taken, as a
/// new one does.
///
/// # Errors
///
/// None is known.
pub fn add_filesystem_to_linker<T: AioView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let added = add_filesystem(linker);
    linker.allow_shadowing(false);
    added
}

fn add_filesystem<T: AioView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    types::add_to_linker::<T, Filesystem>(linker, T::aio)?;
    preopens::add_to_linker::<T, Filesystem>(linker, T::aio)
}

#[cfg(test)]
mod tests {
    use wasmtime::Engine;
    use wasmtime::component::ResourceTable;
    use wasmtime_wasi::{WasiCtx, WasiCtxView};

    use super::*;
    use crate::ctx::AioCtx;

    struct Data {
        aio: AioCtx,
        wasi: WasiCtx,
        table: ResourceTable,
    }

    impl AioView for Data {
        fn aio(&mut self) -> AioCtxView<'_> {
            AioCtxView { ctx: &mut self.aio, table: &mut self.table }
        }
    }

    impl WasiView for Data {
        fn ctx(&mut self) -> WasiCtxView<'_> {
            WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
        }
    }

    #[test]
    fn the_file_system_has_the_names_of_the_one_in_whose_place_it_is() {
        let engine = Engine::default();
        let mut linker = Linker::<Data>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("an empty linker");
        let problem = types::add_to_linker::<Data, Filesystem>(&mut linker, Data::aio).expect_err("the name is taken");
        assert!(format!("{problem:?}").contains("defined twice"), "{problem:?}");
        let problem = preopens::add_to_linker::<Data, Filesystem>(&mut linker, Data::aio).expect_err("the name is taken");
        assert!(format!("{problem:?}").contains("defined twice"), "{problem:?}");
        add_to_linker(&mut Linker::<Data>::new(&engine)).expect("an empty linker");
    }
}
