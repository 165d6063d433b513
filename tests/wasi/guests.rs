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
