//! The program that is tested.

use std::sync::OnceLock;

/// The path of the aiohost that suites start: that of this build, unless `AIOHOST_TESTED` names another one. So `tests/run.sh` has the
/// suites built quickly, without optimizations, and has them start a program with them.
pub(crate) fn aiohost() -> &'static str {
    static TESTED: OnceLock<String> = OnceLock::new();
    TESTED.get_or_init(|| std::env::var("AIOHOST_TESTED").unwrap_or_else(|_| env!("CARGO_BIN_EXE_aiohost").to_owned()))
}
