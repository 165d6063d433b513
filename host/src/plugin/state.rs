//! What a plugin's store holds, and how it is set up.

use std::any::Any;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::whereabouts::Whereabouts;
use crate::ctx::{AioCtx, AioCtxView, AioView, HostCalls};
use crate::limits::Limits;
use crate::store::StoreCeiling;
use crate::wasi::preview1::{Preview1, Preview1View};

/// What an application keeps for a guest.
pub(super) type Data = Box<dyn Any + Send>;

/// The data of a guest's store, which the application's own functions get; see [`HostBuilder::linker`](super::HostBuilder::linker).
pub struct GuestState {
    wasi: WasiCtx,
    pub(super) aio: AioCtx,
    preview1: Preview1,
    table: ResourceTable,
    ceiling: StoreCeiling,
    whereabouts: Arc<Whereabouts>,
    data: Option<Data>,
}

impl GuestState {
    /// The value that the application stored for this guest with [`GuestBuilder::data`](super::GuestBuilder::data). None if there is
    /// none, or it has another type.
    pub fn data<T: 'static>(&mut self) -> Option<&mut T> {
        self.data.as_mut()?.downcast_mut()
    }

    pub(super) fn whereabouts(&self) -> &Arc<Whereabouts> {
        &self.whereabouts
    }
}

impl fmt::Debug for GuestState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestState").field("aio", &self.aio).field("ceiling", &self.ceiling).finish_non_exhaustive()
    }
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl AioView for GuestState {
    fn aio(&mut self) -> AioCtxView<'_> {
        AioCtxView { ctx: &mut self.aio, table: &mut self.table }
    }
}

impl Preview1View for GuestState {
    fn preview1(&mut self) -> &mut Preview1 {
        &mut self.preview1
    }

    fn preview1_and_aio(&mut self) -> (&mut Preview1, &mut AioCtx) {
        (&mut self.preview1, &mut self.aio)
    }
}

/// A store in which every limit is set.
pub(super) fn new_store(
    engine: &Engine,
    wasi: WasiCtx,
    mut aio: AioCtx,
    whereabouts: Arc<Whereabouts>,
    limits: &Limits,
    data: Option<Data>,
) -> KeptStore {
    let calls = HostCalls::default();
    aio.host_calls = Some(calls.clone());
    let state = GuestState {
        wasi,
        aio,
        preview1: Preview1::default(),
        table: limits.table(),
        ceiling: limits.ceiling(),
        whereabouts,
        data,
    };
    let mut store = Store::new(engine, state);
    store.call_hook(move |store, hook| {
        if hook.entering_host() {
            calls.count();
        }
        store.data().whereabouts.note(hook)
    });
    // A guest has its time for each call, and is given up by whoever waits for that.
    let limits = Limits { timeout: None, ..limits.clone() };
    limits.apply(&mut store, |state| &mut state.ceiling);
    KeptStore(Some(store))
}

/// A store whose memory is given back elsewhere when it is dropped: of a gigabyte that takes long, and others are served by the
/// thread that drops it. What the guest has asked for ends at once.
pub(super) struct KeptStore(Option<Store<GuestState>>);

impl Deref for KeptStore {
    type Target = Store<GuestState>;

    fn deref(&self) -> &Store<GuestState> {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl DerefMut for KeptStore {
    fn deref_mut(&mut self) -> &mut Store<GuestState> {
        self.0.as_mut().expect("it is there until it is dropped")
    }
}

impl Drop for KeptStore {
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
        host.load_bytes("test.wat", text.as_bytes()).expect("a valid test plugin").guest().build().expect("a guest")
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
