//! Components of WASI 0.3: their files are aiohost's, whatever version they ask for, and do what those of `wasmtime-wasi` do.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use aiohost::{Counters, RequestLimits};
use tempfile::TempDir;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, WasiCtx};

use crate::comparison::{DONE, Plans};
use crate::fuse::{Answer, Fuse, Op};
use crate::guests::{prebuilt, probe};
use crate::held::{Embedded, run_out_of_time};
use crate::p2::{self, Data};
use crate::plans::{OUTPUT_BYTES, Way, block_on, new_dir, said_here};

/// In three ways, more than 100,000 steps.
const PLANS: Plans = Plans { said_there, ..p2::PLANS };

/// Every way.
const WAYS: [Way; 3] = [Way::Command("openat2"), Way::Command("portable"), Way::Embedded];

fn guest() -> PathBuf {
    prebuilt("wasi3.wasm")
}

pub(crate) fn command(options: &[&str], dir: &Path) -> Command {
    let mut command = Command::new(crate::program::aiohost());
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
    assert_eq!(count(&output, "open-at", 1), 3, "{output:?}");
    assert_eq!(count(&output, "write-via-stream", 1), 2, "{output:?}");
    assert_eq!(fs::read(dir.path().join("both")).expect("it was written"), b"by WASI 0.3");
}

/// What `--stats` tells of the requests of a name: in the first column how many there were, and in the second how many failed.
pub(crate) fn count(output: &Output, request: &str, column: usize) -> u64 {
    let stats = String::from_utf8_lossy(&output.stderr);
    let line = stats.lines().find(|line| line.split_whitespace().next() == Some(request)).unwrap_or_default();
    line.split_whitespace().nth(column).unwrap_or("0").parse().expect("a number")
}

pub(crate) fn said_there(guest: &Path, dir: &Path, arguments: &[String]) -> String {
    let engine = Engine::default();
    let component = Component::from_file(&engine, guest).expect("a valid component");
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

#[test]
fn a_plan_of_wasi_0_3_comes_to_the_same_by_the_command() {
    PLANS.assert_same(&guest(), Way::Command("openat2"));
}

#[test]
fn a_plan_of_wasi_0_3_comes_to_the_same_with_the_portable_resolver() {
    PLANS.assert_same(&guest(), Way::Command("portable"));
}

#[test]
fn a_plan_of_wasi_0_3_comes_to_the_same_in_another_program() {
    PLANS.assert_same(&guest(), Way::Embedded);
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

/// What the kernel is told of a file that is brought to the device with each write, and of one of which only the content is.
const O_SYNC: u32 = 0o4_010_000;
const O_DSYNC: u32 = 0o10_000;

#[test]
fn files_are_synchronous_where_they_were_opened_so() {
    let write = "DescriptorFlags(WRITE";
    let [data, file, requested] = ["DATA_INTEGRITY_SYNC", "FILE_INTEGRITY_SYNC", "REQUESTED_WRITE_SYNC"];
    let told = format!("{write})\n{write} | {data})\n{write} | {file})\n{write} | {requested})\n{write} | {file} | {data})\n");
    for way in WAYS {
        let Some(fuse) = Fuse::mount() else { return };
        assert_eq!(said_here(way, &guest(), fuse.path(), &["synced".to_owned()]), told, "{way:?}");
        let flags: Vec<u32> = fuse.flags().into_iter().map(|flags| flags & O_SYNC).collect();
        assert_eq!(flags, [0, O_DSYNC, O_SYNC, O_SYNC, O_SYNC], "{way:?}");
        // One for each write that was to be synchronous.
        assert_eq!(fuse.seen(Op::Fsync), 4, "{way:?}");
    }
}

#[test]
fn streams_hold_no_more_than_may_be_held() {
    const PIECE: usize = 256 << 10;
    let Some(fuse) = Fuse::mount() else { return };
    fuse.put("data", &[7; 4 * PIECE]);
    fuse.answer(Op::Read, Answer::Never);
    let limits = RequestLimits { bytes_in_flight_max: 3 * PIECE, ..RequestLimits::default() };
    let embedded = Embedded::new(fuse.path(), limits);
    let mut is_answered = false;
    embedded.run_until(&guest(), &["side-by-side", "data", "20"], |said| {
        if said.starts_with("begun") && fuse.seen(Op::Read) > 0 && !is_answered {
            let Counters { queued, running, .. } = embedded.host.counters();
            assert!((1..=3).contains(&(queued + running)), "{queued} wait for a worker, and {running} are on one");
            fuse.answer(Op::Read, Answer::AtOnce);
            is_answered = true;
        }
        false
    });
    assert_eq!(embedded.said(), format!("begun\n{} bytes\n", 4 * PIECE));
}

#[test]
fn calls_beyond_those_that_may_wait_were_all_kept() {
    let Some(fuse) = Fuse::mount() else { return };
    fuse.answer(Op::MkDir, Answer::Never);
    let embedded =
        Embedded::new(fuse.path(), RequestLimits { in_flight_max: 1, waiting_calls_max: 3, ..RequestLimits::default() });
    embedded.run_until(&guest(), &["calls", "10"], |said| {
        if said.starts_with("begun") {
            fuse.answer(Op::MkDir, Answer::AtOnce);
        }
        false
    });
    assert_eq!(embedded.said(), "begun\n4 made, 6 refused: InsufficientMemory\n");
}

#[test]
fn the_paths_of_calls_that_wait_were_on_no_books() {
    let Some(fuse) = Fuse::mount() else { return };
    fuse.answer_for("none", Op::Lookup, Answer::Never);
    let limits = RequestLimits { in_flight_max: 1, bytes_in_flight_max: 2 << 20, ..RequestLimits::default() };
    let embedded = Embedded::new(fuse.path(), limits);
    embedded.run_until(&guest(), &["long-calls", "2500"], |said| {
        if said.starts_with("begun") {
            fuse.answer_all();
        }
        false
    });
    // Of 4 KiB each, there is room for 500.
    let said = embedded.said();
    let refused = said.strip_prefix("begun\n").and_then(|rest| rest.strip_suffix(" refused: InsufficientMemory\n"));
    let refused: usize = refused.and_then(|refused| refused.parse().ok()).unwrap_or_else(|| panic!("{said}"));
    assert!((1_950..2_300).contains(&refused), "{refused} of 2,500 were refused");
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
fn a_directory_for_reading_only_is_only_read() {
    let dir = new_dir();
    fs::write(dir.path().join("file"), "content").expect("a directory of our own");
    let mut command = Command::new(crate::program::aiohost());
    command.args(["run", "--ro-dir"]).arg(dir.path()).arg(guest()).arg("read-only");
    let output = command.output().expect("the host can be started");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "content\nDescriptorFlags(READ)\n");
}

/// How much longer a run may take than it is given: far less than what it waits for, and more than a busy machine takes.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_stream_that_waits_holds_no_timeout_up() {
    let dir = new_dir();
    let (output, over) = run_out_of_time(dir.path(), &guest(), &["hangs"]);
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(124), &b"waits\n"[..]), "{output:?}");
    assert!(over < PATIENCE, "it took {over:?} too long");
    assert_eq!(fs::read(dir.path().join("hangs")).expect("it was made"), b"before");
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
    let said = said_there(&guest(), dir.path(), &["plan".to_owned(), "1".to_owned(), "10".to_owned()]);
    assert!(said.contains(&format!(" = {DONE}")) && said.ends_with("end of plan\n"), "{said}");
}
