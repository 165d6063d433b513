//! What the commands print: descriptions of plugins, the WIT package, and help.

use std::path::Path;
use std::{env, fs};

use crate::{Place, guests};

#[test]
fn a_plugin_is_described() {
    let place = Place::with("guest.wat", guests::nops("0.1.0", "nop", 1));
    place.run("inspect guest.wat").assert_output(
        0,
        "\
kind     text
engine   plain: nothing in it is asynchronous
wasi     0.2
aiohost  blocking
run      wasi:cli/run@0.2.6

imports:
  aiohost:aio/blocking@0.1.0
    nop

exports:
  wasi:cli/run@0.2.6
    run

missing here: nothing
",
    );
}

#[test]
fn what_is_missing_is_listed() {
    let place = Place::with("guest.wat", guests::nops("0.3.0", "nop", 1));
    let outcome = place.run("inspect guest.wat");
    assert_eq!(outcome.status, Some(0));
    let missing = "\nmissing here:\n  aiohost:aio/blocking@0.3.0: this host has aiohost:aio/blocking 0.1.0, not 0.3.0: \
        it was built for a newer aiohost\n";
    assert!(outcome.stdout.ends_with(missing), "{outcome:?}");
}

#[test]
fn a_core_module_is_shown_as_it_is() {
    let binary = wat::parse_str(guests::hello()).expect("a valid guest");
    let outcome = Place::with("guest.wasm", binary).run("inspect guest.wasm");
    outcome.assert_output(
        0,
        "\
kind     core module
engine   plain: nothing in it is asynchronous
wasi     preview 1
aiohost  none
run      _start

imports:
  wasi_snapshot_preview1
    fd_write

exports:
  memory: memory
  _start: func()

missing here: nothing
",
    );
}

#[test]
fn compiled_code_that_is_trusted_is_described_as_its_source() {
    let place = Place::with("guest.wat", guests::async_command(0));
    place.run("compile guest.wat").assert_output(0, "");
    let source = place.run("inspect guest.wat");
    let compiled = place.run("inspect guest.cwasm --trust");
    assert_eq!(compiled.stdout, source.stdout.replace("kind     text", "kind     compiled code"));
    assert!(source.stdout.contains("engine   concurrent: it uses the component model's async\nwasi     0.3\n"), "{source:?}");
}

#[test]
fn a_plugin_that_asks_for_sockets_is_said_to_be_denied_them() {
    let network = guests::Import {
        interface: "wasi:sockets/instance-network@0.2.6",
        outer: r#"(import "wasi:sockets/network@0.2.6" (instance $network (export "network" (type (sub resource)))))
            (alias export $network "network" (type $network))"#,
        prelude: r#"(export "network" (type $n (eq $network)))"#,
        function: "instance-network",
        ty: "(result (own $n))",
        core: "(result i32)",
        ..Default::default()
    };
    let accept = r#"(import "wasi_snapshot_preview1" "sock_accept" (func (param i32 i32 i32) (result i32)))"#;
    for guest in [guests::command(&network, "(call $f)"), guests::preview1(accept, "")] {
        let place = Place::with("guest.wat", guest);
        let outcome = place.run("inspect guest.wat");
        assert_eq!(outcome.status, Some(0), "{outcome:?}");
        let denied = "\nsockets  denied to every plugin: an attempt is an error, which the plugin is told\n\nimports:\n";
        assert!(outcome.stdout.contains(denied), "{outcome:?}");
        assert!(place.run("inspect guest.wat --json").stdout.contains("\n  \"sockets\": \"denied\",\n"));
    }
}

#[test]
fn a_description_can_be_had_as_json() {
    let place = Place::with("guest.wat", guests::nops("0.1.0", "nopp", 1));
    place.run("inspect guest.wat --json").assert_output(
        0,
        r#"{
  "aiohost": [
    "blocking"
  ],
  "engine": "plain",
  "exports": [
    {
      "functions": [
        {
          "async": false,
          "name": "run"
        }
      ],
      "kind": "interface",
      "name": "wasi:cli/run@0.2.6"
    }
  ],
  "imports": [
    {
      "functions": [
        {
          "async": false,
          "name": "nopp"
        }
      ],
      "kind": "interface",
      "name": "aiohost:aio/blocking@0.1.0"
    }
  ],
  "kind": "text",
  "missing": [
    {
      "closest": "nop",
      "import": "aiohost:aio/blocking@0.1.0 nopp",
      "why": "this host's aiohost:aio/blocking@0.1.0 has no such function"
    }
  ],
  "run": "wasi:cli/run@0.2.6",
  "sockets": null,
  "wasi": [
    "0.2"
  ]
}
"#,
    );
}

/// A module that imports what no terminal should be told as it is.
fn imports_control_characters() -> Vec<u8> {
    let text = r#"(module (import "e\1b]0;x\07\0a" "f\c2\9b2J\e2\80\ae" (func)) (export "g\1b[31m" (func 0)))"#;
    wat::parse_str(text).expect("a valid guest")
}

#[test]
fn names_of_a_plugin_do_not_steer_the_terminal() {
    let place = Place::with("guest.wasm", imports_control_characters());
    let hello = r#"(module (import "wasi_snapshot_preview1" "f\1b[31m" (func)) (memory (export "\1b[2J") 1))"#;
    place.write("hello.wasm", wat::parse_str(hello).expect("a valid guest"));
    let texts = [
        place.run("run guest.wasm"),
        place.run("run hello.wasm"),
        place.run("inspect hello.wasm"),
        place.run("inspect guest.wasm"),
    ];
    for outcome in &texts {
        let shown = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(shown.contains("\\u{1b}") && !shown.contains("\n         "), "{outcome:?}");
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{outcome:?}");
    }
    let json = place.run("inspect hello.wasm --json");
    assert!(json.stdout.contains("\\u001b[2J") && !json.stdout.contains('\x1b'), "{json:?}");
}

/// All of it was repeated in the message, which was more than the process that compiles could tell.
#[test]
fn an_error_in_a_line_of_two_megabytes_is_told_in_a_few_words() {
    let place = Place::with("guest.wat", format!("(module (func (i32.wrong)) (; {} ;))", "x".repeat(2 << 20)));
    for line in ["run guest.wat", "compile guest.wat", "inspect guest.wat", "componentize guest.wat"] {
        let outcome = place.run(line);
        let told = "error: guest.wat is not valid WebAssembly text\n  cause: unknown operator or unexpected token\n";
        assert!(outcome.status == Some(1) && outcome.stderr.starts_with(told), "{line}: {outcome:.300?}");
        assert!(outcome.stderr.contains("(i32.wrong)) (; xxx") && outcome.stderr.len() < 2000, "{line}");
    }
}

/// The text of a file of the WIT package in the repository.
fn wit(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit").join(name);
    fs::read_to_string(path).expect("a file of the package")
}

#[test]
fn the_wit_package_is_written() {
    let place = Place::new();
    place.run("wit --out a/b").assert_output(0, "");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    for entry in fs::read_dir(folder).expect("the package") {
        let name = entry.expect("the package").file_name().into_string().expect("a name in UTF-8");
        let written = fs::read_to_string(place.path("a/b").join(&name)).expect("it was written");
        assert_eq!(written, wit(&name), "{name}");
    }
    // Files that are the same already are no obstacle.
    place.run("wit --out a/b").assert_output(0, "");
}

#[test]
fn files_that_differ_from_the_wit_package_are_kept() {
    let place = Place::with("world.wit", "mine");
    place
        .run("wit --out .")
        .assert(1, "error: ./world.wit exists and differs from this version's\n  help: overwrite it with --force\n");
    assert!(!place.path("types.wit").exists());
    place.run("wit --out . --force").assert_output(0, "");
    assert_eq!(fs::read_to_string(place.path("world.wit")).expect("it was written"), wit("world.wit"));
}

#[test]
fn the_wit_package_is_printed_as_one_file() {
    let outcome = Place::new().run("wit");
    assert_eq!((outcome.status, outcome.stderr.as_str()), (Some(0), ""));
    assert_eq!(outcome.stdout.matches("\npackage ").count() + usize::from(outcome.stdout.starts_with("package ")), 1);
    let mut resolve = wit_parser::Resolve::new();
    resolve.push_str("aio.wit", &outcome.stdout).expect("valid WIT");
}

#[test]
fn help_is_as_it_was() {
    let place = Place::new();
    for command in ["", "new", "run", "inspect", "compile", "componentize", "wit", "bench", "completions", "man", "oci"] {
        let outcome = place.run(&format!("{command} --help"));
        assert_eq!((outcome.status, outcome.stderr.as_str()), (Some(0), ""));
        let name = if command.is_empty() { "help.txt".to_owned() } else { format!("help-{command}.txt") };
        let snapshot = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/snapshots").join(name);
        if env::var_os("UPDATE").is_some() {
            fs::write(&snapshot, &outcome.stdout).expect("the snapshot can be written");
        }
        let expected = fs::read_to_string(&snapshot).unwrap_or_default();
        assert_eq!(outcome.stdout, expected, "{}: UPDATE=1 writes it anew", snapshot.display());
    }
}

#[test]
fn the_version_is_told() {
    Place::new().run("--version").assert_output(0, &format!("aiohost {}\n", env!("CARGO_PKG_VERSION")));
}
