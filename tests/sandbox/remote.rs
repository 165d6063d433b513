//! File systems that may not answer: nothing of them is used on the guest's own thread, and what is local still is.

use std::ffi::OsString;
use std::path::Path;
use std::process::Output;

use aiohost::{Host, Rights};

use crate::fuse::{Answer, Fuse, Op};
use crate::support::{FACES, Guest, OPENAT2, Resolver, Tree, run, run_by, success};
use crate::wasi::{FRONTS, WASI};
use crate::{attempts, can_mount, check_answers, on_each_face, rows};

/// What may be done on the guest's own thread, in a directory with a file `file` and a directory `dir`.
const INLINE: [(&str, &str); 8] = [
    ("stat file", "ok"),
    ("stat file", "ok"),
    ("lstat file", "ok"),
    ("open-dir dir", "ok"),
    ("open file", "ok"),
    ("handle file", "ok content"),
    ("handle @. file", "ok content"),
    ("stat @dir .", "ok"),
];

/// The requests in it.
const REQUESTS: [&str; 8] = ["open", "open-dir", "stat", "lstat", "fstat", "seek", "read", "close"];

/// A guest of the command has its thread to itself, and a call that suspends it waits there.
const SUSPENDS: &str = "blocking";

/// Nothing of it was done on the guest's own thread, where that may not wait.
#[track_caller]
fn assert_elsewhere(output: &Output, face: &str) {
    for request in REQUESTS {
        let (count, inline) = counts(output, request);
        assert!(count > 0, "{request} was not made");
        assert!(inline == 0 || face == SUSPENDS, "{request}: {inline} of {count} were done on the guest's thread");
    }
}

/// How many requests of a name there were, and how many on the guest's own thread, as `--stats` tells.
fn counts(output: &Output, request: &str) -> (u64, u64) {
    let stats = String::from_utf8_lossy(&output.stderr);
    let line = stats.lines().find(|line| line.split_whitespace().next() == Some(request));
    let numbers: Vec<u64> = line.unwrap_or_default().split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [count, _errors, inline, ..] = numbers[..] else { panic!("no line of {request}:\n{stats}") };
    (count, inline)
}

fn options(grants: &[(&Path, &str)]) -> Vec<OsString> {
    let mut options = vec![OsString::from("--stats")];
    for (host, guest) in grants {
        options.extend([OsString::from("--dir"), OsString::from(format!("{}::{guest}", host.display()))]);
    }
    options
}

/// Does all of it once, and gives what `--stats` says.
fn use_all(options: &[OsString], resolver: Resolver, (guest, face): (Guest, &str)) -> Output {
    let output = run(options, resolver, guest, &attempts(face, &INLINE));
    check_answers(output.clone(), &INLINE);
    output
}

/// A file system with a file and a directory, whose attributes and names the kernel knows already.
fn mount() -> Option<Fuse> {
    let fuse = Fuse::mount()?;
    fuse.put("file", b"content");
    std::fs::create_dir(fuse.join("dir")).expect("it is new");
    Some(fuse)
}

#[test]
fn a_file_system_in_user_space_was_waited_for_on_the_thread_of_the_guest() {
    let Some(fuse) = mount() else { return };
    on_each_face(|face, resolver| {
        let output = use_all(&options(&[(fuse.path(), "/slow")]), resolver, face);
        assert_elsewhere(&output, face.1);
    });
}

#[test]
fn what_is_mounted_inside_of_a_grant_was_waited_for_on_the_thread_of_the_guest() {
    let Some(fuse) = mount() else { return };
    let (above, name) = (fuse.path().parent().expect("it has one"), fuse.path().file_name().expect("it has one"));
    let name = name.to_str().expect("it is text");
    let rows = INLINE.map(|(plan, answer)| {
        let inside = |path: &str| format!("{name}/{path}");
        let words: Vec<&str> = plan.split(' ').collect();
        let plan = match words[..] {
            [request, path] => format!("{request} {}", inside(path)),
            [request, at, path] => format!("{request} @{} {path}", inside(&at[1..])),
            _ => unreachable!("a plan has two words or three"),
        };
        (plan, answer)
    });
    on_each_face(|(guest, face), resolver| {
        let output = run(&options(&[(above, "/above")]), resolver, guest, &attempts(face, &rows));
        check_answers(output.clone(), &rows);
        assert_elsewhere(&output, face);
    });
}

/// A program that runs guests has other things to do on their thread, and so no call waits there, on whichever face, and by whichever
/// version of WASI.
#[test]
fn a_file_system_in_user_space_was_waited_for_on_the_thread_of_a_program() {
    let Some(fuse) = mount() else { return };
    let host = Host::builder().dir(fuse.path(), "/slow", Rights::ReadWrite).build().expect("a host");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an event loop");
    for (guest, face) in FACES.into_iter().chain(FRONTS) {
        if !guest.is_there() {
            continue;
        }
        let mut rows = rows(face, &INLINE);
        if face == WASI {
            // What was looked at is known for the next question about it.
            rows.retain(|(plan, _)| plan != "lstat file");
            rows.dedup();
        }
        let plugin = host.load(guest.path()).expect("a valid plugin");
        let mut running = plugin.guest().args(attempts(face, &rows)).build().expect("a guest");
        assert_eq!(runtime.block_on(running.run()).expect("it ends well"), 0);
        let mut stats = running.stats();
        // To give up what was only read is to tell the reaper, wherever the file is.
        stats.remove("fd_close");
        assert!(stats.values().map(|stats| stats.count).sum::<u64>() >= 4, "{guest:?}, {face}: {stats:?}");
        assert!(stats.values().all(|stats| stats.inline == 0), "{guest:?}, {face}: {stats:?}");
    }
}

/// On a file system that is local all of it is done on the guest's own thread, once the names are known.
fn is_inline(dir: &Path) {
    std::fs::write(dir.join("file"), "content").expect("it can be written");
    std::fs::create_dir(dir.join("dir")).expect("it is new");
    for face in FACES {
        let output = use_all(&options(&[(dir, "/local")]), OPENAT2, face);
        for request in REQUESTS {
            let (count, inline) = counts(&output, request);
            assert_eq!(inline, count, "{request} was not done on the guest's thread everywhere");
        }
    }
}

#[test]
fn what_is_local_is_done_on_the_thread_of_the_guest() {
    let tree = Tree::new();
    std::fs::create_dir(tree.path("data/new")).expect("it is new");
    is_inline(&tree.path("data/new"));
}

#[test]
fn what_is_in_memory_is_done_on_the_thread_of_the_guest() {
    if rustix::system::sysinfo().totalswap > 0 {
        println!("skipped: this machine swaps, so what is in memory may be on a disk");
        return;
    }
    is_inline(Tree::new().far().path());
}

/// A shell that mounts an overlay where nobody else sees it, looks at all that is in it, and then becomes the host.
const OVERLAY: &str = r#"
set -e
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$UPPER/upper,workdir=$UPPER/work" "$UPPER/merged"
ls -lR "$UPPER/merged" > /dev/null
cat "$UPPER/merged/file" > /dev/null
exec "$@"
"#;

/// Uses an overlay over this directory, and gives what `--stats` says.
fn use_overlay(lower: &Path, face: (Guest, &str)) -> Output {
    let tree = Tree::new();
    let upper = tree.path("data/overlay");
    for name in ["upper", "work", "merged"] {
        std::fs::create_dir_all(upper.join(name)).expect("it is new");
    }
    let mut shell = std::process::Command::new("unshare");
    shell.args(["--mount", "sh", "-c", OVERLAY, "sh"]).env("LOWER", lower).env("UPPER", &upper);
    let output = run_by(shell, &options(&[(&upper.join("merged"), "/merged")]), OPENAT2, face.0, &attempts(face.1, &INLINE));
    check_answers(output.clone(), &INLINE);
    output
}

#[test]
fn an_overlay_is_as_local_as_its_layers() {
    let Some(fuse) = mount() else { return };
    if !can_mount() {
        return;
    }
    let tree = Tree::new();
    let local = tree.path("data/lower");
    std::fs::create_dir_all(local.join("dir")).expect("it is new");
    std::fs::write(local.join("file"), "content").expect("it is new");
    for face in FACES {
        let (far, near) = (use_overlay(fuse.path(), face), use_overlay(&local, face));
        assert_elsewhere(&far, face.1);
        for request in REQUESTS {
            // The kernel cannot read without waiting through an overlay.
            assert!(counts(&near, request).1 > 0 || request == "read", "{request} of what is local");
        }
    }
}

/// What waits for its turn at the position of a file is on no worker: it can be canceled, and others go on.
#[test]
fn a_read_at_the_position_that_is_never_done_keeps_no_other_request_waiting() {
    let Some(fuse) = mount() else { return };
    for guest in [Guest::Sync, Guest::Async] {
        fuse.put("positioned", b"0123456789");
        fuse.answer_for("positioned", Op::Read, Answer::Never);
        let tree = Tree::new();
        let mut options = options(&[(&tree.path("data"), "/data"), (fuse.path(), "/slow")]);
        // One worker has the read; of the others a guest has all but one.
        options.extend(["--workers", "3", "--timeout", "60s"].map(OsString::from));
        let output = std::thread::scope(|scope| {
            let host = scope.spawn(|| run(&options, OPENAT2, guest, &["behind", "/slow/positioned"]));
            while !tree.path("data/done").exists() && !host.is_finished() {
                std::thread::yield_now();
            }
            fuse.answer_all();
            host.join().expect("it does not panic")
        });
        success(output).unwrap_or_else(|failure| panic!("{guest:?}: {failure}"));
        std::fs::remove_file(fuse.join("positioned")).expect("it is there");
    }
}

/// Requests that a file system never answers keep their workers, and nobody else.
#[test]
fn a_file_that_is_never_opened_keeps_no_other_request_waiting() {
    let Some(fuse) = mount() else { return };
    for op in [Op::Open, Op::GetAttr, Op::Lookup] {
        fuse.set_validity(std::time::Duration::ZERO, std::time::Duration::ZERO);
        fuse.answer_for("file", op, Answer::Never);
        let tree = Tree::new();
        let options = options(&[(&tree.path("data"), "/data"), (fuse.path(), "/slow")]);
        let output = std::thread::scope(|scope| {
            let host =
                scope.spawn(|| run(&options, OPENAT2, Guest::Sync, &["blocking", "attempt", "beside /slow/file digits"]));
            fuse.wait_for(op, 1);
            // It says that it is through with the other file while this one is still waited for.
            while !tree.path("data/done").exists() && !host.is_finished() {
                std::thread::yield_now();
            }
            fuse.answer_all();
            host.join().expect("it does not panic")
        });
        check_answers(output, &[("beside", "ok")]);
    }
}
