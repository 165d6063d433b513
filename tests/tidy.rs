//! The rules of the house that a machine can check.

#[path = "tidy/examples.rs"]
mod examples;
#[path = "tidy/help.rs"]
mod help;
#[path = "tidy/requests.rs"]
mod requests;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All files below a folder that git could track.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let entry = entry.expect("the entry can be read");
        let name = entry.file_name();
        if name == "target" || name == ".git" {
            continue;
        }
        let path = entry.path();
        if entry.file_type().expect("the entry has a type").is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The files with an extension, and what is in them.
fn texts(extension: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    files(&root(), &mut found);
    found.retain(|path| path.extension() == Some(OsStr::new(extension)));
    found.sort();
    found
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a source file is text");
            (path, text)
        })
        .collect()
}

fn assert_none(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn every_module_says_its_job_in_its_first_line() {
    let silent = texts("rs").into_iter().filter(|(_, text)| !text.starts_with("//! "));
    assert_none(silent.map(|(path, _)| format!("{}: the first line is not `//! `", path.display())).collect());
}

#[test]
fn no_file_has_grown_into_two() {
    const LINES_MAX: usize = 800;
    let long = texts("rs").into_iter().filter(|(_, text)| text.lines().count() > LINES_MAX);
    assert_none(long.map(|(path, _)| format!("{}: over {LINES_MAX} lines: find its second job", path.display())).collect());
}

#[test]
fn functions_fit_a_screen() {
    const LINES_MAX: usize = 70;
    let mut problems = Vec::new();
    for (path, text) in texts("rs") {
        let lines: Vec<&str> = text.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let code = line.trim_start();
            let is_function = ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn ", "async fn ", "pub async fn "]
                .iter()
                .any(|prefix| code.starts_with(prefix));
            if !is_function {
                continue;
            }
            let end = format!("{}}}", &line[..line.len() - code.len()]);
            let length = lines[start..].iter().position(|line| **line == end).map_or(1, |length| length + 1);
            if length > LINES_MAX && !line.ends_with(';') {
                problems.push(format!("{}:{}: {length} lines", path.display(), start + 1));
            }
        }
    }
    assert_none(problems);
}

#[test]
fn nothing_is_called_util() {
    let mut found = Vec::new();
    files(&root(), &mut found);
    let vague = |path: &PathBuf| {
        path.components().any(|part| {
            let name = part.as_os_str().to_string_lossy();
            matches!(name.split('.').next(), Some("util" | "utils" | "common" | "helpers" | "misc"))
        })
    };
    assert_none(found.into_iter().filter(vague).map(|path| format!("{}: says nothing", path.display())).collect());
}

#[test]
fn only_the_sandbox_makes_unchecked_calls() {
    let sandbox = root().join("host/src/sandbox");
    let outside =
        texts("rs").into_iter().filter(|(path, _)| path.starts_with(root().join("host/src")) && !path.starts_with(&sandbox));
    let calls = outside.filter(|(_, text)| text.contains("_unchecked("));
    assert_none(calls.map(|(path, _)| format!("{}: calls something `_unchecked`", path.display())).collect());
}

/// The modules of the host from the ground up. A module imports what stands before it, and nothing else of the crate.
const FLOORS: [&str; 29] = [
    "error",
    "shown",
    "problem",
    "limits",
    "ticker",
    "budget",
    "store",
    "spin",
    "types",
    "sched",
    "reaper",
    "sandbox",
    "allowed",
    "granted",
    "output",
    "arguments",
    "gated",
    "engine",
    "ctx",
    "door",
    "streams",
    "faces",
    "ops",
    "linker",
    "bindings",
    "wasi",
    "plugin",
    "lib",
    "cli",
];

/// What the code of a file imports of the crate: paths after `crate::` and after `super::`, each by its first two parts.
fn imports(text: &str, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code(text).match_indices(prefix) {
        let rest = &code(text)[at + prefix.len()..];
        let name = |rest: &str| rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        match rest.strip_prefix('{') {
            // Several modules in one line: only those at its top level.
            Some(list) => {
                let mut depth = 0;
                let mut start = true;
                for (place, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && c.is_ascii_alphabetic() => {
                            found.push(list[place..place + name(&list[place..])].to_owned());
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
            None => found.push(rest[..name(rest)].to_owned()),
        }
    }
    found
}

/// Where a file of the host stands: its folders and its name, without the names that only stand for a folder.
fn place(path: &Path) -> Option<Vec<String>> {
    let below = path.strip_prefix(root().join("host/src")).ok()?.with_extension("");
    let parts: Vec<String> = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    Some(if parts.last().is_some_and(|name| name == "mod") { parts[..parts.len() - 1].to_vec() } else { parts })
}

#[test]
fn modules_stand_on_floors_and_imports_go_down() {
    let floor = |module: &str| FLOORS.iter().position(|other| *other == module);
    let mut problems = Vec::new();
    for (path, text) in texts("rs") {
        let Some(place) = place(&path) else { continue };
        let module = if place[0] == "main" { "cli" } else { place[0].as_str() };
        let Some(own) = floor(module) else {
            problems.push(format!("{}: `{module}` stands on no floor: give it one in FLOORS", path.display()));
            continue;
        };
        // The command is a crate of its own, and sees the library from outside.
        if ["cli", "lib"].contains(&module) {
            continue;
        }
        for other in imports(&text, "crate::") {
            if floor(&other).is_some_and(|other| other > own) {
                problems.push(format!("{}: imports `{other}`, which stands above `{module}`", path.display()));
            }
        }
    }
    assert_none(problems);
}

#[test]
fn no_files_of_a_folder_import_each_other_in_a_circle() {
    let mut folders: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (path, text) in texts("rs") {
        let Some(place) = place(&path) else { continue };
        let (Some(folder), Some(file)) = (place.first(), place.get(1)) else { continue };
        // A folder below is one with the file of its name.
        let prefix = if place.len() == 2 { "super::" } else { "super::super::" };
        let files = folders.entry(folder.clone()).or_default().entry(file.clone()).or_default();
        files.extend(imports(&text, prefix));
        files.extend(imports(&text, &format!("crate::{folder}::")));
    }
    let mut problems = Vec::new();
    for (folder, files) in &folders {
        for file in files.keys() {
            let mut seen = BTreeSet::new();
            let mut next = vec![file];
            while let Some(current) = next.pop() {
                for import in files.get(current).into_iter().flatten().filter(|import| *import != current) {
                    if import == file {
                        problems
                            .push(format!("host/src/{folder}: `{file}` and `{current}` import each other, or by a way round"));
                    }
                    if seen.insert(import) {
                        next.push(import);
                    }
                }
            }
        }
    }
    problems.sort();
    problems.dedup();
    assert_none(problems);
}

/// The part of a source file that is not its tests.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text)
}

/// Whether a call of a function of this module stands in a line: its types may stand anywhere.
fn calls(line: &str, module: &str) -> bool {
    let starts_as_function = |rest: &str| rest.starts_with(|c: char| c.is_ascii_lowercase());
    let name = |rest: &str| rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    line.match_indices(module).any(|(at, _)| {
        let rest = &line[at + module.len()..];
        starts_as_function(rest) && rest[name(rest)..].starts_with(['(', ':'])
    })
}

#[test]
fn system_calls_stand_in_one_layer() {
    let sandbox = root().join("host/src/sandbox");
    let layer = sandbox.join("sys");
    let mut problems = Vec::new();
    for (path, text) in texts("rs") {
        if !path.starts_with(&sandbox) || path.starts_with(&layer) {
            continue;
        }
        for (number, line) in code(&text).lines().enumerate() {
            // A device number is only taken apart.
            let is_pure = line.contains("rustix::fs::major(") && line.contains("rustix::fs::minor(");
            let modules = ["rustix::fs::", "rustix::io::", "libc::", "std::fs::", "fs::File::"];
            if modules.iter().any(|module| calls(line, module)) && !is_pure {
                problems.push(format!(
                    "{}:{}: a system call outside of sandbox/sys: {}",
                    path.display(),
                    number + 1,
                    line.trim()
                ));
            }
        }
    }
    assert_none(problems);
}

/// Names that are one thing wherever they stand.
const SHARED_NAMES: [&str; 1] = ["Result"];

#[test]
fn a_type_that_others_see_has_a_name_of_its_own() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let source = root().join("host/src");
    // The command is another crate, and what is for tests alone is seen by nobody else.
    let for_tests = ["cli", "fixture.rs", "model.rs", "scene.rs", "sweep.rs", "tests", "tests.rs"].map(OsStr::new);
    let library = |path: &Path| path.strip_prefix(&source).is_ok_and(|path| !path.iter().any(|part| for_tests.contains(&part)));
    for (path, text) in texts("rs").into_iter().filter(|(path, _)| library(path)) {
        for line in code(&text).lines().filter(|line| line.starts_with("pub")) {
            let mut words = line.split_whitespace().skip_while(|word| !matches!(*word, "struct" | "enum" | "trait" | "type"));
            let Some(name) = words.nth(1) else { continue };
            let end = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
            places.entry(name[..end].to_owned()).or_default().push(path.display().to_string());
        }
    }
    places.retain(|name, places| places.len() > 1 && !SHARED_NAMES.contains(&name.as_str()));
    assert_none(
        places.into_iter().map(|(name, places)| format!("`{name}` is several things: {}", places.join(", "))).collect(),
    );
}

#[test]
fn the_code_map_lists_every_file_of_the_host() {
    let map = fs::read_to_string(root().join("host/ARCHITECTURE.md")).expect("there is an ARCHITECTURE.md");
    let source = root().join("host/src");
    let files = texts("rs").into_iter().filter_map(|(path, _)| path.strip_prefix(&source).ok().map(Path::to_owned));
    let modules = files.filter(|path| path.file_name() != Some(OsStr::new("tests.rs")));
    let missing = modules.filter(|path| !map.contains(&format!("`{}`", path.display())));
    assert_none(missing.map(|path| format!("ARCHITECTURE.md: no line for `{}`", path.display())).collect());
}

#[test]
fn the_table_of_suites_has_every_suite() {
    let manifest = fs::read_to_string(root().join("host/Cargo.toml")).expect("there is a Cargo.toml");
    let map = fs::read_to_string(root().join("host/ARCHITECTURE.md")).expect("there is an ARCHITECTURE.md");
    let (_, section) = map.split_once("\n## Tests\n").expect("there is a section on tests");
    let section = section.split("\n## ").next().unwrap_or(section);
    let names: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()).collect();
    let suites = manifest.split("\n[[test]]\nname = \"").skip(1).filter_map(|rest| rest.split('"').next());
    let suites: Vec<String> = suites.map(|suite| format!("`{suite}`")).collect();
    assert!(suites.len() > 10, "only {} suites were found", suites.len());
    let missing = suites.iter().filter(|suite| !names.iter().any(|names| names.contains(suite.as_str())));
    assert_none(missing.map(|suite| format!("ARCHITECTURE.md: no row for the suite {suite}")).collect());
}

/// Whether a suite has a test: a function with `#[test]`, or the name of one in a list of the suite's own.
fn has_test(sources: &[(PathBuf, String)], suite: &str, test: &str) -> bool {
    let folder = match suite {
        "lib" | "model" => "host/src",
        // What is tested there is said by the guests.
        "requests" => "tests/guests/src",
        suite => &format!("tests/{suite}"),
    };
    let (folder, file) = (root().join(folder), root().join(format!("tests/{suite}.rs")));
    let texts = sources.iter().filter(|(path, _)| path.starts_with(&folder) || *path == file).map(|(_, text)| text);
    let has = |text: &String| {
        let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
        let is_there = |at: &usize| {
            let line = lines[*at];
            let is_marked = || lines[at.saturating_sub(3)..*at].contains(&"#[test]");
            match suite {
                "requests" => line.starts_with(&format!("async fn {test}<")),
                "memory" => line.contains(&format!("\"{test}\"")),
                _ => line.starts_with(&format!("fn {test}(")) && is_marked(),
            }
        };
        (0..lines.len()).any(|at| is_there(&at))
    };
    texts.into_iter().any(has)
}

#[test]
fn each_invariant_names_tests_that_are_there() {
    let map = fs::read_to_string(root().join("host/ARCHITECTURE.md")).expect("there is an ARCHITECTURE.md");
    let (_, section) = map.split_once("\n## Invariants\n").expect("there is a section on invariants");
    let section = section.split("\n## ").next().unwrap_or(section);
    let sources = texts("rs");
    let mut problems = Vec::new();
    let mut count = 0;
    for invariant in section.split("\n* **").skip(1) {
        let name = invariant.lines().next().unwrap_or_default();
        let (_, tests) = invariant.split_once("Held by").unwrap_or_default();
        let tests: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        if tests.is_empty() {
            problems.push(format!("ARCHITECTURE.md: no test holds \"{name}\""));
        }
        for test in tests {
            let is_there = test.split_once(": ").is_some_and(|(suite, test)| has_test(&sources, suite, test));
            if !is_there {
                problems.push(format!("ARCHITECTURE.md: there is no test `{test}`, which is to hold \"{name}\""));
            }
        }
        count += 1;
    }
    assert!(count > 20, "only {count} invariants were found");
    assert_none(problems);
}

#[test]
fn the_host_prints_by_its_own_functions_alone() {
    // The standard library's panic where nobody can be told, and lose what cannot be written.
    const MACROS: [&str; 5] = ["print!(", "println!(", "eprint!(", "eprintln!(", "dbg!("];
    let source = root().join("host/src");
    let mut problems = Vec::new();
    // What is compiled for tests alone may say why it skips something.
    let is_test = |path: &PathBuf| ["tests.rs", "scene.rs", "sweep.rs"].iter().any(|name| path.ends_with(name));
    for (path, text) in texts("rs").into_iter().filter(|(path, _)| path.starts_with(&source) && !is_test(path)) {
        let lines = code(&text).lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
        let printing = lines.filter(|(_, line)| MACROS.iter().any(|name| line.contains(name)));
        problems.extend(printing.map(|(number, _)| format!("{}:{}: prints by a macro", path.display(), number + 1)));
    }
    assert_none(problems);
}
