//! What `cargo package` makes of the two crates: it holds what is needed and no more, and builds from the file alone.
//!
//! The host is only checked, with dependencies that the lints of `tests/run.sh` have checked before: without these it takes some
//! minutes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use libtest_mimic::{Arguments, Failed, Trial};

use toolchains::{build_folder, root, said, toolchain};

#[path = "support/toolchains.rs"]
mod toolchains;

type Outcome = Result<(), Failed>;

fn main() {
    let arguments = Arguments::from_args();
    // It is installed for the test, and not for a list of them.
    let guest_rustc = if arguments.list { Ok(PathBuf::new()) } else { toolchain("rust.sh", &[]) };
    if let Err(reason) = &guest_rustc {
        eprintln!("the package aiohost-guest is not built: {reason}");
    }
    let is_skipped = guest_rustc.is_err();
    let trials = vec![
        Trial::test("aiohost_holds_what_is_needed", || holds("host", "host", "aiohost")),
        Trial::test("aiohost_guest_holds_what_is_needed", || {
            holds("guest-examples/rust-sdk", "aiohost-guest", "aiohost-guest")
        }),
        Trial::test("aiohost_builds_from_its_package_alone", host_builds),
        Trial::test("aiohost_guest_builds_from_its_package_alone", move || guest_builds(&guest_rustc?))
            .with_ignored_flag(is_skipped),
        Trial::test("the_oldest_rust_is_that_of_wasmtime", oldest_rust),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

/// Cargo in a folder of the repository, without the network and without what is set for this build.
fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(folder).env("CARGO_NET_OFFLINE", "true");
    for name in ["CARGO_TARGET_DIR", "CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        cargo.env_remove(name);
    }
    cargo
}

/// The crates as they are packaged, in a place of their own.
fn laid_out(name: &str) -> Result<PathBuf, Failed> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("layout-{name}"));
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    said(Command::new(root().join("host/dist/package.sh")).arg(&place))?;
    Ok(place)
}

/// Compares the files of a package with a snapshot, and those of its folder `src` with what is there. The repository may have
/// changes that are not committed.
fn holds(source: &str, folder: &str, name: &str) -> Outcome {
    let mut list = cargo(&laid_out(&format!("list-{name}"))?.join(folder));
    list.args(["package", "--list", "--allow-dirty", "--target-dir", env!("CARGO_TARGET_TMPDIR")]);
    let list = said(&mut list)?;
    let (sources, others): (BTreeSet<&str>, BTreeSet<&str>) = list.lines().partition(|line| line.starts_with("src/"));
    let mut there = Vec::new();
    files(&root().join(source).join("src"), "src", &mut there)?;
    let there: BTreeSet<&str> = there.iter().map(String::as_str).collect();
    if sources != there {
        let differ: Vec<_> = sources.symmetric_difference(&there).collect();
        return Err(format!("in `src` or in the package, and not in both: {differ:?}").into());
    }
    let mut others: String = others.into_iter().map(|line| format!("{line}\n")).collect();
    // It is there in a clone, and not in a copy of the files.
    others = others.replace(".cargo_vcs_info.json\n", "");
    let snapshot = root().join(format!("tests/snapshots/package-{name}.txt"));
    if env::var_os("UPDATE").is_some() {
        fs::write(&snapshot, &others)?;
    }
    let expected = fs::read_to_string(&snapshot).unwrap_or_default();
    if others != expected {
        return Err(format!("{}: UPDATE=1 writes it anew\n{others}", snapshot.display()).into());
    }
    Ok(())
}

fn files(folder: &Path, name: &str, found: &mut Vec<String>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            files(&entry.path(), &name, found)?;
        } else {
            found.push(name);
        }
    }
    Ok(())
}

/// Makes a package and unpacks it, as the folder `name` of a place of its own; which is always the same, so that what is built
/// there replaces what was built there before.
fn unpacked(folder: &str, package: &str, name: &str) -> Result<PathBuf, Failed> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("package-{package}"));
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::create_dir_all(&place)?;
    let crate_folder = laid_out(package)?.join(folder);
    // All that is needed may be there already; if not, this alone may ask the network.
    let host = host_triple();
    let mut fetch = cargo(&crate_folder);
    fetch
        .args(["fetch", "--locked", "--quiet", "--target", "wasm32-wasip2", "--target", &host])
        .env_remove("CARGO_NET_OFFLINE");
    said(&mut fetch)?;
    let mut make = cargo(&crate_folder);
    make.args(["package", "--no-verify", "--allow-dirty", "--target-dir"]).arg(&place);
    said(&mut make)?;
    let file = place.join(format!("package/{package}-{}.crate", env!("CARGO_PKG_VERSION")));
    said(Command::new("tar").arg("-xzf").arg(file).arg("-C").arg(&place))?;
    fs::rename(place.join(format!("{package}-{}", env!("CARGO_PKG_VERSION"))), place.join(name))?;
    Ok(place)
}

fn host_triple() -> String {
    format!("{}-unknown-linux-gnu", env::consts::ARCH)
}

/// In a workspace like this one, so that its dependencies are the ones that were built already. It has another folder there: cargo
/// would take it for the crate of the repository, and what was built of one for that of the other.
fn host_builds() -> Outcome {
    let place = unpacked("host", "aiohost", "aiohost")?;
    let workspace = fs::read_to_string(root().join("Cargo.toml"))?;
    let members = "members = [\"host\"]";
    if !workspace.contains(members) {
        return Err(format!("the workspace has no line `{members}`").into());
    }
    fs::write(place.join("Cargo.toml"), workspace.replace(members, "members = [\"aiohost\"]"))?;
    fs::copy(root().join("Cargo.lock"), place.join("Cargo.lock"))?;
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("the target directory has a folder for tests")?;
    // As it is used, and with its examples and all that docs.rs shows: at once, since then what it needs was built already.
    for what in [&[][..], &["--examples", "--all-features"]] {
        let mut check = cargo(&place);
        said(check.args(["check", "--release", "--locked", "--quiet"]).args(what).arg("--target-dir").arg(target))?;
    }
    Ok(())
}

/// With the profile that the crate has in its own folder, so that what it needs was built already.
fn guest_builds(rustc: &Path) -> Outcome {
    const WORKSPACE: &str =
        "[workspace]\nmembers = [\"crate\"]\nresolver = \"3\"\n\n[profile.release]\npanic = \"abort\"\nstrip = true\n";
    let place = unpacked("aiohost-guest", "aiohost-guest", "crate")?;
    fs::write(place.join("Cargo.toml"), WORKSPACE)?;
    fs::rename(place.join("crate/Cargo.lock"), place.join("Cargo.lock"))?;
    for features in ["", "async"] {
        let mut build = cargo(&place.join("crate"));
        build.args(["build", "--release", "--locked", "--quiet", "--target", "wasm32-wasip2", "--features", features]);
        build.arg("--target-dir").arg(build_folder(&format!("sdk-{features}"))).env("RUSTC", rustc);
        said(&mut build)?;
    }
    Ok(())
}

/// Wasmtime decides which Rust this crate needs.
fn oldest_rust() -> Outcome {
    // Without what other systems need, which may never have been loaded.
    let mut metadata = cargo(&root());
    metadata.args(["metadata", "--format-version", "1", "--locked", "--filter-platform", &host_triple()]);
    let metadata = said(&mut metadata)?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().ok_or("the metadata has packages")?;
    let of = |name: &str| {
        let package = packages.iter().find(|package| package["name"] == name);
        let version = package.and_then(|package| package["rust_version"].as_str()).unwrap_or_default();
        version.splitn(3, '.').take(2).collect::<Vec<_>>().join(".")
    };
    if of("aiohost") != of("wasmtime") {
        return Err(format!("aiohost says Rust {}, and wasmtime {}", of("aiohost"), of("wasmtime")).into());
    }
    let readme = fs::read_to_string(root().join("README.md"))?;
    if !readme.contains(&format!("Rust {} or later", of("aiohost"))) {
        return Err(format!("the README does not say `Rust {} or later`", of("aiohost")).into());
    }
    Ok(())
}
