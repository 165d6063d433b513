//! Errors of the command line itself.

use std::error::Error;
use std::fmt;

/// A mistake on the command line that clap cannot see.
#[derive(Debug)]
pub(super) struct Usage(pub(super) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Usage {}

/// An error with its remedy.
pub(super) fn failure(what: impl Into<String>, help: impl Into<String>) -> anyhow::Error {
    Remedied { what: what.into(), help: help.into() }.into()
}

/// An error of the command line itself, with its remedy.
#[derive(Debug)]
pub(super) struct Remedied {
    pub(super) what: String,
    pub(super) help: String,
}

impl fmt::Display for Remedied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for Remedied {}
