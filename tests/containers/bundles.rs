//! Bundles that are given to the runtime by hand: each command of its life, with either runtime behind it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::engine::{native_root, runtime_of, wait_until};
use crate::{Case, images};

/// Long enough for a process that was told to end.
const ENDS_WITHIN: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

/// A runtime that works here.
pub(crate) struct Runtime {
    /// What it has to be told on this machine.
    options: Vec<&'static str>,
    dir: TempDir,
    ours: PathBuf,
}

impl Runtime {
    /// Finds out how it runs a native program, or why it does not.
    pub(crate) fn find(name: &'static str) -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let ours = runtime_of(dir.path(), "aiohost-oci", &json!({ "runtime": name }));
        let mut runtime = Self { options: Vec::new(), dir, ours };
        let bundle = runtime.dir.path().join("probe");
        let usr = json!({ "destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"] });
        write(&bundle, &native_root(runtime.dir.path()), &["/bin/true"], &[usr]);
        // crun cannot do with the cgroups of every machine.
        let ways: &[&[&str]] = if name == "crun" { &[&[], &["--cgroup-manager=disabled"]] } else { &[&[]] };
        let mut why = String::new();
        for way in ways {
            runtime.options = way.to_vec();
            let mut command = Command::new(name);
            match runtime.told(&mut command, &["run", "--bundle"]).arg(&bundle).arg("probe").output() {
                Ok(output) if output.status.success() => return Ok(runtime),
                Ok(output) => why = String::from_utf8_lossy(&output.stderr).trim_end().to_owned(),
                Err(error) => why = error.to_string(),
            }
        }
        Err(format!("it cannot run a native program: {why}"))
    }

    fn told<'a>(&self, command: &'a mut Command, words: &[&str]) -> &'a mut Command {
        let state = self.dir.path().join("state");
        command.arg("--root").arg(state).args(&self.options).args(words).stdin(Stdio::null())
    }

    fn say(&self, words: &[&str]) -> Output {
        self.told(&mut Command::new(&self.ours), words).output().expect("it is there")
    }

    fn state(&self, name: &str) -> Value {
        serde_json::from_slice(&self.say(&["state", name]).stdout).unwrap_or_default()
    }

    fn status(&self, name: &str) -> Value {
        self.state(name)["status"].clone()
    }

    fn bundle(&self, name: &str, words: &[&str], mounts: &[Value]) -> String {
        let bundle = self.dir.path().join(name);
        let root = bundle.join("rootfs");
        fs::create_dir_all(&root).expect("a folder");
        fs::copy(images::guest("container.wasm"), root.join("tool.wasm")).expect("tests/guests/build.sh has built it");
        write(&bundle, &root, words, mounts);
        bundle.to_str().expect("a name of our own").to_owned()
    }
}

/// Writes a bundle.
fn write(bundle: &Path, root: &Path, words: &[&str], mounts: &[Value]) {
    fs::create_dir_all(bundle).expect("a folder");
    let mut all = vec![
        json!({ "destination": "/proc", "type": "proc", "source": "proc" }),
        json!({ "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] }),
    ];
    all.extend_from_slice(mounts);
    let namespaces: Vec<Value> = ["pid", "mount", "ipc", "uts"].map(|kind| json!({ "type": kind })).into();
    let config = json!({
        "ociVersion": "1.0.2", "root": { "path": root }, "mounts": all, "linux": { "namespaces": namespaces },
        "process": { "args": words, "cwd": "/", "user": { "uid": 0, "gid": 0 }, "env": ["PATH=/usr/bin:/bin", "A=b"] },
    });
    fs::write(bundle.join("config.json"), config.to_string()).expect("a file");
}

pub(crate) const CASES: &[Case<Runtime>] =
    &[("a_bundle_runs", runs), ("each_command_of_a_life", life), ("errors_are_where_engines_look", errors)];

fn runs(runtime: &Runtime) {
    let data = tempfile::tempdir().expect("a temporary directory");
    let mount = json!({ "destination": "/data", "type": "none", "source": data.path(), "options": ["bind"] });
    let bundle = runtime.bundle("runs", &["tool.wasm", "write", "/data/new", "text"], &[mount]);
    let output = runtime.say(&["run", "--bundle", &bundle, "runs"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(fs::read_to_string(data.path().join("new")).expect("it is there"), "text");
    let bundle = runtime.bundle("exits", &["/tool.wasm", "exit", "42"], &[]);
    assert_eq!(runtime.say(&["run", "-b", &bundle, "exits"]).status.code(), Some(42));
}

fn life(runtime: &Runtime) {
    let bundle = runtime.bundle("life", &["/tool.wasm", "sleep"], &[]);
    let said = runtime.dir.path().join("said");
    // Its output would keep ours open.
    let create = runtime
        .told(&mut Command::new(&runtime.ours), &["create", "--bundle", &bundle, "life"])
        .stdout(File::create(&said).expect("a file"))
        .stderr(Stdio::null())
        .status();
    assert!(create.expect("it is there").success());
    assert_eq!(runtime.status("life"), "created");
    assert!(runtime.say(&["start", "life"]).status.success());
    assert_eq!(runtime.status("life"), "running");
    // It is no child of this process, and can be waited for all the same.
    let pid = runtime.state("life")["pid"].as_i64().and_then(|pid| Pid::from_raw(pid.try_into().ok()?)).expect("it runs");
    let process = pidfd_open(pid, PidfdFlags::empty()).expect("it runs");
    // A signal that comes before there is somebody who takes it is lost.
    wait_until(|| fs::read_to_string(&said).is_ok_and(|text| text == "ready\n"));
    assert!(runtime.say(&["kill", "life", "TERM"]).status.success());
    let ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&ENDS_WITHIN));
    assert_eq!((ended, runtime.status("life")), (Ok(1), "stopped".into()));
    assert!(runtime.say(&["delete", "life"]).status.success());
    assert_eq!(runtime.status("life"), Value::Null);
}

fn errors(runtime: &Runtime) {
    let bundle = runtime.bundle("errors", &["/none.wasm"], &[]);
    let log = runtime.dir.path().join("log.json");
    let log = log.to_str().expect("a name of our own");
    let output = runtime.say(&["--log", log, "--log-format", "json", "create", "--bundle", &bundle, "errors"]);
    assert_eq!(output.status.code(), Some(1));
    let line = fs::read_to_string(log).expect("it is there");
    let told: Value = serde_json::from_str(&line).expect("one line of JSON");
    assert_eq!(told["level"], "error");
    assert!(
        told["msg"].as_str().is_some_and(|msg| msg.starts_with("aiohost: there is no /none.wasm in the container")),
        "{line}"
    );
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.starts_with("error: there is no /none.wasm in the container\n  help: "), "{stderr}");
}
