//! What the host and its libraries log, on standard error.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

use super::Verbosity;
use super::remedy::Usage;
use super::streams::Log;

/// Who looks at the certificates of registries: what is wrong with one is the cause of an error, and need not be said twice.
const TOLD_ANYWAY: &str = "rustls_platform_verifier=off";

/// Starts logging.
pub(super) fn start(verbosity: &Verbosity) -> anyhow::Result<()> {
    let (asked, origin) = match (&verbosity.log, std::env::var("AIOHOST_LOG")) {
        (Some(filter), _) => (Some(filter.clone()), "--log"),
        (None, Ok(filter)) => (Some(filter), "AIOHOST_LOG"),
        (None, Err(_)) => (None, ""),
    };
    let filter = match asked {
        Some(filter) => EnvFilter::try_new(&filter).map_err(|error| Usage(format!("{origin} is not a log filter: {error}")))?,
        None => EnvFilter::new(format!("{},{TOLD_ANYWAY}", level(verbosity))),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Log)
        .with_ansi(stderr().is_terminal())
        .without_time()
        .compact()
        .init();
    Ok(())
}

fn level(verbosity: &Verbosity) -> &'static str {
    match (verbosity.quiet, verbosity.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, _) => "debug",
    }
}
