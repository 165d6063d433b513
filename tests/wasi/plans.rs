//! Random plans of calls of preview 1, carried out by aiohost and, in a twin of the directory, by `wasmtime-wasi`: each call comes
//! to the same, and in the end there is the same in both, but for what is listed here.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use aiohost::{Host, Resolver, Rights};
use tempfile::TempDir;
use wasmtime::{Config, Engine, Linker, Module, Store};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtx};

use crate::guests::{Language, program};

/// Steps of a plan, unless the environment says otherwise.
const STEPS: usize = 4000;

/// Plans that are carried out in each way, unless the environment says which.
const PLANS: u64 = 8;

/// What a plan may say at most.
pub(crate) const OUTPUT_BYTES: usize = 64 << 20;

/// Calls that come to something else here than there, on purpose: the function, our error number, and theirs.
const OTHER_ERRORS: &[(&str, u32, u32)] = &[
    // A directory is brought to the device, and has times, like anything else.
    ("fd_datasync", 0, BADF),
    ("fd_sync", 0, BADF),
    ("fd_filestat_set_times", 0, BADF),
    // What is to get no new time has to be there all the same.
    ("path_filestat_set_times", NOENT, 0),
    // As in Linux, what is wrong with the old name is told first.
    ("path_link", NOENT, NOTDIR),
    ("path_link", NOENT, LOOP),
    ("path_open", LOOP, ISDIR),
    ("path_rename", NOENT, NOTDIR),
    ("fd_filestat_set_size", BADF, INVAL),
];

const BADF: u32 = 8;
const INVAL: u32 = 28;
const ISDIR: u32 = 31;
const LOOP: u32 = 32;
const NOENT: u32 = 44;
const NOTDIR: u32 = 54;

/// Functions that take a slash at the end of a path for nothing there.
const SLASHES: [&str; 2] = ["path_filestat_get", "path_filestat_set_times"];

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

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
            let mut command = Command::new(env!("CARGO_BIN_EXE_aiohost"));
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
            assert_eq!(block_on(plugin.run(arguments)).expect("it ends well"), 0);
            String::from_utf8(said.contents().to_vec()).expect("a program says text")
        }
    }
}

fn said_there(guest: &Path, dir: &Path, arguments: &[String; 2]) -> String {
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

/// What is below a directory: each name with its kind and its content.
pub(crate) fn tree(dir: &Path) -> BTreeMap<String, String> {
    fn add(found: &mut BTreeMap<String, String>, dir: &Path, prefix: &str) {
        for entry in std::fs::read_dir(dir).expect("a directory of our own") {
            let entry = entry.expect("it can be read");
            let name = format!("{prefix}{}", entry.file_name().display());
            let kind = entry.file_type().expect("it has one");
            let content = if kind.is_dir() {
                add(found, &entry.path(), &format!("{name}/"));
                "a directory".to_owned()
            } else if kind.is_symlink() {
                format!("to {}", std::fs::read_link(entry.path()).expect("it is a link").display())
            } else {
                format!("{:?}", std::fs::read(entry.path()).expect("it is a file"))
            };
            found.insert(name, content);
        }
    }
    let mut found = BTreeMap::new();
    add(&mut found, dir, "");
    found
}

/// The error number that a step came to.
fn errno(line: &str) -> Option<u32> {
    line.split_once(" = ")?.1.split(' ').next()?.parse().ok()
}

/// What is called, with its arguments.
fn call(line: &str) -> &str {
    line.split(" = ").next().unwrap_or_default()
}

/// Whether a path in a call ends in a slash or in dots, or leads out of its directory: then several things are wrong at once, and
/// each host has its own order in which it looks at them. And what a slash comes after is a directory here, also where a symbolic
/// link is not followed.
fn names_no_object(call: &str) -> bool {
    let odd = |path: &str| path.is_empty() || path.starts_with('/') || path.contains("..") || path.ends_with(['/', '.']);
    call.split('\'').skip(1).step_by(2).any(odd)
}

/// How often each difference is on purpose, and what is not.
#[derive(Default)]
struct Comparison {
    same: usize,
    intended: usize,
    problems: BTreeMap<(String, Option<u32>, Option<u32>), String>,
}

impl Comparison {
    fn add(&mut self, ours: &str, theirs: &str, plan: &str) {
        let (ours, theirs): (Vec<&str>, Vec<&str>) = (ours.lines().collect(), theirs.lines().collect());
        for (number, (our, their)) in ours.iter().zip(&theirs).enumerate() {
            let function = our.split(' ').next().unwrap_or_default();
            let difference = (function.to_owned(), errno(our), errno(their));
            let is_listed =
                OTHER_ERRORS.iter().any(|(name, our, their)| difference == ((*name).to_owned(), Some(*our), Some(*their)));
            let have_failed = [errno(our), errno(their)].into_iter().all(|errno| errno.is_some_and(|errno| errno > 0));
            if our == their {
                self.same += 1;
            } else if call(our) == call(their)
                && (is_listed || names_no_object(our) && (have_failed || SLASHES.contains(&function)))
            {
                self.intended += 1;
            } else {
                let shown = format!("{plan}, step {number}:\n  ours:   {our}\n  theirs: {their}");
                self.problems.entry(difference).or_insert(shown);
                // From here on the two do different things.
                if call(our) != call(their) || errno(our) == Some(0) || errno(their) == Some(0) {
                    return;
                }
            }
        }
        if ours.len() != theirs.len() {
            self.problems.insert((String::new(), None, None), format!("{plan}: {} and {} steps", ours.len(), theirs.len()));
        }
    }
}

fn same_in_every_plan(way: Way) {
    let Some(guest) = program("plans", Language::BareC) else { return };
    let steps = number("AIOHOST_PLAN_STEPS").unwrap_or(STEPS as u64);
    let seeds = number("AIOHOST_PLAN_SEED").map_or_else(|| (1..=PLANS).collect(), |seed| vec![seed]);
    let mut comparison = Comparison::default();
    for seed in seeds {
        let (here, there) = (new_dir(), new_dir());
        let arguments = [seed.to_string(), steps.to_string()];
        let plan = format!("AIOHOST_PLAN_SEED={seed} AIOHOST_PLAN_STEPS={steps} {way:?}");
        let (ours, theirs) = (said_here(way, &guest, here.path(), &arguments), said_there(&guest, there.path(), &arguments));
        comparison.add(&ours, &theirs, &plan);
        if comparison.problems.is_empty() && tree(here.path()) != tree(there.path()) {
            comparison.problems.insert((String::new(), None, None), format!("{plan}: what is there in the end"));
        }
    }
    let Comparison { same, intended, problems } = comparison;
    println!("{way:?}: {same} steps came to the same, {intended} to something else on purpose");
    let problems: Vec<String> = problems.into_values().collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
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
fn a_plan_of_preview_1_comes_to_the_same_on_workers() {
    same_in_every_plan(Way::Embedded);
}
