//! The commands in the README: every line is run, with a stand-in for what takes long and is run elsewhere.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use crate::{Place, finished, guests, program};

/// What the stand-in for cargo takes, and what it makes of it.
const CARGO: &str = r#"#!/bin/sh
case "$*" in
  "build --release" | "install --path host --locked" | "bench --bench requests" | "run --release --example embed") ;;
  "build --release --target wasm32-wasip2") mkdir -p target/wasm32-wasip2/release
    cp "$PLUGIN" target/wasm32-wasip2/release/my-plugin.wasm ;;
  *) echo "no such line was expected: cargo $*" >&2; exit 1 ;;
esac
"#;

/// Scripts of the repository that take long. Others run them.
const SCRIPTS: [&str; 4] = ["guest-examples/demo.sh", "guest-examples/build.sh", "host/dist/build.sh", "tests/run.sh"];

/// A plugin without bindings, as Go or Zig make one.
const CORE: &str = r#"(module
  (import "aiohost:aio/submit@0.1.0" "nop" (func $nop (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (drop (call $nop))))"#;

const ADD: &str = r#"(module
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The text between lines that open and close a block of this language.
fn blocks(readme: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        if line == format!("```{language}") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            found.push(block.join("\n"));
        }
    }
    found
}

fn executable(place: &Place, name: &str, content: &str) {
    let path = place.path(name);
    fs::create_dir_all(path.parent().expect("it has a folder")).expect("a folder of our own");
    fs::write(&path, content).expect("a file of our own");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a file of our own");
}

fn wasm(text: impl AsRef<str>) -> Vec<u8> {
    wat::parse_str(text).expect("a valid guest")
}

/// A directory in which every line of the README finds what it speaks of; and the plugin that the templates make.
fn place() -> Place {
    let place = Place::new();
    executable(&place, "bin/cargo", CARGO);
    symlink(program::aiohost(), place.path("bin/aiohost")).expect("a folder of our own");
    for script in SCRIPTS {
        let mode = fs::metadata(root().join(script)).expect("the script is there").permissions().mode();
        assert!(mode & 0o111 != 0, "{script} cannot be run");
        executable(&place, script, "#!/bin/sh\n");
    }
    for folder in ["data", "songs", "target/release", "target/guests", "home/Music"] {
        fs::create_dir_all(place.path(folder)).expect("a folder of our own");
    }
    symlink(program::aiohost(), place.path("target/release/aiohost")).expect("a folder of our own");
    place.write("home/Music/song", "la la la\n");
    place.write("plugin.wasm", wasm(guests::hello()));
    place.write("calc.wasm", wasm(ADD));
    place.write("core.wasm", wasm(CORE));
    // Writes the list of files that the next line checks.
    let manifest = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("guests/manifest-rust.wasm");
    if manifest.exists() {
        fs::copy(manifest, place.path("target/guests/manifest-rust.wasm")).expect("a folder of our own");
    }
    archive(&place);
    place
}

/// What `host/dist/build.sh` makes, as far as the README speaks of it.
fn archive(place: &Place) {
    let name = format!("aiohost-{}-x86_64-unknown-linux-musl", env!("CARGO_PKG_VERSION"));
    executable(place, &format!("{name}/aiohost"), "#!/bin/sh\n");
    executable(place, &format!("{name}/completions/aiohost.bash"), "");
    place.run(&format!("man --out {name}/man/man1")).assert(0, "");
    let pack = format!("tar -czf {name}.tar.gz {name} && sha256sum {name}.tar.gz > {name}.tar.gz.sha256 && rm -r {name}");
    let mut shell = Command::new("sh");
    finished(shell.args(["-c", &pack]).current_dir(place.path(""))).assert_output(0, "");
}

#[test]
fn the_commands_of_the_readme_run() {
    let readme = fs::read_to_string(root().join("README.md")).expect("there is a README");
    let blocks = blocks(&readme, "sh");
    assert!(blocks.len() >= 6, "only {} blocks of commands were found", blocks.len());
    for block in blocks {
        let place = place();
        if block.contains("manifest-rust.wasm") && !place.path("target/guests/manifest-rust.wasm").exists() {
            eprintln!("skipped: guest-examples/build.sh has not made manifest-rust.wasm");
            continue;
        }
        let mut shell = Command::new("bash");
        shell.args(["--norc", "--noprofile", "-euc", &block]).current_dir(place.path("")).stdin(Stdio::null());
        shell.env("HOME", place.path("home")).env("PLUGIN", place.path("plugin.wasm"));
        shell.env("AIOHOST_CACHE", place.own("cache")).env("AIOHOST_STATE", place.own("state"));
        let path = env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(place.path("bin")).chain(env::split_paths(&path));
        shell.env("PATH", env::join_paths(path).expect("the path of this process"));
        let outcome = finished(&mut shell);
        assert_eq!(outcome.status, Some(0), "{block}\n{outcome:?}");
    }
}

/// The lines of code in a text, without comments and indentation.
fn code(text: &str) -> Vec<&str> {
    let lines = text.lines().map(|line| line.trim_start().trim_start_matches("//! ").trim_start());
    let lines = lines.map(|line| line.split(" // ").next().unwrap_or(line).trim_end());
    lines.filter(|line| !line.is_empty() && !line.starts_with("//")).collect()
}

/// Each is part of a program that the tests compile, most of which they run.
#[test]
fn the_code_of_the_readme_is_compiled_elsewhere() {
    let mut programs = vec![root().join("host/src/lib.rs")];
    for folder in ["host/examples", "guest-examples/rust-sdk/examples"] {
        for entry in fs::read_dir(root().join(folder)).expect("the folder is there") {
            let path = entry.expect("it can be listed").path();
            programs.push(if path.is_dir() { path.join("main.rs") } else { path });
        }
    }
    let programs: Vec<String> = programs.iter().map(|path| fs::read_to_string(path).expect("a source file is text")).collect();
    let readme = fs::read_to_string(root().join("README.md")).expect("there is a README");
    let blocks = blocks(&readme, "rust");
    assert!(blocks.len() >= 3, "only {} blocks of code were found", blocks.len());
    for block in blocks {
        let is_there = programs.iter().any(|program| {
            let mut lines = code(program).into_iter();
            code(&block).into_iter().all(|line| lines.any(|other| other == line))
        });
        assert!(is_there, "no example has these lines in this order:\n{block}");
    }
}
