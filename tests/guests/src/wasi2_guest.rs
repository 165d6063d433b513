//! `wasi2.wasm`: a command of WASI 0.2 that knows nothing of aiohost.

#[path = "wasi/attempt.rs"]
mod attempt;
#[path = "wasi/files2.rs"]
mod files;
#[path = "wasi/held.rs"]
mod held;
#[path = "wasi/plan.rs"]
mod plan;
#[path = "wasi/program.rs"]
mod program;
#[path = "wasi/race.rs"]
mod race;
mod random;
mod ready;
#[path = "wasi/records.rs"]
mod records;
mod words;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    ready::block_on(async {
        match &arguments[..] {
            [name, seed, steps] if name == "plan" => {
                plan::run(seed.parse().expect("a number"), steps.parse().expect("a number")).await;
            }
            [name] if name == "own-output" => own_output(),
            [name] if name == "failed-stream" => files::failed_stream(),
            others => assert!(program::run(others).await, "this guest knows no {others:?}"),
        }
    });
}

/// Writes to standard output, which goes to the file `said`, and looks at that file before and after each time.
fn own_output() {
    use std::io::Write;

    let length = || std::fs::metadata("said").expect("it is there").len();
    for number in 0..200 {
        assert_eq!(length(), number);
        let mut output = std::io::stdout();
        output.write_all(b"x").and_then(|()| output.flush()).expect("it can be written");
    }
}
