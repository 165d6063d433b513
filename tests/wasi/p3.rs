//! Components of WASI 0.3: their files are aiohost's, whatever version they ask for, and do what those of `wasmtime-wasi` do.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, WasiCtx};

use crate::comparison::{Comparison, DONE, seeds, steps};
use crate::fuse::{Answer, Fuse, Op};
use crate::guests::probe;
use crate::p2::Data;
use crate::plans::{OUTPUT_BYTES, Way, block_on, new_dir, said_here};

/// Steps of a plan, unless the environment says otherwise.
const STEPS: u64 = 3000;

/// Plans that are carried out in each way, unless the environment says which.
const PLANS: u64 = 12;

/// Every way.
const WAYS: [Way; 3] = [Way::Command("openat2"), Way::Command("portable"), Way::Embedded];

/// The guest that `tests/guests/build.sh` builds.
fn guest() -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("guests/wasi3.wasm");
    assert!(path.exists(), "the guests are not built: run tests/guests/build.sh first");
    path
}

fn command(options: &[&str], dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aiohost"));
    command.args(["run"]).args(options).arg("--dir").arg(format!("{}::.", dir.display()));
    command
}

fn run(options: &[&str], dir: &Path, arguments: &[&str]) -> Output {
    command(options, dir).arg(guest()).args(arguments).output().expect("the host can be started")
}

/// What a check says that has to succeed.
fn check(options: &[&str], dir: &Path, arguments: &[&str]) -> String {
    let output = run(options, dir, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("a program says text")
}

#[test]
fn every_version_of_wasi_0_3_leads_to_aiohosts_own_files() {
    for version in ["0.3.0", "0.3.1", "0.3.2", "0.3.9"] {
        let dir = new_dir();
        let probe_file = dir.path().join("probe.wat");
        fs::write(&probe_file, probe(version, "async")).expect("a directory of our own");
        let output = command(&["--stats"], dir.path()).arg(&probe_file).output().expect("the host can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("is-same-object"), "{version}: {output:?}");
    }
}

#[test]
fn a_component_with_run_of_both_versions_is_run_by_wasi_0_3() {
    assert_eq!(check(&[], new_dir().path(), &[]), "run of WASI 0.3\n");
}

#[test]
fn a_component_has_aiohosts_own_files_by_both_versions() {
    let dir = new_dir();
    let output = run(&["--stats"], dir.path(), &["both"]);
    assert!(output.status.success(), "{output:?}");
    // Two files are opened by 0.2, and one by 0.3.
    assert_eq!(count(&output, "open-at"), 3, "{output:?}");
    assert_eq!(count(&output, "write-via-stream"), 2, "{output:?}");
    assert_eq!(fs::read(dir.path().join("both")).expect("it was written"), b"by WASI 0.3");
}

/// How many requests of a name there were, as `--stats` tells.
fn count(output: &Output, request: &str) -> u64 {
    let stats = String::from_utf8_lossy(&output.stderr);
    let line = stats.lines().find(|line| line.split_whitespace().next() == Some(request)).unwrap_or_default();
    line.split_whitespace().nth(1).unwrap_or("0").parse().expect("a number")
}

/// Calls that come to something else here than there, on purpose: the function, our error, and theirs.
const OTHER_ERRORS: &[(&str, &str, &str)] = &[
    // A directory is brought to the device, and has times, like anything else.
    ("set-times", DONE, "BadDescriptor"),
    ("sync", DONE, "BadDescriptor"),
    ("sync-data", DONE, "BadDescriptor"),
    // As in Linux, what is wrong with the old name is told first.
    ("link-at", "NoEntry", "NotDirectory"),
    ("link-at", "NoEntry", "Loop"),
    ("link-at", "NoEntry", "NotPermitted"),
    ("rename-at", "NoEntry", "NotDirectory"),
    // What contradicts itself is told before anything is looked up.
    ("open-at", "Invalid", "NotDirectory"),
    ("open-at", "Loop", "IsDirectory"),
    // A link to the name of a file with a slash after it.
    ("open-at", "NotDirectory", "IsDirectory"),
    ("set-size", "BadDescriptor", "Invalid"),
];

/// Functions that take a slash at the end of a path for nothing there.
const SLASHES: [&str; 3] = ["stat-at", "set-times-at", "metadata-hash-at"];

fn said_there(dir: &Path, arguments: &[String]) -> String {
    let engine = Engine::default();
    let component = Component::from_file(&engine, guest()).expect("a valid component");
    let mut linker: Linker<Data> = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("nothing else is there");
    wasmtime_wasi::p3::add_to_linker(&mut linker).expect("nothing else is there");
    let said = MemoryOutputPipe::new(OUTPUT_BYTES);
    let mut wasi = WasiCtx::builder();
    wasi.arg("wasi3").args(arguments).stdout(said.clone());
    wasi.preopened_dir(dir, ".", FsPerms::ReadWrite).expect("the directory is there");
    let mut store = Store::new(&engine, Data { wasi: wasi.build(), table: ResourceTable::new() });
    block_on(async {
        let instance = linker.instantiate_async(&mut store, &component).await.expect("all imports are there");
        let interface = component.get_export_index(None, "wasi:cli/run@0.3.2").expect("it is a command");
        let run = component.get_export_index(Some(&interface), "run").expect("it is a command");
        let run = instance.get_typed_func::<(), (Result<(), ()>,)>(&mut store, run).expect("it has the type of run");
        run.call_async(&mut store, ()).await.expect("it does not trap").0.expect("it ends well");
    });
    drop(store);
    String::from_utf8(said.contents().to_vec()).expect("a program says text")
}

fn same_in_every_plan(way: Way) {
    let steps = steps(STEPS);
    let mut comparison = Comparison::new(OTHER_ERRORS, &SLASHES);
    for seed in seeds(PLANS) {
        let (here, there) = (new_dir(), new_dir());
        let arguments = ["plan".to_owned(), seed.to_string(), steps.to_string()];
        let plan = format!("AIOHOST_PLAN_SEED={seed} AIOHOST_PLAN_STEPS={steps} {way:?}");
        let (ours, theirs) = (said_here(way, &guest(), here.path(), &arguments), said_there(there.path(), &arguments));
        comparison.add(&ours, &theirs, &plan);
        comparison.add_trees(here.path(), there.path(), &plan);
    }
    comparison.assert_same(way);
}

#[test]
fn a_plan_of_wasi_0_3_comes_to_the_same_by_the_command() {
    same_in_every_plan(Way::Command("openat2"));
}

#[test]
fn a_plan_of_wasi_0_3_comes_to_the_same_with_the_portable_resolver() {
    same_in_every_plan(Way::Command("portable"));
}

#[test]
fn a_plan_of_wasi_0_3_comes_to_the_same_in_another_program() {
    same_in_every_plan(Way::Embedded);
}

#[test]
fn streams_of_a_file_are_what_the_file_is() {
    for way in WAYS {
        for name in ["streams", "pipe", "in-flight"] {
            said_here(way, &guest(), new_dir().path(), &[name.to_owned()]);
        }
    }
}

#[test]
fn a_stream_that_was_dropped_kept_what_it_had() {
    // A place, a descriptor or a call that is not given back is missing soon.
    let limits = ["--max-in-flight", "2", "--max-open-files", "3"];
    check(&limits, new_dir().path(), &["given-up"]);
    let Some(fuse) = Fuse::mount() else { return };
    // Here every step is a worker's.
    check(&limits, fuse.path(), &["given-up"]);
    for name in ["streams", "pipe"] {
        check(&limits, fuse.path(), &[name]);
    }
    // What they would read is twice what a guest may hold.
    fuse.put("data", &[7; 2 << 20]);
    check(&[], fuse.path(), &["begins", "data", "2000"]);
}

#[test]
fn more_calls_than_may_be_under_way_wait() {
    for limit in ["1", "4"] {
        check(&["--max-in-flight", limit], new_dir().path(), &["in-flight"]);
    }
}

#[test]
fn a_guest_has_as_many_descriptors_as_the_limit_says() {
    // One is the file's that is written first, until it is closed.
    let said = check(&["--max-open-files", "10"], new_dir().path(), &["open", "100"]);
    assert_eq!(said, "10 InsufficientMemory\nInsufficientMemory\n");
}

#[test]
fn a_listing_gives_every_name_once_and_names_that_are_no_text_too() {
    const FILES: usize = 1500;
    for way in WAYS {
        let dir = new_dir();
        for number in 0..FILES {
            File::create(dir.path().join(format!("file-{number}"))).expect("a directory of our own");
        }
        fs::write(dir.path().join(OsStr::from_bytes(b"\xff\xfe.txt")), "seven b").expect("a directory of our own");
        assert_eq!(said_here(way, &guest(), dir.path(), &["listing".to_owned(), FILES.to_string()]), "1\n7\n", "{way:?}");
        assert_eq!(fs::read_dir(dir.path()).expect("it is there").count(), 0);
    }
}

#[test]
fn objects_that_are_no_files_are_told_of_and_not_opened() {
    for way in WAYS {
        let dir = new_dir();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("dir")).expect("a directory of our own");
        fs::write(path("file"), "content").expect("a directory of our own");
        fs::hard_link(path("file"), path("linked")).expect("a directory of our own");
        symlink("file", path("link")).expect("a directory of our own");
        symlink("/etc/passwd", path("out")).expect("a directory of our own");
        rustix::fs::mkfifoat(rustix::fs::CWD, path("fifo"), rustix::fs::Mode::RWXU).expect("a directory of our own");
        let socket = std::os::unix::net::UnixListener::bind(path("socket"));
        // Its status was changed now, whenever its content was.
        let file = File::options().write(true).open(path("file")).expect("it is there");
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 30)).expect("it is ours");
        let mut expected = String::from("dir: directory directory 0 opened false\n");
        expected += "fifo: fifo fifo 1 Unsupported false\n";
        expected += "file: file file 2 opened true\n";
        expected += "link: link link 1 opened false\n";
        expected += "linked: file file 2 opened true\n";
        expected += "out: link link 1 NotPermitted false\n";
        if socket.is_ok() {
            expected += "socket: other other 1 Unsupported false\n";
        }
        assert_eq!(said_here(way, &guest(), dir.path(), &["objects".to_owned()]), expected, "{way:?}");
    }
}

#[test]
fn a_directory_for_reading_only_is_only_read() {
    let dir = new_dir();
    fs::write(dir.path().join("file"), "content").expect("a directory of our own");
    let mut command = Command::new(env!("CARGO_BIN_EXE_aiohost"));
    command.args(["run", "--ro-dir"]).arg(dir.path()).arg(guest()).arg("read-only");
    let output = command.output().expect("the host can be started");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "content\nDescriptorFlags(READ)\n");
}

/// How long a run may take that is to end after 300 ms: far less than what it waits for, and more than a busy machine takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn ends_by_its_timeout(dir: &Path, arguments: &[&str]) {
    let start = Instant::now();
    let output = run(&["--timeout", "300ms"], dir, arguments);
    assert_eq!(output.status.code(), Some(124), "{arguments:?}: {output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "waits\n", "{arguments:?}: {output:?}");
    assert!(start.elapsed() < PATIENCE, "{arguments:?} took {:?}", start.elapsed());
}

#[test]
fn a_stream_that_waits_holds_no_timeout_up() {
    let dir = new_dir();
    ends_by_its_timeout(dir.path(), &["hangs"]);
    assert_eq!(fs::read(dir.path().join("hangs")).expect("it was made"), b"before");
    let Some(fuse) = Fuse::mount() else { return };
    fuse.put("slow", &[7; 1000]);
    fuse.answer(Op::Read, Answer::Never);
    ends_by_its_timeout(fuse.path(), &["reads", "slow"]);
}

#[test]
fn a_read_that_is_given_up_is_not_waited_for() {
    let Some(fuse) = Fuse::mount() else { return };
    fuse.put("slow", &[7; 1000]);
    fuse.answer(Op::Read, Answer::Never);
    let mut command = command(&["--max-in-flight", "8"], fuse.path());
    command.arg(guest()).args(["begins", "slow", "100"]).stdout(std::process::Stdio::piped());
    let child = command.spawn().expect("the host can be started");
    // It says so when all are given up, while the first is not answered; what is left is waited for at its end.
    let output = read_line_then(child, || fuse.answer(Op::Read, Answer::AtOnce));
    assert_eq!(output, ("begun\n".to_owned(), Some(0)));
}

/// Waits for a line of a program, does something, and waits for its end.
fn read_line_then(mut child: std::process::Child, then: impl FnOnce()) -> (String, Option<i32>) {
    use std::io::{BufRead as _, BufReader};
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("it has a pipe")).read_line(&mut line).expect("it can be read");
    then();
    (line, child.wait().expect("it is a child of ours").code())
}

#[test]
fn an_embedder_has_the_files_of_wasmtime_wasi_as_before() {
    let dir: TempDir = new_dir();
    fs::write(dir.path().join("a"), "content").expect("a directory of our own");
    let said = said_there(dir.path(), &["plan".to_owned(), "1".to_owned(), "10".to_owned()]);
    assert!(said.contains(&format!(" = {DONE}")) && said.ends_with("end of plan\n"), "{said}");
}
