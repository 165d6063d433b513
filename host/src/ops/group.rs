//! The methods of `group`.

use std::future::poll_fn;
use std::sync::Arc;

use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, Resource};

use super::control::{deadline, id_of};
use crate::ctx::{AioCtxView, AioView};
use crate::output::{GroupHandle, RequestHandle};
use crate::sched::{End, GroupId, Membership, Priority};

type Group = Resource<GroupHandle>;

pub(crate) fn add<T: AioView + 'static>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    types.func_wrap("[constructor]group", |mut store: StoreContextMut<'_, T>, (): ()| {
        let view = store.data_mut().aio();
        let max = view.ctx.limits.groups_max;
        if view.ctx.group_handles >= max {
            return Err(wasmtime::format_err!(
                "the guest holds {max} groups, as many as it may; drop those that are done with"
            ));
        }
        let id = view.ctx.membership.create_group();
        view.ctx.group_handles += 1;
        Ok((view.table.push(GroupHandle { id })?,))
    })?;
    add_members(types)?;
    add_settings(types)?;
    add_waits(types)?;
    add_ends(types)
}

/// The group of a call, and those who know it.
fn group_of(view: &AioCtxView<'_>, group: &Group) -> wasmtime::Result<(Arc<Membership>, GroupId)> {
    Ok((Arc::clone(&view.ctx.membership), view.table.get(group)?.id))
}

fn add_members<T: AioView + 'static>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    types.func_wrap(
        "[method]group.add",
        |mut store: StoreContextMut<'_, T>, (group, request): (Group, Resource<RequestHandle>)| {
            let view = store.data_mut().aio();
            let (membership, group) = group_of(&view, &group)?;
            Ok((membership.add_to_group(group, id_of(&view, &request)?),))
        },
    )?;
    types.func_wrap("[method]group.add-group", |mut store: StoreContextMut<'_, T>, (group, child): (Group, Group)| {
        let view = store.data_mut().aio();
        let (membership, group) = group_of(&view, &group)?;
        Ok((membership.add_group(group, view.table.get(&child)?.id),))
    })
}

fn add_settings<T: AioView + 'static>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    types.func_wrap("[method]group.set-limit", |mut store: StoreContextMut<'_, T>, (group, limit): (Group, u32)| {
        let (membership, group) = group_of(&store.data_mut().aio(), &group)?;
        membership.set_group_limit(group, limit);
        Ok(())
    })?;
    types.func_wrap("[method]group.set-priority", |mut store: StoreContextMut<'_, T>, (group, priority): (Group, i8)| {
        let (membership, group) = group_of(&store.data_mut().aio(), &group)?;
        membership.set_group_priority(group, Priority::clamped(priority));
        Ok(())
    })?;
    types.func_wrap(
        "[method]group.set-deadline",
        |mut store: StoreContextMut<'_, T>, (group, time_ms): (Group, Option<u64>)| {
            let (membership, group) = group_of(&store.data_mut().aio(), &group)?;
            membership.set_group_deadline(group, time_ms.map(deadline));
            Ok(())
        },
    )
}

fn add_waits<T: AioView + 'static>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    types.func_wrap_async("[method]group.wait", |mut store: StoreContextMut<'_, T>, (group,): (Group,)| {
        Box::new(async move {
            let (membership, group) = group_of(&store.data_mut().aio(), &group)?;
            Ok((poll_fn(|cx| membership.poll_outcome(group, cx)).await,))
        })
    })?;
    types.func_wrap_async("[method]group.wait-below", |mut store: StoreContextMut<'_, T>, (group, below): (Group, u32)| {
        Box::new(async move {
            let (membership, group) = group_of(&store.data_mut().aio(), &group)?;
            let in_flight = poll_fn(|cx| membership.poll_below(group, below, cx)).await;
            Ok((u32::try_from(in_flight).unwrap_or(u32::MAX),))
        })
    })
}

fn add_ends<T: AioView + 'static>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    types.func_wrap("[method]group.cancel", |mut store: StoreContextMut<'_, T>, (group,): (Group,)| {
        let (membership, group) = group_of(&store.data_mut().aio(), &group)?;
        membership.cancel_group(group, End::Closed);
        Ok(())
    })?;
    types.func_wrap("[method]group.cancel-subs", |mut store: StoreContextMut<'_, T>, (group,): (Group,)| {
        let (membership, group) = group_of(&store.data_mut().aio(), &group)?;
        membership.cancel_group(group, End::Open);
        Ok(())
    })?;
    types.func_wrap("[method]group.count", |mut store: StoreContextMut<'_, T>, (group,): (Group,)| {
        let (membership, group) = group_of(&store.data_mut().aio(), &group)?;
        Ok((membership.group_counters(group),))
    })?;
    types.func_wrap("[method]group.progress", |mut store: StoreContextMut<'_, T>, (group,): (Group,)| {
        let (membership, group) = group_of(&store.data_mut().aio(), &group)?;
        Ok((membership.group_progress(group),))
    })
}
