//! The archive that users get: `host/dist/build.sh` with the command that was built for the tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

#[path = "support/program.rs"]
mod program;

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

/// Makes an archive in a folder of its own, with the command of the tests, which goes without its debug information, as in a release.
fn archive(out: &Path) -> PathBuf {
    fs::create_dir_all(out).expect("a folder of our own");
    let command = out.join("command");
    said(Command::new("strip").arg("-o").arg(&command).arg(program::aiohost()));
    let command = command.to_str().expect("the path is UTF-8");
    PathBuf::from(said(&mut recipe(&["--unchecked", "--binary", command], out)).trim_end())
}

/// Reads a file of its directory and prints it.
const PLUGIN: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\40\00\00\00\10\00\00\00")
    (data (i32.const 32) "name")
    (func (export "_start")
        (drop (call $open (i32.const 3) (i32.const 0) (i32.const 32) (i32.const 4) (i32.const 0)
            (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16)))
        (drop (call $read (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 4)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))))"#;

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
    the_command_is_complete(&folder);
    let licences = fs::read_to_string(folder.join("licences/dependencies.txt")).expect("it is text");
    for part in ["* wasmtime ", "* cap-std ", "* clap_builder ", "Apache License"] {
        assert!(licences.contains(part), "{part}");
    }
    assert!(!licences.contains("* libtest-mimic "), "what only the tests need is not in the command");
}

/// The command of an archive, for a user who has nothing else of aiohost: it runs a plugin, and what is beside it is its own.
fn the_command_is_complete(folder: &Path) {
    let home = TempDir::new().expect("a temporary directory");
    fs::create_dir(home.path().join("data")).expect("a folder of our own");
    fs::write(home.path().join("data/name"), "from the archive").expect("a file of our own");
    fs::write(home.path().join("plugin.wat"), PLUGIN).expect("a file of our own");
    let command = || {
        let mut command = Command::new(folder.join("aiohost"));
        command.env_clear().env("HOME", home.path()).current_dir(home.path());
        command
    };
    for _ in 0..2 {
        assert_eq!(said(command().args(["run", "plugin.wat", "--dir", "data"])), "from the archive");
    }
    assert!(home.path().join(".cache/aiohost").is_dir(), "the compiled plugin is kept");
    let completions = fs::read_to_string(folder.join("completions/aiohost.bash")).expect("it is text");
    assert_eq!(completions, said(command().args(["completions", "bash"])));
    said(command().args(["man", "--out", "pages"]));
    let page = |folder: &Path| fs::read(folder.join("aiohost-run.1")).expect("it is there");
    assert!(page(&folder.join("man/man1")) == page(&home.path().join("pages")), "the pages are another command's");
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
    let output = recipe(&["--binary", program::aiohost()], out.path()).output().expect("it can be started");
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert_eq!(fs::read_dir(out.path()).expect("it is there").count(), 0, "an archive was made");
}
