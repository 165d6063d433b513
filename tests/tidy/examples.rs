//! What the documentation of the crates shows: a call of each function, programs that are run, and what fails.

use std::fs;
use std::path::{Path, PathBuf};

use super::{assert_none, code, root, texts};

/// The name of the function that a line begins and that everybody sees.
fn public_function(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("pub ")?;
    let rest = ["async ", "unsafe "].iter().fold(rest, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
    rest.strip_prefix("fn ")?.split(['(', '<']).next()
}

/// Whether the function is a method that the text begins with.
fn takes_self(text: &str) -> bool {
    let parameters = text.split_once('(').map_or("", |(_, rest)| rest);
    parameters.split([')', ',']).next().is_some_and(|first| first.trim_end().ends_with("self"))
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

/// An example of the documentation, and the type in whose documentation, or that of whose methods, it stands.
struct Example {
    code: String,
    of_type: Option<String>,
}

impl Example {
    /// Whether it calls a function, as a method or by its path. Of one name may be the methods of several types: so a type is
    /// named, or a value that is called as it is, or the example stands where the type is documented.
    fn calls(&self, of_type: Option<&str>, name: &str, takes_self: bool) -> bool {
        let is_called = |before: &str| {
            let is_call = |rest: &str| rest.starts_with('(') || rest.starts_with("::<");
            let begins = |at: usize| !self.code[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            let calls = self.code.match_indices(name).filter(|(at, _)| begins(*at) && is_call(&self.code[at + name.len()..]));
            calls.map(|(at, _)| &self.code[..at]).any(|start| start.ends_with(before))
        };
        let Some(of_type) = of_type else { return is_called("") };
        if is_called(&format!("{of_type}::")) {
            return true;
        }
        let is_built =
            || of_type.strip_suffix("Builder").is_some_and(|built| self.code.contains(&format!("{built}::builder(")));
        let is_about_it = || self.of_type.as_deref() == Some(of_type) || has_name(&self.code, of_type) || is_built();
        takes_self && ((is_about_it() && is_called(".")) || values(of_type).any(|value| is_called(&format!("{value}."))))
    }
}

/// What a value of a type is called: `open_file` or `file` for `OpenFile`.
fn values(of_type: &str) -> impl Iterator<Item = String> {
    let words: Vec<String> = of_type.split_inclusive(|_: char| true).fold(Vec::new(), |mut words, letter| {
        match words.last_mut().filter(|_| letter.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())) {
            Some(word) => word.push_str(letter),
            None => words.push(letter.to_ascii_lowercase()),
        }
        words
    });
    (0..words.len()).map(move |start| words[start..].join("_"))
}

/// The type that a line defines.
fn defined_type(line: &str) -> Option<&str> {
    let rest = ["pub struct ", "pub enum ", "pub trait "].iter().find_map(|start| line.strip_prefix(start))?;
    rest.split(|c: char| !c.is_ascii_alphanumeric()).next()
}

/// The examples in the documentation of a file.
fn examples(text: &str) -> Vec<Example> {
    let (mut found, mut waiting): (Vec<Example>, Vec<String>) = (Vec::new(), Vec::new());
    let (mut is_inside, mut of_type) = (false, None);
    for line in text.lines() {
        let documentation = line.trim_start().strip_prefix("///").or_else(|| line.strip_prefix("//!"));
        if let Some(line) = documentation {
            if line.trim_start().starts_with("```") {
                is_inside = !is_inside;
                waiting.extend(is_inside.then(String::new));
            } else if let Some(example) = waiting.last_mut().filter(|_| is_inside) {
                example.push_str(line);
                example.push('\n');
            }
        } else if !line.trim_start().starts_with('#') {
            is_inside = false;
            of_type = defined_type(line).or_else(|| type_of_impl(line)).map(str::to_owned).or(of_type);
            // What stands at the top of a file is about no type.
            let of_type = of_type.clone().filter(|_| !line.is_empty());
            found.extend(waiting.drain(..).map(|code| Example { code, of_type: of_type.clone() }));
        }
    }
    found
}

#[test]
fn every_function_of_the_library_is_called_in_an_example() {
    let source = root().join("host/src");
    let library = |path: &Path| path.strip_prefix(&source).is_ok_and(|path| !path.starts_with("cli"));
    let sources: Vec<(PathBuf, String)> = texts("rs").into_iter().filter(|(path, _)| library(path)).collect();
    let examples: Vec<Example> = sources.iter().flat_map(|(_, text)| examples(text)).collect();
    let (mut problems, mut count) = (Vec::new(), 0);
    for (path, text) in &sources {
        let mut of_type = "";
        let lines: Vec<&str> = code(text).lines().collect();
        for (at, line) in lines.iter().enumerate() {
            of_type = type_of_impl(line).unwrap_or(of_type);
            let Some(name) = public_function(line) else { continue };
            let of_type = (!line.starts_with("pub")).then_some(of_type);
            let takes_self = takes_self(&lines[at..lines.len().min(at + 2)].concat());
            if !examples.iter().any(|example| example.calls(of_type, name, takes_self)) {
                let of_type = of_type.map(|name| format!("{name}::")).unwrap_or_default();
                problems.push(format!("{}: no example calls `{of_type}{name}`", path.display()));
            }
            count += 1;
        }
    }
    assert!(count > 100, "only {count} functions were found");
    assert_none(problems);
}

/// The sources of the crate for plugins, or its examples.
fn guest_crate(folder: &str) -> Vec<(PathBuf, String)> {
    let folder = root().join("guest-examples/rust-sdk").join(folder);
    texts("rs").into_iter().filter(|(path, _)| path.starts_with(&folder)).collect()
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
            let is_called = |program: &str| match line.starts_with("pub") {
                true if path.ends_with("submit.rs") => has_name(program, &format!("submit::{name}")),
                true => has_name(program, name),
                false if takes_self(line) => has_name(program, of_type) && program.contains(&format!(".{name}(")),
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
