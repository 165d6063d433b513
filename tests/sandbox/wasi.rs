//! Which attempts of the table can be made by WASI. They are answered as on the faces.

use crate::support::{Guest, OPENAT2, PORTABLE};
use crate::{attempt_all, race};

/// What stands in the place of a face where a guest has none.
pub(crate) const WASI: &str = "WASI";

/// Every version of WASI, and a guest that knows nothing else.
pub(crate) const FRONTS: [(Guest, &str); 3] = [(Guest::Preview1, WASI), (Guest::Wasi2, WASI), (Guest::Wasi3, WASI)];

/// The requests that WASI has.
const REQUESTS: [&str; 14] = [
    "open", "open-dir", "stat", "lstat", "utime", "truncate", "symlink", "readlink", "readdir", "unlink", "rmdir", "mkdir",
    "rename", "link",
];

/// A row of the table as it is for WASI: an answer is a code without a number.
pub(crate) fn row((plan, answer): (String, &'static str)) -> Option<(String, &'static str)> {
    let request = plan.split(' ').next().unwrap_or_default();
    if !REQUESTS.contains(&request) && request != "std" {
        return None;
    }
    let is_code = !answer.starts_with("ok");
    Some((plan, if is_code { answer.split(' ').next().unwrap_or_default() } else { answer }))
}

#[test]
fn attempts_preview_1() {
    if FRONTS[0].0.is_there() {
        attempt_all(FRONTS[0], OPENAT2);
    }
}

#[test]
fn race_preview_1() {
    if FRONTS[0].0.is_there() {
        race(FRONTS[0], OPENAT2);
    }
}

#[test]
fn attempts_preview_1_portable() {
    if FRONTS[0].0.is_there() {
        attempt_all(FRONTS[0], PORTABLE);
    }
}

#[test]
fn race_preview_1_portable() {
    if FRONTS[0].0.is_there() {
        race(FRONTS[0], PORTABLE);
    }
}

#[test]
fn attempts_wasi_0_2() {
    attempt_all(FRONTS[1], OPENAT2);
}

#[test]
fn race_wasi_0_2() {
    race(FRONTS[1], OPENAT2);
}

#[test]
fn attempts_wasi_0_2_portable() {
    attempt_all(FRONTS[1], PORTABLE);
}

#[test]
fn race_wasi_0_2_portable() {
    race(FRONTS[1], PORTABLE);
}

#[test]
fn attempts_wasi_0_3() {
    attempt_all(FRONTS[2], OPENAT2);
}

#[test]
fn race_wasi_0_3() {
    race(FRONTS[2], OPENAT2);
}

#[test]
fn attempts_wasi_0_3_portable() {
    attempt_all(FRONTS[2], PORTABLE);
}

#[test]
fn race_wasi_0_3_portable() {
    race(FRONTS[2], PORTABLE);
}
