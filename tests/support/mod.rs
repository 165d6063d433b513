//! What the suites that run guests share: the guests, the command line, and the directories that it grants.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

mod program;
mod tree;

pub(crate) use tree::{SECRET, Tree};

/// How long a guest may run before it counts as hung. Far more than any needs: the suites run beside each other on slow
/// machines.
const HUNG_AFTER: Duration = Duration::from_secs(300);

/// A guest of `tests/guests`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guest {
    /// A WASI 0.2 command: the faces `blocking` and `submit`.
    Sync,
    /// A WASI 0.3 command: every face.
    Async,
    /// A command that knows only WASI preview 1.
    #[allow(dead_code, reason = "not every suite runs it")]
    Preview1,
    /// One that knows only WASI 0.2.
    #[allow(dead_code, reason = "not every suite runs it")]
    Wasi2,
    /// One of WASI 0.3 that knows nothing of aiohost.
    #[allow(dead_code, reason = "not every suite runs it")]
    Wasi3,
}

impl Guest {
    /// Whether it could be built here, which is said if it could not.
    #[allow(dead_code, reason = "not every suite runs it")]
    pub(crate) fn is_there(self) -> bool {
        let is_there = self != Self::Preview1 || self.built().exists();
        if !is_there {
            println!("skipped: there is no guest of WASI preview 1: no compiler for it was there when the guests were built");
        }
        is_there
    }

    /// Where `tests/guests/build.sh` puts it.
    pub(crate) fn path(self) -> PathBuf {
        let path = self.built();
        assert!(path.exists(), "the guests are not built: run tests/guests/build.sh first");
        path
    }

    fn built(self) -> PathBuf {
        // Cargo gives the tests a directory `tmp` in the target directory.
        Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("guests").join(match self {
            Self::Sync => "requests-sync.wasm",
            Self::Async => "requests-async.wasm",
            Self::Preview1 => "preview1.wasm",
            Self::Wasi2 => "wasi2.wasm",
            Self::Wasi3 => "wasi3.wasm",
        })
    }
}

/// Every face, and a guest that has it.
pub(crate) const FACES: [(Guest, &str); 3] = [(Guest::Sync, "blocking"), (Guest::Sync, "submit"), (Guest::Async, "requests")];

/// How paths are resolved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolver {
    /// What the host is told.
    pub(crate) option: &'static str,
    /// Whether `openat2(2)` is there, as it is not on old kernels and under some system call filters.
    pub(crate) openat2: bool,
}

/// The kernel does it.
pub(crate) const OPENAT2: Resolver = Resolver { option: "openat2", openat2: true };

/// cap-std does it. It uses `openat2` itself where it can, and here it cannot.
pub(crate) const PORTABLE: Resolver = Resolver { option: "portable", openat2: false };

/// Runs a guest and waits for it.
pub(crate) fn run(options: &[OsString], resolver: Resolver, guest: Guest, arguments: &[impl AsRef<OsStr>]) -> Output {
    run_by(Command::new("env"), options, resolver, guest, arguments)
}

/// Runs a guest by a command that takes the host and its arguments as its own last ones, and becomes it.
pub(crate) fn run_by(
    mut command: Command,
    options: &[OsString],
    resolver: Resolver,
    guest: Guest,
    arguments: &[impl AsRef<OsStr>],
) -> Output {
    command.arg(program::aiohost());
    command.args(["run", "--resolver", resolver.option]).args(options).arg(guest.path()).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (sender, ended) = mpsc::channel();
    // What is forbidden is forbidden to a thread for ever, and to the processes that it starts.
    thread::spawn(move || {
        if !resolver.openat2 {
            forbid_openat2();
        }
        let child = command.spawn().expect("the host can be started");
        // Nobody listens any more if it hung.
        let _ = sender.send(Err(Pid::from_child(&child)));
        let _ = sender.send(Ok(child.wait_with_output().expect("the host has pipes")));
    });
    let pid = ended.recv().expect("the host can be started").expect_err("the first message is the process");
    match ended.recv_timeout(HUNG_AFTER) {
        Ok(output) => output.expect("the second message is the output"),
        Err(_) => {
            // It is still there: its end was not waited for.
            kill_process(pid, Signal::KILL).expect("it is a child of ours");
            panic!("the host hung, with {:?}", arguments.iter().map(AsRef::as_ref).collect::<Vec<_>>());
        }
    }
}

/// From here on `openat2` does not exist for this thread.
fn forbid_openat2() {
    const OPENAT2: i64 = 437;
    const ENOSYS: u32 = 38;
    let arch = std::env::consts::ARCH.try_into().expect("an architecture with system call filters");
    let rules = BTreeMap::from([(OPENAT2, Vec::new())]);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(ENOSYS), arch);
    let program: BpfProgram = filter.and_then(TryInto::try_into).expect("a filter of one rule is valid");
    seccompiler::apply_filter(&program).expect("anyone may give up system calls");
}

/// The standard output of a run that has to succeed; its failure shows what the guest said.
pub(crate) fn success(output: Output) -> Result<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if !output.status.success() {
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        return Err(format!("{}\n--- stdout\n{stdout}--- stderr\n{stderr}", output.status));
    }
    Ok(text(&output.stdout))
}
