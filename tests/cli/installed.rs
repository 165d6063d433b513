//! What is installed beside the program: completions for shells, and manual pages.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Outcome, Place, finished};

/// Runs a program of the system; none, with a message, if it is not installed.
fn system(program: &str, arguments: &[&str], place: &Place) -> Option<Outcome> {
    let found = Command::new("sh").args(["-c", "command -v \"$0\"", program]).stdout(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        eprintln!("skipped: {program} is not installed");
        return None;
    }
    let mut command = Command::new(program);
    command.args(arguments).current_dir(place.path("")).stdin(Stdio::null());
    // The lines of a page are as wide as its text needs.
    command.env("MANWIDTH", "200").env("LC_ALL", "C.UTF-8").env("TERM", "dumb").env_remove("MANPAGER");
    Some(finished(&mut command))
}

/// What a clean bash offers for the last of these words.
fn completed(place: &Place, words: &[&str]) -> Option<String> {
    const ASK: &str = r#"
        source ./aiohost.bash
        complete -p aiohost > registered
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _aiohost aiohost "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let arguments: Vec<&str> = ["--norc", "--noprofile", "-c", ASK, "bash"].iter().chain(words).copied().collect();
    let outcome = system("bash", &arguments, place)?;
    assert_eq!((outcome.status, outcome.stderr.as_str()), (Some(0), ""));
    let registered = fs::read_to_string(place.path("registered")).expect("bash has written it");
    assert!(registered.contains("-F _aiohost") && registered.ends_with(" aiohost\n"), "{registered}");
    Some(outcome.stdout)
}

#[test]
fn a_clean_bash_completes_commands_options_and_values() {
    let place = Place::new();
    let script = place.run("completions bash");
    script.assert(0, "");
    place.write("aiohost.bash", &script.stdout);
    let cases: [(&[&str], &str); 7] = [
        (&["aiohost", "insp"], "inspect\n"),
        (&["aiohost", "comp"], "compile\ncomponentize\ncompletions\n"),
        (&["aiohost", "run", "--time"], "--timeout\n"),
        (&["aiohost", "run", "--max-c"], "--max-compile-time\n--max-compile-memory\n"),
        (&["aiohost", "run", "--resolver", "p"], "portable\n"),
        (&["aiohost", "new", "z"], "zig\n"),
        (&["aiohost", "completions", "f"], "fish\n"),
    ];
    for (words, offered) in cases {
        let Some(answer) = completed(&place, words) else { return };
        assert_eq!(answer, offered, "{words:?}");
    }
    // What the program starts for itself is nothing to offer.
    assert!(!script.stdout.contains(" __compile"), "a hidden command");
}

#[test]
fn each_shell_can_read_its_completions() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = place.run(&format!("completions {shell}"));
        script.assert(0, "");
        place.write(shell, &script.stdout);
        if let Some(outcome) = system(shell, &["-n", shell], &place) {
            outcome.assert_output(0, "");
        }
    }
    for shell in ["elvish", "powershell"] {
        let script = place.run(&format!("completions {shell}"));
        script.assert(0, "");
        assert!(script.stdout.contains("componentize"), "{shell}");
    }
}

#[test]
fn every_command_has_a_manual_page_without_a_warning() {
    let place = Place::new();
    place.run("man --out man/man1").assert_output(0, "");
    let mut names = Vec::new();
    for entry in fs::read_dir(place.path("man/man1")).expect("it was made") {
        names.push(entry.expect("it can be listed").file_name().into_string().expect("the name is UTF-8"));
    }
    names.sort();
    let commands = ["bench", "completions", "compile", "componentize", "inspect", "man", "new", "oci", "run", "wit"];
    let mut expected: Vec<String> = commands.iter().map(|command| format!("aiohost-{command}.1")).collect();
    expected.push("aiohost.1".to_owned());
    expected.sort();
    assert_eq!(names, expected);
    for name in &names {
        let path = format!("./man/man1/{name}");
        let Some(outcome) = system("man", &["--warnings", "-l", &path], &place) else { return };
        assert_eq!((outcome.status, outcome.stderr.as_str()), (Some(0), ""), "{name}");
        let title = Path::new(name).with_extension("");
        assert!(outcome.stdout.contains(&format!("{}(1)", title.display())), "{}", outcome.stdout);
    }
}

#[test]
fn a_manual_page_has_the_sections_that_manuals_have() {
    let place = Place::new();
    let page = place.run("man run");
    page.assert(0, "");
    let sections: Vec<&str> = page.stdout.lines().filter_map(|line| line.strip_prefix(".SH ")).collect();
    for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "\"EXIT STATUS\"", "NOTES", "EXAMPLES", "\"SEE ALSO\""] {
        assert!(sections.contains(&section), "{section}: {sections:?}");
    }
    assert!(page.stdout.contains("\n.SS Rights\n"), "{}", page.stdout);
    place.write("page.1", &page.stdout);
    let Some(shown) = system("man", &["-l", "./page.1"], &place) else { return };
    assert!(shown.stdout.contains("aiohost run calc.wasm --invoke 'add(1, 2)'"), "{}", shown.stdout);
    place.run("man").assert(0, "");
    place.run("man nothing").assert(
        1,
        "error: there is no command `nothing`\n  \
         help: the commands are new, run, inspect, compile, componentize, wit, bench, completions, man, oci\n",
    );
}

#[test]
fn a_manual_page_that_differs_is_replaced_by_force_only() {
    let place = Place::new();
    place.run("man --out pages").assert_output(0, "");
    place.run("man --out pages").assert_output(0, "");
    place.write("pages/aiohost.1", "mine");
    place
        .run("man --out pages")
        .assert(1, "error: pages/aiohost.1 exists and differs from this version's\n  help: overwrite it with --force\n");
    place.run("man --out pages --force").assert_output(0, "");
    assert_ne!(fs::read(place.path("pages/aiohost.1")).expect("it is there"), b"mine");
}
