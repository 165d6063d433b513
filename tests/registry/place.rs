//! A directory to run the program in, with a home and caches of its own, and without the user's credentials and proxies.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::notes;

#[path = "../support/program.rs"]
mod program;

/// Variables by which the user's own settings would count.
const FOREIGN: [&str; 19] = [
    "AIOHOST_LOG",
    "ALL_PROXY",
    "COLUMNS",
    "DOCKER_CONFIG",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "REGISTRY_AUTH_FILE",
    "RUST_BACKTRACE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

pub(crate) struct Place {
    dir: TempDir,
}

/// What came of a run of the program.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(dir.path().join("home")).expect("a directory of our own");
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a directory of our own");
        fs::write(path, content).expect("a file of our own");
    }

    /// The blobs that are kept.
    pub(crate) fn kept(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("cache/images")).into_iter().flatten().flatten().map(|entry| entry.path());
        entries.filter(|path| !path.ends_with("CACHEDIR.TAG")).collect()
    }

    /// The program with these arguments, which are separated by spaces.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(program::aiohost());
        command.args(line.split_whitespace()).current_dir(self.dir.path()).stdin(Stdio::null());
        for variable in FOREIGN {
            command.env_remove(variable);
        }
        let own = |name: &str| self.path(name);
        command.env("HOME", own("home")).env("AIOHOST_CACHE", own("cache")).env("AIOHOST_STATE", own("state"));
        command
    }

    pub(crate) fn run(&self, line: &str) -> Outcome {
        finished(&mut self.command(line))
    }
}

pub(crate) fn finished(command: &mut Command) -> Outcome {
    let output = command.output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
    let stderr = notes::left_out(&text(output.stderr));
    Outcome { status: output.status.code(), stdout: text(output.stdout), stderr }
}

impl Outcome {
    /// Checks that it ran and said nothing beside.
    #[track_caller]
    pub(crate) fn assert_output(&self, stdout: &str) {
        assert_eq!((self.status, self.stdout.as_str(), self.stderr.as_str()), (Some(0), stdout, ""), "{self:?}");
    }

    /// Checks that it failed with these words.
    #[track_caller]
    pub(crate) fn assert_error(&self, stderr: &str) {
        assert_eq!((self.stderr.as_str(), self.status, self.stdout.as_str()), (stderr, Some(1), ""), "{self:?}");
    }

    /// Checks that it failed without a warning, and that these words are among those that it said.
    #[track_caller]
    pub(crate) fn assert_fails_with(&self, words: &[&str]) {
        assert_eq!((self.status, self.stdout.as_str()), (Some(1), ""), "{self:?}");
        assert!(self.stderr.starts_with("error: "), "{self:?}");
        for words in words {
            assert!(self.stderr.contains(words), "{words}: {self:?}");
        }
    }
}
