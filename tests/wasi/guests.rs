//! Guests of this suite, built from their sources when they are first wanted.

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
    /// Go for WASI preview 1: a folder of its own.
    Go,
    /// Rust for WASI 0.2.
    Rust,
}

/// A program by the name of its source; none, with a printed reason, where its toolchain cannot be had.
pub(crate) fn program(name: &str, language: Language) -> Option<PathBuf> {
    static BUILDING: Mutex<()> = Mutex::new(());
    // A failed build has said what was wrong.
    let _one_at_a_time = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = build_folder("wasi");
    std::fs::create_dir_all(&folder).expect("the target directory can be written");
    let script = match language {
        Language::BareC | Language::C => "zig.sh",
        Language::Go => "go.sh",
        Language::Rust => "rust.sh",
    };
    let tool = match toolchain(script, &[]) {
        Ok(tool) => tool,
        Err(reason) => {
            println!("skipped: {name}: {reason}");
            return None;
        }
    };
    let built = folder.join(format!("{name}.wasm"));
    let mut command = command(&tool, &folder, &built, language);
    command.arg(root().join("tests/wasi/guests").join(match language {
        Language::BareC | Language::C => format!("{name}.c"),
        Language::Go => format!("{name}.go"),
        Language::Rust => format!("{name}.rs"),
    }));
    said(&mut command).unwrap_or_else(|failure| panic!("{failure}"));
    Some(built)
}

fn command(tool: &Path, folder: &Path, built: &Path, language: Language) -> Command {
    let mut command = Command::new(tool);
    let flags: &[&str] = match language {
        Language::BareC => &["cc", "-target", "wasm32-freestanding", "-nostdlib", "-O2", "-Wl,--no-entry"],
        Language::C => &["cc", "-target", "wasm32-wasi", "-O2", "-s"],
        Language::Go => {
            command.env("GOOS", "wasip1").env("GOARCH", "wasm").env("GOFLAGS", "-mod=mod").env("GO111MODULE", "off");
            command.env("GOCACHE", folder.join("go-cache")).env("GOPATH", folder.join("go-path"));
            &["build", "-ldflags=-s -w"]
        }
        Language::Rust => &["--edition=2024", "--target=wasm32-wasip2", "-O"],
    };
    command.env("ZIG_GLOBAL_CACHE_DIR", folder.join("zig-cache")).env("ZIG_LOCAL_CACHE_DIR", folder.join("zig-cache"));
    command.args(flags).arg("-o").arg(built);
    command
}
