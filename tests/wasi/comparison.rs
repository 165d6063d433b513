//! What a random plan came to here and there, step by step: the same, but for what is listed.

use std::collections::BTreeMap;
use std::path::Path;

use crate::plans::Way;

/// What a step came to that did not fail.
pub(crate) const DONE: &str = "0";

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

/// How many steps a plan has, unless the environment says otherwise.
pub(crate) fn steps(usual: u64) -> u64 {
    number("AIOHOST_PLAN_STEPS").unwrap_or(usual)
}

/// Which plans there are: so many, unless the environment says which.
pub(crate) fn seeds(usual: u64) -> Vec<u64> {
    number("AIOHOST_PLAN_SEED").map_or_else(|| (1..=usual).collect(), |seed| vec![seed])
}

/// What is below a directory: each name with its kind and its content.
pub(crate) fn tree(dir: &Path) -> BTreeMap<String, String> {
    fn add(found: &mut BTreeMap<String, String>, dir: &Path, prefix: &str) {
        for entry in std::fs::read_dir(dir).expect("a directory of our own") {
            let entry = entry.expect("it can be read");
            let name = format!("{prefix}{}", entry.file_name().display());
            let kind = entry.file_type().expect("it has one");
            let content = if kind.is_dir() {
                add(found, &entry.path(), &format!("{name}/"));
                "a directory".to_owned()
            } else if kind.is_symlink() {
                format!("to {}", std::fs::read_link(entry.path()).expect("it is a link").display())
            } else {
                format!("{:?}", std::fs::read(entry.path()).expect("it is a file"))
            };
            found.insert(name, content);
        }
    }
    let mut found = BTreeMap::new();
    add(&mut found, dir, "");
    found
}

/// The error that a step came to.
fn error(line: &str) -> &str {
    line.split_once(" = ").and_then(|(_, outcome)| outcome.split(' ').next()).unwrap_or_default()
}

/// What is called, with its arguments.
fn call(line: &str) -> &str {
    line.split(" = ").next().unwrap_or_default()
}

/// Whether a path in a call ends in a slash or in dots, or leads out of its directory: then several things are wrong at once, and
/// each host has its own order in which it looks at them. And what a slash comes after is a directory here, also where a symbolic
/// link is not followed.
fn names_no_object(call: &str) -> bool {
    let odd = |path: &str| path.is_empty() || path.starts_with('/') || path.contains("..") || path.ends_with(['/', '.']);
    call.split('\'').skip(1).step_by(2).any(odd)
}

/// A call, our error and theirs.
type Difference = (String, String, String);

/// How often each difference is on purpose, and what is not.
pub(crate) struct Comparison {
    /// Differences on purpose: the function, our error, and theirs.
    other_errors: &'static [(&'static str, &'static str, &'static str)],
    /// Functions that take a slash at the end of a path for nothing there.
    slashes: &'static [&'static str],
    same: usize,
    intended: usize,
    problems: BTreeMap<Difference, String>,
}

impl Comparison {
    pub(crate) fn new(
        other_errors: &'static [(&'static str, &'static str, &'static str)],
        slashes: &'static [&'static str],
    ) -> Self {
        Self { other_errors, slashes, same: 0, intended: 0, problems: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, ours: &str, theirs: &str, plan: &str) {
        let (ours, theirs): (Vec<&str>, Vec<&str>) = (ours.lines().collect(), theirs.lines().collect());
        for (number, (our, their)) in ours.iter().zip(&theirs).enumerate() {
            let function = our.split(' ').next().unwrap_or_default();
            let (our_error, their_error) = (error(our), error(their));
            let is_listed = self.other_errors.contains(&(function, our_error, their_error));
            let have_failed = our_error != DONE && their_error != DONE;
            if our == their {
                self.same += 1;
            } else if call(our) == call(their)
                && (is_listed || names_no_object(our) && (have_failed || self.slashes.contains(&function)))
            {
                self.intended += 1;
            } else {
                let shown = format!("{plan}, step {number}:\n  ours:   {our}\n  theirs: {their}");
                let difference = [function, our_error, their_error].map(str::to_owned);
                self.problems.entry(difference.into()).or_insert(shown);
                // From here on the two do different things.
                if call(our) != call(their) || !have_failed {
                    return;
                }
            }
        }
        if ours.len() != theirs.len() {
            self.problems.insert(Difference::default(), format!("{plan}: {} and {} steps", ours.len(), theirs.len()));
        }
    }

    /// Holds what is there in the end against each other.
    pub(crate) fn add_trees(&mut self, here: &Path, there: &Path, plan: &str) {
        if self.problems.is_empty() && tree(here) != tree(there) {
            self.problems.insert(Difference::default(), format!("{plan}: what is there in the end"));
        }
    }

    pub(crate) fn assert_same(self, way: Way) {
        println!("{way:?}: {} steps came to the same, {} to something else on purpose", self.same, self.intended);
        let problems: Vec<String> = self.problems.into_values().collect();
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }
}
