//! What the arguments after the face ask for.

use crate::face::Face;
use crate::{attempt, plans, race, tests};

/// Runs what the host's side of the test-suite asks for. A failed test panics, which ends the guest with a trap.
pub async fn run<F: Face>(arguments: &[String]) {
    match arguments {
        [program] if program == "list" => tests::names::<F>().for_each(|name| println!("{name}")),
        [program, plans @ ..] if program == "attempt" => attempt::run::<F>(plans).await,
        [program, rounds] if program == "race" => race::run::<F>(rounds.parse().expect("a number of rounds")).await,
        [program] if program == "store-endlessly" => race::store::<F>().await,
        [program, rounds] if program == "race-trees" => race::trees::<F>(rounds.parse().expect("a number of rounds")).await,
        [program, path] if program == "plans" => plans::run::<F>(path).await,
        [name] => {
            assert!(tests::run::<F>(name).await, "no test has the name {name}");
            // The host looks for this line: an exit code of 0 alone could also come from a guest that never ran.
            println!("passed {name}");
        }
        other => panic!("cannot do {other:?}"),
    }
}
