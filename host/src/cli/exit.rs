//! Exit statuses, and errors in three parts: what, why, and what to do.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use aiohost::{Problem, ProblemKind, shown};
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};

use super::remedy::{Remedied, Usage};
use super::streams;

/// The host failed, or the plugin was ended for another reason than a trap.
pub(super) const FAILED: u8 = 1;

/// The command line is wrong. clap uses the same.
const USAGE: u8 = 2;

/// The run took too long; as `timeout(1)` has it.
pub(super) const TIMED_OUT: u8 = 124;

/// The guest trapped; as a shell reports a program that aborted.
const TRAPPED: u8 = 134;

/// Prints what clap has to say: help, the version, or what is wrong with the command line; and gives the exit status for it.
pub(super) fn clap(error: &clap::Error) -> ExitCode {
    let text = match error.get(ContextKind::Custom) {
        // Help that is not clap's own.
        Some(ContextValue::StyledStr(help)) => help.clone(),
        _ => error.render(),
    };
    if error.use_stderr() {
        streams::say(&styled(&text, io::stderr().is_terminal()));
        return ExitCode::from(USAGE);
    }
    match streams::print(&styled(&text, io::stdout().is_terminal())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// In colours where there is somebody to see them, who has not asked for none.
fn styled(text: &StyledStr, is_terminal: bool) -> String {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_plain = is_set("NO_COLOR") || std::env::var_os("TERM").is_none_or(|name| name == "dumb");
    if is_terminal && !is_plain { text.ansi().to_string() } else { text.to_string() }
}

/// Tells of an error on standard error, and gives the exit status for it.
pub(super) fn fail(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(tell(error))
}

/// The same, with the status as a number.
pub(super) fn tell(error: &anyhow::Error) -> u8 {
    streams::say(&report(error));
    status(error)
}

/// Ends the process here and now. Other than `std::process::exit` it flushes nothing, which could wait for a reader for ever.
pub(super) fn at_once(status: u8) -> ! {
    // SAFETY: the process has nothing left to do.
    unsafe { libc::_exit(status.into()) }
}

/// The exit status for an error.
pub(super) fn status(error: &anyhow::Error) -> u8 {
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
    let help = error.downcast_ref::<Problem>().and_then(Problem::help_for_command);
    let help = help.or_else(|| error.downcast_ref::<Remedied>().map(|error| error.help.as_str()));
    let usage = error.is::<Usage>().then_some("see aiohost --help");
    if let Some(help) = help.or(usage) {
        add(&mut text, "  help: ", help);
    }
    text
}

/// Adds a part whose further lines stand below its first, without what a stranger's name could do to the terminal.
fn add(text: &mut String, label: &str, message: &str) {
    for (index, line) in shown::text(message.trim_end()).lines().enumerate() {
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
    fn a_name_in_an_error_does_not_steer_the_terminal() {
        let remedied = Remedied { what: "no \x1b]0;a\x07".to_owned(), help: format!("name \x1b[2J{}", "x".repeat(1 << 20)) };
        let told = report(&anyhow::anyhow!("b\x1b[31m").context(remedied));
        assert!(told.starts_with("error: no \\u{1b}]0;a\\u{7}\n  cause: b\\u{1b}[31m\n  help: name \\u{1b}[2Jxxx"), "{told}");
        assert!(told.len() < 2000, "{} bytes", told.len());
    }

    #[test]
    fn a_mistake_of_usage_has_a_status_of_its_own() {
        assert_eq!(status(&Usage("no".to_owned()).into()), 2);
        assert_eq!(status(&anyhow::anyhow!("no")), 1);
    }
}
