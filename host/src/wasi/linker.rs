//! What an embedder adds to a linker for components that know WASI: all of it, or its file system alone.

use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;

use super::{p2, p3, sockets};
use crate::ctx::AioView;

/// Adds all of WASI 0.2, and of 0.3 if the linker's engine has `Config::concurrency_support`, with files on aiohost's engine. The
/// first time that a guest is denied a socket, a warning is logged. The [module](super) has examples.
///
/// # Errors
///
/// If the linker has one of the names already.
pub fn add_to_linker<T: AioView + WasiView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    if linker.engine().get_concurrency_support() {
        wasmtime_wasi::p3::add_to_linker(linker)?;
    }
    sockets::tell_of_denials(linker)?;
    add_filesystem_to_linker(linker)
}

/// Adds only the file system of WASI 0.2, and of 0.3 if the linker's engine has `Config::concurrency_support`, in place of one that
/// is there. Afterwards the linker refuses names that it has already, as a new one does. The [module](super) has an example.
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
    p2::add_filesystem(linker)?;
    if linker.engine().get_concurrency_support() { p3::add_filesystem(linker) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use wasmtime::component::ResourceTable;
    use wasmtime::{Config, Engine};
    use wasmtime_wasi::p2::bindings::filesystem as of_p2;
    use wasmtime_wasi::p3::bindings::filesystem as of_p3;
    use wasmtime_wasi::{WasiCtx, WasiCtxView};

    use super::*;
    use crate::ctx::{AioCtx, AioCtxView};
    use crate::wasi::filesystem::Filesystem;

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
        let mut linker = Linker::<Data>::new(&Engine::default());
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("an empty linker");
        wasmtime_wasi::p3::add_to_linker(&mut linker).expect("nothing of 0.3 is there");
        let added = [
            of_p2::types::add_to_linker::<Data, Filesystem>(&mut linker, Data::aio),
            of_p2::preopens::add_to_linker::<Data, Filesystem>(&mut linker, Data::aio),
            of_p3::types::add_to_linker::<Data, Filesystem>(&mut linker, Data::aio),
            of_p3::preopens::add_to_linker::<Data, Filesystem>(&mut linker, Data::aio),
        ];
        for added in added {
            let problem = added.expect_err("the name is taken");
            assert!(format!("{problem:?}").contains("defined twice"), "{problem:?}");
        }
    }

    #[test]
    fn an_engine_without_concurrency_gets_what_it_can_have() {
        for concurrency in [false, true] {
            let engine = Engine::new(Config::new().concurrency_support(concurrency)).expect("an engine");
            add_to_linker(&mut Linker::<Data>::new(&engine)).expect("an empty linker");
            add_filesystem_to_linker(&mut Linker::<Data>::new(&engine)).expect("an empty linker");
        }
    }
}
