//! How fast the file calls of a program in C are: native, and on aiohost and on wasmtime's own WASI, as a core module with preview 1
//! and as a component with 0.2.
//!
//! `cargo bench --bench wasi [-- ROUNDS]`. In each round all run one after the other, in new directories. What counts are the
//! ratios: each is the median of those of the rounds. Needs the zig of `guest-examples/toolchains/zig.sh`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use aiohost::plugin;
use tempfile::TempDir;

#[path = "programs/wasmtime_run.rs"]
mod wasmtime_run;

const ROUNDS: usize = 5;

/// Who runs guests.
const HOSTS: [&str; 2] = ["aiohost", "wasmtime"];

/// Nanoseconds by row.
type Times = Vec<(String, f64)>;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    // A process for wasmtime's runs: its guest writes to its standard output.
    if let Some(("wasmtime", line)) = arguments.split_first().map(|(role, line)| (role.as_str(), line)) {
        std::process::exit(wasmtime_run::run(line));
    }
    let rounds = arguments.first().map_or(ROUNDS, |rounds| rounds.parse().expect("a number of rounds"));
    let (native, module) = (built("native", &[]), built("guest.wasm", &["-target", "wasm32-wasi"]));
    let guests = [("preview 1", module.clone()), ("0.2", component(&module))];
    let mut native_times = Vec::new();
    let mut times: BTreeMap<(&str, &str), Vec<Times>> = BTreeMap::new();
    for _ in 0..rounds {
        native_times.push(run("native", &native));
        for (version, guest) in &guests {
            for host in HOSTS {
                times.entry((version, host)).or_default().push(run(host, guest));
            }
        }
    }
    for (version, _) in &guests {
        report(version, &native_times, &times[&(*version, "aiohost")], &times[&(*version, "wasmtime")]);
    }
}

/// The module as a component, whose preview 1 is the adapter's.
fn component(module: &Path) -> PathBuf {
    let bytes = std::fs::read(module).expect("the module was built");
    let component = plugin::componentize("guest.wasm", &bytes, None).expect("it imports nothing but preview 1");
    let path = module.with_extension("component.wasm");
    std::fs::write(&path, component).expect("the target directory can be written");
    path
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

fn run(contender: &str, program: &Path) -> Times {
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written");
    let mut command = match contender {
        "native" => Command::new(program),
        "aiohost" => {
            let mut command = Command::new(env!("CARGO_BIN_EXE_aiohost"));
            // A timeout must cost nothing.
            command.args(["run", "--timeout", "10m", "--dir", "."]).arg(program);
            command
        }
        _ => {
            let mut command = Command::new(std::env::current_exe().expect("the benchmark has a path"));
            command.args(["wasmtime", "--dir", "."]).arg(program);
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

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn report(version: &str, native: &[Times], ours: &[Times], theirs: &[Times]) {
    println!(
        "{version:<18} {:>12} {:>12} {:>12} {:>14} {:>14}",
        "native, ns", "aiohost", "wasmtime", "to native", "to wasmtime"
    );
    for (row, (name, _)) in native[0].iter().enumerate() {
        let of = |rounds: &[Times]| rounds.iter().map(|round| round[row].1).collect::<Vec<f64>>();
        let (native, ours, theirs) = (of(native), of(ours), of(theirs));
        let ratio = |to: &[f64]| median(std::iter::zip(&ours, to).map(|(ours, other)| ours / other).collect());
        let (to_native, to_wasmtime) = (ratio(&native), ratio(&theirs));
        let (native, ours, theirs) = (median(native), median(ours.clone()), median(theirs));
        println!("{name:<18} {native:>12.0} {ours:>12.0} {theirs:>12.0} {to_native:>13.2}x {to_wasmtime:>13.2}x");
    }
}
