//! Standard output and standard error that cannot be written: what is printed is not lost in silence, and what is said changes no
//! exit status.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::thread;

use rustix::io::ioctl_fionbio;

use crate::{Outcome, Place, finished, guests};

/// A stream that is always full.
fn full() -> Stdio {
    File::options().write(true).open("/dev/full").expect("there is such a device").into()
}

/// A pipe that nobody reads.
fn closed() -> Stdio {
    io::pipe().expect("a pipe").1.into()
}

fn place() -> Place {
    let place = Place::with("calc.wat", guests::calculator());
    place.write("spins.wat", guests::spins());
    place.write("hello.wat", guests::hello());
    place.write("traps.wat", guests::traps());
    place
}

/// What comes of a run whose standard output is something else.
fn into(place: &Place, line: &str, stdout: Stdio) -> Outcome {
    place
        .command(line)
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
        .wait_with_output()
        .expect("it ends")
        .into()
}

#[test]
fn what_cannot_be_printed_is_told() {
    let place = place();
    for line in ["--help", "run --help", "help", "--version", "run calc.wat --invoke add(1,2)", "new rust plugin"] {
        into(&place, line, full()).assert(
            1,
            "error: cannot write to standard output\n  cause: No space left on device (os error 28)\n  \
             help: what arrived there is not whole: run it again where it can be written\n",
        );
    }
}

#[test]
fn a_plugin_that_was_told_ends_as_it_likes() {
    let text = guests::preview1(
        r#"(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
           (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
           (data (i32.const 0) "\08\00\00\00\03\00\00\00xxx")"#,
        "(call $exit (select (i32.const 77) (i32.const 0)
            (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20))))",
    );
    let place = Place::with("guest.wat", text);
    into(&place, "run guest.wat", full()).assert(77, "");
    place.run("run guest.wat").assert_output(0, "xxx");
}

/// Fails with the error that it is told when it writes to standard output.
fn writes() -> String {
    guests::preview1(
        r#"(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
           (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
           (data (i32.const 8) "hello\n")"#,
        "(i32.store (i32.const 0) (i32.const 8)) (i32.store (i32.const 4) (i32.const 6))
         (call $exit (i32.ne (i32.const 0) (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 256))))",
    )
}

#[test]
fn standard_output_that_is_closed_loses_nothing_in_silence() {
    let place = place();
    place.write("writes.wat", writes());
    place.write("silent.wat", guests::exits(0));
    let shell = |line: &str, redirection: &str| {
        let program = place.command("");
        let mut command = Command::new("sh");
        command
            .current_dir(place.path("."))
            .args(["-c", &format!("exec \"$0\" {line} {redirection}")])
            .arg(program.get_program());
        for (name, value) in program.get_envs() {
            value.map(|value| command.env(name, value));
        }
        finished(&mut command)
    };
    for line in ["--help", "wit", "run calc.wat --invoke 'add(1,2)'"] {
        shell(line, ">&-").assert(
            1,
            "error: cannot write to standard output\n  cause: Operation not permitted (os error 1)\n  \
             help: what arrived there is not whole: run it again where it can be written\n",
        );
    }
    // A plugin is told, as on a disk that is full, and whoever prints nothing loses nothing.
    for (line, redirection, status) in [
        ("run writes.wat", ">&-", 1),
        ("run writes.wat", ">/dev/full", 1),
        ("run writes.wat", ">/dev/null", 0),
        ("run writes.wat", "<&- 2>&-", 0),
        ("run silent.wat", ">&-", 0),
        ("run silent.wat", "<&- >&- 2>&-", 0),
    ] {
        let outcome = shell(line, redirection);
        assert_eq!((outcome.status, outcome.stderr.as_str()), (Some(status), ""), "{line} {redirection}");
    }
}

#[test]
fn a_reader_that_goes_away_has_seen_enough() {
    let place = place();
    for line in ["--help", "--version", "run calc.wat --invoke add(1,2)"] {
        into(&place, line, closed()).assert(0, "");
    }
}

#[test]
fn a_pipe_that_does_not_block_gets_everything() {
    let place = place();
    let expected = place.run("run --help").stdout;
    let (mut reader, writer) = io::pipe().expect("a pipe");
    ioctl_fionbio(&writer, true).expect("a pipe can be non-blocking");
    // SAFETY: it only makes the pipe smaller.
    let size = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, 4096) };
    assert!(usize::try_from(size).expect("it has a size") < expected.len());
    let mut child = place.command("run --help").stdout(writer).spawn().expect("the program starts");
    // Nothing is read before the pipe is full.
    while rustix::io::ioctl_fionread(&reader).expect("a pipe can be asked") < 4096 {
        thread::yield_now();
    }
    let mut read = String::new();
    reader.read_to_string(&mut read).expect("it can be read");
    assert_eq!((child.wait().expect("it ends").code(), read), (Some(0), expected));
}

#[test]
fn standard_error_that_cannot_be_written_changes_no_status() {
    let place = place();
    let cases = [
        ("run none.wasm", 1),
        ("run --unknown hello.wat", 2),
        ("run hello.wat --stats", 0),
        ("run traps.wat", 134),
        ("run spins.wat --timeout 100ms --stats", 124),
        ("inspect none.wasm", 1),
    ];
    for (line, status) in cases {
        for stderr in [full(), closed()] {
            let outcome = finished(place.command(line).stderr(stderr));
            assert_eq!(outcome.status, Some(status), "{line}: {outcome:?}");
        }
    }
}
