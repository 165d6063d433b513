//! What is not a request: the methods of `request`, waiting for several, priorities, counters and grants.

use std::future::poll_fn;
use std::sync::Arc;

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Linker, LinkerInstance, Lower, Resource};

use crate::ctx::{AioCtxView, AioView};
use crate::linker::CONTROL;
use crate::output::RequestHandle;
use crate::sandbox::Rights;
use crate::sched::{Priority, RequestId};

/// `aiohost:aio/control.grant`.
#[derive(ComponentType, Lower)]
#[component(record)]
struct GrantInfo {
    name: String,
    writable: bool,
}

fn id_of(view: &AioCtxView<'_>, request: &Resource<RequestHandle>) -> wasmtime::Result<RequestId> {
    Ok(view.table.get(request)?.id)
}

type RequestParam = (Resource<RequestHandle>,);

pub(crate) fn add_request_methods<T: AioView + 'static>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    types.func_wrap("[method]request.id", |mut store: StoreContextMut<'_, T>, (request,): RequestParam| {
        Ok((id_of(&store.data_mut().aio(), &request)?.value(),))
    })?;
    types.func_wrap("[method]request.cancel", |mut store: StoreContextMut<'_, T>, (request,): RequestParam| {
        let view = store.data_mut().aio();
        view.ctx.membership.cancel(id_of(&view, &request)?);
        Ok(())
    })?;
    types.func_wrap_async("[method]request.wait", |mut store: StoreContextMut<'_, T>, (request,): RequestParam| {
        Box::new(async move {
            let view = store.data_mut().aio();
            let id = id_of(&view, &request)?;
            let output = poll_fn(|cx| view.ctx.membership.poll_take(id, cx)).await;
            Ok((output.and_then(|output| output.into_outcome(view.table)),))
        })
    })
}

pub(crate) fn add<T: AioView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut control = linker.instance(CONTROL)?;
    control.func_wrap_async("wait-any", |mut store: StoreContextMut<'_, T>, (): ()| {
        let membership = Arc::clone(&store.data_mut().aio().ctx.membership);
        Box::new(async move { Ok((poll_fn(|cx| membership.poll_announce(cx)).await,)) })
    })?;
    control.func_wrap("poll", |mut store: StoreContextMut<'_, T>, (): ()| {
        Ok((store.data_mut().aio().ctx.membership.announce(),))
    })?;
    control.func_wrap_async("flush", |mut store: StoreContextMut<'_, T>, (): ()| {
        let membership = Arc::clone(&store.data_mut().aio().ctx.membership);
        Box::new(async move {
            poll_fn(|cx| membership.poll_flush(cx)).await;
            Ok(())
        })
    })?;
    control.func_wrap("set-priority", |mut store: StoreContextMut<'_, T>, (priority,): (i8,)| {
        let next = &mut store.data_mut().aio().ctx.next_priority;
        Ok((std::mem::replace(next, Priority::clamped(priority)).value(),))
    })?;
    control.func_wrap("count", |mut store: StoreContextMut<'_, T>, (): ()| Ok((store.data_mut().aio().ctx.counters(),)))?;
    control.func_wrap("grants", |mut store: StoreContextMut<'_, T>, (): ()| {
        let view = store.data_mut().aio();
        let info = |grant: &crate::sandbox::Grant| GrantInfo {
            name: grant.name().to_owned(),
            writable: grant.rights() == Rights::ReadWrite,
        };
        Ok((view.ctx.grants.list().iter().map(info).collect::<Vec<_>>(),))
    })
}
