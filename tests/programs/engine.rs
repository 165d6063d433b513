//! Who runs the programs.

use std::cell::Cell;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

#[path = "../support/program.rs"]
mod program;

/// A command that runs programs of WASI, with options of `wasmtime run`.
pub(crate) struct Engine {
    command: Vec<OsString>,
    worked: Cell<Duration>,
}

/// How a program has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// What it said, if it ended well.
    pub(crate) fn well(self) -> String {
        assert!(self.status.success() && self.stderr.is_empty(), "{}: {}{}", self.status, self.stdout, self.stderr);
        self.stdout
    }
}

impl Engine {
    /// On a busy machine a large program takes its time to compile.
    pub(crate) fn aiohost() -> Self {
        Self::new([program::aiohost(), "run", "--quiet", "--max-compile-time", "20m"].map(OsString::from).to_vec())
    }

    pub(crate) fn new(command: Vec<OsString>) -> Self {
        Self { command, worked: Cell::default() }
    }

    /// A run of a program in a directory. Its arguments come behind.
    pub(crate) fn command(&self, dir: &Path, options: &[&str], program: &Path) -> Command {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).args(options).arg(program).current_dir(dir);
        command
    }

    /// Runs it with what it reads.
    pub(crate) fn run(&self, command: &mut Command, input: impl AsRef<[u8]>) -> Ended {
        let mut stdin = tempfile::tempfile().expect("there is room for a temporary file");
        let rewound = stdin.write_all(input.as_ref()).and_then(|()| File::rewind(&mut stdin));
        rewound.expect("there is room for what a program reads");
        let before = time_of_children();
        let output = command.stdin(stdin).output().expect("the engine can be started");
        self.worked.set(self.worked.get() + (time_of_children() - before));
        let text = |bytes| String::from_utf8(bytes).expect("programs say text");
        Ended { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// The processor time that its runs have taken, where nothing else of this process has run at the same time.
    #[allow(dead_code, reason = "the tests measure nothing")]
    pub(crate) fn worked(&self) -> Duration {
        self.worked.get()
    }
}

/// The processor time of all processes that this one has started and waited for.
fn time_of_children() -> Duration {
    // SAFETY: all of its fields are numbers.
    let mut usage = unsafe { std::mem::zeroed::<libc::rusage>() };
    // SAFETY: there is room for the answer.
    let failed = unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
    assert_eq!(failed, 0, "a process may ask that");
    let time = |time: libc::timeval| {
        Duration::new(
            time.tv_sec.try_into().expect("it is not negative"),
            u32::try_from(time.tv_usec * 1000).expect("it is less than a second"),
        )
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}
