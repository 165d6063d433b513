//! Programs of other languages, which know nothing of aiohost.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::guests::{Language, fronts, program};
use crate::toolchains::said;

/// A run in a new directory.
fn run(guest: &Path, arguments: &[String]) -> (TempDir, Output) {
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written");
    let mut command = Command::new(crate::program::aiohost());
    command.args(["run", "--max-open-files", "2000", "--dir"]).arg(dir.path()).arg(guest).args(arguments);
    let output = command.output().expect("the host can be started");
    (dir, output)
}

/// What a program says, and its exit status.
fn outcome(name: &str, language: Language, arguments: &[&str]) -> Option<(String, Option<i32>)> {
    let guest = program(name, language)?;
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let (_dir, output) = run(&guest, &arguments);
    // What the host says itself begins like this.
    let own = |line: &&str| !line.starts_with("compiling ");
    let said = String::from_utf8([output.stdout, output.stderr].concat()).expect("programs say text");
    Some((said.lines().filter(own).map(|line| format!("{line}\n")).collect(), output.status.code()))
}

#[test]
fn every_exit_status_is_the_programs_own() {
    for status in [0, 1, 2, 7, 42, 125, 126, 255] {
        let text = status.to_string();
        let Some(outcome) = outcome("exits", Language::C, &[&text]) else { return };
        assert_eq!(outcome, (format!("ends with {status}\n"), Some(status)));
    }
}

#[test]
fn a_program_gets_any_number_of_arguments() {
    let Some(guest) = program("counts", Language::C) else { return };
    let arguments: Vec<String> = (0..100_000).map(|number| format!("{number:08}")).collect();
    let (_dir, output) = run(&guest, &arguments);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, "100000 arguments, 800000 bytes, 0 variables, the last 00099999\n", "{output:?}");
}

#[test]
fn a_program_gets_long_arguments_many_variables_and_many_directories() {
    let Some(guest) = program("counts", Language::C) else { return };
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written");
    let mut command = Command::new(crate::program::aiohost());
    command.arg("run");
    for number in 0..5000 {
        command.args(["--env", &format!("VARIABLE_{number}=its value is {number}")]);
    }
    for number in 0..200 {
        let name = dir.path().join(number.to_string());
        std::fs::create_dir(&name).expect("a directory of our own");
        command.arg("--dir").arg(format!("{}::/{number}", name.display()));
    }
    command.arg(&guest).arg("x".repeat(100_000)).arg("last");
    assert_eq!(said(&mut command).as_deref(), Ok("2 arguments, 100004 bytes, 5000 variables, the last last\n"));
}

#[test]
fn a_program_has_as_many_files_open_as_the_limit_says() {
    let Some(said) = outcome("many", Language::C, &["1000"]) else { return };
    assert_eq!(said, ("1000 files\n".to_owned(), Some(0)));
    let Some((said, status)) = outcome("many", Language::C, &["3000"]) else { return };
    assert!(said.starts_with("file-") && said.contains("No file descriptors") && status == Some(1), "{said}");
}

#[test]
fn a_name_that_is_not_utf8_ended_the_listing() {
    for (name, language, arguments) in [("names", Language::C, &[][..]), ("files", Language::Rust, &["remove-all"])] {
        let Some(guest) = program(name, language) else { continue };
        let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written");
        for name in [&b"plain"[..], b"bad\xff", b"\xc3(", b"\xed\xa0\x80", "\u{f780}\u{e9}".as_bytes()] {
            std::fs::write(dir.path().join(OsStr::from_bytes(name)), "").expect("there is room on the disk");
        }
        let mut command = Command::new(crate::program::aiohost());
        command.args(["run", "--dir"]).arg(dir.path()).arg(&guest).args(arguments);
        assert_eq!(said(&mut command).as_deref(), Ok("5 entries\n"), "{name}");
        assert_eq!(std::fs::read_dir(dir.path()).expect("it is there").count(), 0, "{name}");
    }
}

#[test]
fn files_of_a_program_in_c_are_as_posix_says() {
    let Some(outcome) = outcome("works", Language::C, &[]) else { return };
    assert_eq!(outcome, (String::new(), Some(0)));
}

#[test]
fn calls_that_no_library_makes_are_as_wasi_says() {
    let Some(outcome) = outcome("odd", Language::C, &[]) else { return };
    assert_eq!(outcome, (String::new(), Some(0)));
}

#[test]
fn the_numbers_of_an_object_are_others_in_each_run() {
    let Some(guest) = program("works", Language::C) else { return };
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written");
    let numbers = || {
        let mut command = Command::new(crate::program::aiohost());
        let said = said(command.args(["run", "--dir"]).arg(dir.path()).arg(&guest).arg("numbers")).expect("it ends well");
        said.split_whitespace().map(str::to_owned).collect::<Vec<String>>()
    };
    let (one, other) = (numbers(), numbers());
    assert!(one.len() == 2 && one[0] != other[0] && one[1] != other[1], "{one:?}, {other:?}");
}

#[test]
fn the_heap_of_a_program_in_go_is_its_own() {
    let Some(outcome) = outcome("heap", Language::Go, &[]) else { return };
    assert_eq!(outcome, ("479800 52\n".to_owned(), Some(7)));
}

#[test]
fn a_directory_that_is_granted_as_the_root_was_hidden_by_the_first_one() {
    let Some(guest) = program("roots", Language::C) else { return };
    let dir = roots();
    for grants in [["b::/b", "a::/"], ["a::/", "b::/b"]] {
        let mut command = Command::new(crate::program::aiohost());
        command.current_dir(dir.path()).args(["run", "--dir", grants[0], "--dir", grants[1]]).arg(&guest);
        assert_eq!(said(&mut command).as_deref(), Ok("from a, from b\n"), "{grants:?}");
        assert!(dir.path().join("a/new").exists() && !dir.path().join("b/new").exists(), "{grants:?}");
    }
}

/// Directories `a`, `b` and `a/n`, and in each a file `f` that says which it is in.
fn roots() -> TempDir {
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written");
    for name in ["a", "b", "a/n"] {
        std::fs::create_dir(dir.path().join(name)).expect("a directory of our own");
        std::fs::write(dir.path().join(name).join("f"), format!("from {name}")).expect("there is room on the disk");
    }
    dir
}

/// By the library of every version, whichever is granted first, and with one below the other.
#[test]
fn a_path_starts_from_the_longest_name_that_it_begins_with() {
    const PATHS: [(&str, &str); 4] = [("/f", "from a"), ("/b/f", "from b"), ("/b/deep/f", "from a/n"), ("/n/f", "from a/n")];
    for (front, guest) in fronts() {
        let mut grants = ["a::/", "b::/b", "a/n::/b/deep"];
        for _ in 0..grants.len() {
            grants.rotate_left(1);
            let dir = roots();
            let mut command = Command::new(crate::program::aiohost());
            command.current_dir(dir.path()).arg("run");
            command.args(grants.iter().flat_map(|grant| ["--dir", grant])).arg(&guest).arg("library");
            command.args(PATHS.map(|(path, _)| path)).arg("/new");
            let expected: String = PATHS.map(|(_, content)| format!("{content}\n")).concat();
            assert_eq!(said(&mut command), Ok(expected), "{front:?}, {grants:?}");
            assert!(dir.path().join("a/new").exists() && !dir.path().join("b/new").exists(), "{front:?}, {grants:?}");
        }
    }
}
