//! Guests on one thread: whatever one does, of whichever version of WASI it is, the others go on.

use std::path::Path;
use std::pin::pin;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fs, io, thread};

use aiohost::{Gated, Host, Plugin, RequestLimits};
use futures::future::{Either, poll_fn, select};
use tokio::task::yield_now;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;

use crate::fuse::{Answer, Fuse, Op};
use crate::guests::{fronts, prebuilt};
use crate::held::{Embedded, builder};
use crate::plans::{OUTPUT_BYTES, block_on, new_dir};

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
        let embedded = Embedded::new(dir.path(), RequestLimits::default());
        assert_ends_beside(embedded, arguments, |embedded| embedded.said().contains("begins"));
    }
}

#[test]
fn a_guest_that_waits_for_a_file_delays_no_other() {
    let Some(fuse) = Fuse::mount() else { return };
    fuse.put("slow", &[7; 1000]);
    fuse.answer_for("slow", Op::Read, Answer::Never);
    let embedded = Embedded::new(fuse.path(), RequestLimits::default());
    assert_ends_beside(embedded, &["reads", "slow"], |embedded| embedded.said().contains("waits"));
}

/// What guests do with a file that does not answer, and the request of the kernel's that is not answered. The last of them is given up
/// while it has the file open.
const USES: [(&str, Op); 9] = [
    ("open", Op::Lookup),
    ("open", Op::Open),
    ("stat", Op::Lookup),
    ("stat", Op::GetAttr),
    ("list", Op::OpenDir),
    ("list", Op::ReadDir),
    ("drop", Op::Flush),
    ("drop-written", Op::Flush),
    ("keep", Op::Flush),
];

/// The same by the requests of aiohost.
const REQUESTS: [(&str, Op); 10] = [
    ("open", Op::Lookup),
    ("open", Op::Open),
    ("stat", Op::Lookup),
    ("stat", Op::GetAttr),
    ("list", Op::OpenDir),
    ("list", Op::ReadDir),
    ("read", Op::Read),
    ("close", Op::Flush),
    ("drop", Op::Flush),
    ("keep", Op::Flush),
];

/// A file system with a directory in which neither it nor its file answers one kind of request.
fn silent(op: Op) -> Option<Fuse> {
    let fuse = Fuse::mount()?;
    // Whatever is asked for, the kernel asks as well.
    fuse.set_validity(Duration::ZERO, Duration::ZERO);
    fs::create_dir(fuse.join("dir")).expect("it is new");
    fs::write(fuse.join("dir/slow"), [7; 1000]).expect("it is new");
    let name = if matches!(op, Op::OpenDir | Op::ReadDir) { "dir" } else { "slow" };
    fuse.answer_for(name, op, Answer::Never);
    Some(fuse)
}

/// Runs a guest on such a file system, and another one to its end, on one thread, once the first has come to what is not answered or
/// has said that it keeps what it has. That one is given up then.
async fn run_beside_silence(embedded: &Embedded, guests: [&Plugin; 2], arguments: &[&str], is_waiting: impl Fn() -> bool) {
    let mut silent = Some(Box::pin(guests[0].run(arguments.iter().copied())));
    let mut go_on = |cx: &mut Context<'_>| {
        if let Some(running) = &mut silent
            && let Poll::Ready(ended) = running.as_mut().poll(cx)
        {
            assert_eq!(ended.expect("it ends well"), 0);
            silent = None;
        }
        if embedded.said().contains("keeps") {
            silent = None;
        }
    };
    poll_fn(|cx| {
        go_on(cx);
        // It is looked at again with everything else.
        cx.waker().wake_by_ref();
        if is_waiting() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    let mut modest = pin!(guests[1].run(["modest"]));
    let ended = poll_fn(|cx| {
        go_on(cx);
        modest.as_mut().poll(cx)
    });
    assert_eq!(ended.await.expect("it ends well"), 0);
}

fn assert_delays_no_other(guest: &Path, arguments: &[&str], op: Op) {
    let Some(fuse) = silent(op) else { return };
    let before = fuse.seen(op);
    let embedded = Embedded::new(fuse.path(), RequestLimits::default());
    let [guest, modest] = [guest, &prebuilt("wasi2.wasm")].map(|guest| embedded.host.load(guest).expect("a valid plugin"));
    let (sender, ended) = mpsc::channel();
    let outcome = thread::scope(|scope| {
        scope.spawn(|| {
            block_on(run_beside_silence(&embedded, [&guest, &modest], arguments, || fuse.seen(op) > before));
            let _ = sender.send(());
        });
        let outcome = ended.recv_timeout(PATIENCE);
        // A thread that waits for an answer gets it, so that the test ends in any case.
        fuse.answer_all();
        outcome
    });
    assert!(outcome.is_ok(), "{arguments:?}, {op:?}: another guest came to no end");
}

#[test]
fn a_guest_of_wasi_that_waits_for_a_file_system_delays_no_other() {
    for (_, guest) in fronts() {
        for (how, op) in USES {
            let path = if how == "list" { "dir" } else { "dir/slow" };
            assert_delays_no_other(&guest, &["uses", how, path], op);
        }
    }
}

#[test]
fn a_guest_that_waits_for_a_file_system_in_a_blocking_call_delays_no_other() {
    for (how, op) in REQUESTS {
        let path = if how == "list" { "dir" } else { "dir/slow" };
        assert_delays_no_other(&prebuilt("requests-sync.wasm"), &["ends", "blocking", how, path], op);
    }
}

/// How many requests there are in a flood.
const FLOOD: u64 = 3000;

/// How many of them are still to be done at the least when another guest comes, so that it can be told from one that came last.
const AHEAD: u64 = 1000;

/// Runs a guest beside a flood. Tells how many requests of that were done before it, and how many of these when it came; nothing if
/// there were not enough ahead by then.
fn run_beside_a_flood(guest: &Path, workers: usize) -> Option<(u64, u64)> {
    let dir = new_dir();
    let said = MemoryOutputPipe::new(OUTPUT_BYTES);
    let stdout = said.clone();
    let host = builder(dir.path()).workers_max(workers).allow(Gated::Busy).wasi(move |wasi| {
        wasi.stdout(stdout.clone());
    });
    let host = host.build().expect("a host");
    let [flood, sees] = [&prebuilt("requests-sync.wasm"), guest].map(|guest| host.load(guest).expect("a valid plugin"));
    let done = block_on(async {
        let count = FLOOD.to_string();
        let mut flooding = pin!(flood.run(["stress", "flood", &count]));
        let came = poll_fn(|cx| {
            if let Poll::Ready(ended) = flooding.as_mut().poll(cx) {
                assert_eq!(ended.expect("it ends well"), 0);
                return Poll::Ready(None);
            }
            cx.waker().wake_by_ref();
            let counters = host.counters();
            // There is one more, which keeps a worker busy while these come, if that does not take too long.
            let have_come = counters.queued + counters.running + counters.done > FLOOD;
            if have_come && counters.queued >= AHEAD { Poll::Ready(Some(counters.done)) } else { Poll::Pending }
        });
        let done = came.await?;
        assert_eq!(sees.run(["sees"]).await.expect("it ends well"), 0);
        assert_eq!(flooding.await.expect("it ends well"), 0);
        Some(done)
    })?;
    let seen = String::from_utf8_lossy(&said.contents()).trim().parse().expect("the guest has told");
    Some((seen, done))
}

/// A guest with thousands of requests in the queue delays those of another by as many as run at a time.
#[test]
fn a_flood_of_requests_delays_no_guest_of_wasi() {
    for (front, guest) in fronts() {
        for workers in [1, 2] {
            let told = (0..20).find_map(|_| run_beside_a_flood(&guest, workers));
            let (seen, done) = told.expect("the flood was over each time before another guest could come");
            println!("{front:?}: its requests were done after {seen} others, of which {done} were done when it came");
            // It makes ten at most, each of which waits for those that run.
            assert!(seen <= done + 100, "{front:?}, {workers} workers: {seen} requests were done first, and {done} before");
        }
    }
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
