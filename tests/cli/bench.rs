//! `aiohost bench`: what it prints and writes, and that it leaves nothing.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, setrlimit};
use serde_json::Value;

use crate::ends::end;
use crate::fuse::{Answer, Fuse, Op};
use crate::{Outcome, Place, finished};

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
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129), (Signal::QUIT, 131)] {
        let place = Place::new();
        let bench = started(&mut place.command("bench . --rounds 1000000"));
        assert_eq!(left(&place).len(), 1);
        kill_process(Pid::from_child(&bench), signal).expect("it runs");
        let outcome = ended(bench);
        assert_eq!((outcome.status, outcome.stderr.as_str(), left(&place).len()), (Some(status), "", 0), "{signal:?}");
    }
}

/// Starts it, and waits until it has begun to measure.
fn started(command: &mut Command) -> Child {
    let mut bench = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut text = BufReader::new(bench.stdout.as_mut().expect("it is piped")).lines();
    assert!(text.any(|line| line.is_ok_and(|line| line.starts_with("one after the other"))));
    bench
}

/// Waits for the end, of whoever has its standard streams too. What it has printed meanwhile is of no interest.
#[track_caller]
fn ended(mut bench: Child) -> Outcome {
    bench.stdout.take();
    end(bench).into()
}

#[test]
fn a_signal_that_is_ignored_at_the_start_does_not_end_it() {
    let place = Place::new();
    let mut command = place.command(QUICK);
    // SAFETY: it is safe to do that between fork and exec, and no handler is involved.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
            Ok(())
        });
    }
    let bench = started(&mut command);
    kill_process(Pid::from_child(&bench), Signal::HUP).expect("it runs");
    let outcome = ended(bench);
    assert_eq!((outcome.status, outcome.stderr.as_str()), (Some(0), ""));
    assert_eq!(left(&place), [""; 0]);
}

#[test]
fn a_file_system_that_does_not_answer_delays_no_end() {
    for op in [Op::MkDir, Op::Create, Op::Write, Op::Unlink] {
        let Some(fuse) = Fuse::mount() else { return };
        fuse.answer(op, Answer::Never);
        let place = Place::new();
        let mut command = place.command("bench");
        let bench = command.arg(fuse.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let pid = Pid::from_child(&bench);
        if op == Op::Unlink {
            fuse.wait_for(Op::Write, 1);
            kill_process(pid, Signal::TERM).expect("it runs");
            fuse.wait_for(op, 1);
        } else {
            fuse.wait_for(op, 1);
            kill_process(pid, Signal::TERM).expect("it runs");
        }
        let outcome = ended(bench);
        // The name is known once the directory is made.
        let says = "is left: its file system takes too long to let it be removed; remove it\n";
        assert_eq!((outcome.status, outcome.stderr.ends_with(says)), (Some(143), op != Op::MkDir), "{op:?}: {outcome:?}");
    }
}

#[test]
fn a_second_signal_waits_for_nothing() {
    let Some(fuse) = Fuse::mount() else { return };
    fuse.answer(Op::Write, Answer::Never);
    let place = Place::new();
    let mut command = place.command("bench");
    let bench = command.arg(fuse.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    fuse.wait_for(Op::Write, 1);
    let pid = Pid::from_child(&bench);
    // Two of a kind might arrive as one.
    kill_process(pid, Signal::INT).expect("it runs");
    kill_process(pid, Signal::TERM).expect("it runs");
    let outcome = ended(bench);
    assert!(matches!(outcome.status, Some(130 | 143)), "{outcome:?}");
    assert!(outcome.stderr.ends_with("is left: it was not waited for; remove it\n"), "{outcome:?}");
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
    let told = "error: cannot make 68 MiB of files in .: File too large (os error 27)\n  help: raise the limit for the size of files, ";
    assert!(outcome.stderr.starts_with(told), "{}", outcome.stderr);
    assert_eq!(left(&place), [""; 0]);
    place.write("file", "");
    let cases = [
        ("no/where", "No such file or directory (os error 2)", "make it first: mkdir -p 'no/where'"),
        ("/proc", "No such file or directory (os error 2)", "choose a directory that files can be made in"),
        ("file", "Not a directory (os error 20)", "name a directory"),
    ];
    for (dir, why, help) in cases {
        let told = format!("error: cannot make a directory in {dir}: {why}\n  help: {help}\n");
        place.run(&format!("bench {dir}")).assert(1, &told);
    }
}

/// Whatever fails for want of a descriptor: a file, a plugin, or one of the threads while the others go on.
#[test]
fn without_descriptors_it_leaves_nothing() {
    let place = Place::new();
    for limit in (8..28).step_by(2) {
        let mut command = place.command(QUICK);
        let limit = Some(limit);
        // SAFETY: the call is safe between fork and exec.
        unsafe { command.pre_exec(move || Ok(setrlimit(Resource::Nofile, Rlimit { current: limit, maximum: limit })?)) };
        let outcome = finished(&mut command);
        assert_eq!((outcome.status, left(&place).as_slice()), (Some(1), [].as_slice()), "{limit:?}: {outcome:?}");
        assert!(!outcome.stderr.contains("warning"), "{limit:?}: {outcome:?}");
    }
}

#[test]
fn so_many_rounds_that_they_fit_nowhere_are_refused() {
    let place = Place::new();
    for rounds in ["1000001", "99999999999999999"] {
        // If it were taken, it would still come to an end.
        let outcome = place.run(&format!("bench nowhere --rounds {rounds}"));
        let told = format!("error: invalid value '{rounds}' for '--rounds <NUMBER>': it must be 1000000 at most\n");
        assert!(outcome.status == Some(2) && outcome.stderr.starts_with(&told), "{outcome:?}");
    }
    assert_eq!(left(&place), [""; 0]);
}
