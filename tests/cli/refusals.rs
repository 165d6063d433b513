//! Everything that is refused: with which exit status, and in which words.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::{Place, finished, guests};

/// What is said when `guest.wat` is run.
#[track_caller]
fn refused(guest: impl AsRef<[u8]>, options: &str, stderr: &str) {
    Place::with("guest.wat", guest).run(&format!("run guest.wat {options}")).assert(1, stderr);
}

#[test]
fn a_file_that_is_not_there() {
    let place = Place::new();
    place.run("run none.wasm").assert(
        1,
        "error: cannot read the plugin none.wasm\n  cause: No such file or directory (os error 2)\n  \
         help: check the path of the plugin\n",
    );
    place.run("run .").assert(
        1,
        "error: cannot read the plugin .\n  cause: Is a directory (os error 21)\n  \
         help: name the plugin's file; directories for it are granted with --dir\n",
    );
}

#[test]
fn a_file_that_is_no_plugin() {
    let help = "  help: a plugin is a WebAssembly component or a core module for WASI preview 1, as .wasm or .wat\n";
    let because = |cause: &str| format!("error: guest.wat is not a plugin\n  cause: {cause}\n{help}");
    refused("#!/bin/sh\n", "", &because("it is a text, but not one of WebAssembly"));
    refused("", "", &because("the file is empty"));
    refused(b"\x7fELF\x02\x01\x01", "", &because("it is a native program or library, or damaged compiled code"));
    refused(b"\0asm\x02\0\0\0", "", &because("it is WebAssembly, but of an unknown version [2, 0, 0, 0]"));
}

#[test]
fn a_plugin_that_is_damaged() {
    let text = Place::with("guest.wat", "(component (").run("run guest.wat");
    assert_eq!(text.status, Some(1));
    assert!(text.stderr.starts_with("error: guest.wat is not valid WebAssembly text\n  cause: "), "{text:?}");

    let mut binary = wat::parse_str(guests::large()).expect("a valid guest");
    binary.truncate(binary.len() / 2);
    let cut = Place::with("guest.wasm", binary).run("run guest.wasm");
    assert_eq!(cut.status, Some(1));
    assert!(cut.stderr.starts_with("error: guest.wasm is not a valid component\n  cause: unexpected end"), "{cut:?}");
    assert!(
        cut.stderr.ends_with(
            "  help: it is damaged, or uses a feature of WebAssembly that this host does not have: build it again\n"
        )
    );
}

/// What is said of a core module that imports `function` from `module`, after the first line.
fn refused_core_import(module: &str, function: &str) -> String {
    let guest = format!(r#"(module (import "{module}" "{function}" (func)))"#);
    let outcome = Place::with("guest.wat", guest).run("run guest.wat");
    assert_eq!(outcome.status, Some(1), "{outcome:?}");
    let what = "error: guest.wat is a core module that cannot be made a component\n";
    outcome.stderr.strip_prefix(what).unwrap_or_else(|| panic!("{outcome:?}")).to_owned()
}

#[test]
fn a_core_module_with_imports_that_nobody_has() {
    let cases = [
        ("env", "link what defines it"),
        ("wasi_unstable", "an early form of WASI"),
        ("gojs", "GOOS=wasip1 GOARCH=wasm"),
        ("__wbindgen_placeholder__", "build it for wasm32-wasip2"),
        ("other", "`aiohost new` starts one that does"),
    ];
    for (module, remedy) in cases {
        let said = refused_core_import(module, "f");
        let cause = format!(
            "  cause: it imports `f` from `{module}`, which is neither WASI preview 1 nor an interface of WIT\n  help: "
        );
        assert!(said.starts_with(&cause) && said.contains(remedy), "{said}");
    }
}

#[test]
fn a_core_module_without_a_component_type() {
    let cases = [
        ("aiohost:aio/blocking@0.1.0", "--world blocking-guest"),
        ("aiohost:aio/submit@0.1.0", "--world submit-guest"),
        ("aiohost:aio/types@0.1.0", "--world submit-guest"),
        ("aiohost:aio/requests@0.1.0", "--world async-guest"),
        ("example:songs/play@1.0.0", "--wit wit --world my-plugin"),
    ];
    for (interface, world) in cases {
        let expected = format!(
            "  cause: it imports `nop` of `{interface}`, and has no `component-type` section that tells the type of that function\n  \
             help: tell the world that it was built for: aiohost componentize guest.wat {world} -o plugin.wasm\n"
        );
        assert_eq!(refused_core_import(interface, "nop"), expected);
    }
}

#[test]
fn an_import_of_another_version() {
    for (version, age) in [("0.2.0", "a newer"), ("0.0.9", "an older")] {
        refused(
            guests::nops(version, "nop", 1),
            "",
            &format!(
                "error: guest.wat imports `aiohost:aio/blocking@{version}`, which this host does not have\n  \
                 cause: this host has aiohost:aio/blocking 0.1.0, not {version}: it was built for {age} aiohost\n  \
                 help: write this host's WIT with `aiohost wit --out wit/deps/aiohost-aio --force` and build the plugin again; \
                 or run it with an aiohost of its own age: `aiohost inspect` lists what is missing here\n"
            ),
        );
    }
}

#[test]
fn an_import_that_nobody_has() {
    refused(
        guests::nops("0.1.0", "nopp", 1),
        "",
        "error: guest.wat imports `aiohost:aio/blocking@0.1.0 nopp`, which this host does not have\n  \
         cause: this host's aiohost:aio/blocking@0.1.0 has no such function\n  \
         help: the closest that it has is `nop`; `aiohost inspect` lists all that is missing\n",
    );
    refused(
        guests::nops("0.1.0", "teleport-everything", 1),
        "",
        "error: guest.wat imports `aiohost:aio/blocking@0.1.0 teleport-everything`, which this host does not have\n  \
         cause: this host's aiohost:aio/blocking@0.1.0 has no such function\n  \
         help: write this host's WIT with `aiohost wit --out wit/deps/aiohost-aio --force` and build the plugin again\n",
    );
    refused(
        guests::imports("wasi:cli/stdoot@0.2.0", "get-stdout"),
        "",
        "error: guest.wat imports `wasi:cli/stdoot@0.2.0`, which this host does not have\n  \
         cause: this host has no such interface\n  \
         help: the closest that it has is `wasi:cli/stdout@0.2.0`; `aiohost inspect` lists all that is missing\n",
    );
    refused(
        guests::imports("wasi:http/outgoing-handler@0.2.6", "handle"),
        "",
        "error: guest.wat imports `wasi:http/outgoing-handler@0.2.6`, which this host does not have\n  \
         cause: this host has no such interface\n  \
         help: plugins have no network here, and so no HTTP: let it read what it needs from a file or from standard input\n",
    );
    refused(
        guests::imports("example:other/thing", "f"),
        "",
        "error: guest.wat imports `example:other/thing`, which this host does not have\n  \
         cause: this host has no such interface\n  help: `aiohost inspect` lists all that is missing\n",
    );
}

#[test]
fn an_import_of_another_type() {
    refused(
        guests::wrong_type(),
        "",
        "error: guest.wat imports something with another type than it has in this host\n  \
         cause: `aiohost:aio/blocking` is not the same\n         \
         in the plugin: nop: func() -> u32\n         \
         in this host:  nop: func() -> result<_, error>\n  \
         help: write this host's WIT with `aiohost wit --out wit/deps/aiohost-aio --force` and build the plugin again\n",
    );
    // As if an error code had another name when the plugin was built.
    refused(
        guests::nops("0.1.0", "nop", 1).replace("\"busy\"", "\"occupied\""),
        "",
        "error: guest.wat imports something with another type than it has in this host\n  \
         cause: the type `error-code` is not the same: where the plugin has `occupied`, this host has `busy`\n  \
         help: write this host's WIT with `aiohost wit --out wit/deps/aiohost-aio --force` and build the plugin again\n",
    );
}

#[test]
fn a_plugin_without_run() {
    refused(
        guests::calculator(),
        "",
        "error: guest.wat cannot be run: it has no `wasi:cli/run` export\n  \
         cause: it exports `example:calculator/sums@1.2.0`, `add`\n  \
         help: call one of its functions with --invoke 'NAME(ARGUMENTS)', or build it as a command, with a main function\n",
    );
    refused(
        "(component)",
        "",
        "error: guest.wat cannot be run: it has no `wasi:cli/run` export\n  cause: it exports nothing\n  \
         help: build it as a command, with a main function\n",
    );
}

#[test]
fn a_plugin_of_the_wrong_world() {
    let exports = |interface: &str, function: &str| {
        let guest = guests::calculator().replace("example:calculator/sums@1.2.0", interface);
        let guest = guest.replace("\"add\") (param \"a\"", &format!("\"{function}\") (param \"a\""));
        let outcome = Place::with("guest.wat", guest).run("run guest.wat");
        assert_eq!(outcome.status, Some(1), "{outcome:?}");
        outcome.stderr
    };
    let said = exports("wasi:http/incoming-handler@0.2.0", "add");
    assert!(said.contains("help: it is built for an HTTP server, and this host has none"), "{said}");
    let said = exports("wasi:cli/run@0.1.0", "add");
    assert!(said.contains("help: this host runs wasi:cli/run of WASI 0.2 and 0.3"), "{said}");
    let said = exports("example:calculator/sums@1.2.0", "run");
    assert!(said.contains("help: a world that is to be run has `export wasi:cli/run@0.2.6;`"), "{said}");
}

#[test]
fn a_project_that_cannot_be_started() {
    let place = Place::new();
    let languages = "the languages are rust, rust-async, c, cpp, zig, python, javascript, go";
    for (wrong, meant) in [("Rust", "rust"), ("c++", "cpp"), ("ts", "javascript"), ("golang", "go")] {
        place
            .run(&format!("new {wrong} songs"))
            .assert(1, &format!("error: there is no template for `{wrong}`\n  help: did you mean `{meant}`? {languages}\n"));
    }
    place.run("new cobol songs").assert(
        1,
        &format!(
            "error: there is no template for `cobol`\n  \
             help: {languages}; for another one, `aiohost wit` writes the WIT that its bindings generator needs\n"
        ),
    );
    let rule = "a name is small letters and digits, with a hyphen between words, and starts with a letter";
    for (wrong, better) in [("My_Songs", ": my-songs"), ("lib/songs", ": songs"), ("../x", ": x"), ("42", ", as in my-plugin")]
    {
        place
            .run(&format!("new rust {wrong}"))
            .assert(1, &format!("error: a plugin cannot be called `{wrong}`\n  help: {rule}{better}\n"));
    }
    let taken = [
        ("rust build", "cargo has a folder of its own of that name where it puts the program", "my-build"),
        ("rust incremental", "cargo has a folder of its own of that name where it puts the program", "my-incremental"),
        ("rust-async aiohost-guest", "the crate for plugins, which is in the project, has that name", "my-guest"),
        ("go vendor", "Go takes a path with that name in it for one of somebody else's packages", "my-vendor"),
    ];
    for (line, why, better) in taken {
        let (language, name) = line.split_once(' ').expect("two words");
        place.run(&format!("new {line}")).assert(
            1,
            &format!(
                "error: a plugin in {language} cannot be called `{name}`\n  cause: {why}\n  \
                 help: choose another name, as in {better}\n"
            ),
        );
    }
    place.write("songs", "mine");
    place
        .run("new rust songs")
        .assert(1, "error: songs exists already\n  help: choose another name, or remove it first: nothing in it was changed\n");
    assert_eq!(fs::read_to_string(place.path("songs")).expect("it was there"), "mine");
}

#[test]
fn a_project_with_an_odd_name_is_one_that_cargo_loads() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let place = Place::new();
    for name in ["test", "core", "std", "fn", "self", "async", "wit-bindgen", "main", "target"] {
        for language in ["rust", "rust-async"] {
            let outcome = place.run(&format!("new {language} {name}"));
            assert_eq!(outcome.status, Some(0), "{outcome:?}");
            let mut load = Command::new(&cargo);
            load.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(place.path(name));
            let loaded = finished(&mut load);
            assert_eq!(loaded.status, Some(0), "{language} {name}: {loaded:?}");
            fs::remove_dir_all(place.path(name)).expect("a project of our own");
        }
    }
}

#[test]
fn a_call_that_does_not_fit() {
    let place = Place::with("calc.wat", guests::calculator());
    let invoke = |call: &str| finished(place.command("run calc.wat --invoke").arg(call));
    let functions = "example:calculator/sums@1.2.0.div(a: u32, b: u32) -> u32\n         add(a: u32, b: u32) -> u32";
    invoke("adds(1, 2)").assert(
        1,
        &format!("error: calc.wat has no function `adds`\n  cause: its functions are\n         {functions}\n  help: the closest is `add`\n"),
    );
    let no_function = |name: &str| {
        format!(
            "error: calc.wat has no function `{name}`\n  cause: its functions are\n         {functions}\n  \
             help: name one of them, with arguments in parentheses\n"
        )
    };
    invoke("multiply()").assert(1, &no_function("multiply"));
    for call in ["add", "add(1)", "add(1, 2, 3)", "add(1, \"two\")", "add(1, -2)", "add(1, 2"] {
        let outcome = invoke(call);
        assert_eq!(outcome.status, Some(1), "{call}: {outcome:?}");
        assert!(outcome.stderr.starts_with("error: the arguments do not fit `add`\n  cause: "), "{call}: {outcome:?}");
        let help =
            "  help: it is add(a: u32, b: u32) -> u32; arguments are in WAVE: 1, -2.5, true, \"text\", [1, 2], {name: \"x\"}\n";
        assert!(outcome.stderr.ends_with(help), "{call}: {outcome:?}");
    }
}

#[test]
fn a_directory_that_cannot_be_granted() {
    let place = Place::with("guest.wat", guests::hello());
    place.run("run guest.wat --dir none").assert(
        1,
        "error: cannot grant the directory none\n  cause: No such file or directory (os error 2)\n  \
         help: make it first: mkdir -p 'none'\n",
    );
    place.run("run guest.wat --ro-dir guest.wat").assert(
        1,
        "error: cannot grant the directory guest.wat\n  cause: Not a directory (os error 20)\n  \
         help: it is a file: grant the directory it is in\n",
    );
    for dir in ["/dev/fd", "/proc/self", "/proc/thread-self/fd", "/proc/1"] {
        place.run(&format!("run guest.wat --ro-dir {dir} --allow procfs")).assert(
            1,
            &format!(
                "error: cannot grant the directory {dir}\n  cause: it holds what belongs to a process, such as its memory\n  \
                 help: grant a directory with files of its own\n"
            ),
        );
    }
    place.make_dir("a");
    place.run("run guest.wat --dir a::x --dir .::x").assert(
        1,
        "error: two directories are granted as `x`\n  help: give one of them another name for the guest, as HOST::GUEST\n",
    );
    // The superuser may read everything.
    if !rustix::process::geteuid().is_root() {
        fs::set_permissions(place.path("a"), fs::Permissions::from_mode(0o100)).expect("a directory of our own");
        place.run("run guest.wat --dir a").assert(
            1,
            "error: cannot grant the directory a\n  cause: Permission denied (os error 13)\n  \
             help: the user who runs the host needs the right to read it\n",
        );
    }
}

#[test]
fn limits_that_end_a_guest() {
    let reached = |cause: &str, help: &str| format!("error: guest.wat reached a limit\n  cause: {cause}\n  help: {help}\n");
    refused(
        guests::large(),
        "--max-memory 64KiB",
        &reached(
            "memory minimum size of 2 pages exceeds memory limits",
            "give it more memory with --max-memory, as in --max-memory 2GiB",
        ),
    );
    refused(
        guests::keeps_requests(),
        "",
        &reached(
            "the guest holds 10000 request handles, as many as it may; drop the handles of requests whose results were taken",
            "the plugin has to take results and drop handles as it goes",
        ),
    );
    let too_much = Place::with("guest.wat", guests::hands_over_too_much()).run("run guest.wat");
    assert_eq!(too_much.status, Some(1), "{too_much:?}");
    assert!(
        too_much.stderr.starts_with("error: guest.wat reached a limit\n  cause: too much data is being copied"),
        "{too_much:?}"
    );
    assert!(too_much.stderr.ends_with("  help: the plugin has to hand over less at a time, as by writing in pieces\n"));
}

#[test]
fn a_wrong_command_line() {
    let place = Place::with("guest.wat", guests::hello());
    let lines = [
        ("", "Usage: aiohost"),
        ("run", "required arguments were not provided"),
        ("run --fast guest.wat", "options for the plugin itself go behind it"),
        ("run guest.wat --timeout 5", "a time is a number with a unit, as 500ms, 2s or 1m30s"),
        ("run guest.wat --max-memory lots", "a size is a number with a unit, as 64MiB or 1GiB"),
        ("run guest.wat --dir ::x", "it is HOST::GUEST, or HOST for the same name on both sides"),
        ("run guest.wat --env AIOHOST_TEST_IS_NOT_SET", "its value cannot be inherited"),
        ("run guest.wat --resolver magic", "possible values: auto, openat2, portable"),
        ("run guest.wat --workers 0", "it must be 1 at least"),
        ("run guest.wat --max-in-flight 0", "it must be 1 at least"),
        ("run guest.wat --invoke f() argument", "cannot be used with"),
        ("run guest.wat --log [", "--log is not a log filter"),
        ("run -q -v guest.wat", "cannot be used with"),
        ("wit --force", "--out"),
        ("walk", "unrecognized subcommand"),
    ];
    for (line, message) in lines {
        let outcome = place.run(line);
        assert_eq!(outcome.status, Some(2), "{line}: {outcome:?}");
        assert!(outcome.stderr.contains(message), "{line}: {}", outcome.stderr);
        assert_eq!(outcome.stdout, "", "{line}");
    }
    let outcome = finished(place.command("run guest.wat").env("AIOHOST_LOG", "["));
    assert_eq!(outcome.status, Some(2));
    assert!(outcome.stderr.starts_with("error: AIOHOST_LOG is not a log filter"), "{outcome:?}");
}
