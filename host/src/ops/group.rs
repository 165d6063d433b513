//! The methods of `group`.

use std::future::poll_fn;
use std::sync::Arc;

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, LinkerInstance, Lower, Resource};

use super::control::{WireCounters, WireProgress, deadline, id_of};
use crate::ctx::{AioCtxView, AioView};
use crate::error::{Error, Result};
use crate::limits::GROUPS_FOR_EACH_HANDLE;
use crate::output::{GroupHandle, Member, RequestHandle};
use crate::sched::{self, End, GroupId, Priority};

type Group = Resource<GroupHandle>;

/// `aiohost:aio/types.failure`.
#[derive(Clone, Copy, Debug, ComponentType, Lower)]
#[component(record)]
struct Failure {
    id: u64,
    error: Error,
}

/// `aiohost:aio/types.group-outcome`.
#[derive(Clone, Copy, Debug, ComponentType, Lower)]
#[component(record)]
struct GroupOutcome {
    done: u64,
    failed: u64,
    canceled: u64,
    #[component(name = "first-failure")]
    first_failure: Option<Failure>,
}

impl From<sched::GroupOutcome<Error>> for GroupOutcome {
    fn from(outcome: sched::GroupOutcome<Error>) -> Self {
        let sched::GroupOutcome { done, failed, canceled, first_failure } = outcome;
        let first_failure = first_failure.map(|sched::Failed { id, failure }| Failure { id, error: failure });
        Self { done, failed, canceled, first_failure }
    }
}

/// The answer of a method, in the words of the WIT package.
fn answer<T>(result: std::result::Result<T, sched::Refusal>) -> Result<T> {
    Ok(result?)
}

pub(crate) fn add<T: AioView + 'static>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    types.func_wrap("[constructor]group", |mut store: StoreContextMut<'_, T>, (): ()| {
        let view = store.data_mut().aio();
        let max = view.ctx.limits.groups_max;
        if view.ctx.group_handles >= max {
            return Err(wasmtime::format_err!(
                "the guest holds {max} groups, as many as it may; drop those that are done with"
            ));
        }
        // Groups whose handles were dropped are there until their members are gone.
        let Some(id) = view.ctx.member.create_group(max.saturating_mul(GROUPS_FOR_EACH_HANDLE)) else {
            return Err(wasmtime::format_err!("the guest has too many groups; wait for the members of those that it dropped"));
        };
        view.ctx.group_handles += 1;
        Ok((view.table.push(GroupHandle { id })?,))
    })?;
    add_members(types)?;
    add_settings(types)?;
    add_waits(types)?;
    add_ends(types)
}

/// The group of a call, and those who know it.
fn group_of(view: &AioCtxView<'_>, group: &Group) -> wasmtime::Result<(Arc<Member>, GroupId)> {
    Ok((Arc::clone(&view.ctx.member), view.table.get(group)?.id))
}

fn add_members<T: AioView + 'static>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    types.func_wrap(
        "[method]group.add",
        |mut store: StoreContextMut<'_, T>, (group, request): (Group, Resource<RequestHandle>)| {
            let view = store.data_mut().aio();
            let (member, group) = group_of(&view, &group)?;
            Ok((answer(member.add_to_group(group, id_of(&view, &request)?)),))
        },
    )?;
    types.func_wrap("[method]group.add-group", |mut store: StoreContextMut<'_, T>, (group, child): (Group, Group)| {
        let view = store.data_mut().aio();
        let (member, group) = group_of(&view, &group)?;
        Ok((answer(member.add_group(group, view.table.get(&child)?.id)),))
    })
}

fn add_settings<T: AioView + 'static>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    types.func_wrap("[method]group.set-limit", |mut store: StoreContextMut<'_, T>, (group, limit): (Group, u32)| {
        let (member, group) = group_of(&store.data_mut().aio(), &group)?;
        member.set_group_limit(group, limit);
        Ok(())
    })?;
    types.func_wrap("[method]group.set-priority", |mut store: StoreContextMut<'_, T>, (group, priority): (Group, i8)| {
        let (member, group) = group_of(&store.data_mut().aio(), &group)?;
        member.set_group_priority(group, Priority::clamped(priority));
        Ok(())
    })?;
    types.func_wrap(
        "[method]group.set-deadline",
        |mut store: StoreContextMut<'_, T>, (group, time_ms): (Group, Option<u64>)| {
            let (member, group) = group_of(&store.data_mut().aio(), &group)?;
            member.set_group_deadline(group, time_ms.map(deadline));
            Ok(())
        },
    )
}

fn add_waits<T: AioView + 'static>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    types.func_wrap_async("[method]group.wait", |mut store: StoreContextMut<'_, T>, (group,): (Group,)| {
        Box::new(async move {
            let (member, group) = group_of(&store.data_mut().aio(), &group)?;
            Ok((answer(poll_fn(|cx| member.poll_outcome(group, cx)).await).map(GroupOutcome::from),))
        })
    })?;
    types.func_wrap_async("[method]group.wait-below", |mut store: StoreContextMut<'_, T>, (group, below): (Group, u32)| {
        Box::new(async move {
            let (member, group) = group_of(&store.data_mut().aio(), &group)?;
            let in_flight = poll_fn(|cx| member.poll_below(group, below, cx)).await;
            Ok((u32::try_from(in_flight).unwrap_or(u32::MAX),))
        })
    })
}

fn add_ends<T: AioView + 'static>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    types.func_wrap("[method]group.cancel", |mut store: StoreContextMut<'_, T>, (group,): (Group,)| {
        let (member, group) = group_of(&store.data_mut().aio(), &group)?;
        member.cancel_group(group, End::Closed);
        Ok(())
    })?;
    types.func_wrap("[method]group.cancel-subs", |mut store: StoreContextMut<'_, T>, (group,): (Group,)| {
        let (member, group) = group_of(&store.data_mut().aio(), &group)?;
        member.cancel_group(group, End::Open);
        Ok(())
    })?;
    types.func_wrap("[method]group.count", |mut store: StoreContextMut<'_, T>, (group,): (Group,)| {
        let (member, group) = group_of(&store.data_mut().aio(), &group)?;
        Ok((WireCounters::from(member.group_counters(group)),))
    })?;
    types.func_wrap("[method]group.progress", |mut store: StoreContextMut<'_, T>, (group,): (Group,)| {
        let (member, group) = group_of(&store.data_mut().aio(), &group)?;
        Ok((WireProgress::from(member.group_progress(group)),))
    })
}
