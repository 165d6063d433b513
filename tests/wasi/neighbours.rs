//! Guests on one thread: whatever one does, of whichever version of WASI it is, the others go on.

use std::io;
use std::path::Path;
use std::pin::pin;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use aiohost::{Host, Limits, Plugin};
use futures::future::{Either, select};
use tokio::task::yield_now;

use crate::fuse::{Answer, Fuse, Op};
use crate::guests::fronts;
use crate::held::{Embedded, builder};
use crate::plans::{block_on, new_dir};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a guest that never ends, and once it has begun another one, to its end.
async fn run_beside(hostile: &Plugin, arguments: &[&str], modest: &Plugin, mut has_begun: impl FnMut() -> bool) {
    let beside = async {
        while !has_begun() {
            yield_now().await;
        }
        assert_eq!(modest.run(["modest"]).await.expect("it ends well"), 0);
    };
    match select(pin!(hostile.run(arguments.iter().copied())), pin!(beside)).await {
        Either::Left((ended, _)) => panic!("it was not to end: {ended:?}"),
        Either::Right(_) => {}
    }
}

/// Does that on a thread of its own, which nothing would end if the one guest held the other up.
fn assert_ends_beside(
    embedded: Embedded,
    arguments: &'static [&'static str],
    has_begun: impl Fn(&Embedded) -> bool + Send + Sync + 'static,
) {
    let load = |host: &Host, guest: &Path| host.load(guest).expect("a valid plugin");
    let guests: Vec<_> = fronts().into_iter().map(|(front, guest)| (front, load(&embedded.host, &guest))).collect();
    let (sender, ended) = mpsc::channel();
    let cases = guests.len();
    thread::spawn(move || {
        for (number, (hostile, plugin)) in guests.iter().enumerate() {
            let (modest, other) = &guests[(number + 1) % guests.len()];
            let _ = sender.send(format!("{modest:?} beside {hostile:?}"));
            block_on(run_beside(plugin, arguments, other, || has_begun(&embedded)));
            let _ = sender.send("done".to_owned());
        }
    });
    for _ in 0..cases {
        let case = ended.recv().expect("it begins");
        let outcome = ended.recv_timeout(PATIENCE);
        assert!(outcome.is_ok(), "{arguments:?}: {case} came to no end");
    }
}

#[test]
fn a_guest_that_never_ends_delays_no_other() {
    const HOSTILE: [&[&str]; 5] = [
        &["never-ends", "computes"],
        &["never-ends", "looks"],
        &["never-ends", "lists"],
        &["never-ends", "opens"],
        &["never-ends", "writes"],
    ];
    for arguments in HOSTILE {
        let dir = new_dir();
        let embedded = Embedded::new(dir.path(), Limits::default());
        assert_ends_beside(embedded, arguments, |embedded| embedded.said().contains("begins"));
    }
}

#[test]
fn a_guest_that_waits_for_a_file_delays_no_other() {
    let Some(fuse) = Fuse::mount() else { return };
    fuse.put("slow", &[7; 1000]);
    fuse.answer_for("slow", Op::Read, Answer::Never);
    let embedded = Embedded::new(fuse.path(), Limits::default());
    assert_ends_beside(embedded, &["reads", "slow"], |embedded| embedded.said().contains("waits"));
}

/// Says to the test, started once more, that it is the program whose output nobody reads.
const UNREAD: &str = "AIOHOST_TEST_UNREAD";

#[test]
fn a_guest_whose_output_nobody_reads_delays_no_other() {
    if std::env::var_os(UNREAD).is_some() {
        return write_where_nobody_reads();
    }
    let mut command = Command::new(std::env::current_exe().expect("a program has a path"));
    command.args(["--exact", "neighbours::a_guest_whose_output_nobody_reads_delays_no_other", "--nocapture"]);
    let mut child = command.env(UNREAD, "1").stdout(Stdio::piped()).spawn().expect("this very program");
    let unread = child.stdout.take();
    let (sender, ended) = mpsc::channel();
    let id = child.id();
    thread::spawn(move || sender.send(child.wait()));
    match ended.recv_timeout(PATIENCE) {
        Ok(status) => assert_eq!(status.expect("it is a child of ours").code(), Some(ENDED), "it has said why"),
        Err(_) => {
            let pid = rustix::process::Pid::from_raw(id.cast_signed()).expect("a process has a number");
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is a child of ours");
            panic!("a guest held another one up");
        }
    }
    drop(unread);
}

/// The exit status of the program, which nothing else has.
const ENDED: i32 = 77;

/// Runs a guest of each version that fills the standard output of this process, which is a pipe, and beside it another one.
fn write_where_nobody_reads() {
    let dir = new_dir();
    let host = builder(dir.path()).inherit_stdio().build().expect("a host");
    let guests: Vec<Plugin> = fronts().iter().map(|(_, guest)| host.load(guest).expect("a valid plugin")).collect();
    // Less than that fits in: a guest writes a line at a time, and the kernel keeps pages.
    let is_full = || rustix::io::ioctl_fionread(io::stdout()).is_ok_and(|bytes| bytes >= 48 << 10);
    block_on(async {
        for (number, hostile) in guests.iter().enumerate() {
            run_beside(hostile, &["prints"], &guests[(number + 1) % guests.len()], is_full).await;
        }
        // What is left of the guests waits for a reader, and the event loop would wait for that.
        std::process::exit(ENDED)
    })
}
