//! Which arguments are the plugin's, and that none of them grants it anything.

use crate::{Place, guests};

/// What a plugin is given, in a directory where it may be granted something.
#[track_caller]
fn given(line: &str, arguments: &str) {
    let place = Place::with("p.wat", guests::prints("args"));
    place.make_dir("d");
    place.run(line).assert_output(0, &format!("{arguments}\0"));
}

#[test]
fn arguments_behind_the_plugin_grant_nothing_where_an_option_stands_before_it() {
    given("run --dir d p.wat --dir / --timeout 1ms -- a", "p.wat\0--dir\0/\0--timeout\x001ms\0--\0a");
    given("run --dir d p.wat -- --dir /", "p.wat\0--dir\0/");
    given("-q run p.wat --dir none", "p.wat\0--dir\0none");
    given("run -- p.wat --dir none", "p.wat\0--dir\0none");
    given("run --argv0 me -- p.wat --stats", "me\0--stats");
    given("run --dir d p.wat -q PATTERN -v --stats --help", "p.wat\0-q\0PATTERN\0-v\0--stats\0--help");
}

#[test]
fn long_options_follow_the_plugin_up_to_its_first_argument() {
    given("run p.wat --dir d --no-cache a --dir none", "p.wat\0a\0--dir\0none");
    given("run p.wat a --no-cache b -- --dir -x", "p.wat\0a\0--no-cache\0b\0--\0--dir\0-x");
    given("run p.wat --no-cache -- --stats", "p.wat\0--stats");
    given("run p.wat --list --dir none", "p.wat\0--list\0--dir\0none");
    given("run p.wat -e x", "p.wat\0-e\0x");
    given("run p.wat ls -l", "p.wat\0ls\0-l");
}

#[test]
fn a_program_in_place_of_a_command_is_run() {
    given("p.wat", "p.wat");
    given("p.wat --dir d ls -l", "p.wat\0ls\0-l");
    given("--dir d p.wat --dir /", "p.wat\0--dir\0/");
    given("-q --argv0 run -W timeout=1m p.wat run", "run\0run");
    let place = Place::with("run.me", guests::prints("args"));
    place.run("--no-cache run.me a").assert_output(0, "run.me\0a\0");
    place.run("none.wasm").assert(
        1,
        "error: cannot read the plugin none.wasm\n  cause: No such file or directory (os error 2)\n  \
         help: check the path of the plugin\n",
    );
    // A command is one whatever the names of files.
    place.write("wit", guests::hello());
    assert!(place.run("wit").stdout.contains("package aiohost:aio"));
    for wrong in ["rum", "rum run.me", "inspct run.me"] {
        let outcome = place.run(wrong);
        let said = outcome.stderr.starts_with("error: unrecognized subcommand") && outcome.stderr.contains("similar");
        assert!(outcome.status == Some(2) && said, "{outcome:?}");
    }
}

#[test]
fn what_every_program_has_is_the_plugins_own() {
    for own in ["-h", "-v", "-q", "-e", "--help", "--version"] {
        given(&format!("run p.wat {own} --stats"), &format!("p.wat\0{own}\0--stats"));
        given(&format!("run --dir d p.wat {own}"), &format!("p.wat\0{own}"));
    }
    let help = Place::new().run("run --help p.wat");
    assert_eq!((help.status, help.stdout.starts_with("Run a plugin\n")), (Some(0), true), "{help:?}");
}
