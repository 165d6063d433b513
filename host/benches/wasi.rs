//! How fast the file calls of a program in C are: native, as a core module on aiohost, and on wasmtime's own WASI preview 1.
//!
//! `cargo bench --bench wasi [-- ROUNDS]`. In each round the three run one after the other, in new directories. What counts are the
//! ratios: each is the median of those of the rounds. Needs the zig of `guest-examples/toolchains/zig.sh`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use wasmtime::{Config, Engine, Linker, Module, Store};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtx};

const ROUNDS: usize = 5;

/// Who does the work.
const CONTENDERS: [&str; 3] = ["native", "aiohost", "wasmtime"];

/// Nanoseconds by row.
type Times = Vec<(String, f64)>;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    // A process for wasmtime's runs: its guest writes to its standard output.
    if let [role, guest, dir] = arguments.as_slice()
        && role == "wasmtime"
    {
        return run_by_wasmtime(Path::new(guest), Path::new(dir));
    }
    let rounds = arguments.first().map_or(ROUNDS, |rounds| rounds.parse().expect("a number of rounds"));
    let (native, guest) = (built("native", &[]), built("guest.wasm", &["-target", "wasm32-wasi"]));
    let mut times: BTreeMap<&str, Vec<Times>> = BTreeMap::new();
    for _ in 0..rounds {
        for contender in CONTENDERS {
            times.entry(contender).or_default().push(run(contender, &native, &guest));
        }
    }
    report(&times);
}

/// The program, by zig's C compiler.
fn built(name: &str, flags: &[&str]) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let zig = Command::new(root.join("guest-examples/toolchains/zig.sh"))
        .stderr(Stdio::inherit())
        .output()
        .expect("the script is there");
    let zig = String::from_utf8(zig.stdout).expect("a path");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("guest-build").join("wasi-bench");
    std::fs::create_dir_all(&folder).expect("the target directory can be written");
    let program = folder.join(name);
    let mut command = Command::new(zig.trim());
    command.env("ZIG_GLOBAL_CACHE_DIR", folder.join("zig-cache")).env("ZIG_LOCAL_CACHE_DIR", folder.join("zig-cache"));
    command.args(["cc", "-O2"]).args(flags).arg("-o").arg(&program).arg(root.join("host/benches/wasi/guest.c"));
    assert!(command.status().expect("zig starts").success());
    program
}

fn run(contender: &str, native: &Path, guest: &Path) -> Times {
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written");
    let mut command = match contender {
        "native" => Command::new(native),
        "aiohost" => {
            let mut command = Command::new(env!("CARGO_BIN_EXE_aiohost"));
            // A timeout must cost nothing.
            command.args(["run", "--timeout", "10m", "--dir", "."]).arg(guest);
            command
        }
        _ => {
            let mut command = Command::new(std::env::current_exe().expect("the benchmark has a path"));
            command.arg("wasmtime").arg(guest).arg(dir.path());
            command
        }
    };
    let output = command.current_dir(dir.path()).stderr(Stdio::inherit()).output().expect("it can be started");
    assert!(output.status.success(), "{contender}: {}", output.status);
    let said = String::from_utf8(output.stdout).expect("it prints numbers");
    let row = |line: &str| {
        let (name, time) = line.split_once(' ').expect("a name and a time");
        (name.to_owned(), time.parse().expect("a number"))
    };
    said.lines().map(row).collect()
}

/// As `wasmtime run` does it: calls may block the thread, and nothing interrupts the guest.
fn run_by_wasmtime(guest: &Path, dir: &Path) {
    let engine = Engine::new(&Config::new()).expect("an engine");
    let module = Module::from_file(&engine, guest).expect("a valid module");
    let mut linker: Linker<WasiP1Ctx> = Linker::new(&engine);
    p1::add_to_linker_async(&mut linker, |ctx| ctx).expect("nothing else is there");
    let mut wasi = WasiCtx::builder();
    wasi.allow_blocking_current_thread(true).inherit_stdio().preopened_dir(dir, ".", FsPerms::ReadWrite).expect("a directory");
    let mut store = Store::new(&engine, wasi.build_p1());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an event loop");
    runtime.block_on(async {
        let instance = linker.instantiate_async(&mut store, &module).await.expect("all imports are there");
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start").expect("a command");
        if let Err(error) = start.call_async(&mut store, ()).await {
            assert_eq!(error.downcast_ref::<I32Exit>().map(|exit| exit.0), Some(0), "{error:?}");
        }
    });
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn report(times: &BTreeMap<&str, Vec<Times>>) {
    println!("{:<18} {:>12} {:>12} {:>12} {:>14} {:>14}", "ns", "native", "aiohost", "wasmtime", "to native", "to wasmtime");
    for (row, (name, _)) in times["native"][0].iter().enumerate() {
        let of = |contender: &str| times[contender].iter().map(|round| round[row].1).collect::<Vec<f64>>();
        let (native, ours, theirs) = (of("native"), of("aiohost"), of("wasmtime"));
        let ratio = |to: &[f64]| median(std::iter::zip(&ours, to).map(|(ours, other)| ours / other).collect());
        let (to_native, to_wasmtime) = (ratio(&native), ratio(&theirs));
        let (native, ours, theirs) = (median(native), median(ours.clone()), median(theirs));
        println!("{name:<18} {native:>12.0} {ours:>12.0} {theirs:>12.0} {to_native:>13.2}x {to_wasmtime:>13.2}x");
    }
}
