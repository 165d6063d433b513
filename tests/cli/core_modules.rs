//! Core modules, which run as they are: what they find, how they end, and how they are compiled, kept, described and called.

use std::fs;
use std::time::{Duration, Instant};

use crate::{Outcome, Place, finished, guests};

/// A module whose `_start` does this.
fn command(declarations: &str, body: &str) -> String {
    format!(r#"(module {declarations} (func (export "_start") {body}))"#)
}

fn run(guest: &str, options: &str) -> Outcome {
    Place::with("guest.wat", guest).run(&format!("run guest.wat {options}"))
}

/// How many plugins there is compiled code of in the cache.
fn entries(place: &Place) -> usize {
    let Ok(entries) = fs::read_dir(place.own("cache/code")) else { return 0 };
    let paths = entries.map(|entry| entry.expect("the cache can be read").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "cwasm")).count()
}

#[test]
fn a_core_module_runs_as_it_is() {
    run(&command("", ""), "").assert_output(0, "");
    // Nothing of the host's is in its memory, whether it is exported or not: it has the size that it declares, what grows follows
    // it, and nothing grows by itself.
    for memory in [r#"(memory (export "memory") 3)"#, "(memory 3)"] {
        let grows = "(if (i32.ne (memory.size) (i32.const 3)) (then unreachable))
            (if (i32.ne (memory.grow (i32.const 2)) (i32.const 3)) (then unreachable))
            (if (i32.ne (memory.size) (i32.const 5)) (then unreachable))
            (if (i32.load (i32.const 0)) (then unreachable))
            (if (i32.load (i32.const 327676)) (then unreachable))";
        run(&command(memory, grows), "").assert_output(0, "");
    }
}

#[test]
fn the_memory_of_a_core_module_is_its_own_while_it_calls_wasi() {
    // As an allocator does that takes what grows to follow its own.
    let declarations = r#"
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (memory (export "memory") 1)"#;
    let body = "(if (i32.ne (memory.grow (i32.const 1)) (i32.const 1)) (then unreachable))
        (if (call $random (i32.const 65536) (i32.const 65536)) (then unreachable))
        (if (i32.ne (memory.grow (i32.const 1)) (i32.const 2)) (then unreachable))
        (if (i32.ne (memory.size) (i32.const 3)) (then unreachable))";
    run(&command(declarations, body), "").assert_output(0, "");
}

#[test]
fn of_a_status_the_lowest_eight_bits_are_seen() {
    let exit = r#"(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#;
    for (status, seen) in [(0, 0), (7, 7), (255, 255), (298, 42), (-1, 255)] {
        run(&command(exit, &format!("(call $exit (i32.const {status}))")), "").assert_output(seen, "");
        // Also where it comes before the beginning.
        let early =
            format!(r#"(module {exit} (func $f (call $exit (i32.const {status}))) (start $f) (func (export "_start")))"#);
        run(&early, "").assert_output(seen, "");
    }
}

/// Nothing ends a guest in the midst of a call that the kernel is at.
#[test]
fn one_call_moved_gigabytes() {
    let guest = r#"(module
        (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_pread" (func $read (param i32 i32 i32 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_pwrite" (func $write (param i32 i32 i32 i64 i32) (result i32)))
        (memory (export "memory") 800)
        (data (i32.const 0) "huge")
        (func $twice (param $length i32)
            (i32.store (i32.const 16) (i32.const 65536)) (i32.store (i32.const 20) (local.get $length))
            (i32.store (i32.const 24) (i32.const 65536)) (i32.store (i32.const 28) (local.get $length)))
        (func (export "_start")
            (if (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 0)
                    (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 8))
                (then unreachable))
            (call $twice (i32.const 30000000))
            (if (call $read (i32.load (i32.const 8)) (i32.const 16) (i32.const 2) (i64.const 0) (i32.const 12)) (then unreachable))
            (if (i32.ne (i32.load (i32.const 12)) (i32.const 33554432)) (then unreachable))
            (if (call $write (i32.load (i32.const 8)) (i32.const 16) (i32.const 2) (i64.const 0) (i32.const 12)) (then unreachable))
            (if (i32.ne (i32.load (i32.const 12)) (i32.const 33554432)) (then unreachable))
            (call $twice (i32.const 100))
            (if (call $read (i32.load (i32.const 8)) (i32.const 16) (i32.const 2) (i64.const 0) (i32.const 12)) (then unreachable))
            (if (i32.ne (i32.load (i32.const 12)) (i32.const 200)) (then unreachable))))"#;
    let place = Place::with("guest.wat", guest);
    fs::create_dir(place.path("data")).expect("it is new");
    let huge = fs::File::create(place.path("data/huge")).expect("a file of our own");
    huge.set_len(1 << 30).expect("the file system knows holes");
    place.run("run guest.wat --dir data").assert_output(0, "");
}

#[test]
fn a_core_module_that_traps() {
    let outcome = run(&command("", "unreachable"), "");
    assert_eq!(outcome.status, Some(134), "{outcome:?}");
    let said = "error: guest.wat trapped: wasm `unreachable` instruction executed\n  cause: error while executing at wasm backtrace:\n";
    assert!(outcome.stderr.starts_with(said), "{outcome:?}");
    let outcome = run(&command("(func $f (call $f))", "(call $f)"), "");
    assert_eq!(outcome.status, Some(134), "{outcome:?}");
    assert!(outcome.stderr.starts_with("error: guest.wat trapped: call stack exhausted\n"), "{outcome:?}");
    let outcome = run("(module (func $f unreachable) (start $f) (func (export \"_start\")))", "");
    assert_eq!(outcome.status, Some(134), "{outcome:?}");
    run(&command("(tag $e)", "(throw $e)"), "").assert(
        134,
        "error: guest.wat trapped: an exception was thrown and not caught\n  help: this is a mistake in the plugin's own code\n",
    );
}

#[test]
fn a_core_module_is_held_to_its_limits() {
    let place = Place::with("guest.wat", command("", "(loop $again (br $again))")).warmed();
    let began = Instant::now();
    place.run("run guest.wat --timeout 50ms").assert(
        124,
        "error: guest.wat was stopped: it took longer than 50ms\n  \
         help: give it more time with --timeout, or none to wait as long as it takes\n",
    );
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    run(&command("(memory 17)", ""), "--max-memory 1MiB").assert(
        1,
        "error: guest.wat reached a limit\n  cause: memory minimum size of 17 pages exceeds memory limits\n  \
         help: give it more memory with --max-memory, as in --max-memory 2GiB\n",
    );
    // Memories count together, and what grows beyond the limit is refused as a system does.
    let grows = "(if (i32.ne (memory.grow 1 (i32.const 8)) (i32.const 4)) (then unreachable))
        (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))";
    run(&command("(memory 4) (memory 4)", grows), "--max-memory 1MiB").assert_output(0, "");
    let outcome = run(&command("(table 200000 funcref)", ""), "");
    assert_eq!(outcome.status, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("exceeds table limits"), "{outcome:?}");
}

#[test]
fn a_core_module_is_compiled_once() {
    let place = Place::with("guest.wat", command("", "unreachable"));
    assert_eq!(place.run("run guest.wat").status, Some(134));
    assert_eq!(entries(&place), 1);
    // A compilation could not start now.
    let cached = place.run("run guest.wat --max-compile-memory 1MiB");
    assert_eq!(cached.status, Some(134), "{cached:?}");
    assert!(cached.stderr.starts_with("error: guest.wat trapped: "), "{cached:?}");
    let compiled = place.run("run guest.wat --max-compile-memory 1MiB --no-cache");
    assert_eq!(compiled.status, Some(1), "{compiled:?}");
    assert_eq!(entries(&place), 1);
}

#[test]
fn compiled_code_of_a_core_module_runs_as_the_module_does() {
    let place = Place::with("add.wat", ADD);
    place.run("compile add.wat").assert_output(0, "");
    place.run("run --invoke add add.cwasm 1 2").assert_output(0, "3\n");
    let source = place.run("inspect add.wat");
    let trusted = place.run("inspect add.cwasm --trust");
    assert_eq!(trusted.stdout, source.stdout.replace("kind     text", "kind     compiled code"));
    let untrusted = place.run("inspect add.cwasm");
    assert!(untrusted.stdout.starts_with("kind     compiled code of a core module\nmade by  wasmtime 4"), "{untrusted:?}");
    fs::rename(place.path("add.cwasm"), place.path("add.wasm")).expect("a file of our own");
    let refused = place.run("run add.wasm");
    assert!(refused.stderr.starts_with("error: add.wasm is compiled code, which is not run unless"), "{refused:?}");
}

const ADD: &str = r#"(module
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "half") (param f64) (result f64) (f64.div (local.get 0) (f64.const 2)))
    (func (export "both") (param i64 f32) (result i64 f32) (local.get 0) (local.get 1))
    (func (export "nothing"))
    (func (export "reference") (result externref) (ref.null extern))
    (func (export "zero") (result i32) (i32.div_u (i32.const 1) (i32.const 0))))"#;

#[test]
fn functions_of_a_core_module_are_called_in_either_form() {
    let place = Place::with("add.wat", ADD);
    for line in ["run --invoke add add.wat 1 2", "run add.wat --invoke add 1 2", "run --invoke=add add.wat 0x1 2"] {
        place.run(line).assert_output(0, "3\n");
    }
    let invoke = |call: &str| finished(place.command("run add.wat --invoke").arg(call));
    invoke("add(1, 2)").assert_output(0, "3\n");
    invoke("add( -1,4294967295 )").assert_output(0, "-2\n");
    invoke("half(3)").assert_output(0, "1.5\n");
    invoke("both(-9223372036854775808, 0.5)").assert_output(0, "-9223372036854775808\n0.5\n");
    invoke("nothing()").assert_output(0, "");
    invoke("nothing").assert_output(0, "");
    assert_eq!(invoke("zero").status, Some(134));
    invoke("reference")
        .assert(1, "error: `reference` returned something that has no text form\n  cause: references have no text form\n");
    // A component's functions take arguments behind it, too.
    place.write("calc.wat", guests::calculator());
    place.run("run --invoke add calc.wat 40 2").assert_output(0, "42\n");
}

#[test]
fn a_call_of_a_core_module_that_does_not_fit() {
    let place = Place::with("add.wat", ADD);
    let cases = [
        ("1", "1 are given, 2 are needed"),
        ("1 2 3", "3 are given, 2 are needed"),
        ("", "0 are given, 2 are needed"),
        ("1 two", "`two` is not of the type i32"),
        ("1 1.5", "`1.5` is not of the type i32"),
        ("1 4294967296", "`4294967296` is not of the type i32"),
    ];
    for (arguments, cause) in cases {
        place.run(&format!("run --invoke add add.wat {arguments}")).assert(
            1,
            &format!(
                "error: the arguments do not fit `add`\n  cause: {cause}\n  \
                 help: it is add(i32, i32) -> i32; arguments are numbers: 1, -2.5, 0xff\n"
            ),
        );
    }
    let functions = "add(i32, i32) -> i32\n         half(f64) -> f64\n         both(i64, f32) -> (i64, f32)\n         nothing()\n         \
        reference() -> ref\n         zero() -> i32";
    place.run("run --invoke ad add.wat 1 2").assert(
        1,
        &format!("error: add.wat has no function `ad`\n  cause: its functions are\n         {functions}\n  help: name one of them, with arguments in parentheses\n"),
    );
    run(&command("", ""), "--invoke memory").assert(
        1,
        "error: guest.wat has no function `memory`\n  cause: its functions are\n         _start()\n  \
         help: name one of them, with arguments in parentheses\n",
    );
}

#[test]
fn a_library_is_initialized_before_its_functions_are_called() {
    let library = r#"(module (global $ready (mut i32) (i32.const 0))
        (func (export "_initialize") (global.set $ready (i32.add (global.get $ready) (i32.const 1))))
        (func (export "ready") (result i32) (global.get $ready)))"#;
    run(library, "--invoke ready()").assert_output(0, "1\n");
    run(library, "--invoke _initialize").assert_output(0, "");
    run(library, "").assert(
        1,
        "error: guest.wat cannot be run: it has no `_start` function without parameters\n  \
         cause: it exports `_initialize`, `ready`\n  \
         help: call one of its functions with --invoke NAME and arguments behind the plugin, or build it as a command, with a main \
         function\n",
    );
    run("(module)", "").assert(
        1,
        "error: guest.wat cannot be run: it has no `_start` function without parameters\n  cause: it exports nothing\n  \
         help: build it as a command, with a main function\n",
    );
}

#[test]
fn a_function_of_preview_1_that_is_not_there_is_told_before_anything_runs() {
    let place = Place::with("guest.wat", command(r#"(import "wasi_snapshot_preview1" "fd_raed" (func)) (start 0)"#, ""));
    let refusal = "error: guest.wat imports `wasi_snapshot_preview1::fd_raed`, which this host does not have\n  \
        cause: WASI preview 1 has no such function\n  \
        help: the closest that it has is `fd_read`; `aiohost inspect` lists all that is missing\n";
    place.run("run guest.wat").assert(1, refusal);
    place.run("compile guest.wat").assert(1, refusal);
    // What was compiled would be there.
    assert_eq!(entries(&place), 0);
    let inspected = place.run("inspect guest.wat");
    let missing =
        "\nmissing here:\n  wasi_snapshot_preview1::fd_raed: WASI preview 1 has no such function; the closest is fd_read\n";
    assert!(inspected.status == Some(0) && inspected.stdout.ends_with(missing), "{inspected:?}");
}

#[test]
fn a_function_of_preview_1_with_another_type_is_refused() {
    let outcome = run(&command(r#"(import "wasi_snapshot_preview1" "fd_read" (func (param i64)))"#, ""), "");
    assert_eq!(outcome.status, Some(1), "{outcome:?}");
    assert!(
        outcome.stderr.starts_with("error: guest.wat imports something with another type than it has in this host\n  cause: "),
        "{outcome:?}"
    );
    assert!(
        outcome.stderr.ends_with("  help: build it with a toolchain for WASI preview 1, as for wasm32-wasip1\n"),
        "{outcome:?}"
    );
}
