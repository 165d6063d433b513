//! The only place that fills a linker: each request on its three faces.

use std::future::ready;

use wasmtime::StoreContextMut;
use wasmtime::component::{Accessor, Linker, ResourceType};

use crate::arguments::Arguments;
use crate::ctx::AioView;
use crate::door::{self, Passed, Request, Run, Submitted};
use crate::error::Result;
use crate::limits::INLINE_BYTES_MAX;
use crate::ops;
use crate::output::{Answer, GroupHandle, RequestHandle};
use crate::sandbox::{OpenDir, OpenFile, Ticket, Wait, Walker};
use crate::sched::Flow;

pub(crate) const TYPES: &str = "aiohost:aio/types@0.1.0";
pub(crate) const CONTROL: &str = "aiohost:aio/control@0.1.0";
pub(crate) const STREAMS: &str = "aiohost:aio/streams@0.1.0";
const BLOCKING: &str = "aiohost:aio/blocking@0.1.0";
const SUBMIT: &str = "aiohost:aio/submit@0.1.0";
const REQUESTS: &str = "aiohost:aio/requests@0.1.0";

/// Adds all of `aiohost:aio` to a linker: every request on every face.
///
/// The linker's engine needs `Config::concurrency_support`, as it is unless switched off; without it, see
/// [`add_plain_to_linker`].
///
/// # Errors
///
/// If a name is taken in the linker, or the engine has no concurrency support.
pub fn add_to_linker<T: AioView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    add(linker, Faces::All)?;
    ops::streams::add(linker)
}

/// Adds what needs no component-model async to a linker: the faces `blocking` and `submit`. For an engine with
/// `Config::concurrency_support(false)`, where a call costs less than half.
///
/// # Errors
///
/// If a name is taken in the linker.
pub fn add_plain_to_linker<T: AioView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    add(linker, Faces::Plain)
}

fn add<T: AioView + 'static>(linker: &mut Linker<T>, faces: Faces) -> wasmtime::Result<()> {
    add_types(linker)?;
    ops::control::add(linker)?;
    let mut requests = Requests { linker, faces, number: 0 };
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
        let file = store.data_mut().aio().table.delete(ops::own::<OpenFile>(rep))?;
        ops::file::drop_handle(store.data_mut().aio(), file);
        Ok(())
    })?;
    types.resource("dir", ResourceType::host::<OpenDir>(), |mut store, rep| {
        store.data_mut().aio().table.delete(ops::own::<OpenDir>(rep))?;
        Ok(())
    })?;
    types.resource("walker", ResourceType::host::<Walker>(), |mut store, rep| {
        store.data_mut().aio().table.delete(ops::own::<Walker>(rep))?;
        Ok(())
    })?;
    types.resource("request", ResourceType::host::<RequestHandle>(), |mut store, rep| {
        let view = store.data_mut().aio();
        let request = view.table.delete(ops::own::<RequestHandle>(rep))?;
        view.ctx.request_handles -= 1;
        view.ctx.membership.disown(request.id);
        Ok(())
    })?;
    types.resource("group", ResourceType::host::<GroupHandle>(), |mut store, rep| {
        let view = store.data_mut().aio();
        let group = view.table.delete(ops::own::<GroupHandle>(rep))?;
        view.ctx.group_handles -= 1;
        view.ctx.membership.drop_group(group.id);
        Ok(())
    })?;
    ops::control::add_request_methods(&mut types)?;
    ops::group::add(&mut types)
}

/// Which faces a linker gets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Faces {
    Plain,
    All,
}

/// Where the families of requests register themselves.
pub(crate) struct Requests<'a, T: 'static> {
    linker: &'a mut Linker<T>,
    faces: Faces,
    number: usize,
}

impl<T: AioView + 'static> Requests<'_, T> {
    /// A request that may block, and so always goes to a worker.
    pub(crate) fn on_worker<A: Arguments, O: Answer>(
        &mut self,
        name: &'static str,
        run: fn(&mut A, &dyn Ticket) -> Result<O>,
    ) -> wasmtime::Result<()> {
        self.add(name, Run::Worker(run))
    }

    /// A request that is tried on the guest's own thread first. `run` gives `WOULD_BLOCK` if it may not wait but would have to.
    pub(crate) fn inline_first<A: Arguments, O: Answer>(
        &mut self,
        name: &'static str,
        run: fn(&mut A, Wait) -> Result<O>,
    ) -> wasmtime::Result<()> {
        self.add(name, Run::Inline(run))
    }

    /// A request that waits for something that no system call tells of: a worker tries it again and again.
    pub(crate) fn again_and_again<A: Arguments, O: Answer>(
        &mut self,
        name: &'static str,
        run: fn(&mut A, &dyn Ticket) -> Flow<O>,
    ) -> wasmtime::Result<()> {
        self.add(name, Run::Again(run))
    }

    fn add<A: Arguments, O: Answer>(&mut self, name: &'static str, run: Run<A, O>) -> wasmtime::Result<()> {
        let request = Request { name, number: self.number, run };
        self.number += 1;
        add_blocking(self.linker, request)?;
        add_submit(self.linker, request)?;
        match self.faces {
            Faces::All => add_concurrent(self.linker, request),
            Faces::Plain => Ok(()),
        }
    }
}

fn add_blocking<T: AioView, A: Arguments, O: Answer>(linker: &mut Linker<T>, request: Request<A, O>) -> wasmtime::Result<()> {
    linker.instance(BLOCKING)?.func_wrap_async(request.name, move |mut store: StoreContextMut<'_, T>, wire: A::Wire| {
        match door::enter_call(&mut store.data_mut().aio(), request, wire, usize::MAX) {
            // Most calls end here, and need no future that can wait.
            Passed::Done(answer) => Box::new(ready(Ok((give(&mut store, answer),)))),
            Passed::ToQueue(queued) => Box::new(async move {
                let answer: Result<O> = queued.run().await;
                Ok((give(&mut store, answer),))
            }),
        }
    })
}

/// The answer as the guest gets it.
fn give<T: AioView, O: Answer>(store: &mut StoreContextMut<'_, T>, answer: Result<O>) -> Result<O::Wire> {
    answer?.into_wire(store.data_mut().aio().table)
}

fn add_submit<T: AioView, A: Arguments, O: Answer>(linker: &mut Linker<T>, request: Request<A, O>) -> wasmtime::Result<()> {
    linker.instance(SUBMIT)?.func_wrap_async(request.name, move |mut store: StoreContextMut<'_, T>, wire: A::Wire| {
        match door::submit(&mut store.data_mut().aio(), request, wire, INLINE_BYTES_MAX) {
            Ok(Submitted::Now(handle)) => Box::new(ready(Ok((handle,)))),
            Ok(Submitted::Later(queued)) => {
                Box::new(async move { Ok((door::submit_later(store.data_mut().aio(), queued).await?,)) })
            }
            Err(error) => Box::new(ready(Err(error))),
        }
    })
}

fn add_concurrent<T: AioView + 'static, A: Arguments, O: Answer>(
    linker: &mut Linker<T>,
    request: Request<A, O>,
) -> wasmtime::Result<()> {
    linker.instance(REQUESTS)?.func_wrap_concurrent(request.name, move |accessor: &Accessor<T>, wire: A::Wire| {
        Box::pin(async move {
            let passed =
                accessor.with(|mut access| door::enter_call(&mut access.data_mut().aio(), request, wire, INLINE_BYTES_MAX));
            let answer = match passed {
                Passed::Done(result) => result,
                Passed::ToQueue(queued) => queued.run().await,
            };
            let wire = accessor.with(|mut access| answer.and_then(|answer: O| answer.into_wire(access.data_mut().aio().table)));
            Ok((wire,))
        })
    })
}
