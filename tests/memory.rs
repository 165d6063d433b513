//! What the host's memory comes to with guests that take all they can get: no more than the guest's own memory, what its requests
//! may hold, and 64 MiB.

use std::cmp::Reverse;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

use fuse::Fuse;

#[path = "support/fuse.rs"]
mod fuse;
#[path = "support/program.rs"]
mod program;

const MIB: u64 = 1 << 20;

/// Of the guest's own memory, by the option.
const GUEST_MIB: u64 = 64;

/// What its requests may hold unless set otherwise.
const IN_FLIGHT_MIB: u64 = 256;

/// For everything else.
const REST_MIB: u64 = 64;

const BOUND_MIB: u64 = GUEST_MIB + IN_FLIGHT_MIB + REST_MIB;

/// What guests of WASI 0.2 take, those of WASI 0.3, whose calls can wait in any number, and one of preview 1.
const SYNC: [&str; 17] = [
    "inline-reads",
    "reads",
    "extents",
    "listings",
    "paths",
    "walkers",
    "timers",
    "groups",
    "finished",
    "canceled",
    "locks",
    "files",
    "writes",
    "input-streams",
    "output-streams",
    "wasi-listings",
    "everything",
];
const ASYNC: [&str; 4] = ["waiting-writes", "waiting-stores", "waiting-renames", "read-streams"];
const PREVIEW1: &str = "preview1-everything";
const APPENDS: &str = "preview1-appends";
const STREAMS: &str = "streams";

/// Guests that hold next to nothing, however much they do: all that these make the host take is the rest. What is left behind by
/// each of their requests would still be far below what a guest may hold.
const MODEST: [&str; 8] = ["timers", "groups", "canceled", "locks", "files", "paths", "read-streams", "preview1-appends"];

/// For everything with a guest that has one request at a time: what is left of each of millions, if only its number, is more.
const STEADY_MIB: u64 = 32;

/// How much each of them made the host take, in MiB.
static PEAKS: Mutex<Vec<(u64, &str)>> = Mutex::new(Vec::new());

fn main() {
    let mut arguments = Arguments::from_args();
    // Each takes hundreds of MiB.
    arguments.test_threads.get_or_insert(2);
    let sync = SYNC.map(|how| trial("requests-sync.wasm", how));
    let asynchronous = ASYNC.map(|how| trial("requests-async.wasm", how));
    let preview1 = Trial::test(PREVIEW1, take_by_preview1);
    let appends = Trial::test(APPENDS, append_by_preview1);
    let streams = Trial::test(STREAMS, hold_streams);
    let trials = sync.into_iter().chain(asynchronous).chain([preview1, appends, streams]).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    print_peaks();
    conclusion.exit();
}

/// The worst ones first.
fn print_peaks() {
    let mut peaks = PEAKS.lock().unwrap_or_else(PoisonError::into_inner);
    peaks.sort_by_key(|(peak, _)| Reverse(*peak));
    println!("memory of the host at the most, of {BOUND_MIB} MiB:");
    for (peak, how) in peaks.iter() {
        println!("{peak:>5} MiB  {how}");
    }
}

fn trial(guest: &'static str, how: &'static str) -> Trial {
    Trial::test(format!("{}::{how}", guest.trim_end_matches(".wasm")), move || take(guest, how))
}

fn guest(name: &str) -> PathBuf {
    // Cargo gives the tests a directory `tmp` in the target directory.
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("guests").join(name)
}

fn dir() -> Result<TempDir, Failed> {
    Ok(TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?)
}

/// A run with a directory.
fn command(dir: &Path) -> Command {
    let mut command = Command::new(program::aiohost());
    command.args(["run", "--max-memory", &format!("{GUEST_MIB}MiB"), "--allow", "busy", "--dir"]).arg(dir).arg("--");
    command.stdin(Stdio::null()).process_group(0);
    command
}

/// Has a guest compiled and kept, so that it is not the compiler's memory that is measured. It is told nothing and granted nothing,
/// and ends at once, with whatever status.
fn compile(guest: &Path) -> Result<(), Failed> {
    let mut command = Command::new(program::aiohost());
    command.args(["run", "--timeout", "20s"]).arg(guest).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status()?;
    Ok(())
}

fn take(name: &str, how: &'static str) -> Result<(), Failed> {
    let (dir, guest) = (dir()?, guest(name));
    compile(&guest)?;
    let mut command = command(dir.path());
    command.arg(guest).args(["greedy", how]);
    check(how, &mut command)
}

/// Streams that have given one byte each, of a file that only workers read.
fn hold_streams() -> Result<(), Failed> {
    let Some(fuse) = Fuse::mount() else { return Ok(()) };
    fuse.put("data", &vec![7; 10 << 20]);
    let guest = guest("wasi3.wasm");
    compile(&guest)?;
    check(STREAMS, command(fuse.path()).arg(guest).args(["holds", "data"]))
}

fn check(how: &'static str, command: &mut Command) -> Result<(), Failed> {
    let (status, peak) = run(command)?;
    PEAKS.lock().unwrap_or_else(PoisonError::into_inner).push((peak, how));
    // A guest may fail for what it is refused; that the host itself fails is another matter.
    if status != 0 {
        return Err(format!("{how}: the run ended with status {status}").into());
    }
    let bound = match how {
        "finished" => STEADY_MIB,
        how if MODEST.contains(&how) => REST_MIB,
        _ => BOUND_MIB,
    };
    if peak > bound { Err(format!("{how}: {peak} MiB, and not {bound}").into()) } else { Ok(()) }
}

/// What a core module of preview 1 takes: as many listings as there may be files, of a directory with many names; then all of its
/// memory for random bytes, for things to wait for, and for one write to a file and one read of it.
const TAKES_BY_PREVIEW1: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_readdir" (func $list (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pwrite" (func $write (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pread" (func $read (param i32 i32 i32 i64 i32) (result i32)))
    (memory (export "memory") 1000)
    (data (i32.const 16) ".data")
    (func $check (param i32) (if (local.get 0) (then unreachable)))
    (func (export "_start") (local $count i32)
        (loop $again
            (call $check (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 2)
                (i64.const 16384) (i64.const 16384) (i32.const 0) (i32.const 0)))
            (call $check (call $list (i32.load (i32.const 0)) (i32.const 64) (i32.const 100) (i64.const 0) (i32.const 4)))
            (local.set $count (i32.add (local.get $count) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $count) (i32.const 500))))
        (call $check (call $open (i32.const 3) (i32.const 0) (i32.const 17) (i32.const 4) (i32.const 1)
            (i64.const 70) (i64.const 70) (i32.const 0) (i32.const 0)))
        (call $check (call $random (i32.const 65536) (i32.const 62000000)))
        ;; One piece: nearly all of the memory.
        (i32.store (i32.const 32) (i32.const 65536))
        (i32.store (i32.const 36) (i32.const 62000000))
        (call $check (call $write (i32.load (i32.const 0)) (i32.const 32) (i32.const 1) (i64.const 0) (i32.const 4)))
        (call $check (call $read (i32.load (i32.const 0)) (i32.const 32) (i32.const 1) (i64.const 0) (i32.const 4)))
        (memory.fill (i32.const 65536) (i32.const 0) (i32.const 1000000))
        (local.set $count (i32.const 0))
        (loop $again
            (call $check (call $poll (i32.const 65536) (i32.const 2000000) (i32.const 4096) (i32.const 4)))
            (local.set $count (i32.add (local.get $count) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $count) (i32.const 20))))))"#;

fn take_by_preview1() -> Result<(), Failed> {
    let dir = dir()?;
    let plugins = self::dir()?;
    for number in 0..3000 {
        std::fs::write(dir.path().join(number.to_string()), "")?;
    }
    let guest = plugins.path().join("guest.wat");
    std::fs::write(&guest, TAKES_BY_PREVIEW1)?;
    compile(&guest)?;
    let mut command = command(dir.path());
    command.arg(guest);
    check(PREVIEW1, &mut command)
}

/// A core module of preview 1 that appends 63 pieces to a file in one call, all of which are the same 4 MiB of its memory.
const APPENDS_BY_PREVIEW1: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 80)
    (data (i32.const 16) "data")
    (func $check (param i32) (if (local.get 0) (then unreachable)))
    (func (export "_start") (local $at i32)
        (call $check (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 4) (i32.const 1)
            (i64.const 64) (i64.const 64) (i32.const 1) (i32.const 0)))
        (local.set $at (i32.const 1024))
        (loop $again
            (i32.store (local.get $at) (i32.const 65536))
            (i32.store offset=4 (local.get $at) (i32.const 4194304))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br_if $again (i32.lt_u (local.get $at) (i32.const 1528))))
        (call $check (call $write (i32.load (i32.const 0)) (i32.const 1024) (i32.const 63) (i32.const 4)))))"#;

fn append_by_preview1() -> Result<(), Failed> {
    let (dir, plugins) = (dir()?, dir()?);
    let guest = plugins.path().join("guest.wat");
    std::fs::write(&guest, APPENDS_BY_PREVIEW1)?;
    compile(&guest)?;
    let mut command = command(dir.path());
    command.arg(guest);
    check(APPENDS, &mut command)
}

/// Runs a command; gives its status, and the most memory that it had, in MiB.
fn run(command: &mut Command) -> std::io::Result<(i32, u64)> {
    let child = command.spawn()?;
    let pid = i32::try_from(child.id()).expect("a process has a small number");
    // SAFETY: both are plain numbers, for which zeroes are valid, and the call writes to nothing else.
    let (mut status, mut usage) = (0, unsafe { std::mem::zeroed::<libc::rusage>() });
    // SAFETY: the process is a child of ours that nobody else waits for.
    if unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) } != pid {
        return Err(std::io::Error::last_os_error());
    }
    let kibibytes = u64::try_from(usage.ru_maxrss).expect("there is no negative memory");
    Ok((libc::WEXITSTATUS(status), (kibibytes << 10) / MIB))
}
