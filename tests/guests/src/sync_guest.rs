//! `requests-sync.wasm`: a WASI 0.2 command with a plain `main`, which has the faces without an `async func`.

#[macro_use]
mod face;

mod attempt;
mod behind;
mod check;
mod crowd;
mod ends;
mod flight;
mod greedy;
mod lifecycle;
mod plans;
mod program;
mod race;
mod random;
mod ready;
mod stress;
mod tests;
mod words;

/// Only what this guest imports: one that merely imports an `async func` needs the larger engine.
mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package aiohost:tests;

            world sync-guest {
              include aiohost:aio/blocking-guest@0.1.0;
              include aiohost:aio/submit-guest@0.1.0;
            }
        ",
        world: "aiohost:tests/sync-guest",
        generate_all,
    });
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    ready::block_on(async {
        match arguments.first().map(String::as_str) {
            Some("behind") => behind::run(&arguments[1]),
            Some("crowd") => crowd::run(&arguments[1..]),
            Some("greedy") => greedy::run(&arguments[1]),
            Some("ends") => ends::run(&arguments[1..]),
            Some("lifecycle") => lifecycle::run(&arguments[1]),
            Some("stress") => stress::run(&arguments[1], arguments[2].parse().expect("a seed")),
            Some("blocking") => program::run::<face::Blocking>(&arguments[1..]).await,
            Some("in-flight") => program::run::<flight::InFlight>(&arguments[1..]).await,
            Some("submit") => program::run::<face::Submit>(&arguments[1..]).await,
            other => panic!("this guest has the faces blocking, in-flight and submit, not {other:?}"),
        }
    });
}
