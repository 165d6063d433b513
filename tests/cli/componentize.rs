//! `aiohost componentize`: what comes out runs, and each thing that can be wrong with what goes in.

use std::fs;

use crate::{Outcome, Place, guests};

/// A program that makes one `nop` through `blocking`, as a compiler without a generator of bindings makes it: without types.
const NOP: &str = r#"(module
  (import "aiohost:aio/blocking@0.1.0" "nop" (func $nop (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $nop (i32.const 0))))"#;

/// The same as a library, whose function `work` makes the `nop`.
const LIBRARY: &str = r#"(module
  (import "aiohost:aio/blocking@0.1.0" "nop" (func $nop (param i32)))
  (memory (export "memory") 1)
  (func (export "work") (result i32) (call $nop (i32.const 0)) (i32.const 42)))"#;

const WORLD: &str = "\
package example:songs;
world plugin {
  include aiohost:aio/blocking-guest@0.1.0;
  export work: func() -> u32;
}
";

/// One library and its world.
fn library() -> Place {
    let place = Place::with("songs.wat", LIBRARY);
    place.make_dir("wit");
    place.write("wit/world.wit", WORLD);
    place
}

/// What is said of a WIT with this content.
fn with_wit(content: &str) -> Outcome {
    let place = library();
    place.write("wit/world.wit", content);
    place.run("componentize songs.wat --wit wit")
}

#[test]
fn a_program_with_a_world_of_this_host() {
    let place = Place::with("songs.wat", NOP);
    for world in ["blocking-guest", "aiohost:aio/blocking-guest@0.1.0", "guest"] {
        place.run(&format!("componentize songs.wat --world {world} -o plugin.wasm")).assert_output(0, "");
        place.run("run plugin.wasm").assert_output(0, "");
    }
}

#[test]
fn a_library_with_a_world_of_its_own() {
    let place = library();
    for wit in ["wit", "wit/world.wit"] {
        place.run(&format!("componentize songs.wat --wit {wit}")).assert_output(0, "");
        place.run("run songs.component.wasm --invoke work()").assert_output(0, "42\n");
    }
    // A copy of the host's package beside it does no harm.
    place.run("wit --out wit/deps/aiohost-aio").assert_output(0, "");
    place.run("componentize songs.wat --wit wit --world plugin").assert_output(0, "");
    place.run("run songs.component.wasm --invoke work()").assert_output(0, "42\n");
}

#[test]
fn a_binary_module_that_needs_no_world() {
    let place = Place::with("hello.wasm", wat::parse_str(guests::hello()).expect("a valid guest"));
    place.run("componentize hello.wasm").assert_output(0, "");
    place.run("run hello.component.wasm").assert_output(0, "hello\n");
}

#[test]
fn a_module_that_is_none() {
    let place = Place::with("text", "#!/bin/sh\n");
    place.run("componentize none.wasm --world guest").assert(
        1,
        "error: cannot read the module none.wasm\n  cause: No such file or directory (os error 2)\n  \
         help: name the file that your compiler made\n",
    );
    place.run("componentize text --world guest").assert(
        1,
        "error: text is not a plugin\n  cause: it is a text, but not one of WebAssembly\n  \
         help: a plugin is a WebAssembly component or a core module for WASI preview 1, as .wasm or .wat\n",
    );
    place.write("broken.wat", "(module (");
    let outcome = place.run("componentize broken.wat --world guest");
    assert_eq!(outcome.status, Some(1));
    assert!(outcome.stderr.starts_with("error: broken.wat is not valid WebAssembly text\n  cause: "), "{outcome:?}");
    place.write("component.wat", "(component)");
    place.run("componentize component.wat --world guest").assert(
        1,
        "error: component.wat is a component already\n  help: there is nothing to be done: `aiohost run` takes it as it is\n",
    );
}

#[test]
fn a_module_without_a_world() {
    let outcome = Place::with("songs.wat", NOP).run("componentize songs.wat");
    assert_eq!(outcome.status, Some(1));
    assert!(outcome.stderr.starts_with("error: songs.wat does not say what it imports and exports\n  cause: "), "{outcome:?}");
    assert!(
        outcome.stderr.ends_with(
            "  help: name the world that it was built for, as in: --world submit-guest, or --wit wit --world my-plugin\n"
        ),
        "{outcome:?}"
    );
}

#[test]
fn a_module_that_does_not_fit_its_world() {
    let fits_not = |place: &Place, line: &str, world: &str, cause: &str| {
        let outcome = place.run(line);
        assert_eq!(outcome.status, Some(1));
        assert!(
            outcome.stderr.starts_with(&format!("error: songs.wat does not fit the world `{world}`\n  cause: ")),
            "{outcome:?}"
        );
        assert!(outcome.stderr.contains(cause), "{outcome:?}");
        assert!(outcome.stderr.contains("\n  help: it may import what the world imports and WASI preview 1"), "{outcome:?}");
    };
    fits_not(
        &Place::with("songs.wat", NOP),
        "componentize songs.wat --world submit-guest",
        "submit-guest",
        "an import interface named `aiohost:aio/blocking@0.1.0`",
    );
    let without_work = library();
    without_work.write("songs.wat", LIBRARY.replace("\"work\"", "\"wrok\""));
    fits_not(&without_work, "componentize songs.wat --wit wit", "plugin", "work");
}

#[test]
fn a_world_that_is_not_there() {
    let help = "  help: name one of them with --world, or the folder of your own WIT with --wit\n";
    let own = "blocking-guest, submit-guest, async-guest, guest";
    let place = library();
    place.run("componentize songs.wat --world plugin").assert(
        1,
        &format!("error: there is no world `plugin` in the WIT package of this host\n  cause: its worlds are: {own}\n{help}"),
    );
    place
        .run("componentize songs.wat --wit wit --world plug-in")
        .assert(1, &format!("error: there is no world `plug-in` in wit\n  cause: its worlds are: plugin\n{help}"));
    place.write("wit/other.wit", "world other {}");
    place
        .run("componentize songs.wat --wit wit")
        .assert(1, &format!("error: there is not exactly one world in wit\n  cause: its worlds are: other, plugin\n{help}"));
}

#[test]
fn a_wit_that_cannot_be_used() {
    library().run("componentize songs.wat --wit none").assert(
        1,
        "error: cannot read the WIT in none\n  cause: No such file or directory (os error 2)\n  \
         help: name a folder with .wit files, or one such file; without --wit the package of this host is used\n",
    );
    let cannot = |content: &str, cause: &str, help: &str| {
        let outcome = with_wit(content);
        assert_eq!(outcome.status, Some(1));
        assert!(outcome.stderr.starts_with("error: cannot use the WIT in wit\n  cause: "), "{outcome:?}");
        // The place is told, too.
        assert!(outcome.stderr.contains(cause) && outcome.stderr.contains("wit/world.wit:2:"), "{outcome:?}");
        assert!(outcome.stderr.ends_with(&format!("  help: {help}\n")), "{outcome:?}");
    };
    cannot(
        "package example:songs;\nworlds {}",
        "expected `world`",
        "`aiohost wit` prints a package that is correct, to compare it with",
    );
    cannot(
        "package example:songs;\nworld plugin { import other:thing/sums; }",
        "package 'other:thing' not found",
        "put the package into a folder of its own below the folder `deps`, beside the world",
    );
    cannot(
        "package example:songs;\nworld plugin { import aiohost:aio/blocking@9.0.0; }",
        "package 'aiohost:aio@9.0.0' not found",
        "this host has aiohost:aio@0.1.0: `aiohost wit` prints it",
    );
}

#[test]
fn a_file_that_cannot_be_written() {
    let place = Place::with("songs.wat", NOP);
    let outcome = place.run("componentize songs.wat --world guest -o none/plugin.wasm");
    outcome.assert(
        1,
        "error: cannot write none/plugin.wasm\n  cause: No such file or directory (os error 2)\n  \
         help: make the directory first: mkdir -p 'none'\n",
    );
    place
        .run("componentize songs.wat --world guest -o ./songs.wat")
        .assert(1, "error: ./songs.wat is the module itself\n  help: name another file with --output\n");
    assert_eq!(fs::read_to_string(place.path("songs.wat")).expect("it is there still"), NOP);
}
