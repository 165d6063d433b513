//! aiohost inside another application: on its own wasmtime `Linker` and `Store`, beside `wasmtime_wasi`.
//!
//! ```sh
//! cargo run --release --example embed -- PLUGIN.wasm DIRECTORY
//! ```
//!
//! Without arguments it runs the plugin that `guest-examples/build.sh rust` builds, on a small directory of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use aiohost::{AioCtx, AioCtxView, AioEngine, AioView, EpochTicker, Limits, Rights, StoreCeiling};
use anyhow::Context as _;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::p2::bindings::Command;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// What the application keeps for each plugin.
struct State {
    wasi: WasiCtx,
    aio: AioCtx,
    /// One table serves both.
    table: ResourceTable,
    /// What it may still take of memory and tables.
    ceiling: StoreCeiling,
}

/// How long a plugin may take.
const TIMEOUT: Duration = Duration::from_secs(60);

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

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let (plugin, directory) = arguments()?;

    // Once in the application: an engine of wasmtime, the workers of aiohost, and a linker with both sets of functions.
    let mut config = Config::new();
    // This plugin has no `async func` in it, so calls may cost less than half. And it may compute for ever.
    config.concurrency_support(false).epoch_interruption(true);
    let engine = Engine::new(&config)?;
    let ticker = EpochTicker::new();
    ticker.add(&engine);
    let workers = AioEngine::new();
    let mut linker: Linker<State> = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    // Without this the guest's `std::fs` sees no directory.
    aiohost::wasi::add_filesystem_to_linker(&mut linker)?;
    aiohost::add_plain_to_linker(&mut linker)?;

    // For each plugin: its own store, with its own directories.
    let limits = Limits { memory_bytes_max: 256 << 20, timeout: Some(TIMEOUT), ..Limits::default() };
    let aio = AioCtx::builder().dir(&directory, ".", Rights::ReadWrite)?.limits(limits.requests.clone());
    let state = State {
        wasi: WasiCtx::builder().inherit_stdout().inherit_stderr().build(),
        aio: aio.build(&workers),
        table: limits.table(),
        ceiling: limits.ceiling(),
    };
    let mut store = Store::new(&engine, state);
    // What only a store can hold: memory, tables, handles, and the time of a guest that computes.
    limits.apply(&mut store, |state| &mut state.ceiling);
    let component = Component::new(&engine, &plugin)?;
    let run = async {
        let _ticks = ticker.run()?;
        let command = Command::instantiate_async(&mut store, &component, &linker).await?;
        command.wasi_cli_run().call_run(&mut store).await
    };
    // The time of one that waits.
    let outcome = tokio::time::timeout(TIMEOUT, run).await.context("it took too long")??;
    println!("{} has {} entries now", directory.display(), fs::read_dir(&directory)?.count());

    for (name, stats) in store.data().aio.stats() {
        println!("{name}: {} done, {} failed", stats.count, stats.errors);
    }
    drop(store);
    anyhow::ensure!(workers.shutdown(Duration::from_secs(10)), "the workers did not end in time");
    outcome.map_err(|()| anyhow::anyhow!("the plugin failed"))
}

/// The plugin's bytes and the directory that it gets.
fn arguments() -> anyhow::Result<(Vec<u8>, PathBuf)> {
    let mut arguments = env::args_os().skip(1).map(PathBuf::from);
    let (plugin, directory) = match (arguments.next(), arguments.next()) {
        (Some(plugin), Some(directory)) => (plugin, directory),
        _ => (built_plugin(), sample_directory()?),
    };
    let remedy = "build one with guest-examples/build.sh rust";
    let bytes = fs::read(&plugin).with_context(|| format!("cannot read the plugin {}; {remedy}", plugin.display()))?;
    Ok((bytes, directory))
}

/// Where `guest-examples/build.sh` puts the plugin `manifest`.
fn built_plugin() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"));
    target.join("guests/manifest-rust.wasm")
}

fn sample_directory() -> anyhow::Result<PathBuf> {
    let directory = env::temp_dir().join(format!("aiohost-embed-{}", std::process::id()));
    fs::create_dir_all(directory.join("songs"))?;
    fs::write(directory.join("songs/one.txt"), "la la la\n")?;
    fs::write(directory.join("readme"), "songs without words\n")?;
    Ok(directory)
}
