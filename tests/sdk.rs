//! The examples of the crate for plugins in Rust, built for WASI and run by the host.
//!
//! Without a toolchain for Rust on WASI they are counted as ignored, and the reason is printed.

use std::fs;
use std::path::Path;
use std::process::Command;

use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

use toolchains::{build_folder, root, said, toolchain};

#[path = "support/program.rs"]
mod program;
#[path = "support/toolchains.rs"]
mod toolchains;

/// The name of a file, and what is in it.
type Left = (&'static str, &'static str);

/// Each example, what it prints, and the files that it leaves beside `one` and `two`.
const EXAMPLES: [(&str, &str, &[Left]); 13] = [
    (
        "files",
        "[\"final\"] has \"one\\ntwo\\n\"\nthe last line is \"stopped\\n\"\nErrorCode::Exist, errno 17\n",
        &[("notes/final", "one\ntwo\n"), ("notes/log", "started\nstopped\n")],
    ),
    ("directories", "the copy has \"hello\\n\"\n5 names were removed\n", &[]),
    ("attributes", "one: 5 bytes, mode 640, of 1704067200\ntwo: 100 bytes, mode 600, of 1704067200\n", &[("one", "first")]),
    ("ranges", "the last piece is \"west \"\n3145733 bytes are shared or copied\nsyncfs: Err(PermissionDenied)\n", &[]),
    (
        "names",
        "\"old edition\\n\" was replaced\nhome index one start two\n\"edition\\n\"\nno pipe: Some(ErrorCode::NotPermitted)\n",
        &[("site/start", "new edition\n"), ("site/one", "first line\nx\n"), ("site/two", "zwei\n")],
    ),
    (
        "trees",
        "8 names were copied\n[\"below/\", \"below/root\", \"leaf\"]\n4 names were removed\n",
        &[("second/below/root", "brown")],
    ),
    ("locks", "1 request waits\nthe first line is locked\n", &[]),
    (
        "deadlines",
        "100 done, 1 failed\nbusy: Err(PermissionDenied)\nof a request: ErrorCode::TimedOut, errno 110\n\
         of a group: ErrorCode::TimedOut, errno 110\ntaken back: ErrorCode::Canceled, errno 125\n",
        &[],
    ),
    ("overview", "2 lines, 18 bytes\n2 done, 1 failed\n", &[]),
    ("in_flight", "2 files, 18 bytes\n", &[]),
    ("futures", "first line zwei\n2 files, 18 bytes\n", &[]),
    ("groups", "2 done, 1 failed\n100 11\n", &[("copy", "in one step")]),
    ("streams", "13 bytes\n", &[("copy", "first line\nx\n")]),
];

fn main() {
    let arguments = Arguments::from_args();
    // It is installed and built for the tests, and not for a list of them.
    let rustc = (!arguments.list).then(|| toolchain("rust.sh", &[]));
    let (is_ignored, broken) = match rustc {
        Some(Ok(rustc)) => (false, build(&rustc).err()),
        Some(Err(reason)) => {
            eprintln!("the examples are not tested: {reason}");
            (true, None)
        }
        None => (false, None),
    };
    let trial = |(name, printed, left): (&'static str, &'static str, &'static [Left])| {
        let broken = broken.clone();
        let test = move || match broken {
            Some(reason) => Err(Failed::from(reason)),
            None => runs(name, printed, left),
        };
        Trial::test(name, test).with_ignored_flag(is_ignored)
    };
    libtest_mimic::run(&arguments, EXAMPLES.into_iter().map(trial).collect()).exit();
}

/// Builds all of them; those for WASI 0.2 without the feature that one for WASI 0.3 needs.
fn build(rustc: &Path) -> Result<(), String> {
    for features in ["", "async"] {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release", "--locked", "--target", "wasm32-wasip2", "--features", features, "--examples"]);
        cargo.arg("--target-dir").arg(build_folder(&format!("sdk-{features}")));
        cargo.current_dir(root().join("guest-examples/rust-sdk")).env("RUSTC", rustc);
        for name in ["CARGO_TARGET_DIR", "CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS"] {
            cargo.env_remove(name);
        }
        said(&mut cargo)?;
    }
    Ok(())
}

fn runs(name: &str, printed: &str, left: &[Left]) -> Result<(), Failed> {
    let dir = TempDir::new()?;
    fs::write(dir.path().join("one"), "first line\nx\n")?;
    fs::write(dir.path().join("two"), "zwei\n")?;
    let folder = build_folder(if name == "streams" { "sdk-async" } else { "sdk-" });
    let plugin = folder.join("wasm32-wasip2/release/examples").join(format!("{name}.wasm"));
    let mut command = Command::new(program::aiohost());
    let output = said(command.arg("run").arg(plugin).arg("--dir").arg(dir.path()))?;
    if output != printed {
        return Err(format!("it has printed\n{output}").into());
    }
    for (file, content) in left {
        let found = fs::read_to_string(dir.path().join(file))?;
        if found != *content {
            return Err(format!("{file} holds {found:?}").into());
        }
    }
    Ok(())
}
