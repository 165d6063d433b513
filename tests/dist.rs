//! The archive that users get: `host/dist/build.sh` with the command that was built for the tests.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn recipe(arguments: &[&str], out: &Path) -> Command {
    let mut command = Command::new(root().join("host/dist/build.sh"));
    command.args(arguments).arg("--out").arg(out).env("CARGO_NET_OFFLINE", "true");
    command
}

/// What a command prints that has to succeed.
fn said(command: &mut Command) -> String {
    let output = command.output().expect("it can be started");
    assert!(output.status.success(), "{command:?}: {}", text(&output));
    String::from_utf8(output.stdout).expect("it prints UTF-8")
}

fn text(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Makes an archive in a folder of its own. What is in it for the command calls the real one, which has all that finds faults in
/// it and takes long to compress.
fn archive(out: &Path) -> PathBuf {
    fs::create_dir_all(out).expect("a folder of our own");
    let command = out.join("command");
    fs::write(&command, format!("#!/bin/sh\nexec '{}' \"$@\"\n", env!("CARGO_BIN_EXE_aiohost"))).expect("a file of our own");
    fs::set_permissions(&command, fs::Permissions::from_mode(0o755)).expect("a file of our own");
    let command = command.to_str().expect("the path is UTF-8");
    PathBuf::from(said(&mut recipe(&["--unchecked", "--binary", command], out)).trim_end())
}

fn listed(folder: &Path, below: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder.join(below)).expect("it can be listed") {
        let entry = entry.expect("it can be listed");
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            listed(folder, &format!("{name}/"), found);
        } else {
            found.insert(name);
        }
    }
}

#[test]
fn an_archive_has_all_that_is_to_be_installed() {
    let out = TempDir::new().expect("a temporary directory");
    let archive = archive(out.path());
    let checksum = format!("{}.sha256", archive.file_name().expect("it is a file").to_string_lossy());
    said(Command::new("sha256sum").args(["--check", &checksum]).current_dir(out.path()));

    said(Command::new("tar").arg("-xzf").arg(&archive).current_dir(out.path()));
    let name = archive.file_name().expect("it is a file").to_string_lossy().replace(".tar.gz", "");
    assert!(name.starts_with(&format!("aiohost-{}-", env!("CARGO_PKG_VERSION"))) && name.ends_with("-unchecked"), "{name}");
    let folder = out.path().join(name);
    let mut found = BTreeSet::new();
    listed(&folder, "", &mut found);
    // It is not where every Rust has it.
    found.remove("licences/rust-standard-library.html");
    let expected = [
        "CHANGELOG.md",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "aiohost",
        "completions/_aiohost",
        "completions/_aiohost.ps1",
        "completions/aiohost.bash",
        "completions/aiohost.elv",
        "completions/aiohost.fish",
        "licences/dependencies.txt",
        "man/man1/aiohost-bench.1",
        "man/man1/aiohost-compile.1",
        "man/man1/aiohost-completions.1",
        "man/man1/aiohost-componentize.1",
        "man/man1/aiohost-inspect.1",
        "man/man1/aiohost-man.1",
        "man/man1/aiohost-new.1",
        "man/man1/aiohost-oci.1",
        "man/man1/aiohost-run.1",
        "man/man1/aiohost-wit.1",
        "man/man1/aiohost.1",
    ];
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    let version = said(Command::new(folder.join("aiohost")).arg("--version"));
    assert_eq!(version, format!("aiohost {}\n", env!("CARGO_PKG_VERSION")));
    let licences = fs::read_to_string(folder.join("licences/dependencies.txt")).expect("it is text");
    for part in ["* wasmtime ", "* cap-std ", "* clap_builder ", "Apache License"] {
        assert!(licences.contains(part), "{part}");
    }
    assert!(!licences.contains("* libtest-mimic "), "what only the tests need is not in the command");
}

#[test]
fn two_archives_of_one_command_are_equal() {
    let out = TempDir::new().expect("a temporary directory");
    let (one, other) = (archive(&out.path().join("one")), archive(&out.path().join("other")));
    assert!(fs::read(one).expect("it is there") == fs::read(other).expect("it is there"), "they differ");
}

#[test]
fn no_release_is_made_without_its_checks() {
    let out = TempDir::new().expect("a temporary directory");
    let place = TempDir::new().expect("a temporary directory");
    // A path without the tools of a release, wherever they are installed.
    for tool in ["bash", "dirname", "cargo", "rustc", "git", "python3", "tar", "gzip", "sha256sum"] {
        let found = said(Command::new("sh").args(["-c", "command -v \"$0\"", tool]));
        std::os::unix::fs::symlink(found.trim_end(), place.path().join(tool)).expect("a folder of our own");
    }
    let output = recipe(&[], out.path()).env("PATH", place.path()).output().expect("it can be started");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("no release without cargo-deny cargo-audit cargo-semver-checks"), "{}", text(&output));
    let output = recipe(&["--binary", env!("CARGO_BIN_EXE_aiohost")], out.path()).output().expect("it can be started");
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert_eq!(fs::read_dir(out.path()).expect("it is there").count(), 0, "an archive was made");
}
