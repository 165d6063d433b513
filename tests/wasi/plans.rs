//! Random plans of calls of preview 1, carried out by aiohost and, in a twin of the directory, by `wasmtime-wasi`: each call comes
//! to the same, and in the end there is the same in both, but for what is listed here.

use std::path::Path;
use std::process::Command;

use aiohost::{Host, Resolver, Rights};
use tempfile::TempDir;
use wasmtime::{Config, Engine, Linker, Module, Store};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtx};

use crate::comparison::{DONE, OtherErrors, Plans};
use crate::guests::{Language, program};

/// What a plan may say at most.
pub(crate) const OUTPUT_BYTES: usize = 64 << 20;

/// In three ways, more than 100,000 steps.
const PLANS: Plans = Plans {
    // The last ones come by what is rare.
    seeds: &[1, 2, 3, 4, 5, 6, 7, 8, 15, 20, 126],
    steps: 4200,
    words: &[],
    other_errors: OTHER_ERRORS,
    slashes: &["path_filestat_get", "path_filestat_set_times"],
    said_there,
};

/// By error numbers.
const OTHER_ERRORS: OtherErrors = &[
    // A directory is brought to the device, and has times, like anything else.
    ("fd_datasync", DONE, BADF),
    ("fd_sync", DONE, BADF),
    ("fd_filestat_set_times", DONE, BADF),
    // What is to get no new time has to be there all the same.
    ("path_filestat_set_times", NOENT, DONE),
    // As in Linux, what is wrong with the old name is told first.
    ("path_link", NOENT, NOTDIR),
    ("path_link", NOENT, LOOP),
    ("path_link", NOENT, PERM),
    ("path_open", LOOP, ISDIR),
    // A link to the name of a file with a slash after it, and one that leads out.
    ("path_open", NOTDIR, ISDIR),
    ("path_open", PERM, ISDIR),
    ("path_rename", NOENT, NOTDIR),
    ("fd_filestat_set_size", BADF, INVAL),
];

const BADF: &str = "8";
const INVAL: &str = "28";
const ISDIR: &str = "31";
const LOOP: &str = "32";
const NOENT: &str = "44";
const NOTDIR: &str = "54";
const PERM: &str = "63";

pub(crate) fn new_dir() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written")
}

/// How aiohost is asked to do it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    /// By the command, where the guest waits on its own thread.
    Command(&'static str),
    /// In this process, where workers wait.
    Embedded,
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("an event loop").block_on(future)
}

pub(crate) fn said_here(way: Way, guest: &Path, dir: &Path, arguments: &[String]) -> String {
    match way {
        Way::Command(resolver) => {
            let mut command = Command::new(crate::program::aiohost());
            command.args(["run", "--resolver", resolver, "--dir"]).arg(format!("{}::.", dir.display())).arg(guest);
            let output = command.args(arguments).output().expect("the host can be started");
            assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).expect("a program says text")
        }
        Way::Embedded => {
            let said = MemoryOutputPipe::new(OUTPUT_BYTES);
            let stdout = said.clone();
            let host = Host::builder().dir(dir, ".", Rights::ReadWrite).resolver(Resolver::default());
            let host = host.wasi(move |wasi| {
                wasi.stdout(stdout.clone());
            });
            let plugin = host.build().expect("a host").load(guest).expect("a valid plugin");
            assert_eq!(block_on(plugin.run(arguments.iter().map(String::as_str))).expect("it ends well"), 0);
            String::from_utf8(said.contents().to_vec()).expect("a program says text")
        }
    }
}

fn said_there(guest: &Path, dir: &Path, arguments: &[String]) -> String {
    let engine = Engine::new(&Config::new()).expect("an engine");
    let module = Module::from_file(&engine, guest).expect("a valid module");
    let mut linker: Linker<WasiP1Ctx> = Linker::new(&engine);
    p1::add_to_linker_async(&mut linker, |ctx| ctx).expect("nothing else is there");
    let said = MemoryOutputPipe::new(OUTPUT_BYTES);
    let mut wasi = WasiCtx::builder();
    wasi.arg("plans").args(arguments).stdout(said.clone());
    wasi.preopened_dir(dir, ".", FsPerms::ReadWrite).expect("the directory is there");
    let mut store = Store::new(&engine, wasi.build_p1());
    block_on(async {
        let instance = linker.instantiate_async(&mut store, &module).await.expect("all imports are there");
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start").expect("a command");
        match start.call_async(&mut store, ()).await {
            Err(error) if error.downcast_ref::<I32Exit>().is_none() => panic!("{error:?}"),
            _ => {}
        }
    });
    drop(store);
    String::from_utf8(said.contents().to_vec()).expect("a program says text")
}

fn same_in_every_plan(way: Way) {
    let Some(guest) = program("plans", Language::BareC) else { return };
    PLANS.assert_same(&guest, way);
}

#[test]
fn a_plan_of_preview_1_comes_to_the_same_on_its_own_thread() {
    same_in_every_plan(Way::Command("openat2"));
}

#[test]
fn a_plan_of_preview_1_comes_to_the_same_with_the_portable_resolver() {
    same_in_every_plan(Way::Command("portable"));
}

#[test]
fn what_differs_on_purpose_in_preview_1_is_told() {
    PLANS.assert_told("Programs of WASI preview 1");
}

#[test]
fn a_plan_of_preview_1_comes_to_the_same_on_workers() {
    same_in_every_plan(Way::Embedded);
}
