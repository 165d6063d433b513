//! What an embedder adds to a linker: all of `aiohost:aio`, or the part that needs no component-model async.

use wasmtime::component::{Linker, Resource, ResourceType};

use crate::ctx::AioView;
use crate::faces::{Faces, Registrar};
use crate::ops;
use crate::output::{GroupHandle, RequestHandle};
use crate::sandbox::{OpenDir, OpenFile, Walker};

const TYPES: &str = "aiohost:aio/types@0.1.0";

/// Adds all of `aiohost:aio` to a linker: every request on every face.
///
/// The linker's engine needs `Config::concurrency_support`, which is on by default; for an engine without it, see
/// [`add_plain_to_linker`].
///
/// ```
/// use wasmtime::Engine;
/// use wasmtime::component::Linker;
///
/// # use aiohost::{AioCtx, AioCtxView, AioView};
/// # use wasmtime::component::ResourceTable;
/// # struct State { aio: AioCtx, table: ResourceTable }
/// # impl AioView for State {
/// #     fn aio(&mut self) -> AioCtxView<'_> { AioCtxView { ctx: &mut self.aio, table: &mut self.table } }
/// # }
/// # fn main() -> wasmtime::Result<()> {
/// // `State` implements `AioView`.
/// let mut linker = Linker::<State>::new(&Engine::default());
/// aiohost::add_to_linker(&mut linker)?;
/// let again = aiohost::add_to_linker(&mut linker).expect_err("it is there");
/// assert_eq!(again.to_string(), "aiohost:aio is in this linker already");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// If the linker has one of the names already, or the engine has no concurrency support.
pub fn add_to_linker<T: AioView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    add(linker, Faces::All)?;
    ops::streams::add(linker)
}

/// Adds the part that needs no component-model async to a linker: the faces `blocking` and `submit`. It is for an engine with
/// `Config::concurrency_support(false)`, where a call costs less than half.
///
/// ```
/// use wasmtime::component::Linker;
/// use wasmtime::{Config, Engine};
///
/// # use aiohost::{AioCtx, AioCtxView, AioView};
/// # use wasmtime::component::ResourceTable;
/// # struct State { aio: AioCtx, table: ResourceTable }
/// # impl AioView for State {
/// #     fn aio(&mut self) -> AioCtxView<'_> { AioCtxView { ctx: &mut self.aio, table: &mut self.table } }
/// # }
/// # fn main() -> wasmtime::Result<()> {
/// let engine = Engine::new(Config::new().concurrency_support(false))?;
/// aiohost::add_plain_to_linker(&mut Linker::<State>::new(&engine))?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// If the linker has one of the names already.
pub fn add_plain_to_linker<T: AioView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    add(linker, Faces::Plain)
}

fn add<T: AioView + 'static>(linker: &mut Linker<T>, faces: Faces) -> wasmtime::Result<()> {
    // The types come first. Whoever has added them has added the rest.
    add_types(linker).map_err(|error| error.context("aiohost:aio is in this linker already"))?;
    ops::control::add(linker)?;
    let mut requests = Registrar::new(linker, faces, ops::streams::KINDS.len());
    ops::path::add(&mut requests)?;
    ops::file::add(&mut requests)?;
    ops::range::add(&mut requests)?;
    ops::durability::add(&mut requests)?;
    ops::whole::add(&mut requests)?;
    ops::tree::add(&mut requests)
}

/// The handles, and what happens when a guest drops one.
fn add_types<T: AioView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut types = linker.instance(TYPES)?;
    types.resource("file", ResourceType::host::<OpenFile>(), |mut store, rep| {
        // What is dropped hands its descriptor to the reaper.
        store.data_mut().aio().table.delete(own::<OpenFile>(rep))?;
        Ok(())
    })?;
    types.resource("dir", ResourceType::host::<OpenDir>(), |mut store, rep| {
        store.data_mut().aio().table.delete(own::<OpenDir>(rep))?;
        Ok(())
    })?;
    types.resource("walker", ResourceType::host::<Walker>(), |mut store, rep| {
        store.data_mut().aio().table.delete(own::<Walker>(rep))?;
        Ok(())
    })?;
    types.resource("request", ResourceType::host::<RequestHandle>(), |mut store, rep| {
        let view = store.data_mut().aio();
        let request = view.table.delete(own::<RequestHandle>(rep))?;
        view.ctx.request_handles -= 1;
        if !request.is_taken {
            view.ctx.member.disown(request.id);
        }
        Ok(())
    })?;
    types.resource("group", ResourceType::host::<GroupHandle>(), |mut store, rep| {
        let view = store.data_mut().aio();
        let group = view.table.delete(own::<GroupHandle>(rep))?;
        view.ctx.group_handles -= 1;
        view.ctx.member.drop_group(group.id);
        Ok(())
    })?;
    ops::control::add_request_methods(&mut types)?;
    ops::group::add(&mut types)
}

/// The resource that a guest drops.
fn own<R: 'static>(rep: u32) -> Resource<R> {
    Resource::new_own(rep)
}
