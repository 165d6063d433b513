//! Attempts to get out of the granted directories, or to change what is granted for reading only: what each is answered,
//! and that nothing outside was touched. Each runs in a real guest, on every face, by every version of WASI that has it, and with both
//! resolvers.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{fs, thread};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use support::{FACES, Guest, OPENAT2, PORTABLE, Resolver, SECRET, Tree, run, run_by, success};
use table::{INSIDE, NONE, OUT, READ_ONLY, UNSUPPORTED, table};
use wasi::{FRONTS, WASI};

#[path = "support/fuse.rs"]
mod fuse;
#[path = "sandbox/kernel.rs"]
mod kernel;
#[path = "sandbox/leases.rs"]
mod leases;
#[path = "sandbox/remote.rs"]
mod remote;
mod support;
#[path = "sandbox/table.rs"]
mod table;
#[path = "sandbox/told.rs"]
mod told;
#[path = "sandbox/wasi.rs"]
mod wasi;

/// What can be known of everything below these names without reading it: kinds, sizes, times and identities.
fn watch(tree: &Tree, names: &[&str]) -> BTreeMap<PathBuf, String> {
    fn add(found: &mut BTreeMap<PathBuf, String>, path: &Path) {
        let status = fs::symlink_metadata(path).expect("it is there");
        let changed = (status.ctime(), status.ctime_nsec());
        // Directories are read here too, and symbolic links are read where they are refused.
        let read = if status.is_file() { Some((status.atime(), status.atime_nsec())) } else { None };
        let (mode, size) = (status.mode(), status.size());
        found.insert(path.to_owned(), format!("{mode:o}, {size} bytes, inode {}, {changed:?}, {read:?}", status.ino()));
        if status.is_dir() {
            fs::read_dir(path).expect("it is ours").for_each(|entry| add(found, &entry.expect("an entry").path()));
        }
    }
    let mut found = BTreeMap::new();
    names.iter().for_each(|name| add(&mut found, &tree.path(name)));
    found
}

/// The arguments that let a guest do something. One that knows only WASI has no face to choose.
fn arguments<'a>(face: &'a str, words: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let face = if face == WASI { None } else { Some(face) };
    face.into_iter().chain(words).collect()
}

/// The arguments that let a guest make these attempts.
fn attempts<'a>(face: &'a str, table: &'a [(impl AsRef<str>, &str)]) -> Vec<&'a str> {
    arguments(face, ["attempt"].into_iter().chain(table.iter().map(|(plan, _)| plan.as_ref())))
}

/// The attempts that can be made on a face.
fn rows(face: &str, table: &[(impl AsRef<str>, &'static str)]) -> Vec<(String, &'static str)> {
    let rows = table.iter().map(|(plan, answer)| (plan.as_ref().to_owned(), *answer));
    if face == WASI { rows.filter_map(wasi::row).collect() } else { rows.collect() }
}

/// What the guest said, which has to be what stands in the table.
fn check_answers(output: Output, table: &[(impl AsRef<str>, &str)]) -> String {
    let output = success(output).unwrap_or_else(|failure| panic!("{failure}"));
    let answers: Vec<&str> = output.lines().collect();
    assert_eq!(answers.len(), table.len(), "one line for each attempt");
    let as_expected = |expected: &str, answer: &str| answer == expected || expected == INSIDE && answer.starts_with("ok ");
    let wrong: Vec<String> = std::iter::zip(table, answers)
        .filter(|((_, expected), answer)| !as_expected(expected, answer))
        .map(|((plan, expected), answer)| format!("{:.80}: expected {expected}, got {answer:.200}", plan.as_ref()))
        .collect();
    assert!(wrong.is_empty(), "{} of {} attempts:\n{}", wrong.len(), table.len(), wrong.join("\n"));
    output
}

/// Runs the whole table in one guest. All of it fails, or only looks, so the attempts do not disturb each other.
fn attempt_all((guest, face): (Guest, &str), resolver: Resolver) {
    let tree = Tree::new();
    let watched = ["outside", "beyond", "data-beside", "secret", "frozen", "data/digits", "data/sub", "data/bare", "other"];
    // None of it has been read since it was written, so that the file system notes the first time it is.
    let mut before = watch(&tree, &watched);
    let table = rows(face, &table());
    let options = tree.options(&["--allow", "mkfifo"]);
    let output = check_answers(run(&options, resolver, guest, &attempts(face, &table)), &table);
    assert!(!output.contains(SECRET), "a guest has read what lies outside");

    let mut after = watch(&tree, &watched);
    // These are read by attempts that stay inside.
    for name in ["data/digits", "data/sub/inner", "frozen/ice"] {
        let path = tree.path(name);
        assert!(before.remove(&path).is_some() && after.remove(&path).is_some(), "{name} is gone");
    }
    assert_eq!(before, after, "something was changed or read");
    assert_eq!(fs::read(tree.path("frozen/ice")).expect("it is there"), b"cold");
    assert_eq!(fs::read(tree.path("data/digits")).expect("it is there"), b"0123456789");
}

/// Times the guest goes through what is being exchanged. A resolver that checks first and then opens was caught in every run
/// of this many, and in two of three of 400.
const RACE_ROUNDS: &str = "2000";

/// Exchanges a directory for a link that leads outside, and moves another outside and back, while a guest goes through both.
fn race((guest, face): (Guest, &str), resolver: Resolver) {
    let tree = Tree::new();
    let watched = ["outside", "data-beside", "secret", "beyond/secret"];
    let before = watch(&tree, &watched);
    let options = tree.options(&[]);
    let [flip, flop, moving, beyond] =
        ["data/flip", "data/flop", "data/moving/deep", "beyond/deep"].map(|name| tree.path(name));
    let exchange = || renameat_with(CWD, &flip, CWD, &flop, RenameFlags::EXCHANGE).expect("both are there");
    let output = thread::scope(|scope| {
        let guest = scope.spawn(|| run(&options, resolver, guest, &arguments(face, ["race", RACE_ROUNDS])));
        while !guest.is_finished() {
            exchange();
            fs::rename(&moving, &beyond).expect("it is inside");
            exchange();
            fs::rename(&beyond, &moving).expect("it is outside");
        }
        guest.join().expect("the host can be started")
    });
    let output = success(output).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(output.ends_with("were refused\n"), "{output}");
    assert_eq!(before, watch(&tree, &watched), "something outside was changed or read");
}

/// Times the guest lists, copies and removes a tree in which a directory is exchanged for a link that leads outside.
const TREE_ROUNDS: &str = "400";

fn race_of_trees((guest, face): (Guest, &str), resolver: Resolver) {
    let tree = Tree::new();
    let watched = ["outside", "data-beside", "secret"];
    let before = watch(&tree, &watched);
    let options = tree.options(&[]);
    let [prey, flip, flop] = ["data/prey", "data/prey/flip", "data/prey/flop"].map(|name| tree.path(name));
    let output = thread::scope(|scope| {
        let guest = scope.spawn(|| run(&options, resolver, guest, &[face, "race-trees", TREE_ROUNDS]));
        while !guest.is_finished() {
            // Any of it may fail: the guest removes what is there. An exchange that failed has left the link where the directory
            // belongs, and this thread must not follow it either.
            if flip.is_symlink() {
                let _ = fs::remove_file(&flip);
            }
            let _ = fs::create_dir_all(flip.join("empty"));
            let _ = fs::write(flip.join("secret"), "inside");
            let _ = fs::create_dir(prey.join("deep"));
            let _ = std::os::unix::fs::symlink("../../outside", &flop);
            for _ in 0..50 {
                let _ = renameat_with(CWD, &flip, CWD, &flop, RenameFlags::EXCHANGE);
            }
        }
        guest.join().expect("the host can be started")
    });
    let output = success(output).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(output.ends_with("were refused\n"), "{output}");
    assert_eq!(before, watch(&tree, &watched), "something outside was changed or read");
}

#[test]
fn race_of_trees_blocking() {
    race_of_trees(FACES[0], OPENAT2);
}

#[test]
fn race_of_trees_submit_portable() {
    race_of_trees(FACES[1], PORTABLE);
}

#[test]
fn race_of_trees_requests() {
    race_of_trees(FACES[2], OPENAT2);
}

#[test]
fn attempts_blocking() {
    attempt_all(FACES[0], OPENAT2);
}

#[test]
fn attempts_blocking_portable() {
    attempt_all(FACES[0], PORTABLE);
}

#[test]
fn attempts_submit() {
    attempt_all(FACES[1], OPENAT2);
}

#[test]
fn attempts_submit_portable() {
    attempt_all(FACES[1], PORTABLE);
}

#[test]
fn attempts_requests() {
    attempt_all(FACES[2], OPENAT2);
}

#[test]
fn attempts_requests_portable() {
    attempt_all(FACES[2], PORTABLE);
}

#[test]
fn race_blocking() {
    race(FACES[0], OPENAT2);
}

#[test]
fn race_blocking_portable() {
    race(FACES[0], PORTABLE);
}

#[test]
fn race_submit() {
    race(FACES[1], OPENAT2);
}

#[test]
fn race_submit_portable() {
    race(FACES[1], PORTABLE);
}

#[test]
fn race_requests() {
    race(FACES[2], OPENAT2);
}

#[test]
fn race_requests_portable() {
    race(FACES[2], PORTABLE);
}

/// Every way to run a guest.
fn everywhere(run: impl FnMut((Guest, &str), Resolver)) {
    each(FACES.into_iter().chain(FRONTS).filter(|(guest, _)| guest.is_there()), run);
}

/// Every way to run one that calls `aiohost:aio`.
fn on_each_face(run: impl FnMut((Guest, &str), Resolver)) {
    each(FACES.into_iter(), run);
}

fn each(faces: impl Iterator<Item = (Guest, &'static str)>, mut run: impl FnMut((Guest, &str), Resolver)) {
    for face in faces {
        for resolver in [OPENAT2, PORTABLE] {
            println!("{face:?}, {resolver:?}");
            run(face, resolver);
        }
    }
}

#[test]
fn of_procfs_there_is_what_everybody_may_read_and_nothing_of_processes() {
    everywhere(|(guest, face), resolver| {
        let tree = Tree::new();
        let all = ["--allow", "mkfifo,procfs,cache-grant", "--dir", "/proc/sys/kernel::/kernel", "--ro-dir", "/::/all"];
        let rows = rows(face, kernel::PROCFS_ALLOWED);
        check_answers(run(&tree.options(&all), resolver, guest, &attempts(face, &rows)), &rows);
        assert!(!tree.path("data/caught").exists());
    });
}

/// A shell that mounts procfs in the directory `mounts` where nobody else sees it, and then becomes the host: `$$` is its process.
const MOUNT: &str = r#"
set -e
mount --make-rprivate /
cd "$MOUNTS"
mkdir proc own one
touch file memory
printf plain > plain
mount --bind /proc proc
mount -t proc proc own
mount --bind /proc/$$ one
mount --bind /proc/version file
mount --bind /proc/$$/mem memory
cd - > /dev/null
exec "$@"
"#;

/// Whether mounts can be made that nobody else sees.
fn can_mount() -> bool {
    let output = Command::new("unshare").args(["--mount", "mount", "--make-rprivate", "/"]).output();
    let can_mount = output.is_ok_and(|output| output.status.success());
    if !can_mount {
        println!("skipped: nothing can be mounted here");
    }
    can_mount
}

#[test]
fn procfs_mounted_inside_of_a_grant_was_read() {
    if !can_mount() {
        return;
    }
    everywhere(|(guest, face), resolver| {
        for (table, allowed) in [(kernel::MOUNTED, "mkfifo"), (kernel::MOUNTED_ALLOWED, "procfs")] {
            let rows = rows(face, table);
            let tree = Tree::new();
            let (mounts, far) = (tree.path("data/mounts"), tree.far());
            fs::create_dir(&mounts).expect("it is new");
            let far = format!("{}::/far", far.path().display());
            let mut shell = Command::new("unshare");
            shell.args(["--mount", "sh", "-c", MOUNT, "sh"]).env("MOUNTS", &mounts);
            let mut options = tree.options(&["--allow", allowed, "--dir", &far]);
            // A directory for reading only is not granted where a writable one reaches it, as by the mounts here.
            let at = options.iter().position(|option| option == "/proc::/proc").expect("the tree grants it");
            options.drain(at - 1..=at);
            check_answers(run_by(shell, &options, resolver, guest, &attempts(face, &rows)), &rows);
            assert!(!tree.path("data/caught").exists());
        }
    });
}

#[test]
fn without_procfs_nobody_said_why_nothing_can_be_opened() {
    if !can_mount() {
        return;
    }
    let tree = Tree::new();
    let rows =
        [("stat digits", INSIDE), ("open digits", UNSUPPORTED), ("truncate digits", UNSUPPORTED), ("realpath .", UNSUPPORTED)];
    let mut shell = Command::new("unshare");
    shell.args(["--mount", "sh", "-c", "mount --make-rprivate / && umount -l /proc && exec \"$@\"", "sh"]);
    let grant = format!("{}::/data", tree.path("data").display());
    let options = ["--dir", &grant].map(OsString::from);
    let output = run_by(shell, &options, OPENAT2, Guest::Sync, &attempts("blocking", &rows));
    let said = String::from_utf8_lossy(&output.stderr).matches("/proc is not mounted here").count();
    check_answers(output, &rows);
    assert_eq!(said, 1, "it is said once");
}

#[test]
fn without_descriptors_left_the_answer_was_unsupported() {
    const MANY: &str = "too-many-open-files 24";
    let tree = Tree::new();
    // Each of these needs two. A quarter is kept from guests for the host itself, which has more than that open.
    let rows = [("exhaust sub", MANY), ("open digits", MANY), ("truncate digits", MANY), ("pathsync digits", MANY)];
    for resolver in [OPENAT2, PORTABLE] {
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -n 32 && exec \"$@\"", "sh"]);
        let output = run_by(shell, &tree.options(&[]), resolver, Guest::Sync, &attempts("blocking", &rows));
        check_answers(output, &rows);
    }
}

/// What a few attempts are answered, in a run of their own.
fn answers(options: &[OsString], resolver: Resolver, plans: &[&str]) -> Vec<String> {
    let arguments = [&["blocking", "attempt"], plans].concat();
    let output = success(run(options, resolver, Guest::Sync, &arguments)).unwrap_or_else(|failure| panic!("{failure}"));
    output.lines().map(String::from).collect()
}

#[test]
fn without_a_grant_there_is_nothing() {
    let plans = ["open digits", "open .", "open /", "open /etc/passwd", "readdir .", "mkdir new", "rename a b"];
    assert_eq!(answers(&[], OPENAT2, &plans), [OUT; 7]);
}

#[test]
fn the_longest_name_of_a_grant_counts() {
    let tree = Tree::new();
    let inner = format!("{}::/data/sub", tree.path("frozen").display());
    let options = tree.options(&["--ro-dir", &inner]);
    let plans =
        ["unlink /data/sub/ice", "open /data/sub/ice", "open /data/subx", "open /data/sub/../digits", "unlink sub/inner"];
    // The last is a path of the first grant, which may be written.
    assert_eq!(answers(&options, OPENAT2, &plans), [READ_ONLY, "ok cold", NONE, OUT, "ok "]);
}

#[test]
fn identities_hold_for_one_run_only() {
    let tree = Tree::new();
    let ask = || answers(&tree.options(&[]), OPENAT2, &["stat digits", "stat digits"]);
    let (one, other) = (ask(), ask());
    assert_eq!(one[0], one[1]);
    assert_ne!(one[0], other[0], "what a guest is told of an object must not lead to its inode number");
}

#[test]
fn a_kernel_without_openat2_is_noticed() {
    let tree = Tree::new();
    let auto = Resolver { option: "auto", openat2: false };
    let plans = ["open sub/../digits", "open ../secret", "open link-out"];
    assert_eq!(answers(&tree.options(&[]), auto, &plans), ["ok 0123456789", OUT, OUT]);
}

/// To open a FIFO wakes who waits at its other end, and to close it breaks what that one then does.
#[test]
fn a_refused_open_wakes_nobody() {
    for resolver in [OPENAT2, PORTABLE] {
        let tree = Tree::new();
        let (reader, writer) = (tree.path("data/fifo"), tree.path("data/kinds/fifo"));
        let reading = thread::spawn({
            let path = reader.clone();
            move || fs::File::open(path)
        });
        let writing = thread::spawn({
            let path = writer.clone();
            move || fs::OpenOptions::new().write(true).open(path)
        });
        let mut plans = Vec::new();
        for fifo in ["fifo", "kinds/fifo"] {
            let flags = ["read", "write", "read,write", "write,create", "append", "write,truncate"];
            plans.extend(flags.map(|flags| format!("open {fifo} {flags}")));
            plans.extend(["truncate", "pathsync"].map(|request| format!("{request} {fifo}")));
        }
        let plans: Vec<&str> = plans.iter().map(String::as_str).collect();
        assert_eq!(answers(&tree.options(&[]), resolver, &plans), vec![UNSUPPORTED; plans.len()]);
        assert!(!reading.is_finished() && !writing.is_finished(), "they were woken");
        // Now they may go.
        let write = fs::OpenOptions::new().write(true).open(reader).expect("it is read");
        let read = fs::File::open(writer).expect("it is written");
        let ends = (reading.join().expect("it does not panic"), writing.join().expect("it does not panic"));
        assert!(ends.0.is_ok() && ends.1.is_ok());
        drop((write, read));
    }
}
