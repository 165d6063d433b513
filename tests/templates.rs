//! `aiohost new` for every language: the project is made, built and run with the very commands of its README.
//!
//! A language whose toolchain is missing is counted as ignored, and the reason is printed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

use toolchains::{build_folder, root, said, toolchain};

#[path = "support/program.rs"]
mod program;
#[path = "support/toolchains.rs"]
mod toolchains;

/// What is in the environment of a build, by name.
type Variables = Vec<(&'static str, PathBuf)>;

const LANGUAGES: [&str; 8] = ["rust", "rust-async", "c", "cpp", "zig", "python", "javascript", "go"];

/// What the plugin of every language prints of the directory that `sample` makes.
const LISTING: &str = "    100000  a.bin\n         5  b.txt\n         -  sub/\n3 entries, 100005 bytes\n";

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = vec![Trial::test("every_file_of_a_template_is_in_its_project", every_file_is_there)];
    for language in LANGUAGES {
        // Toolchains may have to be installed first: not for a list of the tests, and not for those that are filtered out.
        let is_wanted = !arguments.list && arguments.filter.as_deref().is_none_or(|filter| language.contains(filter));
        let missing = if is_wanted { variables(language).err() } else { None };
        if let Some(reason) = &missing {
            eprintln!("{language} is not tested: {reason}");
        }
        trials.push(Trial::test(language, move || builds_and_runs(language)).with_ignored_flag(missing.is_some()));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// The tools that a language needs, by the variables that its build looks at; or why there are none.
fn variables(language: &str) -> Result<Variables, String> {
    let mut variables = vec![("AIOHOST", PathBuf::from(program::aiohost()))];
    let script = |name: &str| toolchain(name, &[]);
    match language {
        "rust" | "rust-async" => variables.push(("RUSTC", script("rust.sh")?)),
        "javascript" => {
            installed("npm")?;
            variables.push(("COMPONENTIZE_QJS", script("componentize-qjs.sh")?));
        }
        _ => installed("make")?,
    }
    match language {
        "c" | "cpp" => variables.extend([("ZIG", script("zig.sh")?), ("WIT_BINDGEN", script("wit-bindgen.sh")?)]),
        "zig" => variables.push(("ZIG", script("zig.sh")?)),
        "python" => variables.push(("COMPONENTIZE_PY", script("componentize-py.sh")?)),
        "go" => {
            variables.extend([("GO", script("go.sh")?), ("WIT_BINDGEN", script("wit-bindgen.sh")?)]);
            variables.push(("GO_PACKAGE", toolchain("wit-bindgen.sh", &["--go-package"])?));
        }
        _ => {}
    }
    Ok(variables)
}

/// Whether a program is on the path, or why not.
fn installed(program: &str) -> Result<(), String> {
    let found = Command::new("sh").args(["-c", "command -v \"$0\"", program]).stdout(Stdio::null()).status();
    match found {
        Ok(status) if status.success() => Ok(()),
        _ => Err(format!("{program} is not installed")),
    }
}

fn builds_and_runs(language: &'static str) -> Result<(), Failed> {
    let variables = variables(language)?;
    let place = TempDir::new()?;
    let name = format!("try-{language}");
    said(Command::new(program::aiohost()).args(["new", language, &name]).current_dir(place.path()))?;
    let project = place.path().join(&name);
    sample(&project)?;
    prepare(language, &project, &variables)?;
    let readme = fs::read_to_string(project.join("README.md"))?;
    run_line(&project, &variables, command(&readme, "build")?)?;
    let listing = run_line(&project, &variables, &command(&readme, "run")?.replace("--dir .", "--dir data"))?;
    if listing != LISTING {
        return Err(format!("it has printed\n{listing}").into());
    }
    let inspection = run_line(&project, &variables, command(&readme, "show")?)?;
    if !inspection.ends_with("\nmissing here: nothing\n") {
        return Err(inspection.into());
    }
    Ok(())
}

/// A directory to list.
fn sample(project: &Path) -> std::io::Result<()> {
    fs::create_dir_all(project.join("data/sub"))?;
    fs::write(project.join("data/a.bin"), vec![0; 100_000])?;
    fs::write(project.join("data/b.txt"), "hello")
}

/// What stands under "Needed once" in the README, from the toolchains at hand.
fn prepare(language: &str, project: &Path, variables: &Variables) -> Result<(), Failed> {
    let path = |wanted: &str| variables.iter().find(|(name, _)| *name == wanted).map(|(_, path)| path);
    match language {
        "rust" | "rust-async" => {
            // What they depend on is built once and not once a project.
            let target = build_folder("templates");
            fs::create_dir_all(&target)?;
            std::os::unix::fs::symlink(target, project.join("target"))?;
        }
        "go" => {
            let (Some(go), Some(package)) = (path("GO"), path("GO_PACKAGE")) else { return Err("go is not there".into()) };
            let replace = format!("go.bytecodealliance.org/pkg={}", package.display());
            said(Command::new(go).args(["mod", "edit", "-replace", &replace]).current_dir(project))?;
        }
        _ => {}
    }
    Ok(())
}

/// The command of the README whose comment starts with this word.
fn command<'a>(readme: &'a str, word: &str) -> Result<&'a str, Failed> {
    let lines = readme.lines().filter_map(|line| line.strip_prefix("    ")?.split_once("  # "));
    let mut command = lines.filter(|(_, comment)| comment.starts_with(word)).map(|(command, _)| command.trim_end());
    command.next().ok_or_else(|| format!("the README has no command to {word}").into())
}

/// Runs a line of a shell in a project. `aiohost` and the tools of npm are on the path.
fn run_line(project: &Path, variables: &Variables, line: &str) -> Result<String, Failed> {
    let mut folders: Vec<PathBuf> = variables
        .iter()
        .filter(|(name, _)| matches!(*name, "AIOHOST" | "COMPONENTIZE_QJS"))
        .filter_map(|(_, path)| path.parent().map(Path::to_owned))
        .collect();
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(project).envs(variables.iter().cloned());
    command.env("PATH", env::join_paths(folders)?);
    // What is meant for the host's own build is not meant for a plugin's, and nothing is to be loaded for Go.
    for name in ["CARGO_TARGET_DIR", "CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "MAKEFLAGS"] {
        command.env_remove(name);
    }
    command.envs([("GOENV", "off"), ("GOTOOLCHAIN", "local"), ("GOPROXY", "off")]);
    Ok(said(&mut command)?)
}

/// A file that is added to a template has to be added to the list in `host/src/cli/templates.rs`.
fn every_file_is_there() -> Result<(), Failed> {
    let place = TempDir::new()?;
    let templates = root().join("guest-examples/templates");
    let mut languages: Vec<String> = Vec::new();
    for entry in fs::read_dir(&templates)? {
        languages.push(entry?.file_name().to_string_lossy().into_owned());
    }
    languages.sort();
    let mut known = LANGUAGES.to_vec();
    known.sort_unstable();
    if languages != known {
        return Err(format!("the templates are {languages:?}, and tested are {known:?}").into());
    }
    for language in LANGUAGES {
        said(Command::new(program::aiohost()).args(["new", language, language]).current_dir(place.path()))?;
        let made = files(&place.path().join(language))?;
        let mut sources = files(&templates.join(language))?;
        if language.starts_with("rust") {
            let sdk = files(&root().join("guest-examples/rust-sdk"))?;
            sources.extend(sdk.iter().map(|file| Path::new("aiohost-guest").join(file)));
        }
        let missing: Vec<_> = sources.difference(&made).collect();
        if !missing.is_empty() {
            return Err(format!("not in a project in {language}: {missing:?}").into());
        }
    }
    Ok(())
}

/// The files of a folder, but for what building leaves in it.
fn files(folder: &Path) -> std::io::Result<BTreeSet<PathBuf>> {
    let (mut found, mut todo) = (BTreeSet::new(), vec![PathBuf::new()]);
    while let Some(below) = todo.pop() {
        for entry in fs::read_dir(folder.join(&below))? {
            let entry = entry?;
            let path = below.join(entry.file_name());
            match entry.file_name().to_string_lossy().as_ref() {
                "target" | "build" | "bindings" | "node_modules" | "__pycache__" | "Cargo.lock" => {}
                _ if entry.file_type()?.is_dir() => todo.push(path),
                _ => {
                    found.insert(path);
                }
            }
        }
    }
    Ok(found)
}
