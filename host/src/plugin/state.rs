//! What a plugin's store holds, and how it is set up.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime::{Engine, ResourceLimiter, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::whereabouts::Whereabouts;
use crate::ctx::{AioCtx, AioCtxView, AioView};
use crate::limits::Limits;
use crate::wasi::preview1::{Preview1, Preview1View};

/// Handles of WASI that a guest may hold beside its requests and files: streams, pollables and descriptors. 10,000, for the
/// same reason as for requests.
const WASI_HANDLES_MAX: usize = 10_000;

/// Memories of a guest. 64: a component seldom has ten, and each takes addresses for 4 GiB, of which a process has some 30,000 times
/// as much.
const MEMORIES_MAX: usize = 64;

/// The data of a plugin's store.
pub(super) struct State {
    wasi: WasiCtx,
    pub(super) aio: AioCtx,
    preview1: Preview1,
    table: ResourceTable,
    ceiling: Ceiling,
    whereabouts: Arc<Whereabouts>,
}

impl State {
    pub(super) fn whereabouts(&self) -> &Arc<Whereabouts> {
        &self.whereabouts
    }
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

impl Preview1View for State {
    fn preview1(&mut self) -> &mut Preview1 {
        &mut self.preview1
    }

    fn preview1_and_aio(&mut self) -> (&mut Preview1, &mut AioCtx) {
        (&mut self.preview1, &mut self.aio)
    }
}

/// What a guest may still take. wasmtime's own `StoreLimits` bounds each memory, of which a guest may have many; this
/// bounds all of them together.
struct Ceiling {
    memory_bytes: Allowance,
    table_elements: Allowance,
}

/// How much is left of something, and what was taken of it last.
struct Allowance {
    left: usize,
    last: usize,
}

impl Allowance {
    fn new(max: usize) -> Self {
        Self { left: max, last: 0 }
    }

    fn take(&mut self, current: usize, desired: usize) -> bool {
        let wanted = desired.saturating_sub(current);
        let left = self.left.checked_sub(wanted);
        self.last = left.map_or(0, |_| wanted);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }

    /// What was taken last was not had after all.
    fn give_back(&mut self) {
        self.left += std::mem::take(&mut self.last);
    }
}

impl ResourceLimiter for Ceiling {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.memory_bytes.take(current, desired))
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory_bytes.give_back();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.table_elements.take(current, desired))
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.table_elements.give_back();
        Ok(())
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

/// What a guest waits for at each tick, so that others run and what wraps its call can end it.
///
/// wasmtime's own way wakes the guest at once. An event loop of tokio with one thread then goes on with it some thirty times before
/// it looks at what came from other threads, as the answers of workers to other guests do. This lets it look at everything first.
async fn let_others_run() {
    tokio::task::yield_now().await;
}

/// A store in which every limit is set.
pub(super) fn new_store(engine: &Engine, wasi: WasiCtx, aio: AioCtx, limits: &Limits) -> Kept {
    let handles_max = WASI_HANDLES_MAX.saturating_add(limits.requests_max).saturating_add(limits.open_files_max);
    let mut table = ResourceTable::new();
    table.set_max_capacity(handles_max);
    let ceiling = Ceiling {
        memory_bytes: Allowance::new(limits.memory_bytes_max),
        table_elements: Allowance::new(limits.table_elements_max),
    };
    let mut store =
        Store::new(engine, State { wasi, aio, preview1: Preview1::default(), table, ceiling, whereabouts: Arc::default() });
    store.call_hook(|store, hook| store.data().whereabouts.note(hook));
    store.limiter(|state| &mut state.ceiling);
    store.set_hostcall_fuel(limits.hostcall_bytes_max);
    store.set_max_component_handles(handles_max);
    if let Some(table) = store.concurrent_resource_table() {
        table.set_max_capacity(handles_max);
    }
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|_| Ok(UpdateDeadline::YieldCustom(1, Box::pin(let_others_run()))));
    Kept(Some(store))
}

/// A store whose memory is given back elsewhere when it is dropped: of a gigabyte that takes long, and others are served by the
/// thread that drops it. What the guest has asked for ends at once.
pub(super) struct Kept(Option<Store<State>>);

impl Deref for Kept {
    type Target = Store<State>;

    fn deref(&self) -> &Store<State> {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl DerefMut for Kept {
    fn deref_mut(&mut self) -> &mut Store<State> {
        self.0.as_mut().expect("it is there until it is dropped")
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let Some(store) = self.0.take() else { return };
        let aio = &store.data().aio;
        aio.member.close();
        let engine = aio.engine().clone();
        engine.discard(store);
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::allowed::Gated;
    use crate::plugin::{Guest, Host};

    /// Requests of a guest beside one that only computes.
    const REQUESTS: usize = 50;

    fn guest(host: &Host, text: &str) -> Guest {
        host.load_bytes("test.wat", text.as_bytes()).expect("a valid test plugin").guest(&[""; 0]).expect("a guest")
    }

    fn spinning(host: &Host) -> Guest {
        guest(
            host,
            r#"(component
                (core module $code (func (export "spin") (loop $again (br $again))))
                (core instance $code (instantiate $code))
                (func (export "spin") (canon lift (core func $code "spin"))))"#,
        )
    }

    /// Its function `work` makes a request that a worker does, and another one when that is done, and so on.
    fn working(host: &Host) -> Guest {
        let text = format!(
            r#"(component
                (import "aiohost:aio/types@0.1.0" (instance $types (export "request" (type (sub resource)))))
                (alias export $types "request" (type $request))
                (import "aiohost:aio/submit@0.1.0" (instance $aio
                    (export "request" (type $r (eq $request)))
                    (export "busy" (func (param "time-ms" u64) (result (own $r))))))
                (import "aiohost:aio/control@0.1.0" (instance $control
                    (export "flush" (func))))
                (core func $busy (canon lower (func $aio "busy")))
                (core func $flush (canon lower (func $control "flush")))
                (core module $code
                    (import "host" "busy" (func $busy (param i64) (result i32)))
                    (import "host" "flush" (func $flush))
                    (func (export "work") (local $count i32)
                        (loop $again
                            (drop (call $busy (i64.const 1))) (call $flush)
                            (local.set $count (i32.add (local.get $count) (i32.const 1)))
                            (br_if $again (i32.lt_u (local.get $count) (i32.const {REQUESTS}))))))
                (core instance $code (instantiate $code (with "host" (instance
                    (export "busy" (func $busy)) (export "flush" (func $flush))))))
                (func (export "work") (canon lift (core func $code "work"))))"#
        );
        guest(host, &text)
    }

    /// Polls a future and counts how often.
    async fn counted<T>(future: impl Future<Output = T>, polls: &AtomicUsize) -> T {
        let mut future = pin!(future);
        poll_fn(|cx| {
            polls.fetch_add(1, Ordering::Relaxed);
            future.as_mut().poll(cx)
        })
        .await
    }

    #[test]
    fn a_guest_that_only_computes_lets_others_go_on_at_each_tick() {
        let host = Host::builder().allow(Gated::Busy).build().expect("a host without directories");
        let (mut spinning, mut working) = (spinning(&host), working(&host));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an event loop");
        let ticks = Arc::new(AtomicUsize::new(0));
        runtime.block_on(async {
            let counter = Arc::clone(&ticks);
            let spin = tokio::spawn(async move { counted(spinning.invoke("spin()"), &counter).await });
            let work = tokio::spawn(async move { working.invoke("work()").await });
            work.await.expect("it does not panic").expect("it ends well");
            spin.abort();
        });
        let ticks = ticks.load(Ordering::Relaxed);
        // An answer may come right after a tick; more than some ticks for each is what this is about.
        assert!(ticks < 5 * REQUESTS, "{REQUESTS} requests took {ticks} ticks");
    }
}
