//! The guest examples on 20,000 files, checked by `sha256sum`; and the embedding example.
//!
//! A guest whose toolchain `guest-examples/build.sh` could not have is shown and counted as ignored.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use libtest_mimic::{Arguments, Trial};

use many::{FILES, FOLDERS, tree};

#[path = "support/many.rs"]
mod many;

/// The guests, as `guest-examples/build.sh` names them.
const LANGUAGES: [&str; 8] = ["rust", "rust-async", "c", "cpp", "zig", "go", "python", "javascript"];

fn main() {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = LANGUAGES.into_iter().map(of_language).collect();
    trials.push(Trial::test("embed", || {
        embed();
        Ok(())
    }));
    libtest_mimic::run(&arguments, trials).exit();
}

fn of_language(language: &'static str) -> Trial {
    let skipped = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name(format!("guests/manifest-{language}.skipped"));
    let why = fs::read_to_string(skipped).ok();
    if let Some(why) = &why {
        eprintln!("{language} is skipped: {}", why.trim_end());
    }
    let trial = Trial::test(language, move || {
        manifest(language);
        Ok(())
    });
    trial.with_ignored_flag(why.is_some())
}

/// A file in the target directory. Cargo gives the tests a directory `tmp` in it.
fn target(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name(path);
    assert!(path.exists(), "{} is missing: run guest-examples/build.sh, or for an example `cargo build`", path.display());
    path
}

fn text(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// Runs a command that has to succeed.
fn succeeds(command: &mut Command) -> String {
    let output = command.output().expect("the command can be started");
    assert!(output.status.success(), "{command:?}: {}", text(&output));
    text(&output)
}

/// What `sha256sum` accepts, and that it is about every file.
fn assert_manifest(dir: &Path) {
    succeeds(Command::new("sha256sum").args(["--check", "--strict", "--quiet", "MANIFEST.sha256"]).current_dir(dir));
    let manifest = fs::read_to_string(dir.join("MANIFEST.sha256")).expect("the guest has written it");
    assert_eq!(manifest.lines().count(), FOLDERS * FILES);
}

fn manifest(guest: &str) {
    let dir = tree();
    let guest = target(&format!("guests/manifest-{guest}.wasm"));
    let said = succeeds(Command::new(env!("CARGO_BIN_EXE_aiohost")).arg("run").arg(guest).arg("--dir").arg(dir.path()));
    assert!(said.contains("20000 files"), "{said}");
    assert_manifest(dir.path());
}

fn embed() {
    let dir = tree();
    let said =
        succeeds(Command::new(target("release/examples/embed")).arg(target("guests/manifest-rust.wasm")).arg(dir.path()));
    assert!(said.contains("20000 files") && said.contains("scandir: 201 done, 0 failed"), "{said}");
    assert_manifest(dir.path());
}
