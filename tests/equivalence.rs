//! Random plans of requests, carried out by a real guest and, in a twin of its directory, by the standard library: each step
//! has the same result, and in the end there is the same in both.
//!
//! A failure says how to have the same plan again: `AIOHOST_PLAN_SEED=1234 AIOHOST_PLAN_STEPS=4000`. More steps are a longer
//! run.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;

use tempfile::TempDir;

use plan::{Kind, Round, Step, WORLDS, plan};
use state::below;
use support::{Guest, OPENAT2, PORTABLE, Resolver, run, success};
use twin::Twin;

#[path = "equivalence/open_file.rs"]
mod open_file;
#[path = "equivalence/plan.rs"]
mod plan;
#[path = "equivalence/state.rs"]
mod state;
#[allow(dead_code, unused_imports, reason = "this suite has directories of its own")]
mod support;
#[path = "equivalence/twin.rs"]
mod twin;

/// Steps of a plan, unless the environment says otherwise.
const STEPS: usize = 4000;

/// A number from the environment.
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

/// Two directories that are the same: on the disk of the target directory, which knows all that plans do.
fn twins() -> (TempDir, TempDir) {
    let new = || {
        let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written");
        (0..WORLDS).for_each(|world| fs::create_dir_all(dir.path().join(format!("w{world}/top"))).expect("a new directory"));
        dir
    };
    (new(), new())
}

/// What the guest says to the plan: a line for each step.
fn guest_answers(dir: &Path, rounds: &[Round], guest: Guest, face: &str, resolver: Resolver) -> Vec<String> {
    let plans = TempDir::new().expect("there is room for temporary files");
    let text: String = rounds.iter().map(ToString::to_string).collect();
    fs::write(plans.path().join("plan"), text).expect("a file can be written");
    let grant = |option: &str, host: &Path, name: &str| [option.into(), format!("{}::{name}", host.display()).into()];
    let options: Vec<OsString> = [grant("--dir", dir, "/data"), grant("--ro-dir", plans.path(), "/plans")].concat();
    let output = success(run(&options, resolver, guest, &[face, "plans", "/plans/plan"]));
    let output = output.unwrap_or_else(|failure| panic!("{failure}"));
    let mut lines: Vec<String> = output.lines().map(String::from).collect();
    assert_eq!(lines.pop().as_deref(), Some("end of plan"));
    lines
}

/// A guest's answers beside the twin's.
struct Comparison {
    twin: Twin,
    /// What happened in each world: the latest is what a failure is looked for in.
    told: HashMap<usize, Vec<String>>,
    stopped: usize,
    failed: usize,
}

impl Comparison {
    fn step(&mut self, kind: Kind, step: &Step, answer: &str) -> Result<(), String> {
        let told = self.told.entry(step.world).or_default();
        told.push(format!("{step} -> {answer}"));
        let Some(stopped) = answer.strip_prefix("stopped").filter(|_| step.may_be_stopped(kind)) else {
            let expected = self.twin.answer(&step.request);
            self.failed += usize::from(!expected.starts_with("ok"));
            return if answer == expected { Ok(()) } else { Err(format!("expected {expected}")) };
        };
        self.stopped += 1;
        let Some(after) = stopped.strip_prefix(' ') else { return Ok(()) };
        // It has happened or not: both is right, and nothing else.
        let before = self.twin.state(step.world);
        if !is_same(&before, after) {
            self.twin.answer(&step.request);
            let expected = self.twin.state(step.world);
            if !is_same(&expected, after) {
                return Err(format!("expected {expected}\n      or {before}"));
            }
        }
        self.twin.touch(step.world, after);
        Ok(())
    }

    /// The last steps in a world.
    fn tell(&self, world: usize) -> String {
        let told = &self.told[&world];
        told.iter().skip(told.len().saturating_sub(25)).fold(String::new(), |mut text, line| {
            writeln!(text, "  {line}").expect("there is room");
            text
        })
    }
}

/// Whether a state is the expected one, but for directories that were changed for a while by what was then stopped.
fn is_same(expected: &str, state: &str) -> bool {
    let without_time = |line: &str| match line.split(' ').collect::<Vec<_>>()[..] {
        [path, "d", mode, links, _, ..] => {
            Some(format!("{path} d {mode} {links} recent{}", line.split_once("  ").map_or("", |(_, names)| names)))
        }
        _ => None,
    };
    let (expected, state) = (expected.split("; "), state.split("; "));
    let is_same_line = |(expected, line): (&str, &str)| {
        expected == line
            || without_time(expected).is_some_and(|expected| without_time(line) == Some(expected) && line.contains(" recent "))
    };
    expected.clone().count() == state.clone().count() && std::iter::zip(expected, state).all(is_same_line)
}

fn equivalent(guest: Guest, face: &str, resolver: Resolver) {
    let seed = number("AIOHOST_PLAN_SEED").unwrap_or_else(|| RandomState::new().hash_one(face));
    let steps = number("AIOHOST_PLAN_STEPS").map_or(STEPS, |steps| usize::try_from(steps).expect("a count fits"));
    let again = format!("AIOHOST_PLAN_SEED={seed} AIOHOST_PLAN_STEPS={steps}, {face}, {}", resolver.option);
    println!("{again}");
    let rounds = plan(seed, steps);
    let (dir, other) = twins();
    let answers = guest_answers(dir.path(), &rounds, guest, face, resolver);
    let planned = rounds.iter().flat_map(|round| round.steps.iter().map(|step| (round.kind, step)));
    assert_eq!(answers.len(), planned.clone().count(), "one line for each step");
    let mut comparison = Comparison { twin: Twin::new(other.path()), told: HashMap::new(), stopped: 0, failed: 0 };
    for ((kind, step), answer) in std::iter::zip(planned, &answers) {
        if let Err(difference) = comparison.step(kind, step, answer) {
            panic!("{again}\n{}{difference}", comparison.tell(step.world));
        }
    }
    let [one, other] = [&dir, &other].map(|dir| below(dir.path(), &[]).expect("it can be read"));
    assert_eq!(one, other, "{again}: in the end");
    let (failed, stopped) = (comparison.failed, comparison.stopped);
    println!("{} steps, of which {failed} failed and {stopped} were stopped", answers.len());
    // Plans that come to nothing prove nothing; short ones have yet to get going.
    assert!(steps < STEPS || failed < answers.len() * 2 / 3, "{failed} of {} steps failed", answers.len());
}

#[test]
fn blocking() {
    equivalent(Guest::Sync, "blocking", OPENAT2);
}

#[test]
fn blocking_portable() {
    equivalent(Guest::Sync, "blocking", PORTABLE);
}

#[test]
fn submit() {
    equivalent(Guest::Sync, "in-flight", OPENAT2);
}

#[test]
fn submit_portable() {
    equivalent(Guest::Sync, "in-flight", PORTABLE);
}

#[test]
fn async_submit() {
    equivalent(Guest::Async, "in-flight", OPENAT2);
}

#[test]
fn requests() {
    equivalent(Guest::Async, "requests", OPENAT2);
}

#[test]
fn requests_portable() {
    equivalent(Guest::Async, "requests", PORTABLE);
}
