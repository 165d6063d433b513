//! Exit statuses, and errors in three parts: what, why, and what to do.

use std::fmt::Write as _;
use std::process::ExitCode;

use aiohost::{Problem, ProblemKind};

/// The host failed, or the plugin was ended for another reason than a trap.
const FAILED: u8 = 1;

/// The command line is wrong. clap uses the same.
const USAGE: u8 = 2;

/// The run took too long; as `timeout(1)` has it.
const TIMED_OUT: u8 = 124;

/// The guest trapped; as a shell reports a program that aborted.
const TRAPPED: u8 = 134;

/// A mistake on the command line that clap cannot see.
#[derive(Debug)]
pub(super) struct Usage(pub(super) String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// An error of the command line itself, with its remedy.
#[derive(Debug)]
pub(super) struct Remedied {
    pub(super) what: String,
    pub(super) help: String,
}

impl std::fmt::Display for Remedied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Remedied {}

/// Tells of an error on standard error, and gives the exit status for it.
pub(super) fn fail(error: &anyhow::Error) -> ExitCode {
    eprint!("{}", report(error));
    ExitCode::from(status(error))
}

fn status(error: &anyhow::Error) -> u8 {
    if error.is::<Usage>() {
        return USAGE;
    }
    match error.downcast_ref::<Problem>().map(Problem::kind) {
        Some(ProblemKind::Trap) => TRAPPED,
        Some(ProblemKind::Timeout) => TIMED_OUT,
        _ => FAILED,
    }
}

/// The error with each of its causes on a line, and what to do about it.
pub(super) fn report(error: &anyhow::Error) -> String {
    let mut text = String::new();
    let mut said = String::new();
    for (index, cause) in error.chain().enumerate() {
        let message = cause.to_string();
        // Some errors repeat their cause in their own words.
        if index > 0 && said.contains(&message) {
            continue;
        }
        add(&mut text, if index == 0 { "error: " } else { "  cause: " }, &message);
        said.push_str(&message);
    }
    let help = error.downcast_ref::<Problem>().and_then(Problem::help);
    let help = help.or_else(|| error.downcast_ref::<Remedied>().map(|error| error.help.as_str()));
    let usage = error.is::<Usage>().then_some("see aiohost --help");
    if let Some(help) = help.or(usage) {
        add(&mut text, "  help: ", help);
    }
    text
}

/// Adds a part whose further lines stand below its first.
fn add(text: &mut String, label: &str, message: &str) {
    for (index, line) in message.trim_end().lines().enumerate() {
        let indent = if index == 0 { label } else { "         " };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{indent}{line}");
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn an_error_is_told_with_its_causes_and_its_remedy() {
        let error = Err::<(), _>(anyhow::anyhow!("at the root\nof two lines")).context("it failed").expect_err("an error");
        assert_eq!(report(&error), "error: it failed\n  cause: at the root\n         of two lines\n");
        let remedied = Remedied { what: "it is there".to_owned(), help: "use --force".to_owned() };
        assert_eq!(report(&remedied.into()), "error: it is there\n  help: use --force\n");
    }

    #[test]
    fn a_cause_that_was_told_is_not_told_again() {
        let error = anyhow::anyhow!("no such file").context("cannot read: no such file");
        assert_eq!(report(&error), "error: cannot read: no such file\n");
    }

    #[test]
    fn a_mistake_of_usage_has_a_status_of_its_own() {
        assert_eq!(status(&Usage("no".to_owned()).into()), 2);
        assert_eq!(status(&anyhow::anyhow!("no")), 1);
    }
}
