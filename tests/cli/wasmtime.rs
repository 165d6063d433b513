//! Command lines of `wasmtime run`: what both have works unchanged, and what only wasmtime has is refused with the reason.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

use crate::{Outcome, Place, finished, guests};

/// What a guest is given with these options of wasmtime before it.
fn run(guest: impl AsRef<[u8]>, options: &str) -> Outcome {
    Place::with("guest.wat", guest).run(&format!("run {options} guest.wat"))
}

#[test]
fn a_limit_is_the_hosts_own() {
    let late = run(guests::spins(), "-W timeout=50ms");
    assert_eq!(late.status, Some(124), "{late:?}");
    assert!(late.stderr.starts_with("error: guest.wat was stopped: it took longer than 50ms\n"), "{late:?}");
    // Of two the lower one holds.
    for options in ["--timeout 9s -Wtimeout=50ms", "-W timeout=9 --timeout 50ms", "--wasm=timeout=1s,timeout=50ms"] {
        let late = run(guests::spins(), options);
        assert!(late.status == Some(124) && late.stderr.contains("longer than 50ms"), "{options}: {late:?}");
    }
    run(guests::large(), "-W max-memory-size=131072").assert_output(0, "");
    for options in ["-W max-memory-size=65536", "-W max-memory-size=0x10000 --max-memory 1MiB"] {
        let large = run(guests::large(), options);
        assert!(large.status == Some(1) && large.stderr.contains("reached a limit"), "{options}: {large:?}");
    }
}

#[test]
fn what_is_so_anyway_is_taken() {
    let options =
        "-W component-model=y,simd -Scli,http=n -S p3 -O opt-level=2 -Ccompiler=cranelift -D logging=n --allow-precompiled";
    run(guests::hello(), options).assert_output(0, "hello\n");
    let place = Place::with("guest.wat", guests::hello());
    place.run("compile guest.wat").assert_output(0, "");
    place.run("run --allow-precompiled guest.cwasm").assert_output(0, "hello\n");
    // Compiled code of another name is not run by it.
    fs::rename(place.path("guest.cwasm"), place.path("guest.wasm")).expect("a file of our own");
    assert_eq!(place.run("run --allow-precompiled guest.wasm").status, Some(1));
}

#[test]
fn the_cache_is_left_alone() {
    let place = Place::with("guest.wat", guests::hello());
    place.run("run -C cache=n guest.wat").assert_output(0, "hello\n");
    assert!(!place.own("cache").exists());
    place.run("run -C cache=n -C cache guest.wat").assert_output(0, "hello\n");
    assert!(place.own("cache").exists());
}

#[test]
fn the_environment_is_inherited_where_it_is_asked_for() {
    let place = Place::with("guest.wat", guests::prints("environ"));
    let environment = |options: &str| {
        let mut command = place.command(&format!("run --no-cache {options} guest.wat"));
        finished(command.env_clear().env("A", "1").env("B", "2"))
    };
    environment("-S inherit-env").assert_output(0, "A=1\0B=2\0");
    environment("--env A=3 -S inherit-env=y").assert_output(0, "B=2\0A=3\0");
    environment("-S inherit-env -S inherit-env=n --env B").assert_output(0, "B=2\0");
}

#[test]
fn a_variable_that_no_plugin_can_be_given_is_told_once() {
    let place = Place::with("guest.wat", guests::prints("environ"));
    let odd = OsStr::from_bytes(b"\xff");
    let environment = |options: &str| {
        let mut command = place.command(&format!("run --no-cache {options} guest.wat"));
        finished(command.env_clear().env("A", "1").env("B", odd).env(odd, "2"))
    };
    let outcome = environment("-S inherit-env");
    let told = "warning: not inherited, since a plugin can be given nothing but UTF-8: ";
    assert!(["B, \u{fffd}\n", "\u{fffd}, B\n"].iter().any(|names| outcome.stderr == format!("{told}{names}")), "{outcome:?}");
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(0), "A=1\0"));
    environment("-q -S inherit-env").assert_output(0, "A=1\0");
    assert_eq!(environment("--env B=3 -S inherit-env").stderr, format!("{told}\u{fffd}\n"));
}

#[test]
fn what_is_not_offered_is_refused_with_the_reason() {
    let place = Place::with("guest.wat", guests::hello());
    let cases = [
        ("-S http", "`http` is not offered here: HTTP is denied to every plugin"),
        ("-S cli,tcp", "`tcp` is not offered here: sockets are denied to every plugin"),
        ("-S inherit-network", "`inherit-network` is not offered here: sockets are denied to every plugin"),
        ("-W fuel=1000", "`fuel` is not offered here: limit the time, with --timeout"),
        ("-W timeot=1s", "neither aiohost nor wasmtime knows `timeot`: the closest is `timeout`"),
        ("--mapdir a::b", "that is an option of wasmtime: write it the other way round: --dir HOST::GUEST"),
        ("--preload=a=b.wasm", "that is an option of wasmtime: a plugin is one file"),
    ];
    for (options, why) in cases {
        let outcome = place.run(&format!("run {options} guest.wat"));
        assert!(outcome.status == Some(2) && outcome.stderr.contains(why), "{options}: {outcome:?}");
        assert_eq!(outcome.stdout, "");
    }
}

#[test]
fn an_option_of_wasmtime_is_refused_for_the_right_reason_alone() {
    let place = Place::with("guest.wat", guests::hello());
    let cases = [
        ("--preload", "--preload a=b.wasm", "a plugin is one file: put the modules together when it is built"),
        ("--target", "--target x86_64-unknown-linux-gnu", "a plugin is compiled for this machine"),
        ("-g", "-g", "a plugin cannot be debugged here"),
        ("--gdb", "--gdb 1234", "a plugin cannot be debugged here"),
        ("--serve", "--serve", "there is no HTTP server here; an application that embeds aiohost can be one"),
        ("--addr", "--addr=127.0.0.1:80", "there is no HTTP server here; an application that embeds aiohost can be one"),
    ];
    for (option, words, why) in cases {
        place.run(&format!("run {words} guest.wat")).assert(
            2,
            &format!(
                "error: unexpected argument '{option}' found\n\n  tip: that is an option of wasmtime: {why}\n\n\
                 Usage: aiohost run [OPTIONS] <PLUGIN> [ARGS]...\n\nFor more information, try '--help'.\n"
            ),
        );
    }
    let without_run = place.run("--preload a=b guest.wat");
    assert!(without_run.status == Some(2) && without_run.stderr.contains("a plugin is one file"), "{without_run:?}");
    let serve = place.run("serve guest.wat");
    assert!(serve.status == Some(2) && serve.stderr.contains("that is a command of wasmtime: there is no HTTP"), "{serve:?}");
    // What is refused itself is nothing to be told of instead.
    let similar = place.run("run --recorder guest.wat");
    assert!(similar.status == Some(2) && !similar.stderr.contains("'--record'"), "{similar:?}");
    let similar = place.run("run --resolve auto guest.wat");
    assert!(similar.stderr.contains("a similar argument exists: '--resolver'"), "{similar:?}");
}

#[test]
fn what_is_known_is_listed() {
    let place = Place::new();
    for line in ["run -W help", "run --wasm help guest.wasm", "-Whelp guest.wasm"] {
        let outcome = place.run(line);
        assert_eq!((outcome.status, outcome.stderr.as_str()), (Some(0), ""), "{line}");
        assert!(outcome.stdout.starts_with("What -W of `wasmtime run` comes to here:\n\n  timeout "), "{outcome:?}");
    }
}

/// A run of what comes from a file as standard input.
fn run_from(place: &Place, name: &str, line: &str) -> Outcome {
    finished(place.command(line).stdin(File::open(place.path(name)).expect("a file of our own")))
}

#[test]
fn a_plugin_comes_from_standard_input() {
    let place = Place::with("guest.wat", guests::prints("args"));
    place.make_dir("d");
    run_from(&place, "guest.wat", "run - a").assert_output(0, "-\0a\0");
    run_from(&place, "guest.wat", "run --dir d --argv0 me - -l").assert_output(0, "me\0-l\0");
    run_from(&place, "guest.wat", "- --no-cache a").assert_output(0, "-\0a\0");
    // It can be compiled, too, and goes to standard output then.
    run_from(&place, "guest.wat", "compile - -o guest.cwasm").assert_output(0, "");
    place.run("run guest.cwasm a").assert_output(0, "guest.cwasm\0a\0");
    let compiled = place.command("compile -").stdin(File::open(place.path("guest.wat")).expect("a file of our own")).output();
    assert_eq!(compiled.expect("the program starts").stdout, fs::read(place.path("guest.cwasm")).expect("compiled code"));
    let again = run_from(&place, "guest.cwasm", "compile -");
    assert!(again.status == Some(1) && again.stderr.starts_with("error: standard input is compiled code"), "{again:?}");
    // A file of that name has another path.
    place.write("-", guests::hello());
    place.run("run ./-").assert_output(0, "hello\n");
}

#[test]
fn a_plugin_from_standard_input_finds_it_at_its_end() {
    // One byte is read: it fails if there is one, or an error.
    let reads = guests::preview1(
        r#"(import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
           (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#,
        "(i32.store (i32.const 0) (i32.const 8)) (i32.store (i32.const 4) (i32.const 1))
         (local.set $n (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))
         (call $exit (i32.or (local.get $n) (i32.load (i32.const 16))))",
    );
    let place = Place::with("guest.wat", &reads);
    run_from(&place, "guest.wat", "run -").assert_output(0, "");
    run_from(&place, "guest.wat", "run guest.wat").assert(1, "");
}

#[test]
fn what_comes_from_standard_input_and_is_no_plugin_is_refused() {
    let place = Place::with("large", "(module");
    // A hole takes no space.
    let file = File::options().write(true).open(place.path("large")).expect("a file of our own");
    file.set_len((8 << 20) + 1).expect("a file with a hole");
    run_from(&place, "large", "run -").assert(
        1,
        "error: cannot read the plugin standard input\n  cause: it has 9 MiB, and may have 8\n  \
         help: build it without debug information: `wasm-tools strip` removes it\n",
    );
    place.run("run -").assert(
        1,
        "error: standard input is not a plugin\n  cause: the file is empty\n  \
         help: a plugin is a WebAssembly component or a core module for WASI preview 1, as .wasm or .wat\n",
    );
    let mut closed = place.command("run -");
    let outcome = finished(closed.stdin(Stdio::from(File::open(place.path(".")).expect("a directory"))));
    assert!(outcome.status == Some(1) && outcome.stderr.contains("cannot read the plugin from standard input"), "{outcome:?}");
}
