//! How long a container takes from its start to its end: with a native program by runc alone, and with a plugin by `aiohost oci`
//! before runc.
//!
//! `cargo bench --bench containers [-- ROUNDS]`, as root, with runc (or AIOHOST_OCI_RUNTIME). In each round the two run one after the
//! other. What counts is the ratio: the median of those of the rounds. The plugin is compiled before the first round.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

const ROUNDS: usize = 30;

/// Says "hello".
const PLUGIN: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\08\00\00\00\06\00\00\00hello\n")
    (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 256)))))"#;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let rounds = arguments.first().map_or(ROUNDS, |rounds| rounds.parse().expect("a number of rounds"));
    let runtime = std::env::var("AIOHOST_OCI_RUNTIME").unwrap_or_else(|_| "runc".to_owned());
    let dir = tempfile::tempdir().expect("a temporary directory");
    let settings = dir.path().join("oci.json");
    let content = json!({ "runtime": runtime, "cache": dir.path().join("code") });
    fs::write(&settings, content.to_string()).expect("a file");
    let native = native(dir.path());
    let run_native = || run(Command::new(&runtime), &native);
    let run_plugin = || {
        // The bundle is changed when it is run, and an engine makes a new one for each container.
        let plugin = plugin(dir.path());
        let mut command = Command::new(env!("CARGO_BIN_EXE_aiohost"));
        command.arg("oci").env("AIOHOST_OCI_SETTINGS", &settings);
        run(command, &plugin)
    };
    run_native();
    run_plugin();
    let times: Vec<(Duration, Duration)> = (0..rounds).map(|_| (run_native(), run_plugin())).collect();
    let of = |value: &dyn Fn(&(Duration, Duration)) -> f64| median(times.iter().map(value).collect());
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    println!("a native program by {runtime}: {:.1} ms", of(&|(native, _)| milliseconds(*native)));
    println!("a plugin by aiohost and {runtime}: {:.1} ms", of(&|(_, plugin)| milliseconds(*plugin)));
    println!("ratio: {:.2}", of(&|(native, plugin)| plugin.as_secs_f64() / native.as_secs_f64()));
}

/// Runs the container of a bundle to its end.
fn run(mut command: Command, bundle: &Path) -> Duration {
    let name = format!("bench-{}", std::process::id());
    let start = Instant::now();
    let output = command.args(["run", "--bundle"]).arg(bundle).arg(name).stdin(Stdio::null()).output().expect("a runtime");
    let time = start.elapsed();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, b"hello\n");
    time
}

/// A bundle with `echo` of this machine.
fn native(dir: &Path) -> PathBuf {
    let root = dir.join("native/rootfs");
    for folder in ["usr", "proc", "dev"] {
        fs::create_dir_all(root.join(folder)).expect("a folder");
    }
    for link in ["bin", "lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{link}"), root.join(link)).expect("a link");
    }
    let usr = json!({ "destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"] });
    bundle(&dir.join("native"), &["/bin/echo", "hello"], &[usr])
}

fn plugin(dir: &Path) -> PathBuf {
    let root = dir.join("plugin/rootfs");
    fs::create_dir_all(&root).expect("a folder");
    fs::write(root.join("hello.wasm"), PLUGIN).expect("a file");
    bundle(&dir.join("plugin"), &["/hello.wasm"], &[])
}

fn bundle(dir: &Path, words: &[&str], mounts: &[serde_json::Value]) -> PathBuf {
    let mut all = vec![
        json!({ "destination": "/proc", "type": "proc", "source": "proc" }),
        json!({ "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] }),
    ];
    all.extend_from_slice(mounts);
    let config = json!({
        "ociVersion": "1.0.2", "root": { "path": "rootfs" }, "mounts": all,
        "linux": { "namespaces": [{ "type": "pid" }, { "type": "mount" }, { "type": "ipc" }, { "type": "uts" }] },
        "process": { "args": words, "cwd": "/", "user": { "uid": 0, "gid": 0 }, "env": ["PATH=/usr/bin:/bin"] },
    });
    fs::write(dir.join("config.json"), config.to_string()).expect("a file");
    dir.to_owned()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
