//! The engines, each with folders of its own: nothing of the machine's own engines is touched.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

#[path = "../support/program.rs"]
mod program;

/// How long a container may take before it counts as hung.
const HUNG_AFTER: &str = "120";

/// How long containerd may take to say that it is ready.
const START: Duration = Duration::from_secs(20);

/// How long a plugin may take to begin, which may have to be compiled.
const BEGIN: Duration = Duration::from_secs(60);

/// Which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ctr,
    Podman,
}

/// An engine that runs.
pub(crate) struct Engine {
    pub(crate) kind: Kind,
    /// Where everything is.
    pub(crate) dir: TempDir,
    /// A runtime that is aiohost, with settings of its own.
    pub(crate) runtime: PathBuf,
    /// The same with settings by which nothing but plugins is run.
    pub(crate) refusing: PathBuf,
    daemon: Option<Child>,
}

/// A container that is to run.
#[derive(Clone, Default)]
pub(crate) struct Container {
    pub(crate) image: String,
    /// The image's own first word, which ctr forgets when it is given arguments.
    pub(crate) entrypoint: &'static str,
    pub(crate) arguments: Vec<String>,
    /// Source, destination and `ro` or `rw`.
    pub(crate) mounts: Vec<(PathBuf, String, &'static str)>,
    /// Further options, the same for both engines but for their names.
    pub(crate) options: Vec<(Setting, String)>,
    /// Another runtime than that of the engine.
    pub(crate) runtime: Option<PathBuf>,
}

/// What engines can be told about a container.
#[derive(Clone, Copy)]
pub(crate) enum Setting {
    Environment,
    Annotation,
    Cwd,
    Memory,
    /// From here on for podman alone.
    User,
    Interactive,
    Tmpfs,
    DropCapability,
    Users,
    Groups,
}

impl Engine {
    /// Starts it, or tells why it cannot be had here.
    pub(crate) fn start(kind: Kind, wrapped: &str) -> Result<Self, String> {
        // Paths of sockets are short.
        let dir = tempfile::Builder::new().prefix("aio").tempdir_in("/tmp").map_err(|error| error.to_string())?;
        let runtime = runtime_of(dir.path(), "aiohost-oci", &json!({ "runtime": wrapped }));
        let refusing = runtime_of(
            dir.path(),
            "refusing",
            &json!({ "runtime": wrapped, "native": "refuse", "limits": { "timeout": "1s" } }),
        );
        let mut engine = Self { kind, dir, runtime, refusing, daemon: None };
        if kind == Kind::Ctr {
            engine.start_daemon()?;
        }
        engine.probe(wrapped)?;
        Ok(engine)
    }

    fn start_daemon(&mut self) -> Result<(), String> {
        let at = |name: &str| self.dir.path().join(name).display().to_string();
        let config = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\n  address = {:?}\n",
            at("root"),
            at("state"),
            at("sock")
        );
        fs::write(at("config.toml"), config).expect("a file");
        let mut daemon = Command::new("containerd");
        daemon.args(["--config", &at("config.toml")]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut daemon = daemon.spawn().map_err(|error| format!("containerd cannot be started: {error}"))?;
        let log = daemon.stderr.take().expect("it is piped");
        self.daemon = Some(daemon);
        let (sender, lines) = mpsc::channel();
        // What it says later is read too, so that it never waits for a reader. Nobody listens then.
        thread::spawn(move || BufReader::new(log).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        let (start, mut last) = (Instant::now(), String::new());
        while !last.contains("successfully booted") {
            let line = lines.recv_timeout(START.saturating_sub(start.elapsed()));
            last = line.map_err(|_| format!("containerd does not answer: {last}"))?;
        }
        Ok(())
    }

    /// Whether a container with a native program runs here, by the runtime that is wrapped.
    fn probe(&self, wrapped: &str) -> Result<(), String> {
        let root = native_root(self.dir.path());
        let mut command = self.command();
        match self.kind {
            Kind::Ctr => command
                .args(["run", "--rm", "--runc-binary", wrapped, "--rootfs"])
                .args(["--mount", "type=bind,src=/usr,dst=/usr,options=rbind:ro"])
                .arg(root)
                .args(["probe", "/bin/true"]),
            Kind::Podman => {
                command.args(["--runtime", wrapped, "run", "--rm"]).args(podman_options());
                command.args(["--volume", "/usr:/usr:ro", "--rootfs"]).arg(root).arg("/bin/true")
            }
        };
        let output = command.output().map_err(|error| error.to_string())?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(()) } else { Err(format!("it cannot run a native program: {}", stderr.trim_end())) }
    }

    /// A command of the engine's own client.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new("timeout");
        // conmon leaves a file `oom` where it was started.
        command.args(["--kill-after=5", HUNG_AFTER]).stdin(Stdio::null()).current_dir(self.dir.path());
        match self.kind {
            Kind::Ctr => command.arg("ctr").arg("--address").arg(self.dir.path().join("sock")),
            Kind::Podman => {
                command.arg("podman").arg("--root").arg(self.dir.path().join("root"));
                command.arg("--runroot").arg(self.dir.path().join("run"));
                command.args(["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=file"])
            }
        };
        command
    }

    /// Takes images out of the layout in a directory.
    pub(crate) fn import(&self, parent: &Path, names: &[String]) {
        match self.kind {
            Kind::Ctr => {
                let archive = self.dir.path().join("images.tar");
                succeeds(Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(parent.join("layout")).arg("."));
                succeeds(self.command().args(["image", "import"]).arg(archive));
            }
            // It takes one at a time, and calls it after the directory, which not every name will do for.
            Kind::Podman => {
                for name in names {
                    let id =
                        succeeds(self.command().current_dir(parent).args(["pull", "--quiet", &format!("oci:layout:{name}")]));
                    succeeds(self.command().args(["tag", id.trim(), name]));
                }
            }
        }
    }

    /// The command that runs a container by this name.
    pub(crate) fn run(&self, name: &str, container: &Container) -> Command {
        let mut command = self.command();
        let runtime = container.runtime.as_ref().unwrap_or(&self.runtime);
        match self.kind {
            Kind::Ctr => command.args(["run", "--rm", "--runc-binary"]).arg(runtime),
            Kind::Podman => command.arg("--runtime").arg(runtime).args(["run", "--rm", "--name", name]).args(podman_options()),
        };
        for (source, destination, rights) in &container.mounts {
            let source = source.display();
            match self.kind {
                Kind::Ctr => command.arg(format!("--mount=type=bind,src={source},dst={destination},options=rbind:{rights}")),
                Kind::Podman => command.arg(format!("--volume={source}:{destination}:{rights}")),
            };
        }
        for (setting, value) in &container.options {
            command.arg(format!("--{}={value}", setting.option(self.kind)));
        }
        command.arg(&container.image);
        if self.kind == Kind::Ctr {
            command.arg(name);
            if !container.arguments.is_empty() {
                command.arg(container.entrypoint);
            }
        }
        command.args(&container.arguments);
        command
    }

    /// Sends a signal to the process of a container.
    pub(crate) fn kill(&self, name: &str, signal: &str) -> Output {
        let mut command = self.command();
        match self.kind {
            Kind::Ctr => command.args(["task", "kill", "--signal", signal, name]),
            Kind::Podman => command.args(["kill", "--signal", signal, name]),
        };
        command.output().expect("the engine is there")
    }
}

impl Setting {
    fn option(self, kind: Kind) -> &'static str {
        match (self, kind) {
            (Self::Environment, _) => "env",
            (Self::Annotation, _) => "annotation",
            (Self::Cwd, Kind::Ctr) => "cwd",
            (Self::Cwd, Kind::Podman) => "workdir",
            (Self::Memory, Kind::Ctr) => "memory-limit",
            (Self::Memory, Kind::Podman) => "memory",
            (Self::User, _) => "user",
            (Self::Interactive, _) => "interactive",
            (Self::Tmpfs, _) => "tmpfs",
            (Self::DropCapability, _) => "cap-drop",
            (Self::Users, _) => "uidmap",
            (Self::Groups, _) => "gidmap",
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Of a test that has failed a container may be left.
        let _ = match self.kind {
            Kind::Ctr => self.command().args(["task", "ls", "--quiet"]).output().map(|output| {
                for name in String::from_utf8_lossy(&output.stdout).lines() {
                    drop(self.command().args(["task", "rm", "--force", name]).output());
                }
            }),
            Kind::Podman => self.command().args(["rm", "--all", "--force"]).output().map(drop),
        };
        if let Some(daemon) = &mut self.daemon {
            let pid = Pid::from_child(daemon);
            // What is left of it stays in its folder, which goes.
            let _ = kill_process(pid, Signal::TERM);
            let _ = daemon.wait();
        }
    }
}

/// Waits until something is so, as when a plugin has begun.
#[track_caller]
pub(crate) fn wait_until(mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < BEGIN, "it has not come to that");
        thread::yield_now();
    }
}

fn succeeds(command: &mut Command) -> String {
    let output = command.output().expect("the engine is there");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A file that is a runtime: this program, with settings.
pub(crate) fn runtime_of(dir: &Path, name: &str, settings: &Value) -> PathBuf {
    let mut settings = settings.clone();
    // What is compiled once is compiled for all tests.
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("container-code");
    settings["cache"] = json!(cache);
    let file = dir.join(format!("{name}.json"));
    fs::write(&file, settings.to_string()).expect("a file");
    let script = dir.join(name);
    let program = program::aiohost();
    let text = format!("#!/bin/sh\nAIOHOST_OCI_SETTINGS='{}' exec '{program}' oci \"$@\"\n", file.display());
    fs::write(&script, text).expect("a file");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("its owner may");
    script
}

/// A root for a native program, which finds everything in `/usr`.
pub(crate) fn native_root(dir: &Path) -> PathBuf {
    let root = dir.join("native");
    for folder in ["usr", "proc", "dev", "sys", "run", "tmp", "etc"] {
        fs::create_dir_all(root.join(folder)).expect("a folder");
    }
    for link in ["bin", "lib", "lib64"] {
        let _ = std::os::unix::fs::symlink(format!("usr/{link}"), root.join(link));
    }
    root
}

/// Without a network, which plugins have no use for, and with no higher limits than those here, which not everybody may raise. podman
/// holds the number of processes to that of files.
fn podman_options() -> Vec<String> {
    let most = |resource| getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let limit = most(Resource::Nofile).min(most(Resource::Nproc));
    ["nofile", "nproc"]
        .map(|name| format!("--ulimit={name}={limit}:{limit}"))
        .into_iter()
        .chain(["--network=none".to_owned()])
        .collect()
}
