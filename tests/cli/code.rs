//! Compiled code: the cache, `aiohost compile`, and what is refused of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::compiling::{children, wait_for};
use crate::{Place, finished, guests};

/// The entries of the place's cache.
pub(crate) fn entries(place: &Place) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(place.own("cache/code")) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("the cache can be read").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "cwasm")).collect()
}

fn mode(path: &PathBuf) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[test]
fn compiled_code_is_kept_for_the_user_alone() {
    let place = Place::with("guest.wat", guests::hello());
    place.run("run guest.wat").assert_output(0, "hello\n");
    let kept = entries(&place);
    assert_eq!(kept.len(), 1);
    assert_eq!((mode(&place.own("cache/code")), mode(&kept[0])), (0o700, 0o600));
    place.run("run guest.wat").assert_output(0, "hello\n");
    assert_eq!(entries(&place), kept);
}

#[test]
fn each_engine_has_entries_of_its_own() {
    let place = Place::with("plain.wat", guests::exits_with_code(3));
    place.write("async.wat", guests::async_command(1));
    for _ in 0..2 {
        place.run("run plain.wat").assert_output(3, "");
        place.run("run async.wat").assert_output(1, "");
        assert_eq!(entries(&place).len(), 2);
    }
}

#[test]
fn nothing_is_kept_without_a_cache() {
    let place = Place::with("guest.wat", guests::hello());
    place.run("run guest.wat --no-cache").assert_output(0, "hello\n");
    assert_eq!(entries(&place), Vec::<PathBuf>::new());
}

#[test]
fn a_damaged_entry_is_made_anew() {
    let place = Place::with("guest.wat", guests::hello());
    place.run("run guest.wat").assert_output(0, "hello\n");
    let entry = &entries(&place)[0];
    let good = fs::read(entry).expect("an entry");
    let mut changed = good.clone();
    changed[good.len() / 2] ^= 1;
    for bad in [&good[..good.len() / 2], &changed, b"", b"something else"] {
        fs::write(entry, bad).expect("an entry of our own");
        let outcome = place.run("run guest.wat");
        assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(0), "hello\n"), "{outcome:?}");
        assert!(outcome.stderr.contains("an entry of the code cache is not used; compiling again"), "{outcome:?}");
        assert_eq!(fs::read(entry).expect("an entry").len(), good.len());
        place.run("run guest.wat").assert_output(0, "hello\n");
    }
}

#[test]
fn an_entry_that_others_may_have_written_is_made_anew() {
    let place = Place::with("guest.wat", guests::hello());
    place.run("run guest.wat").assert_output(0, "hello\n");
    let entry = &entries(&place)[0];
    fs::set_permissions(entry, fs::Permissions::from_mode(0o622)).expect("an entry of our own");
    let outcome = place.run("run guest.wat");
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(0), "hello\n"), "{outcome:?}");
    assert!(outcome.stderr.contains("others may write to it"), "{outcome:?}");
    assert_eq!(mode(entry), 0o600);
}

#[test]
fn a_cache_that_cannot_be_used_is_only_a_warning() {
    let place = Place::with("guest.wat", guests::hello());
    place.write("file", "");
    place.make_dir("shared");
    fs::create_dir(place.path("shared/code")).expect("a directory of our own");
    fs::set_permissions(place.path("shared/code"), fs::Permissions::from_mode(0o777)).expect("a directory of our own");
    for cache in ["file", "shared"] {
        let outcome = finished(place.command("run guest.wat").env("AIOHOST_CACHE", place.path(cache)));
        assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(0), "hello\n"), "{outcome:?}");
        assert!(outcome.stderr.contains("the code cache is not used"), "{outcome:?}");
        let quiet = finished(place.command("run -q guest.wat").env("AIOHOST_CACHE", place.path(cache)));
        quiet.assert_output(0, "hello\n");
    }
}

#[test]
fn a_compiled_plugin_runs_as_the_plugin_does() {
    let place = Place::with("hello.wat", guests::hello());
    place.write("async.wat", guests::async_command(1));
    place.run("compile hello.wat").assert_output(0, "");
    place.run("compile async.wat -o other.cwasm").assert_output(0, "");
    place.run("run hello.cwasm").assert_output(0, "hello\n");
    place.run("run other.cwasm").assert_output(1, "");
    assert_eq!(entries(&place), Vec::<PathBuf>::new());
    // What is compiled code already may be written again.
    place.run("compile hello.wat").assert_output(0, "");
}

/// Whether a process has a file in its memory as code, as it lies on the disk.
fn runs_code_of(process: u32, file: &Path) -> bool {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap_or_default();
    let of_file = maps.lines().filter(|line| line.ends_with(&file.display().to_string()));
    of_file.into_iter().any(|line| line.split(' ').nth(1).is_some_and(|rights| rights.contains('x')))
}

#[test]
fn compiled_code_was_read_at_every_start() {
    let component = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("guests/wasi2.wasm");
    let component = fs::read(component).expect("the guests are not built: run tests/guests/build.sh first");
    let place = Place::with("guest.wat", guests::spins()).warmed();
    place.write("component.wasm", component);
    for line in ["guest.wat", "component.wasm never-ends computes"] {
        let before = entries(&place);
        assert_eq!(place.run(&format!("run --timeout 100ms --dir . {line}")).status, Some(124));
        let entry = entries(&place).into_iter().find(|entry| !before.contains(entry)).expect("it is kept");
        let mut command = place.command(&format!("run --timeout 2m --dir . {line}"));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
        // The process that was started has another one that does the work.
        wait_for(|| {
            assert!(child.try_wait().expect("it is a child of ours").is_none(), "{line}: it has ended");
            children(child.id()).into_iter().find(|process| runs_code_of(*process, &entry))
        });
        child.kill().expect("it is a child of ours");
        child.wait().expect("it is a child of ours");
    }
}

#[test]
fn code_for_an_application_is_told_from_code_for_the_command() {
    let place = Place::with("hello.wat", guests::hello());
    place.run("compile --epoch-interruption hello.wat").assert_output(0, "");
    let outcome = place.run("run hello.cwasm");
    assert_eq!(outcome.status, Some(1), "{outcome:?}");
    assert!(outcome.stderr.starts_with("error: hello.cwasm was compiled with other settings\n"), "{outcome:?}");
    assert!(outcome.stderr.ends_with("  help: compile it again, without --epoch-interruption\n"), "{outcome:?}");
}

#[test]
fn a_source_is_not_overwritten_by_its_code() {
    let place = Place::with("hello.wat", guests::hello());
    place.write("other", "something");
    for name in ["hello.wat", "other"] {
        place.run(&format!("compile hello.wat -o {name}")).assert(
            1,
            &format!(
                "error: {name} exists and is not compiled code\n  \
                 help: name another file with --output, or overwrite it with --force\n"
            ),
        );
    }
    place.run("compile hello.wat -o other --force").assert_output(0, "");
    place.run("compile hello.wat -o none/x.cwasm").assert(
        1,
        "error: cannot write none/x.cwasm\n  cause: No such file or directory (os error 2)\n  \
             help: make the directory first: mkdir -p 'none'\n",
    );
}

#[test]
fn native_code_is_run_only_when_it_is_asked_for() {
    let place = Place::with("hello.wat", guests::hello());
    place.run("compile hello.wat").assert_output(0, "");
    fs::rename(place.path("hello.cwasm"), place.path("hello.wasm")).expect("a file of our own");
    let refusal = "error: hello.wasm is compiled code, which is not run unless it is asked for\n  \
        cause: compiled code is native code, and no sandbox holds it\n  \
        help: use the .wasm it was compiled from; or, if you trust who made it, name it .cwasm\n";
    place.run("run hello.wasm").assert(1, refusal);
}

#[test]
fn damaged_or_foreign_code_is_refused() {
    let place = Place::with("hello.wat", guests::hello());
    place.run("compile hello.wat").assert_output(0, "");
    let good = fs::read(place.path("hello.cwasm")).expect("it was made");
    let mut changed = good.clone();
    changed[good.len() / 2] ^= 1;
    let damaged = "error: hello.cwasm is damaged, or was not made by `aiohost compile`\n  \
        cause: its checksum is missing or wrong\n  \
        help: compile it again with this version: aiohost compile PLUGIN.wasm\n";
    for bad in [&good[..good.len() - 1], &changed] {
        place.write("hello.cwasm", bad);
        place.run("run hello.cwasm").assert(1, damaged);
    }
    // wasmtime's own command makes such files too, with other settings and without our checksum.
    let engine = wasmtime::Engine::default();
    let component = wat::parse_str("(component)").expect("a valid component");
    let foreign = engine.precompile_component(&component).expect("a valid component");
    place.write("hello.cwasm", foreign);
    place.run("run hello.cwasm").assert(1, damaged);
}
