//! A run of a program by wasmtime, as `wasmtime run` does it: calls may block the thread, and nothing interrupts the guest.

use std::path::{Path, PathBuf};

use wasmtime::component::{Component, Linker as ComponentLinker, ResourceTable};
use wasmtime::{Config, Engine, Linker, Module, Store};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::bindings::Command;
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

struct Data {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Data {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Runs what a command line says, and returns the exit status.
pub(crate) fn run(line: &[String]) -> i32 {
    let mut wasi = WasiCtx::builder();
    wasi.allow_blocking_current_thread(true).inherit_stdio();
    let mut line = line.iter();
    let mut name = None;
    let program = loop {
        let word = line.next().expect("a program stands in the line");
        let mut value = || line.next().expect("the option has a value");
        match word.as_str() {
            "--dir" => grant(&mut wasi, value(), FsPerms::ReadWrite),
            "--ro-dir" => grant(&mut wasi, value(), FsPerms::ReadOnly),
            "--argv0" => name = Some(value()),
            _ => break word,
        }
    };
    wasi.arg(name.unwrap_or(program));
    line.for_each(|argument| {
        wasi.arg(argument);
    });
    let engine = Engine::new(&Config::new()).expect("an engine");
    let program = Path::new(program);
    let bytes = std::fs::read(program).expect("the program is there");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an event loop");
    // The layer in a module's header: components have another.
    let ended = if bytes[6] == 0 {
        runtime.block_on(run_module(&engine, &code(&engine, program, &bytes), wasi.build_p1()))
    } else {
        runtime.block_on(run_component(&engine, &code(&engine, program, &bytes), wasi.build()))
    };
    match ended {
        Ok(()) => 0,
        Err(error) => error.downcast_ref::<I32Exit>().map_or_else(
            || {
                eprintln!("{error:?}");
                134
            },
            |exit| exit.0,
        ),
    }
}

fn grant(wasi: &mut WasiCtxBuilder, value: &str, permissions: FsPerms) {
    let (host, guest) = value.split_once("::").unwrap_or((value, value));
    wasi.preopened_dir(host, guest, permissions).expect("a directory");
}

/// Compiled code of a program, which is made once of the same bytes.
fn code(engine: &Engine, program: &Path, bytes: &[u8]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("guest-build").join("wasmtime-code");
    std::fs::create_dir_all(&folder).expect("the target directory can be written");
    let name = program.file_name().expect("a program has a name").display();
    let place = folder.join(format!("{name}-{}", blake3::hash(bytes).to_hex()));
    if !place.exists() {
        let code = if bytes[6] == 0 { engine.precompile_module(bytes) } else { engine.precompile_component(bytes) };
        std::fs::write(&place, code.expect("a valid program")).expect("there is room on the disk");
    }
    place
}

async fn run_module(engine: &Engine, code: &Path, wasi: WasiP1Ctx) -> wasmtime::Result<()> {
    // SAFETY: it was made by this very function's caller, in a folder of its own.
    let module = unsafe { Module::deserialize_file(engine, code) }?;
    let mut linker: Linker<WasiP1Ctx> = Linker::new(engine);
    p1::add_to_linker_async(&mut linker, |ctx| ctx)?;
    let mut store = Store::new(engine, wasi);
    let instance = linker.instantiate_async(&mut store, &module).await?;
    instance.get_typed_func::<(), ()>(&mut store, "_start")?.call_async(&mut store, ()).await
}

async fn run_component(engine: &Engine, code: &Path, wasi: WasiCtx) -> wasmtime::Result<()> {
    // SAFETY: it was made by this very function's caller, in a folder of its own.
    let component = unsafe { Component::deserialize_file(engine, code) }?;
    let mut linker: ComponentLinker<Data> = ComponentLinker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    let mut store = Store::new(engine, Data { wasi, table: ResourceTable::new() });
    let command = Command::instantiate_async(&mut store, &component, &linker).await?;
    let ended = command.wasi_cli_run().call_run(&mut store).await?;
    ended.map_err(|()| I32Exit(1).into())
}
