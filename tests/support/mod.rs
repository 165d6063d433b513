//! What the suites that run guests share: the guests, the command line, and the directories that it grants.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

mod tree;

pub use tree::{SECRET, Tree};

/// How long a guest may run before it counts as hung. Far more than any needs: the suites run beside each other on slow
/// machines.
const HUNG_AFTER: Duration = Duration::from_secs(300);

/// A guest of `tests/guests`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guest {
    /// A WASI 0.2 command: the faces `blocking` and `submit`.
    Sync,
    /// A WASI 0.3 command: every face.
    Async,
}

impl Guest {
    /// Where `tests/guests/build.sh` puts it.
    pub fn path(self) -> PathBuf {
        // Cargo gives the tests a directory `tmp` in the target directory.
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("guests").join(match self {
            Self::Sync => "requests-sync.wasm",
            Self::Async => "requests-async.wasm",
        });
        assert!(path.exists(), "the guests are not built: run tests/guests/build.sh first");
        path
    }
}

/// Every face, and a guest that has it.
pub const FACES: [(Guest, &str); 3] = [(Guest::Sync, "blocking"), (Guest::Sync, "submit"), (Guest::Async, "requests")];

/// Runs a guest and waits for it.
pub fn run(options: &[OsString], guest: Guest, arguments: &[impl AsRef<OsStr>]) -> Output {
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_aiohost"));
    command.arg("run").args(options).arg(guest.path()).args(arguments);
    command.timeout(HUNG_AFTER).output().expect("the host can be started")
}

/// The standard output of a run that has to succeed; its failure shows what the guest said.
pub fn success(output: Output) -> Result<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if !output.status.success() {
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        return Err(format!("{}\n--- stdout\n{stdout}--- stderr\n{stderr}", output.status));
    }
    Ok(text(&output.stdout))
}
