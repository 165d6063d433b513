//! The rules of the house that a machine can check.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use wit_parser::{Function, Resolve, Type};

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

/// What stands in the examples of the documentation in a file.
fn examples(text: &str) -> String {
    let mut is_inside = false;
    let mut found = String::new();
    for line in text.lines().map(str::trim_start) {
        let Some(line) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else {
            is_inside = false;
            continue;
        };
        if line.trim_start().starts_with("```") {
            is_inside = !is_inside;
        } else if is_inside {
            found.push_str(line);
            found.push('\n');
        }
    }
    found
}

/// The name of the function that a line begins and that everybody sees.
fn public_function(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("pub ")?;
    let rest = ["async ", "unsafe "].iter().fold(rest, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
    rest.strip_prefix("fn ")?.split(['(', '<']).next()
}

#[test]
fn every_function_of_the_library_is_called_in_an_example() {
    let source = root().join("host/src");
    let library = |path: &Path| path.strip_prefix(&source).is_ok_and(|path| !path.starts_with("cli"));
    let sources: Vec<(PathBuf, String)> = texts("rs").into_iter().filter(|(path, _)| library(path)).collect();
    let examples: String = sources.iter().map(|(_, text)| examples(text)).collect();
    let is_called = |name: &str| {
        let begins = |at: usize| !examples[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let is_call = |rest: &str| rest.starts_with('(') || rest.starts_with("::<");
        examples.match_indices(name).any(|(at, _)| begins(at) && is_call(&examples[at + name.len()..]))
    };
    let mut problems = Vec::new();
    for (path, text) in &sources {
        let names = code(text).lines().filter_map(public_function).filter(|name| !is_called(name));
        problems.extend(names.map(|name| format!("{}: no example calls `{name}`", path.display())));
    }
    assert_none(problems);
}

/// The sources of the crate for plugins, or its examples.
fn guest_crate(folder: &str) -> Vec<(PathBuf, String)> {
    let folder = root().join("guest-examples/rust-sdk").join(folder);
    texts("rs").into_iter().filter(|(path, _)| path.starts_with(&folder)).collect()
}

/// Whether a name stands in a text, and not as a part of another one.
fn has_name(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| !text[..at].ends_with(is_part) && !text[at + name.len()..].starts_with(is_part))
}

/// The type that an `impl` is about.
fn type_of_impl(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("impl")?;
    let rest = if rest.starts_with('<') { rest.split_once("> ")?.1 } else { rest.trim_start() };
    rest.split(|c: char| !c.is_ascii_alphanumeric()).next()
}

/// Several types have methods of one name, so a program that calls one has to name the type, too.
#[test]
fn every_function_of_the_crate_for_guests_is_called_in_an_example() {
    let programs = guest_crate("examples");
    let (mut problems, mut count) = (Vec::new(), 0);
    for (path, text) in guest_crate("src") {
        let mut of_type = "";
        for line in text.lines() {
            of_type = type_of_impl(line).unwrap_or(of_type);
            let Some(name) = public_function(line) else { continue };
            let takes_self = line.split([')', ',']).next().is_some_and(|start| start.ends_with("self"));
            let is_called = |program: &str| match line.starts_with("pub") {
                true if path.ends_with("submit.rs") => has_name(program, &format!("submit::{name}")),
                true => has_name(program, name),
                false if takes_self => has_name(program, of_type) && program.contains(&format!(".{name}(")),
                false => has_name(program, &format!("{of_type}::{name}")),
            };
            if !programs.iter().any(|(_, program)| is_called(program)) {
                problems.push(format!("{}: no example calls `{name}`", path.display()));
            }
            count += 1;
        }
    }
    assert!(count > 120, "only {count} functions were found");
    assert_none(problems);
}

#[test]
fn the_crate_for_guests_says_what_fails() {
    let (mut problems, mut count) = (Vec::new(), 0);
    for (path, text) in guest_crate("src") {
        let results = if path.ends_with("submit.rs") { "-> Request<" } else { "-> io::Result<" };
        let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
        for (at, line) in lines.iter().enumerate() {
            let Some(name) = public_function(line).filter(|_| line.contains(results)) else { continue };
            let mut docs = lines[..at].iter().rev().take_while(|line| line.starts_with("///") || line.starts_with("#["));
            if !docs.any(|line| *line == "/// # Errors") {
                problems.push(format!("{}: `{name}` has no section on errors", path.display()));
            }
            count += 1;
        }
    }
    assert!(count > 90, "only {count} functions were found");
    assert_none(problems);
}

/// Nobody would run a program that stands there alone: the crate is for another machine. The suite `sdk` runs its examples.
#[test]
fn the_crate_for_guests_shows_programs_that_are_run() {
    let suite = fs::read_to_string(root().join("tests/sdk.rs")).expect("the suite is there");
    let mut problems = Vec::new();
    for (path, text) in guest_crate("src") {
        let lines: Vec<&str> =
            text.lines().map(|line| line.trim_start().trim_start_matches("//!").trim_start_matches("///")).collect();
        let fences: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].trim_start().starts_with("```")).collect();
        for start in fences.into_iter().step_by(2) {
            let included =
                lines[start + 1].split_once("include_str!(\"../examples/").and_then(|(_, rest)| rest.split_once(".rs\""));
            let is_run = included.is_some_and(|(name, _)| suite.contains(&format!("\"{name}\",")));
            if !is_run || lines[start].trim() != "```no_run" {
                problems.push(format!("{}:{}: it is no example that is run", path.display(), start + 1));
            }
        }
    }
    assert_none(problems);
}

/// The functions of `requests.wit`, and whether a path is among their parameters.
fn requests() -> Vec<(String, bool)> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(root().join("wit")).expect("the WIT package is valid");
    let interface = resolve.packages[package].interfaces["requests"];
    let functions = resolve.interfaces[interface].functions.iter();
    let has_path = |function: &Function| function.params.iter().any(|param| param.ty == Type::String);
    functions.map(|(name, function)| (name.clone(), has_path(function))).collect()
}

/// Fails with the requests of which a text tells nothing, and what is to be done about them.
fn assert_told(path: &str, remedy: &str, told: impl Fn(&str, &str, bool) -> bool) {
    let text = |path: &str| fs::read_to_string(root().join(path)).expect("the file is there");
    let text: String = path.split(' ').map(text).collect();
    let missing = requests().into_iter().filter(|(name, has_path)| !told(&text, name, *has_path));
    assert_none(missing.map(|(name, _)| format!("{path}: nothing of the request `{name}`: {remedy}")).collect());
}

#[test]
fn the_readme_lists_every_request() {
    assert_told("README.md", "add a row", |text, name, _| text.contains(&format!("| `{name}` |")));
}

#[test]
fn the_changelog_tells_of_every_request() {
    assert_told("CHANGELOG.md", "say that it is new", |text, name, _| text.contains(&format!("`{name}`")));
}

#[test]
fn the_crate_for_guests_has_every_request() {
    assert_told("guest-examples/rust-sdk/src/submit.rs", "add a function", |text, name, _| {
        // A keyword of Rust is no name for a function.
        let name = if name == "move" { "move_".to_owned() } else { name.replace('-', "_") };
        [format!("pub fn {name}("), format!("pub fn {name}<")].iter().any(|function| text.contains(function))
    });
}

#[test]
fn the_header_for_c_has_every_request() {
    assert_told("guest-examples/c/aio.h", "add a function", |text, name, _| {
        // Some have the names that IO::AIO has for them.
        let name = match name {
            "open-dir" => "wd".to_owned(),
            "advise" => "fadvise".to_owned(),
            name => name.replace('-', "_"),
        };
        text.contains(&format!("aio_{name}("))
    });
}

#[test]
fn whatever_takes_a_path_is_tried_with_paths_that_lead_out() {
    let remedy = "add it to tests/guests/src/attempt.rs, and rows of attempts to the table";
    assert_told("tests/sandbox/table.rs", remedy, |text, name, has_path| {
        // It is tried with the flag that changes both names.
        let name = if name == "rename2" { "exchange" } else { name };
        !has_path || text.contains(&format!("(\"{name} "))
    });
}

/// What the random plans leave out, and why.
const NOT_IN_PLANS: [&str; 13] = [
    // What the twin has no other way to tell: free space changes by itself, and what a disk holds is not seen.
    "statvfs",
    "fsync",
    "sync-file-range",
    "syncfs",
    "pathsync",
    // Of another guest or process, for which a plan has none.
    "lock",
    "unlock",
    // Where the file system can share blocks, and not elsewhere.
    "clone-range",
    // As `rename`, with flags of which the standard library has none.
    "rename2",
    // Refused, unless the host allows it.
    "mkfifo",
    "busy",
    // By `walk`, and with no effect.
    "walk-next",
    "nop",
];

#[test]
fn random_plans_have_every_request() {
    let remedy = "add a step to plan.rs and twin.rs, or say here why there is none";
    assert_told("tests/equivalence/plan.rs tests/equivalence/twin.rs", remedy, |text, name, _| {
        NOT_IN_PLANS.contains(&name) || text.contains(&format!("\"{name}\"")) || text.contains(&format!("\"{name} "))
    });
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

/// The commands of the command line.
const COMMANDS: [&str; 11] =
    ["bench", "compile", "completions", "componentize", "help", "inspect", "man", "new", "oci", "run", "wit"];

/// Texts of help that may break the rule below: the file, and what stands in the text or is called for it.
const HELP_OF_ITS_OWN_KIND: [(&str, &str); 8] = [
    // It is how the command takes a directory.
    ("granted.rs", "HOST::GUEST"),
    // The command never comes there: it gives its host no engine and no functions, and calls no guest twice or by types.
    ("plugin/host.rs", "HostBuilder::compile_in"),
    ("plugin/machine.rs", "Config::concurrency_support"),
    ("plugin/machine.rs", "HostBuilder::linker"),
    ("plugin/guest.rs", "Guest::invoke, or make a component of it"),
    ("plugin/guest.rs", "Plugin::guest"),
    // The texts are looked at elsewhere: in `prepare.rs`, and in the process that compiles.
    ("plugin/load.rs", "rebuild()"),
    ("plugin/compile_wire.rs", ""),
];

/// What stands in code up to the bracket that closes a call, in its arguments, and what is behind it.
fn arguments(code: &str) -> (Vec<&str>, &str) {
    let (mut depth, mut start, mut found) = (0_usize, 0, Vec::new());
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, c) in code.char_indices() {
        if is_quoted {
            is_quoted = c != '"' || is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            continue;
        }
        match c {
            '"' => is_quoted = true,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth > 0 => depth -= 1,
            ',' | ')' if depth == 0 => {
                found.push(&code[start..at]);
                start = at + 1;
                if c == ')' {
                    break;
                }
            }
            _ => {}
        }
    }
    found.retain(|argument| !argument.trim().is_empty());
    (found, &code[start..])
}

/// The arguments of each call of a function, and the code with a text in place of each call.
fn take_calls(code: &str, function: &str) -> (Vec<Vec<String>>, String) {
    let (mut calls, mut rest, mut code) = (Vec::new(), String::new(), code);
    while let Some((before, behind)) = code.split_once(function) {
        let (arguments, behind) = arguments(behind);
        calls.push(arguments.into_iter().map(str::to_owned).collect());
        rest.push_str(before);
        rest.push_str("\"looked at by itself\"");
        code = behind;
    }
    rest.push_str(code);
    (calls, rest)
}

/// What stands between quotes in code, and the rest of it.
fn quotes(code: &str) -> (String, String) {
    let (mut quoted, mut other) = (String::new(), String::new());
    let (mut is_quoted, mut is_escaped) = (false, false);
    for c in code.chars() {
        if c == '"' && !is_escaped {
            is_quoted = !is_quoted;
            quoted.push('\n');
            continue;
        }
        is_escaped = is_quoted && c == '\\' && !is_escaped;
        if is_quoted { quoted.push(c) } else { other.push(c) }
    }
    (quoted, other)
}

/// Where a file says what a name is: a constant, a variable or a function.
fn definitions<'a>(code: &'a str, name: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for start in [format!("const {name}:"), format!("let {name} ="), format!("let Some({name}) =")] {
        found.extend(code.match_indices(start.as_str()).filter_map(|(at, _)| code[at..].split(";\n").next()));
    }
    for (at, _) in code.match_indices(format!("fn {name}(").as_str()) {
        let line = &code[code[..at].rfind('\n').map_or(0, |end| end + 1)..];
        let end = format!("\n{}}}", &line[..line.len() - line.trim_start().len()]);
        found.extend(code[at..].split(end.as_str()).next());
    }
    found
}

/// The texts that an argument is made of: its own, and those of what it names in the same file.
fn said(code: &str, argument: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_constant =
        |word: &&str| word.contains(|c: char| c.is_ascii_uppercase()) && !word.contains(|c: char| c.is_lowercase());
    let (mut said, mut seen, mut next) = (String::new(), BTreeSet::new(), vec![argument]);
    while let Some(piece) = next.pop() {
        let (quoted, other) = quotes(piece);
        let captured = quoted.split(|c: char| !is_part(c)).filter(is_constant);
        for name in other.split(|c: char| !is_part(c)).chain(captured) {
            if !name.is_empty() && seen.insert(name.to_owned()) {
                next.extend(definitions(code, name));
            }
        }
        said.push_str(&quoted);
    }
    said
}

fn speaks_of_the_command(text: &str) -> bool {
    let has_option = text.match_indices("--").any(|(at, _)| text[at + 2..].starts_with(|c: char| c.is_ascii_lowercase()));
    has_option || COMMANDS.iter().any(|command| text.contains(&format!("aiohost {command}")))
}

fn speaks_of_functions(text: &str) -> bool {
    text.contains("::")
}

#[test]
fn help_tells_a_program_of_functions_and_a_user_of_the_command_of_options() {
    let source = root().join("host/src");
    let mut problems = Vec::new();
    let mut count = 0;
    for (path, text) in texts("rs") {
        let Ok(file) = path.strip_prefix(&source) else { continue };
        // The command has texts of its own, and `problem.rs` has the functions that are looked for.
        if file.starts_with("cli") || file == Path::new("problem.rs") {
            continue;
        }
        let lines: Vec<&str> = code(&text).lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let mut rest = lines.join("\n").replace("'\"'", "' '");
        let (mut to_program, mut to_command) = (Vec::new(), Vec::new());
        for function in ["help_for(", "Remedy::of("] {
            let (calls, others) = take_calls(&rest, function);
            for call in calls {
                let [program, command] = <[String; 2]>::try_from(call).expect("a text for each of the two");
                to_program.push(program);
                to_command.push(command);
            }
            rest = others;
        }
        // What has one text is for both.
        let (calls, rest) = take_calls(&rest, "help_with(");
        to_program.extend(calls.iter().flatten().cloned());
        to_command.extend(calls.into_iter().flatten());
        let to_program = to_program.iter().map(|argument| (argument, speaks_of_the_command as fn(&str) -> bool));
        let to_command = to_command.iter().map(|argument| (argument, speaks_of_functions as fn(&str) -> bool));
        for (argument, is_wrong) in to_program.chain(to_command) {
            count += 1;
            let text = said(&rest, argument);
            let has = |words: &str| text.contains(words) || argument.contains(words);
            let is_excused = HELP_OF_ITS_OWN_KIND.iter().any(|(other, words)| file == Path::new(other) && has(words));
            if (text.trim().is_empty() || is_wrong(&text)) && !is_excused {
                problems.push(format!("{}: no text, or one for the other reader: {}", path.display(), argument.trim()));
            }
        }
    }
    assert!(count > 100, "only {count} texts were found");
    assert_none(problems);
}
