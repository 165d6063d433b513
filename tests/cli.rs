//! The command line: every exit status, every error message, and what the commands print.
//!
//! The guests are written here, as text. The tests with real guests are in `requests.rs` and its neighbours.

#[path = "cli/arguments.rs"]
mod arguments;
#[path = "cli/bench.rs"]
mod bench;
#[path = "cli/code.rs"]
mod code;
#[path = "cli/compiling.rs"]
mod compiling;
#[path = "cli/componentize.rs"]
mod componentize;
#[path = "cli/core_modules.rs"]
mod core_modules;
#[path = "cli/ends.rs"]
mod ends;
#[path = "support/fuse.rs"]
mod fuse;
#[path = "cli/guests.rs"]
mod guests;
#[path = "support/image.rs"]
mod image;
#[path = "cli/installed.rs"]
mod installed;
#[path = "support/notes.rs"]
mod notes;
#[path = "cli/oci_layout.rs"]
mod oci_layout;
#[path = "cli/output_files.rs"]
mod output_files;
#[path = "support/program.rs"]
mod program;
#[path = "cli/readme.rs"]
mod readme;
#[path = "cli/refusals.rs"]
mod refusals;
#[path = "cli/runs.rs"]
mod runs;
#[path = "cli/streams.rs"]
mod streams;
#[path = "cli/texts.rs"]
mod texts;
#[path = "cli/trust.rs"]
mod trust;
#[path = "cli/wasmtime.rs"]
mod wasmtime;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// An empty directory to run the program in, and another one with a home and a code cache of its own.
struct Place {
    dir: TempDir,
    own: TempDir,
}

/// What came of a run of the program.
#[derive(Debug)]
struct Outcome {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Place {
    fn new() -> Self {
        let dir = || tempfile::tempdir().expect("a temporary directory");
        Self { dir: dir(), own: dir() }
    }

    /// The same with one file in it.
    fn with(name: &str, content: impl AsRef<[u8]>) -> Self {
        let place = Self::new();
        place.write(name, content);
        place
    }

    /// An empty one in memory, where that can be had: there nothing is brought to a disk, which can take long while others use it.
    fn in_memory() -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").ok();
        let place = Self::new();
        Self { dir: dir.unwrap_or(place.dir), own: place.own }
    }

    /// The same with its key and its cache, which the first run makes: to bring them to a disk that others use can take longer than
    /// the time that a run is given.
    fn warmed(self) -> Self {
        let plugin = self.own("hello.wat");
        fs::write(&plugin, guests::hello()).expect("a file of our own");
        finished(self.command("run").arg(plugin)).assert_output(0, "hello\n");
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where the program keeps what is its own: `home`, `cache/code` and `state/cache.key`.
    fn own(&self, name: &str) -> PathBuf {
        self.own.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("a file of our own");
    }

    fn make_dir(&self, name: &str) {
        fs::create_dir(self.path(name)).expect("a directory of our own");
    }

    /// The program with these arguments, which are separated by spaces.
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(program::aiohost());
        command.args(line.split_whitespace()).current_dir(self.dir.path());
        command.env("HOME", self.own("home")).env("AIOHOST_CACHE", self.own("cache")).env("AIOHOST_STATE", self.own("state"));
        for variable in ["AIOHOST_LOG", "COLUMNS", "RUST_BACKTRACE", "XDG_CACHE_HOME", "XDG_STATE_HOME"] {
            command.env_remove(variable);
        }
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Outcome {
        finished(&mut self.command(line))
    }
}

fn finished(command: &mut Command) -> Outcome {
    Outcome::from(command.output().expect("the program starts"))
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
        let stderr = notes::left_out(&text(output.stderr));
        Self { status: output.status.code(), stdout: text(output.stdout), stderr }
    }
}

impl Outcome {
    /// Checks the exit status and that something is on standard error.
    #[track_caller]
    fn assert(&self, status: i32, stderr: &str) {
        assert_eq!(self.status, Some(status), "{self:?}");
        assert_eq!(self.stderr, stderr, "stdout: {}", self.stdout);
    }

    /// Checks the exit status and what is on standard output; nothing may be on standard error.
    #[track_caller]
    fn assert_output(&self, status: i32, stdout: &str) {
        self.assert(status, "");
        assert_eq!(self.stdout, stdout);
    }
}
