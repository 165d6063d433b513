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

use crate::comparison::{DONE, OtherErrors, Plans, tree};
use crate::guests::{Language, prebuilt, probe, program};
use crate::plans::{OUTPUT_BYTES, Way, block_on, new_dir, said_here};

#[test]
fn every_version_of_wasi_0_2_leads_to_aiohosts_own_files() {
    // There are 13 of them, and more may come.
    for version in (0..=12).chain([13, 20]).map(|patch| format!("0.2.{patch}")) {
        let dir = new_dir();
        let guest = dir.path().join("probe.wat");
        std::fs::write(&guest, probe(&version, "")).expect("a directory of our own");
        let mut command = Command::new(crate::program::aiohost());
        command.args(["run", "--stats", "--dir"]).arg(dir.path()).arg(&guest);
        let output = command.output().expect("the host can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("is-same-object"), "{version}: {output:?}");
    }
}

#[test]
fn a_status_was_of_before_the_guest_had_written_to_its_output() {
    let dir = new_dir();
    let said = std::fs::File::create(dir.path().join("said")).expect("a directory of our own");
    let mut command = Command::new(crate::program::aiohost());
    command.args(["run", "--dir"]).arg(dir.path()).arg(prebuilt("wasi2.wasm")).arg("own-output").stdout(said);
    let output = command.output().expect("the host can be started");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn an_input_stream_that_had_failed_failed_for_ever() {
    let dir = new_dir();
    let mut command = Command::new(crate::program::aiohost());
    command.args(["run", "--dir"]).arg(dir.path()).arg(prebuilt("wasi2.wasm")).arg("failed-stream");
    let output = command.output().expect("the host can be started");
    assert!(output.status.success(), "{output:?}");
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

/// In three ways, more than 100,000 steps.
pub(crate) const PLANS: Plans = Plans {
    // The last one comes by what is rare.
    seeds: &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 54],
    steps: 3000,
    words: &["plan"],
    other_errors: OTHER_ERRORS,
    slashes: &["stat-at", "set-times-at", "metadata-hash-at"],
    said_there,
};

/// By the codes of both versions.
const OTHER_ERRORS: OtherErrors = &[
    // A directory has times like anything else.
    ("set-times", DONE, "bad-descriptor"),
    // As in Linux, what is wrong with the old name is told first.
    ("link-at", "no-entry", "not-directory"),
    ("link-at", "no-entry", "loop"),
    ("link-at", "no-entry", "not-permitted"),
    ("rename-at", "no-entry", "not-directory"),
    // What contradicts itself is told before anything is looked up.
    ("open-at", "invalid", "not-directory"),
    ("open-at", "loop", "is-directory"),
    // A link to the name of a file with a slash after it, and one that leads out.
    ("open-at", "not-directory", "is-directory"),
    ("open-at", "not-permitted", "is-directory"),
    ("set-size", "bad-descriptor", "invalid"),
];

pub(crate) fn said_there(guest: &Path, dir: &Path, arguments: &[String]) -> String {
    let engine = Engine::default();
    let component = Component::from_file(&engine, guest).expect("a valid component");
    let mut linker: Linker<Data> = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("nothing else is there");
    let said = MemoryOutputPipe::new(OUTPUT_BYTES);
    let mut wasi = WasiCtx::builder();
    wasi.arg("wasi2").args(arguments).stdout(said.clone());
    wasi.preopened_dir(dir, ".", FsPerms::ReadWrite).expect("the directory is there");
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
    let expected = said_there(&guest, there.path(), &[]);
    for way in [Way::Command("portable"), Way::Command("openat2"), Way::Embedded] {
        let here: TempDir = new_dir();
        assert_eq!(said_here(way, &guest, here.path(), &[]), expected, "{way:?}");
        assert_eq!(tree(here.path()), tree(there.path()), "{way:?}");
    }
}

#[test]
fn a_plan_of_wasi_0_2_comes_to_the_same_on_its_own_thread() {
    PLANS.assert_same(&prebuilt("wasi2.wasm"), Way::Command("openat2"));
}

#[test]
fn a_plan_of_wasi_0_2_comes_to_the_same_with_the_portable_resolver() {
    PLANS.assert_same(&prebuilt("wasi2.wasm"), Way::Command("portable"));
}

#[test]
fn what_differs_on_purpose_in_components_is_told() {
    PLANS.assert_told("Components of WASI 0.2 and 0.3");
}

#[test]
fn a_plan_of_wasi_0_2_comes_to_the_same_on_workers() {
    PLANS.assert_same(&prebuilt("wasi2.wasm"), Way::Embedded);
}
