//! Every request of `wit/requests.wit`, run by a real guest on every face and with both resolvers.
//!
//! The list of requests is read from the WIT package, and the tests are in `tests/guests`: a request without one fails here.
//! A trial is named after the face and the test, `submit::stat`; with `::portable` where the paths are resolved without
//! `openat2(2)`, and with `async_` before it where a guest of WASI 0.3 uses one of the other faces.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use libtest_mimic::{Arguments, Failed, Trial};
use rustix::fs::Mode;
use wit_parser::{FunctionKind, Resolve, Type};

use fuse::{Answer, Fuse, Op};
use support::{FACES, Guest, OPENAT2, PORTABLE, Resolver, SECRET, Tree, run, success};

#[path = "support/fuse.rs"]
mod fuse;
mod support;

/// What the suite knows of a request.
struct Request {
    /// Its name as an identifier of Rust, which is also that of its test.
    name: String,
    takes_path: bool,
}

fn main() {
    let arguments = Arguments::from_args();
    // The guests see the modes of what they make; every run inherits this.
    rustix::process::umask(Mode::WGRP | Mode::WOTH);
    let requests = requests();
    let mut trials = Vec::new();
    let mut names = BTreeSet::new();
    for (guest, face) in FACES.into_iter().chain([(Guest::Async, "blocking"), (Guest::Async, "submit")]) {
        // What only a guest can say: the tests that it has.
        let tests = match tests(guest, face) {
            Ok(tests) => tests,
            Err(failure) => {
                trials.push(Trial::test(format!("{face}::list"), move || Err(Failed::from(failure))));
                continue;
            }
        };
        names.extend(tests.iter().cloned());
        trials.push(every_request_has_a_test(guest, face, &requests, &tests));
        trials.extend(tests.iter().flat_map(|test| trials_of(guest, face, test, &requests)));
    }
    let controls = controls();
    println!(
        "{} requests, each tested on {} faces, with two resolvers if it has a path; {} other functions",
        requests.len(),
        FACES.len(),
        controls.len()
    );
    trials.push(everything_else_has_a_test(&controls, &names));
    libtest_mimic::run(&arguments, trials).exit();
}

/// The requests, from the interface of that name.
fn requests() -> Vec<Request> {
    let wit = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(&wit).expect("wit/ is a valid package");
    let interface = resolve.packages[package].interfaces["requests"];
    let functions = resolve.interfaces[interface].functions.values();
    let request = |function: &wit_parser::Function| {
        assert!(matches!(function.kind, FunctionKind::AsyncFreestanding), "{} is no async func", function.name);
        let is_path = |name: &str, kind: Type| kind == Type::String && (name == "path" || name.ends_with("-path"));
        Request {
            // A keyword gets an underscore in Rust.
            name: if function.name == "move" { String::from("move_") } else { function.name.replace('-', "_") },
            takes_path: function.params.iter().any(|parameter| is_path(&parameter.name, parameter.ty)),
        }
    };
    functions.map(request).collect()
}

/// What is not a request, from the other interfaces: functions by their names, and methods with the resource before.
fn controls() -> Vec<String> {
    let wit = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(&wit).expect("wit/ is a valid package");
    let interfaces = ["types", "control", "streams"].map(|name| resolve.packages[package].interfaces[name]);
    let functions = interfaces.iter().flat_map(|interface| resolve.interfaces[*interface].functions.values());
    let name = |function: &wit_parser::Function| match function.name.split_once(']') {
        // A resource that could not be made would fail every test of its methods.
        Some(("[constructor", _)) => None,
        Some((_, method)) => Some(method.replace(['.', '-'], "_")),
        None => Some(function.name.replace('-', "_")),
    };
    functions.filter_map(name).collect()
}

fn everything_else_has_a_test(controls: &[String], tests: &BTreeSet<String>) -> Trial {
    let missing: Vec<String> = controls.iter().filter(|name| !tests.contains(*name)).cloned().collect();
    Trial::test("everything_else_has_a_test", move || {
        if missing.is_empty() { Ok(()) } else { Err(Failed::from(format!("no guest test for {}", missing.join(", ")))) }
    })
}

/// The names of the tests that a guest has for a face.
fn tests(guest: Guest, face: &str) -> Result<Vec<String>, String> {
    let output = success(run(&[], OPENAT2, guest, &[face, "list"]))?;
    Ok(output.lines().map(String::from).collect())
}

fn every_request_has_a_test(guest: Guest, face: &str, requests: &[Request], tests: &[String]) -> Trial {
    let tests: BTreeSet<&str> = tests.iter().map(String::as_str).collect();
    let missing = requests.iter().map(|request| request.name.clone()).filter(|name| !tests.contains(name.as_str()));
    let missing: Vec<String> = missing.collect();
    Trial::test(name(guest, face, "every_request_has_a_test"), move || {
        if missing.is_empty() {
            return Ok(());
        }
        let names = missing.join(", ");
        Err(Failed::from(format!(
            "no guest test for {names}: add a line for the request to tests/guests/src/face.rs, and a test of its name, \
             which checks the errors first and then sees the effect, to a family in tests/guests/src/tests/; or, if they are there, \
             build the guests again with tests/guests/build.sh"
        )))
    })
}

fn name(guest: Guest, face: &str, test: &str) -> String {
    let guest = if guest == Guest::Async && face != "requests" { "async_" } else { "" };
    format!("{guest}{face}::{test}")
}

/// The trials of one test. What has no path of its own is the same with any resolver, and a path is the same for any guest.
fn trials_of(guest: Guest, face: &'static str, test: &str, requests: &[Request]) -> Vec<Trial> {
    let has_path = requests.iter().all(|request| request.name != *test || request.takes_path);
    let portable = has_path && FACES.contains(&(guest, face));
    let resolvers: &[(Resolver, &str)] = if portable { &[(OPENAT2, ""), (PORTABLE, "::portable")] } else { &[(OPENAT2, "")] };
    let trial = |(resolver, suffix): &(Resolver, &str)| {
        let (resolver, test) = (*resolver, test.to_owned());
        Trial::test(name(guest, face, &test) + suffix, move || try_out(guest, face, &test, resolver))
    };
    resolvers.iter().map(trial).collect()
}

/// Options that a test counts on.
fn options(test: &str) -> &'static [&'static str] {
    match test {
        "limit_open_files"
        | "discarded_open_leaked_its_descriptor"
        | "given_up_call_leaked_its_descriptor"
        | "close_did_not_close"
        | "limit_open_walks" => &["--max-open-files", "8"],
        "limit_entries" => &["--max-entries", "10"],
        "mkfifo" => &["--allow", "mkfifo"],
        "syncfs" => &["--allow", "mkfifo,syncfs"],
        "busy" => &["--allow", "busy"],
        "statvfs"
        | "slurp_of_a_directory_ran_out_of_memory"
        | "load_of_a_file_without_a_size_was_empty"
        | "copy_of_a_file_without_a_size_was_empty" => &["--allow", "procfs"],
        "closing_found_no_place" | "closing_found_no_place_awaited" => &["--max-in-flight", "8", "--timeout", "60s"],
        "limit_in_flight" | "limit_in_flight_awaited" => &["--max-in-flight", "4"],
        "canceled_requests_kept_their_places" => &["--max-in-flight", "4", "--workers", "1", "--allow", "busy"],
        "high_priorities_starved_low_ones" => &["--workers", "1"],
        "limit_memory" => &["--max-memory", "32MiB"],
        "ends_at_limit_of_time" => &["--timeout", "200ms"],
        _ => &[],
    }
}

/// Whether a test counts on a grant `/far` on another device.
fn needs_another_device(test: &str) -> bool {
    matches!(
        test,
        "move_that_had_to_copy_failed"
            | "move_of_a_directory_to_another_device_left_a_file"
            | "move_lost_what_was_written_meanwhile"
            | "what_a_killed_host_left_stayed_for_ever"
    )
}

/// Whether a test counts on a grant `/stuck` that fails.
fn needs_failures(test: &str) -> bool {
    matches!(test, "failed_copy_left_a_part" | "failed_unlink_of_a_move_was_silent" | "rmtree_swallowed_an_error")
}

/// A file system in which nothing can be removed, and of which one file cannot be read.
fn stuck() -> Option<Fuse> {
    let stuck = Fuse::mount()?;
    stuck.put("file", b"content");
    stuck.put("broken", &[b'x'; 100_000]);
    stuck.answer_for("broken", Op::Read, Answer::Fails(libc::EIO));
    fs::create_dir(stuck.join("dir")).expect("it is new");
    fs::write(stuck.join("dir/file"), "content").expect("it is new");
    stuck.answer(Op::Unlink, Answer::Fails(libc::EACCES));
    stuck.answer(Op::RmDir, Answer::Fails(libc::EACCES));
    Some(stuck)
}

/// The exit status of a run, and a part of what it says, for the tests whose guest does not live to see the end.
fn end(test: &str) -> Option<(i32, &'static str)> {
    match test {
        "ends_at_limit_of_write_length" => Some((1, "the plugin has to hand over less at a time")),
        "ends_at_limit_of_request_handles" => Some((1, "the guest holds 10000 request handles, as many as it may")),
        "ends_at_limit_of_time" => Some((124, "it took longer than 200ms")),
        _ => None,
    }
}

fn try_out(guest: Guest, face: &str, test: &str, resolver: Resolver) -> Result<(), Failed> {
    let tree = Tree::new();
    let mut options = tree.options(options(test));
    let far = needs_another_device(test).then(|| tree.far());
    if let Some(far) = &far {
        options.extend([OsString::from("--dir"), OsString::from(format!("{}::/far", far.path().display()))]);
    }
    let stuck = if needs_failures(test) {
        // It has said why there is none.
        let Some(stuck) = stuck() else { return Ok(()) };
        Some(stuck)
    } else {
        None
    };
    if let Some(stuck) = &stuck {
        options.extend([OsString::from("--dir"), OsString::from(format!("{}::/stuck", stuck.path().display()))]);
    }
    let output = run(&options, resolver, guest, &[face, test]);
    if let Some((status, said)) = end(test) {
        let stderr = String::from_utf8_lossy(&output.stderr);
        if output.status.code() != Some(status) || !stderr.contains(said) {
            return Err(format!("expected status {status} and {said:?}, but: {}\n{stderr}", output.status).into());
        }
        return Ok(());
    }
    let output = success(output)?;
    if output != format!("passed {test}\n") {
        return Err(format!("the guest did not say that it ran the test: {output:?}").into());
    }
    let secret = fs::read_to_string(tree.path("outside/secret")).expect("it is there");
    if secret != SECRET || tree.path("outside/new").exists() {
        return Err("something outside of the granted directories was changed".into());
    }
    Ok(())
}
