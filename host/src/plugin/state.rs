//! What a plugin's store holds, and how it is set up.

use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::machine::Machine;
use crate::ctx::{AioCtx, AioCtxView, AioView};
use crate::limits::Limits;

/// Handles of WASI that a guest may hold beside its requests and files: streams, pollables and descriptors. 10,000, for the
/// same reason as for requests.
const WASI_HANDLES_MAX: usize = 10_000;

/// The data of a plugin's store.
pub(super) struct State {
    wasi: WasiCtx,
    pub(super) aio: AioCtx,
    table: ResourceTable,
    ceiling: Ceiling,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl AioView for State {
    fn aio(&mut self) -> AioCtxView<'_> {
        AioCtxView { ctx: &mut self.aio, table: &mut self.table }
    }
}

/// What a guest may still take. wasmtime's own `StoreLimits` bounds each memory, of which a component may have many; this
/// bounds all of them together.
struct Ceiling {
    memory_bytes: usize,
    table_elements: usize,
}

impl ResourceLimiter for Ceiling {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(take(&mut self.memory_bytes, desired.saturating_sub(current)))
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(take(&mut self.table_elements, desired.saturating_sub(current)))
    }
}

fn take(left: &mut usize, wanted: usize) -> bool {
    match left.checked_sub(wanted) {
        Some(rest) => *left = rest,
        None => return false,
    }
    true
}

/// A store in which every limit is set.
pub(super) fn new_store(machine: &Machine, wasi: WasiCtx, aio: AioCtx, limits: &Limits) -> Store<State> {
    let handles_max = WASI_HANDLES_MAX.saturating_add(limits.requests_max).saturating_add(limits.open_files_max);
    let mut table = ResourceTable::new();
    table.set_max_capacity(handles_max);
    let ceiling = Ceiling { memory_bytes: limits.memory_bytes_max, table_elements: limits.table_elements_max };
    let mut store = Store::new(&machine.engine, State { wasi, aio, table, ceiling });
    store.limiter(|state| &mut state.ceiling);
    store.set_hostcall_fuel(limits.hostcall_bytes_max);
    store.set_max_component_handles(handles_max);
    if let Some(table) = store.concurrent_resource_table() {
        table.set_max_capacity(handles_max);
    }
    // At each tick the guest lets others run, and what wraps the call can end it.
    store.epoch_deadline_async_yield_and_update(1);
    store
}
