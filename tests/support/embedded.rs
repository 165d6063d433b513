//! Guests in the process of the tests, by the library without its batteries, and what they leave in the process.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use aiohost::{AioCtx, AioCtxView, AioEngine, AioView, Gated, Rights};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::p2::bindings::Command;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

pub(crate) struct State {
    wasi: WasiCtx,
    pub(crate) aio: AioCtx,
    table: ResourceTable,
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

/// The compiled guest, once for all tests.
pub(crate) fn guest() -> &'static (Engine, Component) {
    static GUEST: OnceLock<(Engine, Component)> = OnceLock::new();
    GUEST.get_or_init(|| {
        let mut config = Config::new();
        config.concurrency_support(false).epoch_interruption(true);
        let engine = Engine::new(&config).expect("the engine can be made");
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("guests/requests-sync.wasm");
        let component = Component::from_file(&engine, &path).expect("tests/guests/build.sh has built the guest");
        (engine, component)
    })
}

pub(crate) fn descriptors() -> Vec<PathBuf> {
    let entries = fs::read_dir("/proc/self/fd").expect("procfs is mounted");
    let mut links: Vec<_> = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).collect();
    // The second is wasmtime's, and goes with the compiled guest: the first instance makes it.
    links.retain(|link| !link.starts_with("/proc") && !link.starts_with("/memfd:wasm-memory-image (deleted)"));
    links.sort();
    links
}

pub(crate) fn workers_named_in_proc() -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("procfs is mounted");
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("aiohost-worker")).count()
}

/// Waits until no worker is left: one that has ended and was waited for is listed for a moment longer.
#[track_caller]
pub(crate) fn wait_for_no_workers(patience: Duration) {
    let begun = Instant::now();
    while workers_named_in_proc() > 0 {
        assert!(begun.elapsed() < patience, "workers are left");
        thread::yield_now();
    }
}

/// A guest with these arguments, which may do everything in a directory.
pub(crate) fn store(dir: &Path, arguments: &[&str], workers: &AioEngine) -> Store<State> {
    let aio = AioCtx::builder().dir(dir, ".", Rights::ReadWrite).expect("the directory is there").allow(Gated::Busy);
    let state = State {
        wasi: WasiCtx::builder().arg("guest").args(arguments).inherit_stdout().inherit_stderr().build(),
        aio: aio.build(workers),
        table: ResourceTable::new(),
    };
    let mut store = Store::new(&guest().0, state);
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    store
}

pub(crate) async fn run(store: &mut Store<State>) -> wasmtime::Result<Result<(), ()>> {
    let (engine, component) = guest();
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    aiohost::add_plain_to_linker(&mut linker)?;
    let command = Command::instantiate_async(&mut *store, component, &linker).await?;
    command.wasi_cli_run().call_run(&mut *store).await
}
