//! Where each request has to be found: what somebody who adds one must not forget.

use std::fs;

use wit_parser::{Function, Resolve, Type};

use super::{assert_none, root};

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
