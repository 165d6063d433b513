//! What the host's memory comes to with guests that take all they can get: no more than the guest's own memory, what its requests
//! may hold, and 64 MiB.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;

/// Of the guest's own memory, by the option.
const GUEST_MIB: u64 = 64;

/// What its requests may hold unless set otherwise.
const IN_FLIGHT_MIB: u64 = 256;

/// For everything else.
const REST_MIB: u64 = 64;

/// What guests of WASI 0.2 take, and those of WASI 0.3, whose calls can wait in any number.
const SYNC: [&str; 13] = [
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
];
const ASYNC: [&str; 2] = ["waiting-writes", "waiting-stores"];

fn main() {
    let mut arguments = Arguments::from_args();
    // Each takes hundreds of MiB.
    arguments.test_threads.get_or_insert(2);
    let sync = SYNC.map(|how| trial("requests-sync.wasm", how));
    let trials = sync.into_iter().chain(ASYNC.map(|how| trial("requests-async.wasm", how))).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial(guest: &'static str, how: &'static str) -> Trial {
    Trial::test(format!("{}::{how}", guest.trim_end_matches(".wasm")), move || take(guest, how))
}

fn guest(name: &str) -> PathBuf {
    // Cargo gives the tests a directory `tmp` in the target directory.
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("guests").join(name)
}

fn take(name: &str, how: &str) -> Result<(), Failed> {
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_aiohost"));
    command.args(["run", "--max-memory", &format!("{GUEST_MIB}MiB"), "--dir"]).arg(dir.path());
    command.arg("--").arg(guest(name)).args(["greedy", how]).stdin(Stdio::null()).process_group(0);
    let (status, peak) = run(&mut command)?;
    println!("{how}: {peak} MiB at the most, status {status}");
    // A guest may fail for what it is refused; that the host itself fails is another matter.
    if status != 0 {
        return Err(format!("{how}: the run ended with status {status}").into());
    }
    let max = GUEST_MIB + IN_FLIGHT_MIB + REST_MIB;
    if peak > max { Err(format!("{how}: {peak} MiB, and not {max}").into()) } else { Ok(()) }
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
