//! What a random plan came to here and there, step by step: the same, but for what is listed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::plans::{Way, new_dir, said_here};
use crate::toolchains::root;

/// What a step came to that did not fail.
pub(crate) const DONE: &str = "0";

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

/// Calls that come to something else here than there, on purpose: the function, our error, and theirs.
pub(crate) type OtherErrors = &'static [(&'static str, &'static str, &'static str)];

/// The plans of one version of WASI. Each is carried out here and there, in twin directories.
pub(crate) struct Plans {
    /// Which there are, unless the environment says how many, or which.
    pub(crate) seeds: &'static [u64],
    /// Steps of each, unless the environment says otherwise.
    pub(crate) steps: u64,
    /// What the guest is told before the seed and the number of steps.
    pub(crate) words: &'static [&'static str],
    pub(crate) other_errors: OtherErrors,
    /// Functions that take a slash at the end of a path for nothing there.
    pub(crate) slashes: &'static [&'static str],
    /// What a guest says that `wasmtime-wasi` runs in a directory.
    pub(crate) said_there: fn(&Path, &Path, &[String]) -> String,
}

impl Plans {
    pub(crate) fn assert_same(&self, guest: &Path, way: Way) {
        let steps = number("AIOHOST_PLAN_STEPS").unwrap_or(self.steps);
        let first = number("AIOHOST_PLAN_COUNT").map(|count| (1..=count).collect());
        let one = number("AIOHOST_PLAN_SEED").map(|seed| vec![seed]);
        let seeds: Vec<u64> = one.or(first).unwrap_or_else(|| self.seeds.to_vec());
        let mut comparison = Comparison::new(self.other_errors, self.slashes);
        for seed in seeds {
            let (here, there) = (new_dir(), new_dir());
            let numbers = [seed, steps].map(|number| number.to_string());
            let arguments: Vec<String> = self.words.iter().map(|word| String::from(*word)).chain(numbers).collect();
            let plan = format!("AIOHOST_PLAN_SEED={seed} AIOHOST_PLAN_STEPS={steps} {way:?}");
            let (ours, theirs) =
                (said_here(way, guest, here.path(), &arguments), (self.said_there)(guest, there.path(), &arguments));
            comparison.add(&ours, &theirs, &plan);
            comparison.add_trees(here.path(), there.path(), &plan);
        }
        // Those that the environment asks for need not come by all that is listed.
        let is_whole =
            ["AIOHOST_PLAN_COUNT", "AIOHOST_PLAN_SEED", "AIOHOST_PLAN_STEPS"].into_iter().all(|name| number(name).is_none());
        comparison.assert_same(way, is_whole);
    }

    /// Each function that differs on purpose stands in the table of a section of the README.
    pub(crate) fn assert_told(&self, section: &str) {
        let readme = std::fs::read_to_string(root().join("README.md")).expect("there is a README");
        let (_, rest) = readme.split_once(&format!("\n### {section}\n")).expect("it has this section");
        let rows: Vec<&str> =
            rest.lines().take_while(|line| !line.starts_with('#')).filter(|line| line.starts_with("| ")).collect();
        let is_told = |function: &str| rows.iter().any(|row| row.contains(&format!("`{function}`")));
        let untold: BTreeSet<&str> = self.other_errors.iter().map(|other| other.0).filter(|name| !is_told(name)).collect();
        assert!(untold.is_empty(), "{section}: no row tells of {untold:?}");
    }
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
struct Comparison {
    other_errors: OtherErrors,
    slashes: &'static [&'static str],
    /// Those of them that there were.
    met: BTreeSet<(&'static str, &'static str, &'static str)>,
    same: usize,
    intended: usize,
    problems: BTreeMap<Difference, String>,
}

impl Comparison {
    fn new(other_errors: OtherErrors, slashes: &'static [&'static str]) -> Self {
        Self { other_errors, slashes, met: BTreeSet::new(), same: 0, intended: 0, problems: BTreeMap::new() }
    }

    fn add(&mut self, ours: &str, theirs: &str, plan: &str) {
        let (ours, theirs): (Vec<&str>, Vec<&str>) = (ours.lines().collect(), theirs.lines().collect());
        for (number, (our, their)) in ours.iter().zip(&theirs).enumerate() {
            let function = our.split(' ').next().unwrap_or_default();
            let (our_error, their_error) = (error(our), error(their));
            let listed = self.other_errors.iter().find(|other| **other == (function, our_error, their_error));
            let have_failed = our_error != DONE && their_error != DONE;
            if our == their {
                self.same += 1;
            } else if call(our) == call(their)
                && (listed.is_some() || names_no_object(our) && (have_failed || self.slashes.contains(&function)))
            {
                self.intended += 1;
                self.met.extend(listed);
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
    fn add_trees(&mut self, here: &Path, there: &Path, plan: &str) {
        if self.problems.is_empty() && tree(here) != tree(there) {
            self.problems.insert(Difference::default(), format!("{plan}: what is there in the end"));
        }
    }

    /// What is listed has to be met, so that nothing stands in a list that is not so.
    fn assert_same(self, way: Way, is_whole: bool) {
        let Self { same, intended, ref met, .. } = self;
        println!("{way:?}: {same} steps came to the same, {intended} to something else on purpose: {met:?}");
        let problems: Vec<String> = self.problems.into_values().collect();
        assert!(problems.is_empty(), "{}", problems.join("\n"));
        let never: Vec<_> = self.other_errors.iter().filter(|other| !self.met.contains(*other)).collect();
        assert!(never.is_empty() || !is_whole, "{way:?}: this is listed, and was never so: {never:?}");
    }
}
