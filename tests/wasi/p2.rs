//! Components that know only WASI 0.2: their files are aiohost's, whatever version they ask for, and do what those of
//! `wasmtime-wasi` do.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::p2::bindings::Command as WasiCommand;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};

use crate::comparison::tree;
use crate::guests::{Language, probe, program};
use crate::plans::{OUTPUT_BYTES, Way, block_on, new_dir, said_here};

#[test]
fn every_version_of_wasi_0_2_leads_to_aiohosts_own_files() {
    for version in ["0.2.0", "0.2.3", "0.2.6", "0.2.9", "0.2.12"] {
        let dir = new_dir();
        let guest = dir.path().join("probe.wat");
        std::fs::write(&guest, probe(version, "")).expect("a directory of our own");
        let mut command = Command::new(env!("CARGO_BIN_EXE_aiohost"));
        command.args(["run", "--stats", "--dir"]).arg(dir.path()).arg(&guest);
        let output = command.output().expect("the host can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("is-same-object"), "{version}: {output:?}");
    }
}

/// A store's data for `wasmtime_wasi` alone.
pub(crate) struct Data {
    pub(crate) wasi: WasiCtx,
    pub(crate) table: ResourceTable,
}

impl WasiView for Data {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

fn said_there(guest: &Path, dir: &Path) -> String {
    let engine = Engine::default();
    let component = Component::from_file(&engine, guest).expect("a valid component");
    let mut linker: Linker<Data> = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("nothing else is there");
    let said = MemoryOutputPipe::new(OUTPUT_BYTES);
    let mut wasi = WasiCtx::builder();
    wasi.stdout(said.clone()).preopened_dir(dir, ".", FsPerms::ReadWrite).expect("the directory is there");
    let mut store = Store::new(&engine, Data { wasi: wasi.build(), table: ResourceTable::new() });
    block_on(async {
        let command = WasiCommand::instantiate_async(&mut store, &component, &linker).await.expect("all imports are there");
        command.wasi_cli_run().call_run(&mut store).await.expect("it does not trap").expect("it ends well");
    });
    drop(store);
    String::from_utf8(said.contents().to_vec()).expect("a program says text")
}

#[test]
fn files_of_a_program_in_rust_are_those_of_wasmtime_wasi() {
    let Some(guest) = program("files", Language::Rust) else { return };
    let there = new_dir();
    let expected = said_there(&guest, there.path());
    for way in [Way::Command("portable"), Way::Command("openat2"), Way::Embedded] {
        let here: TempDir = new_dir();
        assert_eq!(said_here(way, &guest, here.path(), &[]), expected, "{way:?}");
        assert_eq!(tree(here.path()), tree(there.path()), "{way:?}");
    }
}
