//! What guests of every version of WASI are held to, and what is told of them: the same guest does the same by each.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::pin::pin;
use std::process::Output;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use aiohost::{Counters, Host, HostBuilder, Limits, RequestLimits, Rights};
use futures::future::{Either, poll_fn, select};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;

use crate::fuse::{Answer, Fuse, Op};
use crate::guests::{Front, fronts};
use crate::more_time::until_heard;
use crate::p2;
use crate::p3::{self, command, count};
use crate::plans::{OUTPUT_BYTES, Way, block_on, new_dir, said_here};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A host in this process, and what its guests say.
pub(crate) struct Embedded {
    pub(crate) host: Host,
    said: MemoryOutputPipe,
}

/// A host with one directory. Compiled code is kept from test to test.
pub(crate) fn builder(dir: &Path) -> HostBuilder {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let host = Host::builder().dir(dir, ".", Rights::ReadWrite);
    host.cache_dir(kept.join("wasi-code")).cache_key(kept.join("wasi-state/key"))
}

impl Embedded {
    pub(crate) fn new(dir: &Path, requests: RequestLimits) -> Self {
        let said = MemoryOutputPipe::new(OUTPUT_BYTES);
        let stdout = said.clone();
        let host = builder(dir).limits(Limits { requests, ..Limits::default() }).wasi(move |wasi| {
            wasi.stdout(stdout.clone());
        });
        Self { host: host.build().expect("a host"), said }
    }

    pub(crate) fn said(&self) -> String {
        String::from_utf8(self.said.contents().to_vec()).expect("a program says text")
    }

    /// Runs a guest to its end, or until something is so. Tells whether it came to its end, which has to be a good one.
    pub(crate) fn run_until(&self, guest: &Path, arguments: &[&str], mut is_so: impl FnMut(&str) -> bool) -> bool {
        let plugin = self.host.load(guest).expect("a valid plugin");
        block_on(async {
            let until = poll_fn(|cx| {
                if is_so(&self.said()) {
                    return Poll::Ready(());
                }
                // It is looked at again with everything else.
                cx.waker().wake_by_ref();
                Poll::Pending
            });
            match select(pin!(plugin.run(arguments.iter().copied())), until).await {
                Either::Left((ended, _)) => {
                    assert_eq!(ended.expect("it ends well"), 0);
                    true
                }
                Either::Right(_) => false,
            }
        })
    }

    fn under_way(&self) -> u64 {
        let Counters { queued, running, .. } = self.host.counters();
        queued + running
    }
}

fn run(options: &[&str], dir: &Path, guest: &Path, arguments: &[&str]) -> Output {
    command(options, dir).arg(guest).args(arguments).output().expect("the host can be started")
}

/// What a run says that has to succeed.
fn check(options: &[&str], dir: &Path, guest: &Path, arguments: &[&str]) -> String {
    let output = run(options, dir, guest, arguments);
    assert!(output.status.success(), "{} {arguments:?}: {output:?}", guest.display());
    String::from_utf8(output.stdout).expect("a program says text")
}

#[test]
fn a_guest_has_as_many_descriptors_as_the_limit_says() {
    for (front, guest) in fronts() {
        // Only preview 1 has a code for it.
        let code = if front == Front::Preview1 { "too-many-open-files" } else { "insufficient-memory" };
        let said = check(&["--max-open-files", "10"], new_dir().path(), &guest, &["open", "100"]);
        // A listing has a descriptor of its own.
        assert_eq!(said, format!("10 {code}\n{code}\n"), "{front:?}");
    }
}

#[test]
fn one_place_and_three_descriptors_are_enough() {
    let limits = ["--max-in-flight", "1", "--max-open-files", "3"];
    let on = |dir: &Path| {
        for (_, guest) in fronts() {
            check(&limits, dir, &guest, &["modest"]);
        }
    };
    on(new_dir().path());
    // Here each request goes to a worker.
    if let Some(fuse) = Fuse::mount() {
        on(fuse.path());
    }
}

/// What `requests` does: the functions of preview 1 and of the others, how many calls there are, and how many of them fail.
const REQUESTS: [(&str, &str, u64, u64); 10] = [
    ("path_open", "open-at", 1, 0),
    ("fd_pwrite", "write", 1, 0),
    ("path_filestat_get", "stat-at", 8, 5),
    ("path_create_directory", "create-directory-at", 5, 1),
    ("path_remove_directory", "remove-directory-at", 1, 0),
    ("path_rename", "rename-at", 1, 0),
    ("path_symlink", "symlink-at", 1, 0),
    ("path_readlink", "readlink-at", 1, 0),
    ("path_unlink_file", "unlink-file-at", 1, 0),
    ("fd_sync", "sync", 1, 0),
];

#[test]
fn requests_are_counted_by_their_names() {
    let sum = |which: fn(&(&str, &str, u64, u64)) -> u64| REQUESTS.iter().map(which).sum::<u64>();
    let (calls, failures) = (sum(|row| row.2), sum(|row| row.3));
    for (front, guest) in fronts() {
        // Only preview 1 closes by a call.
        let closes = u64::from(front == Front::Preview1);
        let output = run(&["--stats"], new_dir().path(), &guest, &["requests"]);
        assert!(output.status.success(), "{front:?}: {output:?}");
        for (preview1, others, calls, failures) in REQUESTS {
            let name = match front {
                Front::Preview1 => preview1,
                // Bytes are written by streams alone.
                Front::Wasi3 if others == "write" => "write-via-stream",
                Front::Wasi2 | Front::Wasi3 => others,
            };
            assert_eq!([count(&output, name, 1), count(&output, name, 2)], [calls, failures], "{front:?}, {name}: {output:?}");
        }
        assert_eq!([count(&output, "all", 1), count(&output, "all", 2)], [calls + closes, failures], "{front:?}: {output:?}");

        let dir = new_dir();
        let embedded = Embedded::new(dir.path(), RequestLimits::default());
        assert!(embedded.run_until(&guest, &["requests"], |_| false));
        let counters = embedded.host.counters();
        let expected = Counters { done: calls + closes - failures, failed: failures, ..Counters::default() };
        assert_eq!(counters, expected, "{front:?}");
    }
}

/// Runs a guest that says a word and never ends, with so much time that it comes to say it. Tells how much longer it took.
pub(crate) fn run_out_of_time(dir: &Path, guest: &Path, arguments: &[&str]) -> (Output, Duration) {
    let run = |time: &str| run(&["--timeout", time], dir, guest, arguments);
    until_heard(run, |output| output.status.code() == Some(124) && output.stdout.is_empty())
}

#[track_caller]
fn ends_by_its_timeout(dir: &Path, guest: &Path, arguments: &[&str], said: &str) {
    let (output, over) = run_out_of_time(dir, guest, arguments);
    let case = format!("{} {arguments:?}", guest.display());
    assert_eq!(output.status.code(), Some(124), "{case}: {output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), said, "{case}: {output:?}");
    assert!(over < PATIENCE, "{case} took {over:?} too long");
}

#[test]
fn a_guest_that_never_ends_is_ended_by_its_timeout() {
    for (_, guest) in fronts() {
        for how in ["computes", "looks", "writes"] {
            ends_by_its_timeout(new_dir().path(), &guest, &["never-ends", how], "begins\n");
        }
    }
}

#[test]
fn a_file_that_does_not_answer_delays_no_timeout() {
    let Some(fuse) = Fuse::mount() else { return };
    fuse.put("slow", &[7; 1000]);
    fuse.answer(Op::Read, Answer::Never);
    for (_, guest) in fronts() {
        ends_by_its_timeout(fuse.path(), &guest, &["reads", "slow"], "waits\n");
    }
}

#[test]
fn a_guest_that_is_given_up_gives_back_all_that_it_had() {
    for (front, guest) in fronts() {
        let Some(fuse) = Fuse::mount() else { return };
        fuse.put("slow", &[7; 1000]);
        fuse.answer(Op::Read, Answer::Never);
        let embedded = Embedded::new(fuse.path(), RequestLimits::default());
        let ended = embedded.run_until(&guest, &["reads", "slow"], |_| fuse.seen(Op::Read) > 0);
        assert!(!ended, "{front:?}: nothing was read, and it ended");
        // The call of the kernel's goes on, which nobody can end.
        assert_eq!(embedded.under_way(), 1, "{front:?}: {:?}", embedded.host.counters());
        fuse.answer(Op::Read, Answer::AtOnce);
        // The file is closed, though nobody is there who could.
        fuse.wait_for(Op::Release, 1);
        assert!(embedded.host.shutdown(PATIENCE), "{front:?}: {:?}", embedded.host.counters());
        assert_eq!(embedded.under_way(), 0, "{front:?}: {:?}", embedded.host.counters());
    }
}

#[test]
fn objects_that_are_no_files_are_told_of_and_not_opened() {
    for (front, guest) in fronts() {
        let dir = new_dir();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("dir")).expect("a directory of our own");
        fs::write(path("file"), "content").expect("a directory of our own");
        fs::hard_link(path("file"), path("linked")).expect("a directory of our own");
        symlink("file", path("link")).expect("a directory of our own");
        symlink("/etc/passwd", path("out")).expect("a directory of our own");
        rustix::fs::mkfifoat(rustix::fs::CWD, path("fifo"), rustix::fs::Mode::RWXU).expect("a directory of our own");
        let socket = std::os::unix::net::UnixListener::bind(path("socket"));
        // Its status was changed now, whenever its content was.
        let file = File::options().write(true).open(path("file")).expect("it is there");
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 30)).expect("it is ours");
        // Preview 1 has no kind for it.
        let fifo = if front == Front::Preview1 { "other" } else { "fifo" };
        let mut expected = String::from("dir: directory directory 0 opened false\n");
        expected += &format!("fifo: {fifo} {fifo} 1 unsupported false\n");
        expected += "file: file file 2 opened true\n";
        expected += "link: link link 1 opened false\n";
        expected += "linked: file file 2 opened true\n";
        expected += "out: link link 1 not-permitted false\n";
        if socket.is_ok() {
            expected += "socket: other other 1 unsupported false\n";
        }
        for way in [Way::Command("openat2"), Way::Command("portable"), Way::Embedded] {
            assert_eq!(said_here(way, &guest, dir.path(), &["objects".to_owned()]), expected, "{front:?}, {way:?}");
        }
    }
}

#[test]
fn a_stream_to_a_file_that_was_opened_for_reading_is_refused_before_anything_is_written() {
    for (front, guest) in fronts() {
        let (there, words) = (new_dir(), ["writes-nothing"]);
        let theirs = match front {
            // It has no streams.
            Front::Preview1 => continue,
            Front::Wasi2 => p2::said_there(&guest, there.path(), &words.map(String::from)),
            Front::Wasi3 => p3::said_there(&guest, there.path(), &words.map(String::from)),
        };
        let ours = check(&[], new_dir().path(), &guest, &words);
        assert_eq!((ours.as_str(), theirs.as_str()), ("bad-descriptor\n", "written\n"), "{front:?}");
    }
}
