//! `tests/compatibility.sh`, tried on repositories that have releases: it lets those guests pass that run, and no others.
//!
//! Two languages stand for all: the WIT of a guest in Rust is read when it is compiled, and that of one in Zig by the host.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::{env, fs};

use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

use toolchains::{root, said, toolchain};

#[path = "support/program.rs"]
mod program;
#[path = "support/toolchains.rs"]
mod toolchains;

type Outcome = Result<(), Failed>;

/// Releases that nobody makes. What is built of them stays, and is built anew where they have changed.
const THIS: &str = "v0.0.1-test";
const OTHER: &str = "v0.0.2-test";

fn main() {
    let arguments = Arguments::from_args();
    // Toolchains may have to be installed first: not for a list of the tests.
    let scripts: &[&str] = if arguments.list { &[] } else { &["rust.sh", "zig.sh"] };
    let missing = scripts.iter().find_map(|script| toolchain(script, &[]).err());
    if let Some(reason) = &missing {
        eprintln!("the guests of a release are not built: {reason}");
    }
    let trials = vec![
        Trial::test("without_a_release_nothing_is_said_to_run", nothing_is_released),
        Trial::test("guests_of_a_release_run_and_those_of_another_wit_do_not", guests_run).with_ignored_flag(missing.is_some()),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

/// A repository with what the guests are made of, as it is now.
fn repository() -> Result<TempDir, Failed> {
    let place = TempDir::new()?;
    fs::create_dir(place.path().join("tests"))?;
    for part in ["guest-examples", "wit", "tests/compatibility.sh"] {
        said(Command::new("cp").arg("-R").arg(root().join(part)).arg(place.path().join(part)))?;
    }
    git(place.path(), &["init", "--quiet"])?;
    Ok(place)
}

fn git(place: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut git = Command::new("git");
    git.current_dir(place).args(["-c", "user.name=test", "-c", "user.email=test@localhost"]).args(arguments);
    // What is set up on this machine, signatures for one, has no say.
    said(git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1"))
}

fn release(place: &Path, tag: &str) -> Result<(), String> {
    git(place, &["add", "--all", "--force"])?;
    git(place, &["commit", "--quiet", "--message", tag])?;
    git(place, &["tag", tag])?;
    Ok(())
}

fn compatibility(place: &Path) -> Result<Output, Failed> {
    let mut script = Command::new(place.join("tests/compatibility.sh"));
    script.args(["rust", "zig"]).env("AIOHOST", program::aiohost());
    // Where the other guests are built, with which it shares what they are made from.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("it is a folder of the target directory")?;
    script.env("CARGO_TARGET_DIR", target);
    Ok(script.stdin(Stdio::null()).output()?)
}

/// What the script has to print of the guests, in this order, with this status; and a text that is among its messages.
fn assert_says(output: &Output, status: i32, lines: &[String], message: &str) {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(stdout.lines().eq(lines) && output.status.code() == Some(status), "{}\n{stdout}{stderr}", output.status);
    assert!(stderr.contains(message), "{stderr}");
}

fn nothing_is_released() -> Outcome {
    assert_says(&compatibility(repository()?.path())?, 77, &[], "there is no release yet");
    Ok(())
}

fn guests_run() -> Outcome {
    let repository = repository()?;
    let place = repository.path();
    let of = |tag: &str, outcome: &str| ["rust", "zig"].map(|guest| format!("{tag} manifest-{guest}.wasm: {outcome}"));
    release(place, THIS)?;
    assert_says(&compatibility(place)?, 0, &of(THIS, "runs"), "");

    let version = fs::read_to_string(place.join("wit/world.wit"))?;
    let version = version.lines().find_map(|line| line.strip_prefix("package aiohost:aio@")).ok_or("it has a version")?;
    let version = version.trim_end_matches(';').replace('.', "\\.");
    let other = format!("s/\\(aiohost:aio[a-z/-]*\\)@{version}/\\1@9.9.9/g");
    let named = git(place, &["grep", "--name-only", "aiohost:aio", "--", "guest-examples", "wit"])?;
    said(Command::new("sed").current_dir(place).args(["-i", &other]).args(named.lines()))?;
    release(place, OTHER)?;
    let lines = [of(THIS, "runs"), of(OTHER, "does not run")].concat();
    let message = "manifest-zig.wasm imports `aiohost:aio/types@9.9.9`, which this host does not have";
    assert_says(&compatibility(place)?, 1, &lines, message);
    this_tree_has_its_own()
}

/// The next guest that is built of this tree is one of this tree, though it shares the folder with those of the releases.
fn this_tree_has_its_own() -> Outcome {
    let aiohost = program::aiohost();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("it is a folder of the target directory")?;
    let mut build = Command::new(root().join("guest-examples/build.sh"));
    said(build.arg("rust").env("AIOHOST", aiohost).env("CARGO_TARGET_DIR", target))?;
    let world = said(Command::new(aiohost).arg("inspect").arg(target.join("guests/manifest-rust.wasm")))?;
    assert!(world.contains("aiohost:aio") && !world.contains("9.9.9"), "{world}");
    Ok(())
}
