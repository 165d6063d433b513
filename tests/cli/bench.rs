//! `aiohost bench`: what it prints and writes, and that it leaves nothing.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, setrlimit};
use serde_json::Value;

use crate::{Place, finished};

/// What it does, as fast as it can be done. The numbers mean nothing.
const QUICK: &str = "bench . --rounds 2 --time 1ms";

fn left(place: &Place) -> Vec<String> {
    let entries = fs::read_dir(place.path("")).expect("the directory is there");
    entries.map(|entry| entry.expect("it can be listed").file_name().to_string_lossy().into_owned()).collect()
}

/// Looks whether the numbers of both rounds are there, and times.
fn check(json: &str) {
    let json: Value = serde_json::from_str(json).expect("it is JSON");
    let of = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let names = |list: &[Value]| list.iter().map(|row| row["name"].as_str().expect("a name").to_owned()).collect::<Vec<_>>();
    let rows = of(&json, "rows");
    let expected = [
        ("read-4k", 1),
        ("read-4k-uncached", 1),
        ("write-4k", 1),
        ("stat", 1),
        ("open-read-close", 1),
        ("create-write-close-unlink", 1),
        ("create-write-fsync-close-unlink", 1),
        ("read-4k", 64),
        ("read-4k-uncached", 8),
        ("read-4k-uncached", 64),
        ("store-4k", 64),
    ];
    let found: Vec<(String, u64)> =
        std::iter::zip(names(&rows), rows.iter().map(|row| row["in-flight"].as_u64().expect("a number"))).collect();
    assert_eq!(found.iter().map(|(name, in_flight)| (name.as_str(), *in_flight)).collect::<Vec<_>>(), expected);
    let by_workers = of(&json, "by-workers");
    assert_eq!(names(&by_workers), ["read-4k-uncached", "store-4k"]);
    for row in &rows {
        assert_eq!(names(&of(row, "contenders")), ["native", "aiohost"]);
        assert!(row["ratio"].as_f64().is_some_and(|ratio| ratio > 0.0), "{row}");
    }
    for row in &by_workers {
        assert_eq!(names(&of(row, "workers")), ["1", "2", "4", "8", "16", "32"]);
        assert!(row["enough"].as_u64().is_some_and(|workers| (1..=32).contains(&workers)), "{row}");
    }
    let timed = rows.iter().flat_map(|row| of(row, "contenders")).chain(by_workers.iter().flat_map(|row| of(row, "workers")));
    for contender in timed {
        let rounds = of(&contender, "rounds");
        assert!(rounds.len() == 2 && rounds.iter().all(|time| time.as_f64().is_some_and(|time| time > 0.0)), "{contender}");
    }
}

#[test]
fn each_row_is_timed_and_nothing_is_left() {
    let place = Place::new();
    let outcome = place.run(&format!("{QUICK} --json bench.json"));
    assert_eq!((outcome.status, outcome.stderr.as_str()), (Some(0), ""), "{}", outcome.stdout);
    let lines: Vec<&str> = outcome.stdout.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.iter().filter(|line| line.ends_with('x')).count(), 11, "{}", outcome.stdout);
    assert!(lines[0].contains("2 rounds, medians"), "{}", lines[0]);
    assert!(lines.last().is_some_and(|line| line.starts_with("workers that are enough: ")), "{}", outcome.stdout);
    check(&fs::read_to_string(place.path("bench.json")).expect("it was written"));
    assert_eq!(left(&place), ["bench.json"]);
}

#[test]
fn the_numbers_for_a_program_are_alone_on_standard_output() {
    let place = Place::new();
    let outcome = place.run(&format!("{QUICK} --json -"));
    assert_eq!(outcome.status, Some(0), "{}", outcome.stderr);
    assert!(
        outcome.stderr.lines().all(|line| line.starts_with("measuring: ")) && !outcome.stderr.is_empty(),
        "{}",
        outcome.stderr
    );
    check(&outcome.stdout);
    assert_eq!(left(&place), [""; 0]);
}

#[test]
fn a_signal_ends_it_and_its_files_are_removed() {
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let place = Place::new();
        let mut command = place.command("bench . --rounds 1000000");
        let mut bench = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut lines = BufReader::new(bench.stdout.take().expect("it is piped")).lines();
        // The first row that was timed.
        assert!(lines.any(|line| line.is_ok_and(|line| line.starts_with("one after the other"))));
        assert_eq!(left(&place).len(), 1);
        kill_process(Pid::from_child(&bench), signal).expect("it runs");
        let status_of = bench.wait().expect("it ends").code();
        assert_eq!((status_of, left(&place).len()), (Some(status), 0), "{signal:?}");
    }
}

fn limited(command: &mut Command, bytes: u64) -> &mut Command {
    // SAFETY: the call is safe between fork and exec.
    unsafe { command.pre_exec(move || Ok(setrlimit(Resource::Fsize, Rlimit { current: Some(bytes), maximum: Some(bytes) })?)) }
}

#[test]
fn where_its_files_cannot_be_made_it_says_so_and_leaves_none() {
    let place = Place::new();
    let outcome = finished(limited(&mut place.command("bench ."), 10 << 20));
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(1), ""));
    let told =
        ["error: cannot make 68 MiB of files in ", ": File too large", "help: choose a directory on a disk with more room"];
    assert!(told.iter().all(|words| outcome.stderr.contains(words)), "{}", outcome.stderr);
    assert_eq!(left(&place), [""; 0]);
    let outcome = place.run("bench nowhere");
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(1), ""));
    assert!(
        outcome.stderr.starts_with("error: cannot make a directory in nowhere: No such file or directory"),
        "{}",
        outcome.stderr
    );
}
