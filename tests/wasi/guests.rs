//! Guests of this suite, built from their sources when they are first wanted.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::toolchains::{build_folder, root, said, toolchain};

/// How a program is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// C without a library.
    BareC,
    /// C for WASI preview 1.
    C,
    /// Go for WASI preview 1.
    Go,
    /// Go for this machine.
    NativeGo,
    /// Rust for WASI 0.2.
    Rust,
}

/// A guest that `tests/guests/build.sh` builds.
pub(crate) fn prebuilt(name: &str) -> PathBuf {
    // Cargo gives the tests a directory `tmp` in the target directory.
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("guests").join(name);
    assert!(path.exists(), "the guests are not built: run tests/guests/build.sh first");
    path
}

/// A version of WASI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Front {
    Preview1,
    Wasi2,
    Wasi3,
}

/// Every version, with a guest that knows nothing else and does the same in each. That of preview 1 is skipped, and said to be, where
/// its compiler could not be had.
pub(crate) fn fronts() -> Vec<(Front, PathBuf)> {
    let all = [(Front::Preview1, "preview1.wasm"), (Front::Wasi2, "wasi2.wasm"), (Front::Wasi3, "wasi3.wasm")];
    let is_there = |(front, name): &(Front, &str)| {
        let is_there = *front != Front::Preview1 || prebuilt("wasi2.wasm").with_file_name(name).exists();
        if !is_there {
            println!("skipped: there is no guest of WASI preview 1: no compiler for it was there when the guests were built");
        }
        is_there
    };
    all.into_iter().filter(is_there).map(|(front, name)| (front, prebuilt(name))).collect()
}

/// A program by the name of its source; none, with a printed reason, where its toolchain cannot be had.
pub(crate) fn program(name: &str, language: Language) -> Option<PathBuf> {
    built(name, language, &[]).inspect_err(|reason| println!("skipped: {name}: {reason}")).ok()
}

/// A program by the name of its source, or why its toolchain cannot be had. The compiler is told more where that is needed.
pub(crate) fn built(name: &str, language: Language, more: &[&OsStr]) -> Result<PathBuf, String> {
    static BUILDING: Mutex<()> = Mutex::new(());
    // A failed build has said what was wrong.
    let _one_at_a_time = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = build_folder("wasi");
    std::fs::create_dir_all(&folder).expect("the target directory can be written");
    let (script, extension) = match language {
        Language::BareC | Language::C => ("zig.sh", "c"),
        Language::Go | Language::NativeGo => ("go.sh", "go"),
        Language::Rust => ("rust.sh", "rs"),
    };
    let tool = toolchain(script, &[])?;
    let built = folder.join(if language == Language::NativeGo { name.to_owned() } else { format!("{name}.wasm") });
    let mut command = command(&tool, &folder, &built, language);
    command.args(more).arg(root().join(format!("tests/wasi/guests/{name}.{extension}")));
    said(&mut command).unwrap_or_else(|failure| panic!("{failure}"));
    Ok(built)
}

fn command(tool: &Path, folder: &Path, built: &Path, language: Language) -> Command {
    let mut command = Command::new(tool);
    let flags: &[&str] = match language {
        Language::BareC => &["cc", "-target", "wasm32-freestanding", "-nostdlib", "-O2", "-Wl,--no-entry"],
        Language::C => &["cc", "-target", "wasm32-wasi", "-O2", "-s"],
        Language::Go | Language::NativeGo => {
            if language == Language::Go {
                command.env("GOOS", "wasip1").env("GOARCH", "wasm");
            }
            command.env("GOFLAGS", "-mod=mod").env("GO111MODULE", "off");
            command.env("GOCACHE", folder.join("go-cache")).env("GOPATH", folder.join("go-path"));
            &["build", "-ldflags=-s -w"]
        }
        Language::Rust => &["--edition=2024", "--target=wasm32-wasip2", "-O"],
    };
    command.env("ZIG_GLOBAL_CACHE_DIR", folder.join("zig-cache")).env("ZIG_LOCAL_CACHE_DIR", folder.join("zig-cache"));
    command.args(flags).arg("-o").arg(built);
    command
}

/// A component that asks whether the first directory that it has is the same as itself, in words of a version of WASI. `is_async` is how
/// that version writes functions that may wait: `async`, or nothing.
pub(crate) fn probe(version: &str, is_async: &str) -> String {
    format!(
        r#"(component
        (import "wasi:filesystem/types@{version}" (instance $types
            (export "descriptor" (type $d (sub resource)))
            (export "[method]descriptor.is-same-object"
                (func {is_async} (param "self" (borrow $d)) (param "other" (borrow $d)) (result bool)))))
        (alias export $types "descriptor" (type $descriptor))
        (import "wasi:filesystem/preopens@{version}" (instance $preopens
            (export "descriptor" (type $d (eq $descriptor)))
            (export "get-directories" (func (result (list (tuple (own $d) string)))))))
        (core module $heap
            (memory (export "memory") 1)
            (global $next (mut i32) (i32.const 64))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (global.get $next)
                (global.set $next
                    (i32.and (i32.add (i32.add (global.get $next) (local.get 3)) (i32.const 7)) (i32.const -8)))))
        (core instance $heap (instantiate $heap))
        (core func $same (canon lower (func $types "[method]descriptor.is-same-object")))
        (core func $directories (canon lower (func $preopens "get-directories")
            (memory (core memory $heap "memory")) (realloc (core func $heap "realloc"))))
        (core module $code
            (import "host" "memory" (memory 1))
            (import "host" "same" (func $same (param i32 i32) (result i32)))
            (import "host" "directories" (func $directories (param i32)))
            (func (export "run") (result i32)
                (local $first i32)
                (call $directories (i32.const 0))
                (local.set $first (i32.load (i32.load (i32.const 0))))
                (i32.eqz (call $same (local.get $first) (local.get $first)))))
        (core instance $code (instantiate $code (with "host" (instance
            (export "memory" (memory $heap "memory"))
            (export "same" (func $same))
            (export "directories" (func $directories))))))
        (func $run {is_async} (result (result)) (canon lift (core func $code "run")))
        (instance $exports (export "run" (func $run)))
        (export "wasi:cli/run@{version}" (instance $exports)))"#
    )
}
