//! Compiling a plugin that means harm: it is held to a time, an amount of memory and a size, and what can be known before is.

use std::fs::{self, OpenOptions};
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::process::{Pid, Signal, kill_process};

use crate::{Outcome, Place, finished, guests};

/// Far more than the end of a process takes, and far less than the compilations here.
const HUNG_AFTER: Duration = Duration::from_secs(60);

/// A core module of functions with that many statements each, as bytes: as text it would be large. `last` is the body of
/// `_start`. What a function takes to compile grows faster than it does.
fn bomb(functions: usize, statements: usize, last: &[u8]) -> Vec<u8> {
    // `a = ((a * a) ^ 42)`, and then `a = a + memory[a]`, for the parameter `a`.
    const STATEMENT: &[u8] = b"\x20\x00\x20\x00\x7e\x42\x2a\x85\x22\x00\xa7\x29\x03\x00\x20\x00\x7c\x21\x00";
    let body = [b"\x00", &STATEMENT.repeat(statements)[..], b"\x20\x00\x0b"].concat();
    let types = section(1, b"\x02\x60\x01\x7e\x01\x7e\x60\x00\x00");
    let declarations = section(3, &[number(functions + 1), vec![0; functions], vec![1]].concat());
    let memory = section(5, b"\x01\x00\x01");
    let exports = section(7, &[&b"\x02\x06memory\x02\x00\x06_start\x00"[..], &number(functions)].concat());
    let last = [b"\x00", last, b"\x0b"].concat();
    let bodies = [sized(&body).repeat(functions), sized(&last)].concat();
    let code = section(10, &[number(functions + 1), bodies].concat());
    [&b"\0asm\x01\0\0\0"[..], &types, &declarations, &memory, &exports, &code].concat()
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [vec![id], sized(content)].concat()
}

fn sized(content: &[u8]) -> Vec<u8> {
    [number(content.len()), content.to_vec()].concat()
}

/// A number in LEB128.
fn number(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// Takes minutes to compile, on one processor: one large function.
fn long() -> Vec<u8> {
    bomb(1, 100_000, b"")
}

/// Takes minutes to compile, on all processors: many functions.
fn wide() -> Vec<u8> {
    bomb(2_000, 2_000, b"")
}

/// Processes that a process has started and that are there still.
pub(crate) fn children(process: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<u32>>()).collect()
}

/// Whether a process runs still: one that has ended and that nobody has asked for does not.
fn runs(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The state comes after the name, which may have anything in it.
    status.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < HUNG_AFTER, "it has not come to that");
        thread::yield_now();
    }
}

/// A run that compiles, and the process that does. It has its threads already: it is in the midst of it.
fn compiling(place: &Place, line: &str) -> (Child, u32) {
    compiling_by(place.command(line))
}

fn compiling_by(mut command: Command) -> (Child, u32) {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let compiler = wait_for(|| {
        let named = |id: &u32| fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| line.ends_with(b"\0__compile\0"));
        let threads = |id: &u32| fs::read_dir(format!("/proc/{id}/task")).map_or(0, Iterator::count);
        // `run` has a process between the two, and `oci create` has two.
        let below = |ids: &[u32]| ids.iter().flat_map(|id| children(*id)).collect::<Vec<u32>>();
        let first = below(&[child.id()]);
        let second = below(&first);
        let third = below(&second);
        first.into_iter().chain(second).chain(third).find(|id| named(id) && threads(id) > 1)
    });
    (child, compiler)
}

#[test]
fn a_plugin_that_takes_for_ever_to_compile_is_given_up() {
    for plugin in [long(), wide()] {
        let place = Place::with("bomb.wasm", plugin);
        for line in ["run -q", "run -q --no-cache --timeout 1m", "compile -q"] {
            place.run(&format!("{line} --max-compile-time 1s bomb.wasm")).assert(
                1,
                "error: bomb.wasm takes longer to compile than it may\n  cause: it was not done after 1s\n  \
                 help: give it more time with --max-compile-time, as in --max-compile-time 10m, if you trust who made it\n",
            );
        }
        assert!(!place.path("bomb.cwasm").exists());
    }
}

#[test]
fn a_compilation_was_said_to_be_kept_where_there_is_no_cache() {
    let place = Place::with("bomb.wasm", long());
    let cases = [
        ("", None, "compiling bomb.wasm (once; cached afterwards)…"),
        ("--no-cache", None, "compiling bomb.wasm (every time; without --no-cache, once)…"),
        ("", Some("/proc/nope"), "compiling bomb.wasm…"),
    ];
    // It is given up some seconds after it was told of.
    let runs = cases.map(|(option, cache, note)| {
        let mut command = place.command(&format!("run --max-compile-time 8s {option} bomb.wasm"));
        command.envs(cache.map(|cache| ("AIOHOST_CACHE", cache)));
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
        (child, cache, note)
    });
    for (child, cache, note) in runs {
        let output = child.wait_with_output().expect("it is a child of ours");
        // An `Outcome` has no notes.
        let said = String::from_utf8(output.stderr).expect("the program writes UTF-8");
        assert!(said.lines().any(|line| line == note), "{note}: {said}");
        assert_eq!(said.contains("the code cache is not used"), cache.is_some(), "{said}");
    }
}

#[test]
fn a_plugin_that_takes_too_much_memory_to_compile_is_given_up() {
    // The first one runs out of it in many small pieces, and the second one is as large as that itself.
    for plugin in [bomb(200, 1_000, b""), bomb(20_000, 40, b"")] {
        let place = Place::with("bomb.wasm", plugin);
        for line in ["run -q", "compile -q"] {
            place.run(&format!("{line} --max-compile-memory 12MiB bomb.wasm")).assert(
                1,
                "error: bomb.wasm takes more memory to compile than it may\n  cause: it needs more than 12 MiB\n  \
                 help: give it more with --max-compile-memory, as in --max-compile-memory 8GiB, if you trust who made it\n",
            );
        }
    }
}

#[test]
fn whatever_ends_the_program_ends_the_process_that_compiles() {
    let place = Place::with("bomb.wasm", long());
    for line in ["run bomb.wasm", "compile bomb.wasm"] {
        for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::KILL] {
            let (mut child, compiler) = compiling(&place, line);
            kill_process(Pid::from_child(&child), signal).expect("it is a child of ours");
            let status = wait_for(|| child.try_wait().expect("it is a child of ours"));
            assert!(!status.success(), "{line} {signal:?}");
            wait_for(|| (!runs(compiler)).then_some(()));
        }
    }
    assert!(!place.path("bomb.cwasm").exists());
    assert_eq!(
        fs::read_dir(place.dir.path()).expect("a directory of our own").count(),
        1 + usize::from(place.path("cache").exists())
    );
}

#[test]
fn a_compilation_for_a_container_went_on_when_nobody_waited_for_it() {
    let place = Place::new();
    place.make_dir("rootfs");
    place.write("rootfs/bomb.wasm", long());
    let process = r#""process": {"args": ["/bomb.wasm"], "env": [], "cwd": "/"}, "mounts": []"#;
    place.write("config.json", format!(r#"{{"ociVersion": "1.0.2", "root": {{"path": "rootfs"}}, {process}}}"#));
    let cache = place.path("code");
    place.write("oci.json", format!(r#"{{"runtime": "/bin/true", "cache": "{}"}}"#, cache.display()));
    for signal in [Signal::TERM, Signal::KILL] {
        let mut command = place.command("oci create --bundle . one");
        command.env("AIOHOST_OCI_SETTINGS", place.path("oci.json"));
        let (mut child, compiler) = compiling_by(command);
        kill_process(Pid::from_child(&child), signal).expect("it is a child of ours");
        wait_for(|| child.try_wait().expect("it is a child of ours"));
        wait_for(|| (!runs(compiler)).then_some(()));
    }
}

#[test]
fn nothing_of_a_compilation_is_left_when_its_time_is_over() {
    let place = Place::with("bomb.wasm", long());
    let (mut child, compiler) = compiling(&place, "run bomb.wasm --max-compile-time 5s");
    let status = wait_for(|| child.try_wait().expect("it is a child of ours"));
    assert_eq!(status.code(), Some(1));
    wait_for(|| (!runs(compiler)).then_some(()));
}

#[test]
fn a_compiler_that_is_killed_is_told_of() {
    for (signal, said) in
        [(Signal::KILL, "the system, because it had no memory left"), (Signal::ABORT, "a mistake in the compiler")]
    {
        let place = Place::with("bomb.wasm", long());
        let (child, compiler) = compiling(&place, "run -q bomb.wasm");
        let compiler = Pid::from_raw(compiler.try_into().expect("the number of a process")).expect("not 0");
        kill_process(compiler, signal).expect("it is there");
        let outcome = Outcome::from(child.wait_with_output().expect("it ends"));
        assert_eq!(outcome.status, Some(1), "{outcome:?}");
        assert!(outcome.stderr.starts_with("error: bomb.wasm could not be compiled\n  cause: "), "{outcome:?}");
        assert!(outcome.stderr.contains(said), "{outcome:?}");
    }
}

#[test]
fn what_was_compiled_before_needs_no_time_and_no_memory_for_it() {
    let place = Place::with("guest.wat", guests::hello());
    place.write("async.wat", guests::async_command(0));
    for (guest, stdout) in [("guest.wat", "hello\n"), ("async.wat", "")] {
        let cold = place.run(&format!("run {guest} --max-compile-time 1ms"));
        assert_eq!(cold.status, Some(1), "{cold:?}");
        place.run(&format!("run {guest}")).assert_output(0, stdout);
        place.run(&format!("run {guest} --max-compile-time 1ms --max-compile-memory 1B")).assert_output(0, stdout);
    }
}

/// The bodies of functions that use what this host does not have, and what that is called.
const UNSUPPORTED: [(&[u8], &str); 2] =
    [(b"\x06\x40\x19\x0b", "legacy-exceptions"), (b"\x42\x01\x42\x01\x42\x01\x42\x01\xfc\x13\x1a\x1a", "wide-arithmetic")];

#[test]
fn a_feature_that_is_not_there_is_found_before_everything_else_is_compiled() {
    for (body, feature) in UNSUPPORTED {
        // It would take minutes to get there.
        let place = Place::with("guest.wasm", bomb(2_000, 1_000, body));
        let refusal =
            format!("error: guest.wasm uses the WebAssembly feature `{feature}`, which this host does not have\n  cause: ");
        // It is not compiled within this, and there would be another answer.
        for line in ["run -q guest.wasm --max-compile-time 20s", "compile -q guest.wasm --max-compile-time 20s"] {
            let outcome = place.run(line);
            assert_eq!(outcome.status, Some(1), "{outcome:?}");
            assert!(outcome.stderr.starts_with(&refusal) && outcome.stderr.contains("  help: build it "), "{outcome:?}");
        }
        let inspected = place.run("inspect guest.wasm");
        assert_eq!(inspected.status, Some(0), "{inspected:?}");
        assert!(inspected.stdout.contains(&format!("missing here:\n  WebAssembly feature {feature}: ")), "{inspected:?}");
        let as_json = place.run("inspect guest.wasm --json");
        assert!(as_json.stdout.contains(&format!("\"import\": \"WebAssembly feature {feature}\"")), "{as_json:?}");
    }
}

#[test]
fn a_feature_that_is_not_there_is_found_in_a_component_too() {
    let shared = |memory: &str| {
        format!(
            r#"(component (core module $m {memory} (func (export "run") (result i32) i32.const 0))
                 (core instance $m (instantiate $m))
                 (func $run (result (result)) (canon lift (core func $m "run")))
                 (instance $run (export "run" (func $run)))
                 (export "wasi:cli/run@0.2.6" (instance $run)))"#
        )
    };
    let cases = [
        (shared("(memory 1 1 shared)"), "shared-memory"),
        (shared("(memory 1) (func try catch_all end)"), "legacy-exceptions"),
        (shared("(memory 1 (pagesize 1))"), "custom-page-sizes"),
    ];
    for (guest, feature) in cases {
        let place = Place::with("guest.wat", guest);
        let outcome = place.run("run guest.wat");
        assert_eq!(outcome.status, Some(1), "{outcome:?}");
        assert!(outcome.stderr.contains(&format!("the WebAssembly feature `{feature}`")), "{outcome:?}");
        assert!(place.run("inspect guest.wat").stdout.contains(&format!("WebAssembly feature {feature}: ")));
    }
}

#[test]
fn what_is_no_regular_file_is_not_read_as_a_plugin() {
    let place = Place::new();
    mknodat(CWD, place.path("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO of our own");
    mknodat(CWD, place.path("fifo.cwasm"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO of our own");
    let _listener = UnixListener::bind(place.path("socket")).expect("a socket of our own");
    std::os::unix::fs::symlink("fifo", place.path("link")).expect("a link of our own");
    let mut kinds = vec![("fifo", "a FIFO"), ("fifo.cwasm", "a FIFO"), ("link", "a FIFO"), ("socket", "a socket")];
    // As /dev/null, which is not to be touched.
    match mknodat(CWD, place.path("null"), FileType::CharacterDevice, Mode::RUSR, makedev(1, 3)) {
        Ok(()) => kinds.push(("null", "a device")),
        Err(error) => eprintln!("not tested with a device of our own: {error}"),
    }
    for (name, kind) in kinds {
        for (command, what) in [("run", "plugin"), ("inspect", "plugin"), ("compile", "plugin"), ("componentize", "module")] {
            place.run(&format!("{command} {name}")).assert(
                1,
                &format!(
                    "error: cannot read the {what} {name}\n  cause: it is {kind}, and a plugin is a regular file\n  \
                     help: write the plugin into a file first, and name that\n"
                ),
            );
        }
    }
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    for (start, megabytes) in [("\0asm\x01\0\0\0", 256), ("(module", 8)] {
        let place = Place::with("guest", start);
        let file = OpenOptions::new().write(true).open(place.path("guest")).expect("a file of our own");
        file.set_len((megabytes << 20) + 1).expect("a file with a hole");
        for command in ["run", "inspect", "compile"] {
            place.run(&format!("{command} guest")).assert(
                1,
                &format!(
                    "error: cannot read the plugin guest\n  cause: it has {} MiB, and may have {megabytes}\n  \
                     help: build it without debug information: `wasm-tools strip` removes it\n",
                    megabytes + 1
                ),
            );
        }
    }
}

#[test]
fn a_core_module_without_a_memory_runs() {
    let silent = r#"(module (func (export "_start")))"#;
    let exits = r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (func (export "_start") (call $exit (i32.const 1))))"#;
    for (guest, status) in [(silent, 0), (exits, 1)] {
        Place::with("guest.wat", guest).run("run guest.wat").assert_output(status, "");
    }
    let hidden = Place::with("guest.wat", r#"(module (memory 1) (func (export "_start")))"#).run("run guest.wat");
    hidden.assert_output(0, "");
}

#[test]
fn compiled_code_is_looked_at_and_not_loaded_whatever_its_name() {
    let guests = [
        (guests::hello(), "a core module", "memory: memory\n  _start: func()"),
        (guests::async_command(0), "a component", "wasi:cli/run@0."),
    ];
    for (guest, of, exports) in guests {
        let place = Place::with("guest.wat", guest);
        place.run("compile guest.wat").assert_output(0, "");
        let mut hostile = fs::read(place.path("guest.cwasm")).expect("it was made");
        let middle = hostile.len() / 2;
        hostile[middle..middle + 64].fill(0xff);
        place.write("hostile.cwasm", hostile);
        fs::copy(place.path("guest.cwasm"), place.path("guest.wasm")).expect("a file of our own");
        for name in ["guest.cwasm", "guest.wasm", "hostile.cwasm"] {
            let seal = if name == "hostile.cwasm" {
                "not by `aiohost compile`, or damaged"
            } else {
                "whole as `aiohost compile` wrote it"
            };
            let outcome = place.run(&format!("inspect {name}"));
            assert_eq!((outcome.status, outcome.stderr.as_str()), (Some(0), ""), "{outcome:?}");
            let kind = format!("kind     compiled code of {of}\nmade by  wasmtime 4");
            assert!(outcome.stdout.starts_with(&kind), "{outcome:?}");
            assert!(outcome.stdout.contains(&format!(", {seal}\nmachine  ")), "{outcome:?}");
            assert!(outcome.stdout.contains("Inspect the\n.wasm that it was compiled from"), "{outcome:?}");
            let as_json = place.run(&format!("inspect {name} --json"));
            assert!(as_json.stdout.contains("\"kind\": \"compiled code\"") && as_json.status == Some(0), "{as_json:?}");
            let compiled = place.run(&format!("compile {name} -o other.cwasm"));
            assert_eq!(compiled.status, Some(1), "{compiled:?}");
            assert!(compiled.stderr.starts_with(&format!("error: {name} is compiled already\n  cause: ")), "{compiled:?}");
            assert!(!place.path("other.cwasm").exists());
        }
        let trusted = place.run("inspect guest.cwasm --trust");
        assert!(trusted.stdout.contains(&format!("exports:\n  {exports}")), "{trusted:?}");
        let damaged = place.run("inspect hostile.cwasm --trust");
        assert_eq!(damaged.status, Some(1), "{damaged:?}");
        assert!(damaged.stderr.starts_with("error: hostile.cwasm is damaged"), "{damaged:?}");
    }
}

#[test]
fn a_plugin_with_the_name_of_compiled_code_is_a_plugin() {
    let text = guests::hello();
    for plugin in [wat::parse_str(&text).expect("a valid guest"), text.into_bytes()] {
        let place = Place::with("guest.cwasm", plugin);
        place.run("compile guest.cwasm").assert(
            1,
            "error: guest.cwasm exists and is not compiled code\n  \
             help: name another file with --output, or overwrite it with --force\n",
        );
        place.run("compile guest.cwasm -o code").assert_output(0, "");
        place.run("compile guest.cwasm -o code").assert_output(0, "");
        assert!(place.run("inspect guest.cwasm").stdout.contains("missing here: nothing"));
    }
}

#[test]
fn the_process_that_compiles_is_found_without_proc() {
    let place = Place::with("guest.wat", guests::hello());
    let program = place.command("run -q --no-cache guest.wat");
    let mut shell = Command::new("unshare");
    shell.args(["--mount", "sh", "-c", "umount -l /proc && exec \"$0\" \"$@\""]);
    shell.arg(program.get_program()).args(program.get_args()).current_dir(place.dir.path()).stdin(Stdio::null());
    let can = Command::new("unshare").args(["--mount", "umount", "-l", "/proc"]).stderr(Stdio::null()).status();
    if !can.is_ok_and(|status| status.success()) {
        eprintln!("not tested without /proc: it cannot be taken away here");
        return;
    }
    finished(&mut shell).assert_output(0, "hello\n");
}

#[test]
fn the_process_that_compiles_takes_no_orders_from_others() {
    let place = Place::new();
    for input in ["", "aiohost compile\n", &"x".repeat(10_000)] {
        place.write("input", input);
        let file = fs::File::open(place.path("input")).expect("a file of our own");
        let outcome = finished(place.command("__compile").stdin(file));
        assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(1), ""), "{outcome:?}");
    }
    // A job from one who does not wait for it.
    let job = [&b"aiohost compile\n"[..], &1_u64.to_le_bytes(), &u64::MAX.to_le_bytes(), &u64::MAX.to_le_bytes()].concat();
    place.write("input", job);
    let file = fs::File::open(place.path("input")).expect("a file of our own");
    let outcome = finished(place.command("__compile").stdin(file));
    outcome.assert(1, "error: whoever started this is gone\n");
    assert!(!place.run("--help").stdout.contains("__compile"));
}
