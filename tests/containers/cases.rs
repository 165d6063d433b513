//! What containers must do on every engine.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tempfile::TempDir;

use crate::engine::{Container, Engine, Setting, wait_until};
use crate::more_time::until_heard;
use crate::{Case, images};

pub(crate) const CASES: &[Case<Engine>] = &[
    ("hello", hello),
    ("arguments_are_the_plugins", arguments),
    ("the_environment_is_the_plugins_and_nobody_elses", environment),
    ("data_is_written", data_is_written),
    ("data_for_reading_only_is_not_written", data_for_reading_only),
    ("a_mount_for_reading_within_one_for_writing", mount_within_another),
    ("the_working_directory_is_a_mount", working_directory),
    ("a_working_directory_within_a_mount_is_refused", working_directory_within),
    ("nothing_else_is_within_reach", nothing_else),
    ("exit_status_0", |engine| exits(engine, 0)),
    ("exit_status_1", |engine| exits(engine, 1)),
    ("exit_status_42", |engine| exits(engine, 42)),
    ("a_timeout_ends_with_124", timeout),
    ("a_trap_ends_with_134", trap),
    ("term_ends_with_143", |engine| ends_by(engine, "TERM", 143)),
    ("int_ends_with_130", |engine| ends_by(engine, "INT", 130)),
    ("kill_ends_with_137", |engine| ends_by(engine, "KILL", 137)),
    ("out_of_memory_of_the_cgroup_ends_with_137", out_of_memory),
    ("a_lower_limit_of_memory_is_the_plugins", less_memory),
    ("output_and_errors_are_apart", output),
    ("a_plugin_in_a_mount", plugin_in_a_mount),
    ("a_plugin_of_another_name", other_name),
    ("an_annotation_chooses_directories", chosen_directories),
    ("an_annotation_makes_all_read_only", read_only),
    ("an_annotation_asks_for_statistics", statistics),
    ("an_unknown_annotation_is_refused", unknown_annotation),
    ("a_limit_that_is_raised_is_refused", raised_limit),
    ("what_is_not_allowed_is_refused", not_allowed),
    ("a_plugin_that_is_not_there", no_plugin),
    ("a_plugin_that_is_broken", broken_plugin),
    ("compiled_code_of_an_image_is_refused", compiled_code),
    ("a_link_out_of_the_image_leads_nowhere", link_out),
    ("a_single_file_is_not_granted", single_file),
    ("a_native_program_is_left_to_the_runtime", native_program),
    ("a_native_program_is_refused_where_settings_say_so", native_program_refused),
    ("settings_limit_every_plugin", settings_limit),
    ("an_image_cannot_harm_what_runs_it", hostile_image),
];

/// Those of one engine.
pub(crate) const OF_CTR: &[Case<Engine>] = &[("fifty_at_once", fifty_at_once)];

pub(crate) const OF_PODMAN: &[Case<Engine>] = &[
    ("standard_input", standard_input),
    ("a_user_owns_what_it_writes", user),
    ("logs", logs),
    ("stop", stop),
    ("it_can_be_started_again", again),
    ("tmpfs_is_granted", tmpfs),
    ("no_capability_is_needed", no_capability),
    ("root_of_a_user_namespace_is_nobody_outside", user_namespace),
    ("an_image_cannot_widen_its_limits", greedy_image),
];

/// The same task in a language.
pub(crate) fn language(engine: &Engine, language: &str) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::write(dir.path().join("a.txt"), "hello").expect("a file");
    let container = Container { image: images::name(language), ..Container::default() }.with_mount(&dir, "/data", "rw");
    let outcome = run(engine, &container);
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    let manifest = fs::read_to_string(dir.path().join("MANIFEST.sha256")).expect("the plugin has written it");
    assert_eq!(manifest, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824  a.txt\n");
}

/// What came of a container.
#[derive(Debug)]
struct Outcome {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Outcome {
    fn assert(&self, status: i32, stdout: &str) {
        assert_eq!((self.status, self.stdout.as_str()), (Some(status), stdout), "{}", self.stderr);
    }

    /// It was not made, and the engine tells why.
    fn assert_refused(&self, why: &str) {
        assert!(self.status != Some(0) && self.stderr.contains(why), "{self:?}");
    }
}

impl Container {
    fn with_mount(mut self, source: &TempDir, destination: &str, rights: &'static str) -> Self {
        self.mounts.push((source.path().to_owned(), destination.to_owned(), rights));
        self
    }

    fn with(mut self, setting: Setting, value: &str) -> Self {
        self.options.push((setting, value.to_owned()));
        self
    }
}

/// The tool with a line of arguments.
fn tool(line: &str) -> Container {
    let arguments = line.split(' ').map(str::to_owned).collect();
    Container { image: images::name("tool"), entrypoint: "/app/tool.wasm", arguments, ..Container::default() }
}

/// A directory for a mount, with the file `f`, for any user.
fn data() -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("its owner may");
    fs::write(dir.path().join("f"), "of the host").expect("a file");
    dir
}

fn new_name() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("test-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

fn run(engine: &Engine, container: &Container) -> Outcome {
    finished(&mut engine.run(&new_name(), container))
}

fn finished(command: &mut Command) -> Outcome {
    let output = command.output().expect("the engine is there");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Outcome { status: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

fn hello(engine: &Engine) {
    run(engine, &tool("hello")).assert(0, "hello\n");
}

fn arguments(engine: &Engine) {
    let outcome = run(engine, &tool("arguments --dir=/ --env X --help -q x.wasm"));
    outcome.assert(0, "[\"/app/tool.wasm\", \"arguments\", \"--dir=/\", \"--env\", \"X\", \"--help\", \"-q\", \"x.wasm\"]\n");
}

fn environment(engine: &Engine) {
    let mut container = tool("environment");
    for variable in ["A=b=c", "LD_PRELOAD=/evil.so", "AIOHOST_LOG=trace", "LD_LIBRARY_PATH=/evil"] {
        container = container.with(Setting::Environment, variable);
    }
    let outcome = run(engine, &container);
    for line in ["A=b=c", "LD_PRELOAD=/evil.so", "AIOHOST_LOG=trace", "LD_LIBRARY_PATH=/evil"] {
        assert!(outcome.stdout.lines().any(|found| found == line), "{outcome:?}");
    }
    // Neither the loader nor the host took them for theirs.
    assert_eq!((outcome.status, outcome.stderr.as_str()), (Some(0), ""));
}

fn data_is_written(engine: &Engine) {
    let dir = data();
    run(engine, &tool("write /data/new text").with_mount(&dir, "/data", "rw")).assert(0, "");
    assert_eq!(fs::read_to_string(dir.path().join("new")).expect("it is there"), "text");
    run(engine, &tool("read /data/f").with_mount(&dir, "/data", "rw")).assert(0, "of the host");
}

fn data_for_reading_only(engine: &Engine) {
    let dir = data();
    run(engine, &tool("read /data/f").with_mount(&dir, "/data", "ro")).assert(0, "of the host");
    let outcome = run(engine, &tool("write /data/new text").with_mount(&dir, "/data", "ro"));
    assert_eq!(outcome.status, Some(3), "{outcome:?}");
    assert!(!dir.path().join("new").exists());
}

fn mount_within_another(engine: &Engine) {
    let (outer, inner) = (data(), data());
    fs::create_dir(outer.path().join("in")).expect("a folder");
    let mounted = |line: &str| tool(line).with_mount(&outer, "/data", "rw").with_mount(&inner, "/data/in", "ro");
    run(engine, &mounted("write /data/new text")).assert(0, "");
    run(engine, &mounted("read /data/in/f")).assert(0, "of the host");
    run(engine, &mounted("write /data/in/new text")).assert(3, "ReadOnlyFilesystem\n");
}

fn working_directory(engine: &Engine) {
    let (one, two) = (data(), data());
    let container = tool("write new text").with_mount(&one, "/one", "ro").with_mount(&two, "/two", "rw");
    run(engine, &container.with(Setting::Cwd, "/two")).assert(0, "");
    assert!(two.path().join("new").exists());
}

fn working_directory_within(engine: &Engine) {
    let dir = data();
    let container = tool("hello").with_mount(&dir, "/data", "rw").with(Setting::Cwd, "/data/sub");
    run(engine, &container).assert_refused("lies within the mount /data");
}

fn nothing_else(engine: &Engine) {
    let dir = data();
    let mounted = |line: &str| tool(line).with_mount(&dir, "/data", "rw");
    for path in ["/secret", "/etc/hosts", "/proc/self/status", "/data/../secret", "/.aiohost/aiohost"] {
        let outcome = run(engine, &mounted(&format!("read {path}")));
        assert_eq!(outcome.status, Some(3), "{path}: {outcome:?}");
    }
    // Without a mount there is no directory at all.
    let outcome = run(engine, &tool("list /"));
    assert_eq!(outcome.status, Some(3), "{outcome:?}");
}

fn exits(engine: &Engine, status: i32) {
    run(engine, &tool(&format!("exit {status}"))).assert(status, "");
}

fn timeout(engine: &Engine) {
    let compute = |time: &str| run(engine, &tool("compute").with(Setting::Annotation, &format!("dev.aiohost.timeout={time}")));
    let (outcome, _) = until_heard(compute, |outcome| outcome.status == Some(124) && outcome.stdout.is_empty());
    outcome.assert(124, "ready\n");
    run(engine, &tool("exit 124")).assert(124, "");
}

fn trap(engine: &Engine) {
    let outcome = run(engine, &tool("panic"));
    outcome.assert(134, "");
    assert!(outcome.stderr.contains("as it was told") && outcome.stderr.contains("error: tool.cwasm"), "{outcome:?}");
}

/// What a container ends with that runs, and gets a signal.
fn ends_by(engine: &Engine, signal: &str, status: i32) {
    for line in ["compute", "sleep"] {
        let name = new_name();
        let mut child = engine.run(&name, &tool(line)).stdout(Stdio::piped()).spawn().expect("the engine is there");
        let mut ready = [0; 6];
        child.stdout.as_mut().expect("a pipe").read_exact(&mut ready).expect("it says that it is ready");
        let killed = engine.kill(&name, signal);
        assert!(killed.status.success(), "{}", String::from_utf8_lossy(&killed.stderr));
        assert_eq!(child.wait().expect("it ends").code(), Some(status), "{line}");
    }
}

fn out_of_memory(engine: &Engine) {
    let outcome = run(engine, &tool("eat 500").with(Setting::Memory, "67108864"));
    outcome.assert(137, "");
    run(engine, &tool("eat 20").with(Setting::Memory, "134217728")).assert(0, "ate 20\n");
}

fn less_memory(engine: &Engine) {
    let container = |line: &str| tool(line).with(Setting::Annotation, "dev.aiohost.max-memory=32MiB");
    run(engine, &container("eat 10")).assert(0, "ate 10\n");
    assert_eq!(run(engine, &container("eat 100")).status, Some(134));
}

fn output(engine: &Engine) {
    let outcome = run(engine, &tool("lines 1000"));
    let lines = |word: &str| (1..=1000).map(|number| format!("{word} {number}\n")).collect::<String>();
    assert_eq!((outcome.status, outcome.stdout, outcome.stderr), (Some(0), lines("line"), lines("error")));
}

fn user(engine: &Engine) {
    let dir = data();
    run(engine, &tool("write /data/new text").with_mount(&dir, "/data", "rw").with(Setting::User, "1234:1235")).assert(0, "");
    let status = fs::metadata(dir.path().join("new")).expect("it is there");
    assert_eq!((status.uid(), status.gid()), (1234, 1235));
}

fn of_other_name() -> Container {
    Container { image: images::name("other-name"), entrypoint: "/app/tool", ..tool("hello") }
}

fn plugin_in_a_mount(engine: &Engine) {
    let dir = data();
    fs::copy(images::guest("container.wasm"), dir.path().join("own.wasm")).expect("a copy");
    // The mount is in the place of what the image has there.
    let mut container = of_other_name();
    container.mounts.push((dir.path().join("own.wasm"), "/app/tool".to_owned(), "ro"));
    run(engine, &container.with(Setting::Annotation, "dev.aiohost.plugin=true")).assert(0, "hello\n");
}

fn other_name(engine: &Engine) {
    run(engine, &of_other_name().with(Setting::Annotation, "dev.aiohost.plugin=true")).assert(0, "hello\n");
}

fn chosen_directories(engine: &Engine) {
    let (one, two) = (data(), data());
    let container = |line: &str, dirs: &str| {
        let both = tool(line).with_mount(&one, "/one", "rw").with_mount(&two, "/two", "rw");
        both.with(Setting::Annotation, &format!("dev.aiohost.dirs={dirs}"))
    };
    run(engine, &container("read /two/f", "/two")).assert(0, "of the host");
    assert_eq!(run(engine, &container("read /one/f", "/two")).status, Some(3));
    run(engine, &container("hello", "/proc")).assert_refused("/proc, which is not mounted");
    run(engine, &container("hello", "/")).assert_refused("which is not mounted");
}

fn read_only(engine: &Engine) {
    let dir = data();
    let container = tool("write /data/new text").with_mount(&dir, "/data", "rw");
    let outcome = run(engine, &container.with(Setting::Annotation, "dev.aiohost.read-only=true"));
    assert_eq!(outcome.status, Some(3), "{outcome:?}");
}

fn statistics(engine: &Engine) {
    let dir = data();
    let container = tool("read /data/f").with_mount(&dir, "/data", "rw");
    let outcome = run(engine, &container.with(Setting::Annotation, "dev.aiohost.stats=true"));
    outcome.assert(0, "of the host");
    assert!(outcome.stderr.contains("open-at"), "{outcome:?}");
}

fn unknown_annotation(engine: &Engine) {
    let outcome = run(engine, &tool("hello").with(Setting::Annotation, "dev.aiohost.timout=1s"));
    outcome.assert_refused("there is no annotation dev.aiohost.timout");
}

fn raised_limit(engine: &Engine) {
    let raised = tool("hello").with(Setting::Annotation, "dev.aiohost.max-open-files=2000");
    run(engine, &raised).assert_refused("dev.aiohost.max-open-files is 2000, and 1024 is the limit here");
}

fn not_allowed(engine: &Engine) {
    let outcome = run(engine, &tool("hello").with(Setting::Annotation, "dev.aiohost.allow=procfs"));
    outcome.assert_refused("asks for procfs, which is not allowed here");
}

fn of_image(engine: &Engine, image: &str) -> Outcome {
    run(engine, &Container { image: images::name(image), ..Container::default() })
}

fn no_plugin(engine: &Engine) {
    of_image(engine, "none").assert_refused("there is no /app/none.wasm in the container");
}

fn broken_plugin(engine: &Engine) {
    of_image(engine, "broken").assert_refused("cannot compile /broken.wasm of the container");
}

fn compiled_code(engine: &Engine) {
    of_image(engine, "code").assert_refused("/tool.cwasm is compiled code, which no container may bring along");
}

fn link_out(engine: &Engine) {
    let outcome = of_image(engine, "leading-out");
    outcome.assert_refused("there is no /out.wasm in the container");
    assert!(!outcome.stderr.contains("root:"), "{outcome:?}");
}

fn single_file(engine: &Engine) {
    let dir = data();
    let mut container = tool("hello");
    container.mounts.push((dir.path().join("f"), "/data/f".to_owned(), "ro"));
    run(engine, &container).assert_refused("/data/f is a single file");
}

/// A program in place of a plugin, which is there by way of a mount.
fn native() -> Container {
    let mut container = Container { image: images::name("native"), ..Container::default() };
    for folder in ["bin", "lib", "lib64"] {
        if let Ok(source) = fs::canonicalize(format!("/{folder}")) {
            container.mounts.push((source, format!("/{folder}"), "ro"));
        }
    }
    container
}

fn native_program(engine: &Engine) {
    run(engine, &native()).assert(0, "native\n");
}

fn native_program_refused(engine: &Engine) {
    let container = Container { runtime: Some(engine.refusing.clone()), ..native() };
    run(engine, &container).assert_refused("/bin/sh is no plugin, and nothing else is run here");
    let plugin = Container { runtime: Some(engine.refusing.clone()), ..tool("hello") };
    run(engine, &plugin).assert(0, "hello\n");
}

fn settings_limit(engine: &Engine) {
    let container = Container { runtime: Some(engine.refusing.clone()), ..tool("sleep") };
    run(engine, &container).assert(124, "ready\n");
    let raised = container.with(Setting::Annotation, "dev.aiohost.timeout=2s");
    run(engine, &raised).assert_refused("dev.aiohost.timeout is 2s, and 1s is the limit here");
}

fn hostile_image(engine: &Engine) {
    let dir = data();
    let mut container = tool("list /data").with_mount(&dir, "/data", "rw");
    container.image = images::name("hostile");
    container.entrypoint = "/tool.wasm";
    let outcome = run(engine, &container);
    outcome.assert(0, "[\"f\"]\n");
    assert_eq!(outcome.stderr, "", "nothing of it was looked at");
}

fn fifty_at_once(engine: &Engine) {
    let dir = data();
    thread::scope(|scope| {
        let runs: Vec<_> = (0..50)
            .map(|number| {
                let container = tool(&format!("write /data/{number} text")).with_mount(&dir, "/data", "rw");
                scope.spawn(move || run(engine, &container))
            })
            .collect();
        for outcome in runs {
            outcome.join().expect("it was run").assert(0, "");
        }
    });
    assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 51);
}

fn standard_input(engine: &Engine) {
    let dir = data();
    let input = fs::File::open(dir.path().join("f")).expect("a file");
    let container = tool("input").with(Setting::Interactive, "true");
    finished(engine.run(&new_name(), &container).stdin(input)).assert(0, "read \"of the host\"\n");
}

/// Starts a container that stays when it has ended.
fn detached(engine: &Engine, line: &str) -> String {
    let name = new_name();
    let words: Vec<_> = engine.run(&name, &tool(line)).get_args().map(ToOwned::to_owned).collect();
    let mut command = Command::new("timeout");
    command
        .current_dir(engine.dir.path())
        .args(words.into_iter().map(|word| if word == "--rm" { "--detach".into() } else { word }));
    finished(&mut command).assert_started();
    name
}

impl Outcome {
    fn assert_started(&self) {
        assert_eq!(self.status, Some(0), "{self:?}");
    }
}

fn podman(engine: &Engine, line: &str) -> Outcome {
    finished(engine.command().arg("--runtime").arg(&engine.runtime).args(line.split(' ')))
}

fn logs(engine: &Engine) {
    let name = detached(engine, "lines 3");
    podman(engine, &format!("wait {name}")).assert(0, "0\n");
    let outcome = podman(engine, &format!("logs {name}"));
    outcome.assert(0, "line 1\nline 2\nline 3\n");
    assert_eq!(outcome.stderr, "error 1\nerror 2\nerror 3\n");
}

fn stop(engine: &Engine) {
    let name = detached(engine, "sleep");
    // A signal that comes before there is somebody who takes it is lost.
    wait_until(|| podman(engine, &format!("logs {name}")).stdout == "ready\n");
    podman(engine, &format!("stop --time 20 {name}")).assert_started();
    podman(engine, &format!("inspect --format {{{{.State.ExitCode}}}} {name}")).assert(0, "143\n");
}

fn again(engine: &Engine) {
    let name = detached(engine, "lines 1");
    podman(engine, &format!("wait {name}")).assert(0, "0\n");
    podman(engine, &format!("start --attach {name}")).assert(0, "line 1\n");
    podman(engine, &format!("rm {name}")).assert_started();
}

fn tmpfs(engine: &Engine) {
    let container = tool("write /scratch/new text").with(Setting::Tmpfs, "/scratch");
    run(engine, &container).assert(0, "");
}

/// With the seccomp profile that podman has for all.
fn no_capability(engine: &Engine) {
    let dir = data();
    let container = tool("write /data/new text").with_mount(&dir, "/data", "rw").with(Setting::DropCapability, "all");
    run(engine, &container.with(Setting::User, "1234")).assert(0, "");
    assert!(dir.path().join("new").exists());
}

fn user_namespace(engine: &Engine) {
    let can_have_one = Command::new("unshare").args(["--user", "true"]).status();
    if !can_have_one.is_ok_and(|status| status.success()) {
        println!("skipped: there are no user namespaces here");
        return;
    }
    let dir = data();
    let container = tool("write /data/new text").with_mount(&dir, "/data", "rw").with(Setting::Users, "0:100000:1000");
    run(engine, &container.with(Setting::Groups, "0:200000:1000")).assert(0, "");
    let status = fs::metadata(dir.path().join("new")).expect("it is there");
    assert_eq!((status.uid(), status.gid()), (100_000, 200_000));
}

fn greedy_image(engine: &Engine) {
    let outcome = of_image(engine, "greedy");
    assert!(outcome.status != Some(0) && outcome.stderr.contains("dev.aiohost."), "{outcome:?}");
}
