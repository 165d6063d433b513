//! What is not a request: the methods of `request`, waiting for several, priorities, counters and grants.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, LinkerInstance, Lower, Resource};

use crate::ctx::{AioCtxView, AioView};
use crate::output::{GroupHandle, RequestHandle};
use crate::sandbox::{GrantedDir, Rights};
use crate::sched::{self, Manner, Priority, RequestId, TimedWait};

const CONTROL: &str = "aiohost:aio/control@0.1.0";

/// `aiohost:aio/control.when-full`.
#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "only a guest makes one")]
enum WhenFull {
    #[component(name = "wait")]
    Wait,
    #[component(name = "fail")]
    Fail,
}

/// `aiohost:aio/types.counters`.
#[derive(Clone, Copy, Debug, ComponentType, Lower)]
#[component(record)]
pub(super) struct WireCounters {
    queued: u64,
    running: u64,
    done: u64,
    failed: u64,
    canceled: u64,
}

impl From<sched::Counters> for WireCounters {
    fn from(counters: sched::Counters) -> Self {
        let sched::Counters { queued, running, done, failed, canceled } = counters;
        Self { queued, running, done, failed, canceled }
    }
}

/// `aiohost:aio/types.progress`.
#[derive(Clone, Copy, Debug, ComponentType, Lower)]
#[component(record)]
pub(super) struct WireProgress {
    bytes: u64,
    names: u64,
}

impl From<sched::Progress> for WireProgress {
    fn from(sched::Progress { bytes, names }: sched::Progress) -> Self {
        Self { bytes, names }
    }
}

/// `aiohost:aio/control.grant`.
#[derive(ComponentType, Lower)]
#[component(record)]
struct GrantInfo {
    name: String,
    writable: bool,
}

pub(super) fn id_of(view: &AioCtxView<'_>, request: &Resource<RequestHandle>) -> wasmtime::Result<RequestId> {
    Ok(view.table.get(request)?.id)
}

type RequestParam = (Resource<RequestHandle>,);

pub(crate) fn add_request_methods<T: AioView + 'static>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    types.func_wrap("[method]request.id", |mut store: StoreContextMut<'_, T>, (request,): RequestParam| {
        Ok((id_of(&store.data_mut().aio(), &request)?.value(),))
    })?;
    types.func_wrap("[method]request.cancel", |mut store: StoreContextMut<'_, T>, (request,): RequestParam| {
        let view = store.data_mut().aio();
        view.ctx.member.cancel(id_of(&view, &request)?);
        Ok(())
    })?;
    types.func_wrap("[method]request.progress", |mut store: StoreContextMut<'_, T>, (request,): RequestParam| {
        let view = store.data_mut().aio();
        Ok((WireProgress::from(view.ctx.member.progress(id_of(&view, &request)?)),))
    })?;
    types.func_wrap_async("[method]request.wait", |mut store: StoreContextMut<'_, T>, (request,): RequestParam| {
        Box::new(async move {
            let view = store.data_mut().aio();
            let id = id_of(&view, &request)?;
            let output = poll_fn(|cx| view.ctx.member.poll_take(id, cx)).await;
            view.table.get_mut(&request)?.is_taken = true;
            Ok((output.and_then(|output| output.into_outcome(view.table)),))
        })
    })
}

pub(crate) fn add<T: AioView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut control = linker.instance(CONTROL)?;
    control.func_wrap_async("wait-any", |mut store: StoreContextMut<'_, T>, (): ()| {
        let member = Arc::clone(&store.data_mut().aio().ctx.member);
        Box::new(async move { Ok((poll_fn(|cx| member.poll_announce(cx)).await,)) })
    })?;
    control.func_wrap_async("wait-any-for", |mut store: StoreContextMut<'_, T>, (time_ms,): (u64,)| {
        let member = Arc::clone(&store.data_mut().aio().ctx.member);
        Box::new(async move {
            let mut wait = TimedWait::new(&member, deadline(time_ms));
            Ok((poll_fn(|cx| wait.poll(cx)).await,))
        })
    })?;
    control
        .func_wrap("poll", |mut store: StoreContextMut<'_, T>, (): ()| Ok((store.data_mut().aio().ctx.member.announce(),)))?;
    control.func_wrap_async("flush", |mut store: StoreContextMut<'_, T>, (): ()| {
        let member = Arc::clone(&store.data_mut().aio().ctx.member);
        Box::new(async move {
            poll_fn(|cx| member.poll_flush(cx)).await;
            Ok(())
        })
    })?;
    add_manner(&mut control)?;
    control.func_wrap("count", |mut store: StoreContextMut<'_, T>, (): ()| {
        Ok((WireCounters::from(store.data_mut().aio().ctx.counters()),))
    })?;
    control.func_wrap("grants", |mut store: StoreContextMut<'_, T>, (): ()| {
        let view = store.data_mut().aio();
        let info =
            |grant: &GrantedDir| GrantInfo { name: grant.name().to_owned(), writable: grant.rights() == Rights::ReadWrite };
        Ok((view.ctx.grants.list().iter().map(info).collect::<Vec<_>>(),))
    })
}

/// What is set for the next request, and for all requests of the guest.
fn add_manner<T: AioView + 'static>(control: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    control.func_wrap("next", |mut store: StoreContextMut<'_, T>, next: NextParams| {
        let (priority, deadline_ms, group, when_full) = next;
        let view = store.data_mut().aio();
        let group = group.map(|group| view.table.get(&group).map(|group| group.id)).transpose()?;
        let deadline = deadline_ms.map(deadline);
        let when_full = match when_full {
            WhenFull::Wait => sched::WhenFull::Wait,
            WhenFull::Fail => sched::WhenFull::Fail,
        };
        view.ctx.next = Manner { priority: priority.map(Priority::clamped), deadline, group, when_full };
        Ok(())
    })?;
    control.func_wrap("set-priority", |mut store: StoreContextMut<'_, T>, (priority,): (i8,)| {
        let next = &mut store.data_mut().aio().ctx.next.priority;
        Ok((next.replace(Priority::clamped(priority)).unwrap_or_default().value(),))
    })?;
    control.func_wrap("nice", |mut store: StoreContextMut<'_, T>, (amount,): (i8,)| {
        let ctx = &mut store.data_mut().aio().ctx;
        let before = ctx.next.priority.unwrap_or_else(|| ctx.member.priority());
        ctx.next.priority = Some(Priority::clamped(before.value().saturating_sub(amount)));
        Ok((before.value(),))
    })?;
    control.func_wrap("set-guest-priority", |mut store: StoreContextMut<'_, T>, (priority,): (i8,)| {
        let member = &store.data_mut().aio().ctx.member;
        Ok((member.set_priority(Priority::clamped(priority)).value(),))
    })?;
    control.func_wrap("set-guest-deadline", |mut store: StoreContextMut<'_, T>, (time_ms,): (Option<u64>,)| {
        store.data_mut().aio().ctx.member.set_deadline(time_ms.map(deadline));
        Ok(())
    })
}

type NextParams = (Option<i8>, Option<u64>, Option<Resource<GroupHandle>>, WhenFull);

/// A time from now. One that no clock can show is as far as any guest will come.
pub(super) fn deadline(time_ms: u64) -> Instant {
    const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 100);
    Instant::now() + Duration::from_millis(time_ms).min(FAR)
}
