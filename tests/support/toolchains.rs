//! The toolchains of guests, as the scripts in `guest-examples/toolchains` give them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the crate lies in the repository")
}

/// The program that a script gives, or why there is none. Where it is missing, the script installs it.
pub(crate) fn toolchain(script: &str, arguments: &[&str]) -> Result<PathBuf, String> {
    let path = root().join("guest-examples/toolchains").join(script);
    if !path.exists() {
        return Err(format!("there is no guest-examples/toolchains/{script}"));
    }
    let output = Command::new(path).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{script} cannot be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("{script} failed: {}", String::from_utf8_lossy(&output.stderr).trim_end()));
    }
    let stdout = String::from_utf8_lossy(&output.stdout);
    stdout.lines().last().map(PathBuf::from).ok_or_else(|| format!("{script} says nothing"))
}

/// Where guests of tests are built, so that what they depend on is built once.
#[allow(dead_code, reason = "not every suite builds them itself")]
pub(crate) fn build_folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("guest-build").join(name)
}

/// What a command says that has to succeed.
pub(crate) fn said(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        Ok(stdout.into_owned())
    } else {
        Err(format!("{command:?}: {}\n{stdout}{stderr}", output.status))
    }
}
