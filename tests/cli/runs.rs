//! Runs: exit statuses, what a guest is given, and how it is ended.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Outcome, Place, finished, guests};

#[track_caller]
fn status_of(guest: String, options: &str) -> Outcome {
    Place::with("guest.wat", guest).run(&format!("run guest.wat {options}"))
}

#[test]
fn a_plugin_prints_and_succeeds() {
    status_of(guests::hello(), "").assert_output(0, "hello\n");
}

#[test]
fn the_status_is_the_plugins_own() {
    status_of(guests::exits(0), "").assert_output(0, "");
    for status in [1, 2, 42, 126, 255] {
        status_of(guests::exits(status), "").assert_output(status.into(), "");
    }
    status_of(guests::exits_with_code(42), "").assert_output(42, "");
    status_of(guests::async_command(0), "").assert_output(0, "");
    status_of(guests::async_command(1), "").assert_output(1, "");
}

#[test]
fn a_trap_is_134_and_tells_where() {
    let outcome = status_of(guests::traps(), "");
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(134), "ready\n"), "{outcome:?}");
    assert!(outcome.stderr.starts_with(
        "error: guest.wat trapped: wasm `unreachable` instruction executed\n  cause: error while executing at wasm backtrace:\n"
    ));
    assert!(outcome.stderr.ends_with(
        "  help: the plugin gave up, as for a panic or a failed assertion; its last words are above, if it had any\n"
    ));
}

/// What it gives to the host is not as the interfaces of components say.
#[test]
fn a_guest_that_breaks_the_rules_of_components_was_ended_by_the_host() {
    let guest = |body: &str| {
        format!(
            r#"(component
                (import "wasi:io/poll@0.2.6" (instance $poll
                    (export "pollable" (type $pollable (sub resource)))
                    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
                (core func $block (canon lower (func $poll "[method]pollable.block")))
                (core module $m
                    (import "" "block" (func $block (param i32)))
                    (func (export "run") (result i32) {body}))
                (core instance $i (instantiate $m (with "" (instance (export "block" (func $block))))))
                (func $run (result (result)) (canon lift (core func $i "run")))
                (instance $run (export "run" (func $run)))
                (export "wasi:cli/run@0.2.6" (instance $run)))"#
        )
    };
    for (body, said) in [
        (
            "(call $block (i32.const 77)) (i32.const 0)",
            "unknown handle index 77\n  cause: error while executing at wasm backtrace:\n",
        ),
        ("(i32.const 7)", "invalid expected discriminant\n"),
    ] {
        let outcome = status_of(guest(body), "");
        assert_eq!(outcome.status, Some(134), "{outcome:?}");
        assert!(outcome.stderr.starts_with(&format!("error: guest.wat trapped: {said}")), "{outcome:?}");
        assert!(outcome.stderr.ends_with("  help: this is a mistake in the plugin's own code\n"), "{outcome:?}");
    }
}

#[test]
fn a_guest_that_recurses_for_ever_traps() {
    let outcome = status_of(guests::recurses(), "");
    assert_eq!(outcome.status, Some(134), "{outcome:?}");
    assert!(outcome.stderr.starts_with("error: guest.wat trapped: call stack exhausted\n"), "{outcome:?}");
    assert!(outcome.stderr.ends_with("  help: the plugin recursed too deeply\n"), "{outcome:?}");
}

#[test]
fn a_guest_that_never_ends_is_stopped() {
    Place::with("guest.wat", guests::spins()).warmed().run("run guest.wat --timeout 50ms").assert(
        124,
        "error: guest.wat was stopped: it took longer than 50ms\n  \
         help: give it more time with --timeout, or none to wait as long as it takes\n",
    );
}

/// A guest that says it is ready and then runs on.
fn start(place: &Place, line: &str) -> Child {
    let mut child = place.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut line = String::new();
    let stdout = child.stdout.as_mut().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    assert_eq!(line, "ready\n");
    child
}

fn end(child: Child, signal: Signal) -> Outcome {
    kill_process(Pid::from_child(&child), signal).expect("the program still runs");
    child.wait_with_output().expect("the program ends").into()
}

#[test]
fn signals_end_a_guest_cleanly() {
    let place = Place::with("guest.wat", guests::spins());
    for (signal, status) in [(Signal::HUP, 129), (Signal::INT, 130), (Signal::QUIT, 131), (Signal::TERM, 143)] {
        let outcome = end(start(&place, "run guest.wat --stats"), signal);
        assert_eq!((outcome.status, outcome.stderr.as_str()), (Some(status), "no requests\n"), "{outcome:?}");
    }
}

#[test]
fn a_second_signal_ends_the_program_whatever_the_guest_does() {
    let place = Place::with("guest.wat", guests::spins());
    let child = start(&place, "run guest.wat");
    // Two of a kind might arrive as one.
    kill_process(Pid::from_child(&child), Signal::INT).expect("the program still runs");
    let outcome = end(child, Signal::TERM);
    assert!(matches!(outcome.status, Some(130 | 143)), "{outcome:?}");
}

#[test]
fn the_forms_of_a_plugin_are_told_apart_by_content() {
    let binary = |text: String| wat::parse_str(text).expect("a valid guest");
    let place = Place::with("module", binary(guests::hello()));
    place.write("component.txt", binary(guests::exits_with_code(7)));
    place.write("text.wasm", guests::hello());
    place.run("run module").assert_output(0, "hello\n");
    place.run("run component.txt").assert_output(7, "");
    place.run("run text.wasm").assert_output(0, "hello\n");
}

#[test]
fn the_environment_is_what_is_given() {
    let place = Place::with("guest.wat", guests::prints("environ"));
    place.run("run guest.wat").assert_output(0, "");
    let mut command = place.command("run guest.wat --env A=b=c --env INHERITED");
    finished(command.env("INHERITED", "value")).assert_output(0, "A=b=c\0INHERITED=value\0");
}

#[test]
fn directories_keep_their_order_and_their_rights() {
    let place = Place::new();
    place.make_dir("a");
    place.make_dir("b");
    place.write("first.wat", guests::makes_directory(0));
    place.write("second.wat", guests::makes_directory(1));
    place.write("third.wat", guests::makes_directory(2));
    let made = |name: &str| place.path(name).join("new").exists();

    place.run("run first.wat --ro-dir a --dir b").assert_output(1, "");
    assert!(!made("a") && !made("b"));
    place.run("run second.wat --ro-dir a --dir b::/b").assert_output(0, "");
    assert!(!made("a") && made("b"));
    // After those that were given comes the working directory: the first of them once more.
    place.run("run third.wat --dir a --ro-dir b").assert_output(0, "");
    assert!(made("a"));
    place.run("run third.wat").assert_output(1, "");
}

#[test]
fn requests_are_counted() {
    let outcome = status_of(guests::nops("0.1.0", "nop", 5), "--stats");
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(0), ""), "{outcome:?}");
    let rows: Vec<Vec<&str>> = outcome.stderr.lines().map(|line| line.split_whitespace().take(4).collect()).collect();
    let expected = [["request", "count", "errors", "inline"], ["nop", "5", "0", "0"], ["all", "5", "0", "0"]];
    assert_eq!(rows, expected, "{outcome:?}");
}

#[test]
fn a_seek_was_told_of_as_a_tebibyte() {
    let text = guests::preview1(
        r#"(import "wasi_snapshot_preview1" "path_open"
             (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
           (import "wasi_snapshot_preview1" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))
           (data (i32.const 0) "f")"#,
        "(drop (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 1)
           (i64.const 70) (i64.const 0) (i32.const 0) (i32.const 8)))
         (drop (call $seek (i32.load (i32.const 8)) (i64.const 1099511627776) (i32.const 0) (i32.const 16)))",
    );
    let outcome = Place::with("guest.wat", text).run("run --dir . --stats guest.wat");
    let rows: Vec<Vec<&str>> = outcome.stderr.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(rows.contains(&vec!["fd_seek", "1", "0", "1", "-", "-", "-"]), "{outcome:?}");
}

#[test]
fn requests_are_counted_when_the_guest_fails_too() {
    let outcome = status_of(guests::traps(), "--stats");
    assert_eq!(outcome.status, Some(134));
    assert!(outcome.stderr.starts_with("no requests\nerror: "), "{outcome:?}");
    let outcome = status_of(guests::spins(), "--stats --timeout 50ms");
    assert_eq!(outcome.status, Some(124));
    assert!(outcome.stderr.starts_with("no requests\nerror: "), "{outcome:?}");
}

#[test]
fn functions_are_called_by_name() {
    let place = Place::with("calc.wat", guests::calculator());
    let invoke = |call: &str| finished(place.command("run calc.wat --invoke").arg(call));
    invoke("add(40, 2)").assert_output(0, "42\n");
    invoke("div(9, 2)").assert_output(0, "4\n");
    invoke("example:calculator/sums.div(9, 3)").assert_output(0, "3\n");
    invoke("example:calculator/sums@1.2.0.div(9, 4)").assert_output(0, "2\n");
    assert_eq!(invoke("div(1, 0)").status, Some(134));
}
