//! Ends of a run by time and by signals, whatever runs or waits at that moment.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::fd::FromRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Once, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, setrlimit};

use crate::fuse::{Answer, Fuse, Op};
use crate::{Outcome, Place, finished, guests};

/// How long a run may take to end before it counts as one that does not. It is two seconds at most, on a machine that does
/// nothing else.
const HUNG_AFTER: Duration = Duration::from_secs(30);

const TOO_LONG: &str = "error: requests-sync.wasm was stopped: it took longer than 1s\n";
const MORE_TIME: &str = "  help: give it more time with --timeout, or none to wait as long as it takes\n";
const STUCK: &str = "warning: the plugin is in a system call that does not return, and is left to itself\n";

/// Where a file system in user space is for the guests.
const SLOW: &str = "/slow";

/// The guest whose ends these are, which `tests/guests/build.sh` builds. Its compiled code is kept from test to test.
fn guest() -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("guests/requests-sync.wasm");
    assert!(path.exists(), "the guests are not built: run tests/guests/build.sh first");
    path
}

/// A directory that all runs of these tests share.
fn shared(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// A run of the guest, which does what `line` says, with these options of the host. Its compiled code is there: a note that it is
/// compiled would be in the way.
fn command(place: &Place, options: &str, line: &str) -> Command {
    static COMPILED: Once = Once::new();
    COMPILED.call_once(|| drop(run(&Place::new(), "", "ends wasi open none").output().expect("the program starts")));
    run(place, options, line)
}

fn run(place: &Place, options: &str, line: &str) -> Command {
    let mut command = place.command("run --dir .");
    command.env("AIOHOST_CACHE", shared("ends-cache")).env("AIOHOST_STATE", shared("ends-state"));
    command.args(options.split_whitespace()).arg(guest()).args(line.split_whitespace());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The options that grant a file system in user space.
fn grant(fuse: &Fuse) -> String {
    format!("--dir {}::{SLOW}", fuse.path().display())
}

/// Starts a run, and waits until the guest says that it is ready. What it says later is not read yet.
fn start(mut command: Command) -> Child {
    let mut child = command.spawn().expect("the program starts");
    let mut ready = [0; 6];
    child.stdout.as_mut().expect("a pipe").read_exact(&mut ready).expect("the guest says something");
    assert_eq!(&ready, b"ready\n");
    child
}

/// Waits until something has come to be so, which it does only as long as the program runs.
#[track_caller]
fn wait_while_it_runs(child: &mut Child, mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        let ended = child.try_wait().expect("it is a child of ours");
        assert!(ended.is_none(), "it has ended before, with {ended:?}");
        thread::yield_now();
    }
}

/// Waits until the guest has made this file: by then it has made a request.
#[track_caller]
fn wait_for_file(child: &mut Child, place: &Place, name: &str) {
    wait_while_it_runs(child, || place.path(name).exists());
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("the program still runs");
}

/// Waits for the end, of the process and of everybody who has its standard streams.
#[track_caller]
pub(crate) fn end(child: Child) -> Output {
    let pid = Pid::from_child(&child);
    let (sender, ended) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = ended.recv_timeout(HUNG_AFTER) else {
        // It is still there: its end was not waited for.
        let _ = kill_process(pid, Signal::KILL);
        panic!("it does not end");
    };
    output.expect("the program has pipes")
}

#[track_caller]
fn outcome(child: Child) -> Outcome {
    end(child).into()
}

/// Runs the guest with a second of time, waits until `come` says that it is in the midst of it, and checks what is said at the end.
#[track_caller]
fn out_of_time(place: &Place, options: &str, line: &str, come: impl FnOnce(), left: &str) {
    let child = command(place, &format!("--timeout 1s {options}"), line).spawn().expect("the program starts");
    come();
    let outcome = outcome(child);
    assert_eq!(outcome.status, Some(124), "{line}: {outcome:?}");
    assert_eq!(outcome.stderr, format!("{left}{TOO_LONG}{MORE_TIME}"), "{line}");
}

/// The same with a signal.
#[track_caller]
fn terminated(place: &Place, options: &str, line: &str, come: impl FnOnce(), left: &str) {
    let child = start(command(place, options, line));
    come();
    send(&child, Signal::TERM);
    let outcome = outcome(child);
    assert_eq!((outcome.status, outcome.stderr.as_str()), (Some(143), left), "{line}: {outcome:?}");
}

#[test]
fn a_guest_that_computes_or_waits_ends_by_time_and_by_a_signal() {
    let place = Place::new();
    for line in ["ends compute", "ends sleep", "ends lock"] {
        out_of_time(&place, "", line, || {}, "");
        terminated(&place, "", line, || {}, "");
    }
}

#[test]
fn a_guest_that_computes_for_ever_ends_with_what_its_requests_leave() {
    let left = "warning: 3 requests still run, and are left to themselves\n";
    let line = "ends submit-and-compute load /slow/file 3";
    on_a_slow_file(line, Op::Open, |place, grant, line, fuse| {
        terminated(place, grant, line, || fuse.wait_for(Op::Open, 3), left);
    });
    // The same where they come to their end.
    let place = Place::in_memory();
    let mut child = start(command(&place, "--stats", "ends submit-and-compute fsync new 3"));
    wait_for_file(&mut child, &place, "new");
    send(&child, Signal::TERM);
    let outcome = outcome(child);
    assert_eq!(outcome.status, Some(143), "{outcome:?}");
    assert!(outcome.stderr.starts_with("request  count"), "{outcome:?}");
    assert!(!outcome.stderr.contains("warning"), "{outcome:?}");
}

#[test]
fn a_guest_that_looks_at_a_clock_until_its_time_has_come_sees_it_come() {
    Place::with("guest.wat", guests::looks_at_a_clock()).run("run guest.wat").assert_output(0, "");
}

#[test]
fn a_plugin_that_is_compiled_has_all_of_its_time_left() {
    let place = Place::new();
    let mut command = command(&place, "--timeout 1s --no-cache", "ends compute");
    let outcome = outcome(command.spawn().expect("the program starts"));
    // What it has printed comes out, though it computes for ever.
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(124), "ready\nhalf a line"), "{outcome:?}");
}

#[test]
fn a_guest_that_waits_for_its_input_ends_by_time_and_by_a_signal() {
    let place = Place::new();
    for (options, status) in [("--timeout 1s", 124), ("", 143)] {
        let mut command = command(&place, options, "ends stdin");
        let child = start({
            command.stdin(Stdio::piped());
            command
        });
        if status == 143 {
            send(&child, Signal::TERM);
        }
        // The other end of its input is held, since `wait_with_output` would close it.
        let mut child = child;
        let _input = child.stdin.take();
        assert_eq!(outcome(child).status, Some(status));
    }
}

/// Waits until nothing more fits into a pipe whose reader this is.
#[track_caller]
fn wait_until_full(child: &mut Child, pipe: &impl std::os::fd::AsFd) {
    // Less than that fits in: the guests write 1001 bytes at a time, and the kernel keeps pages.
    wait_while_it_runs(child, || rustix::io::ioctl_fionread(pipe).expect("a pipe can be asked") >= 48 << 10);
}

#[test]
fn a_guest_whose_output_nobody_reads_ends_by_time_and_by_a_signal() {
    let place = Place::new();
    for (options, status) in [("--timeout 1s", 124), ("", 143)] {
        let mut child = start(command(&place, options, "ends print"));
        // Nobody reads what is in the pipe while the program ends.
        let output = child.stdout.take().expect("a pipe");
        if status == 143 {
            wait_until_full(&mut child, &output);
            send(&child, Signal::TERM);
        }
        let outcome = outcome(child);
        // It is no system call that does not return.
        assert_eq!((outcome.status, outcome.stderr.contains("warning")), (Some(status), false), "{outcome:?}");
        drop(output);
    }
}

#[test]
fn a_guest_whose_complaints_nobody_reads_ends_by_time_and_by_a_signal() {
    let place = Place::new();
    for (options, status) in [("--timeout 1s --stats", 124), ("--stats", 143)] {
        let mut child = start(command(&place, options, "ends complain"));
        let complaints = child.stderr.take().expect("a pipe");
        if status == 143 {
            wait_until_full(&mut child, &complaints);
            send(&child, Signal::TERM);
        }
        assert_eq!(outcome(child).status, Some(status));
        drop(complaints);
    }
}

#[test]
fn a_guest_that_opens_a_fifo_by_wasi_waits_for_nobody() {
    let place = Place::new();
    mknodat(CWD, place.path("fifo"), FileType::Fifo, Mode::RWXU, 0).expect("a FIFO");
    let outcome = outcome(start(command(&place, "", "ends wasi open fifo")));
    assert_eq!((outcome.status, outcome.stderr.as_str()), (Some(0), ""), "{outcome:?}");
}

/// What guests do with a file that does not answer, the request of the kernel's that is not answered, and what is said of it.
const SLOW_FILES: [(&str, Op, &str); 14] = [
    ("ends wasi open /slow/file", Op::Open, STUCK),
    ("ends wasi read /slow/file", Op::Read, STUCK),
    // A file is closed by a thread that is nobody's.
    ("ends wasi read /slow/file", Op::Flush, ""),
    ("ends wasi list /slow", Op::ReadDir, STUCK),
    ("ends wasi write /slow/made", Op::Create, STUCK),
    ("ends wasi write /slow/file", Op::Write, STUCK),
    ("ends wasi write /slow/file", Op::Flush, ""),
    ("ends blocking read /slow/file", Op::Read, ""),
    ("ends blocking write /slow/file", Op::Write, ""),
    ("ends blocking close /slow/file", Op::Flush, ""),
    ("ends blocking list /slow", Op::ReadDir, ""),
    ("ends blocking load /slow/file", Op::Read, ""),
    ("ends submit read /slow/file 3", Op::Read, ""),
    ("ends leave fsync /slow/file", Op::Fsync, ""),
];

/// A run on a file system that does not answer one kind of request.
fn on_a_slow_file(line: &str, op: Op, check: impl FnOnce(&Place, &str, &str, &Fuse)) -> Option<()> {
    let fuse = Fuse::mount()?;
    let place = Place::new();
    fuse.put("file", b"hello");
    fuse.answer(op, Answer::Never);
    check(&place, &grant(&fuse), line, &fuse);
    Some(())
}

#[test]
fn a_file_that_does_not_answer_delays_no_end_by_time() {
    for (line, op, _) in SLOW_FILES {
        let ran = on_a_slow_file(line, op, |place, grant, line, fuse| {
            let child = command(place, &format!("--timeout 1s {grant}"), line).spawn().expect("the program starts");
            fuse.wait_for(op, 1);
            let outcome = outcome(child);
            assert_eq!(outcome.status, Some(124), "{line}, {op:?}: {outcome:?}");
            assert!(outcome.stderr.contains("left to"), "{line}, {op:?}: {outcome:?}");
            assert!(outcome.stderr.contains(TOO_LONG) && outcome.stderr.ends_with(MORE_TIME), "{line}, {op:?}: {outcome:?}");
        });
        if ran.is_none() {
            return;
        }
    }
}

#[test]
fn a_file_that_does_not_answer_delays_no_end_by_a_signal() {
    for (line, op, stuck) in SLOW_FILES {
        let ran = on_a_slow_file(line, op, |place, grant, line, fuse| {
            let child = start(command(place, grant, line));
            fuse.wait_for(op, 1);
            send(&child, Signal::TERM);
            let outcome = outcome(child);
            assert_eq!(outcome.status, Some(143), "{line}, {op:?}: {outcome:?}");
            assert!(outcome.stderr.contains("left to") && outcome.stderr.contains(stuck), "{line}, {op:?}: {outcome:?}");
        });
        if ran.is_none() {
            return;
        }
    }
}

/// The same for a program of preview 1, whose calls wait on its own thread.
#[test]
fn a_file_that_does_not_answer_a_core_module_delays_no_end() {
    let place = Place::with("guest.wat", guests::uses_slow_file());
    place.run("run guest.wat --dir .").assert_output(0, "ready\n");
    for op in [Op::Open, Op::Read, Op::Write, Op::Flush] {
        for (options, status) in [("--timeout 1s", 124), ("", 143)] {
            let Some(fuse) = Fuse::mount() else { return };
            fuse.put("slow", b"hello");
            fuse.answer(op, Answer::Never);
            let mut command = place.command(&format!("run {options} --dir {} guest.wat", fuse.path().display()));
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            let child = start(command);
            fuse.wait_for(op, 1);
            if status == 143 {
                send(&child, Signal::TERM);
            }
            let outcome = outcome(child);
            assert_eq!(outcome.status, Some(status), "{op:?}: {outcome:?}");
            assert!(outcome.stderr.contains("left to"), "{op:?}: {outcome:?}");
        }
    }
}

#[test]
fn requests_that_are_left_are_counted() {
    let left = "warning: 3 requests still run, and are left to themselves\n";
    on_a_slow_file("ends submit load /slow/file 3", Op::Open, |place, grant, line, fuse| {
        terminated(place, grant, line, || fuse.wait_for(Op::Open, 3), left);
    });
}

#[test]
fn a_second_signal_waits_for_nothing() {
    on_a_slow_file("ends wasi read /slow/file", Op::Read, |place, grant, line, fuse| {
        let child = start(command(place, grant, line));
        fuse.wait_for(Op::Read, 1);
        // Two of a kind might arrive as one.
        send(&child, Signal::INT);
        send(&child, Signal::TERM);
        let outcome = outcome(child);
        assert!(matches!(outcome.status, Some(130 | 143)), "{outcome:?}");
        assert_eq!(outcome.stderr, "");
    });
}

#[test]
fn directories_and_plugins_on_a_file_system_that_does_not_answer_delay_no_end() {
    let cause = "  cause: its file, or a directory that it is granted, could not be opened in that time\n";
    for (op, file) in [(Op::OpenDir, false), (Op::GetAttr, false), (Op::Open, true), (Op::Read, true)] {
        for (options, status) in [("--timeout 1s", 124), ("", 143)] {
            let Some(fuse) = Fuse::mount() else { return };
            fuse.put("guest.wat", guests::hello().as_bytes());
            fuse.answer(op, Answer::Never);
            let place = Place::with("guest.wat", guests::hello());
            let plugin = if file { fuse.join("guest.wat") } else { place.path("guest.wat") };
            let mut command = place.command(&format!("run {options}"));
            if !file {
                command.args(grant(&fuse).split_whitespace());
            }
            let child = command.arg(plugin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
            fuse.wait_for(op, 1);
            if status == 143 {
                send(&child, Signal::TERM);
            }
            let outcome = outcome(child);
            assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(status), ""), "{op:?}: {outcome:?}");
            if status == 124 {
                let expected = format!("error: guest.wat was stopped: it took longer than 1s\n{cause}{MORE_TIME}");
                assert_eq!(outcome.stderr, expected, "{op:?}");
            }
        }
    }
}

#[test]
fn what_a_guest_leaves_is_waited_for_with_a_note() {
    on_a_slow_file("ends leave fsync /slow/file", Op::Fsync, |place, grant, line, fuse| {
        let mut child = command(place, grant, line).spawn().expect("the program starts");
        let mut note = String::new();
        let stderr = child.stderr.as_mut().expect("a pipe");
        BufReader::new(stderr).read_line(&mut note).expect("a line");
        assert_eq!(note, "waiting for requests that still run; Ctrl-C ends the program…\n");
        fuse.answer_all();
        outcome(child).assert_output(0, "ready\nover");
    });
}

#[test]
fn a_guest_that_ended_in_time_but_not_its_requests_is_out_of_time() {
    on_a_slow_file("ends leave fsync /slow/file", Op::Fsync, |place, grant, line, fuse| {
        let child = command(place, &format!("--timeout 1s {grant}"), line).spawn().expect("the program starts");
        fuse.wait_for(Op::Fsync, 1);
        let outcome = outcome(child);
        let cause = "  cause: it had ended with exit status 0, but not its requests\n";
        let left = "warning: 1 request still runs, and is left to itself\n";
        assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(124), "ready\nover"), "{outcome:?}");
        // It may have been waited for so long that there is a note.
        assert!(outcome.stderr.ends_with(&format!("{left}{TOO_LONG}{cause}{MORE_TIME}")), "{outcome:?}");
    });
}

#[test]
fn statistics_are_told_at_every_end() {
    let place = Place::new();
    let mut child = start(command(&place, "--stats", "ends lock"));
    wait_for_file(&mut child, &place, "locked");
    send(&child, Signal::TERM);
    let ended = outcome(child);
    assert_eq!(ended.status, Some(143));
    assert!(ended.stderr.starts_with("request  count"), "{ended:?}");
    on_a_slow_file("ends wasi read /slow/file", Op::Read, |place, grant, line, fuse| {
        let child = start(command(place, &format!("--stats {grant}"), line));
        fuse.wait_for(Op::Read, 1);
        send(&child, Signal::TERM);
        let ended = outcome(child);
        assert_eq!(ended.stderr, format!("requests unknown: the plugin does not come back\n{STUCK}"), "{ended:?}");
    });
}

/// The signals that end a run, with its exit status.
const SIGNALS: [(Signal, i32); 4] = [(Signal::HUP, 129), (Signal::INT, 130), (Signal::QUIT, 131), (Signal::TERM, 143)];

/// Whether something that is not whole has a name in this directory.
fn has_temporary(dir: &Path) -> bool {
    let names = fs::read_dir(dir).expect("it is ours").map(|entry| entry.expect("a name").file_name());
    names.into_iter().any(|name| name.to_string_lossy().starts_with(".aiohost-"))
}

/// Waits until something that is not whole has a name in the place.
#[track_caller]
fn wait_for_temporary(child: &mut Child, place: &Place) {
    wait_while_it_runs(child, || has_temporary(place.dir.path()));
}

/// Sends a signal, which ends the run without a word and leaves nothing that is not whole in these directories.
#[track_caller]
fn ended_by(signal: Signal, status: i32, child: Child, dirs: &[&Path]) {
    send(&child, signal);
    assert_clean(signal, status, &outcome(child), dirs);
}

#[track_caller]
fn assert_clean(signal: Signal, status: i32, outcome: &Outcome, dirs: &[&Path]) {
    assert_eq!((outcome.status, outcome.stderr.as_str()), (Some(status), ""), "{outcome:?}");
    assert!(!dirs.iter().any(|dir| has_temporary(dir)), "{signal:?}");
}

/// A place with a tree of so many directories, with such a file in each.
fn with_tree(directories: u32, bytes: usize) -> Place {
    let (place, content) = (Place::new(), vec![b'x'; bytes]);
    for number in 0..directories {
        let dir = place.path(&format!("tree/{number}"));
        fs::create_dir_all(&dir).expect("it is new");
        fs::write(dir.join("file"), &content).expect("there is room on the disk");
    }
    place
}

#[test]
fn each_signal_ends_a_run_and_leaves_no_file_half_written() {
    let place = Place::in_memory();
    for (signal, status) in SIGNALS {
        for _ in 0..5 {
            let mut command = command(&place, "", "blocking store-endlessly");
            let mut child = command.spawn().expect("the program starts");
            wait_for_temporary(&mut child, &place);
            ended_by(signal, status, child, &[place.dir.path()]);
        }
    }
}

#[test]
fn each_signal_ends_a_copy_of_a_tree_and_leaves_nothing_of_it() {
    let place = with_tree(100, 100_000);
    for (signal, status) in SIGNALS {
        for _ in 0..3 {
            let mut child = start(command(&place, "", "ends endlessly copy-tree tree"));
            wait_for_temporary(&mut child, &place);
            ended_by(signal, status, child, &[place.dir.path()]);
            for number in 0..100 {
                let file = place.path(&format!("tree/{number}/file"));
                assert_eq!(fs::metadata(file).expect("it is there").len(), 100_000, "{signal:?}");
            }
            // It may have been just there, or on its way out.
            let _ = fs::remove_dir_all(place.path("copied"));
        }
    }
}

#[test]
fn each_signal_ends_a_move_to_another_device_and_leaves_the_file_where_it_was_or_is_to_be() {
    let Ok(far) = tempfile::TempDir::new_in("/dev/shm") else {
        println!("skipped: there is no file system in memory");
        return;
    };
    let place = Place::new();
    let content: Vec<u8> = (0..32 << 20).map(|number: u32| number.to_le_bytes()[2]).collect();
    for (signal, status) in SIGNALS {
        for _ in 0..3 {
            let _ = fs::remove_file(far.path().join("moved"));
            fs::write(place.path("file"), &content).expect("there is room on the disk");
            let child = start(command(&place, &format!("--dir {}::/far", far.path().display()), "ends endlessly move file"));
            ended_by(signal, status, child, &[place.dir.path(), far.path()]);
            let found = [place.path("file"), far.path().join("moved")].map(|path| fs::read(path).ok());
            assert!(found.iter().flatten().all(|found| *found == content), "{signal:?}: a part of it");
            assert_eq!(found.iter().flatten().count(), 1, "{signal:?}: it is in one place");
        }
    }
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let place = Place::new();
    let mut command = command(&place, "", "ends print");
    // SAFETY: it is safe to do that between fork and exec, and no handler is involved.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
            Ok(())
        });
    }
    let mut child = start(command);
    send(&child, Signal::HUP);
    // It goes on for much longer than it would take to end.
    let mut output = vec![0; 64 << 20];
    child.stdout.as_mut().expect("a pipe").read_exact(&mut output).expect("it goes on");
    send(&child, Signal::TERM);
    assert_eq!(outcome(child).status, Some(143));
}

#[test]
fn a_signal_that_was_blocked_at_the_start_ends_a_run() {
    let place = Place::new();
    for (signal, status) in SIGNALS {
        let mut command = command(&place, "", "ends compute");
        // SAFETY: it is safe to do that between fork and exec, and the set is initialized.
        unsafe {
            command.pre_exec(|| {
                let mut all = std::mem::zeroed();
                libc::sigfillset(&raw mut all);
                libc::sigprocmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
                Ok(())
            });
        }
        let child = start(command);
        send(&child, signal);
        assert_eq!(outcome(child).status, Some(status), "{signal:?}");
    }
}

/// How much later the same signal is the same for certain: half of what the program takes for at once.
const AT_ONCE: Duration = Duration::from_millis(50);

/// `timeout` sends its signal to the program, and then to all of its group.
#[test]
fn a_signal_that_comes_twice_at_once_counted_as_a_second_one() {
    let mut place = with_tree(300, 10_000);
    let mut judged = 0;
    while judged < 20 {
        let mut child = start(command(&place, "", "ends endlessly copy-tree tree"));
        wait_for_temporary(&mut child, &place);
        let begun = Instant::now();
        send(&child, Signal::TERM);
        // The two are one for the kernel, too, until the first was taken.
        thread::yield_now();
        send(&child, Signal::TERM);
        let took = begun.elapsed();
        let outcome = outcome(child);
        if took >= AT_ONCE {
            // This thread had to wait in between. What a second signal leaves is left in a place that is used no more.
            place = with_tree(300, 10_000);
            continue;
        }
        assert_clean(Signal::TERM, 143, &outcome, &[place.dir.path()]);
        judged += 1;
        let _ = fs::remove_dir_all(place.path("copied"));
    }
}

/// A terminal: its own end, and that of the program.
fn terminal() -> (File, File) {
    let (mut own, mut other) = (-1, -1);
    // SAFETY: both places can be written, and nothing else is asked for.
    let opened =
        unsafe { libc::openpty(&raw mut own, &raw mut other, std::ptr::null_mut(), std::ptr::null(), std::ptr::null()) };
    assert_eq!(opened, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: both were opened just now, and nobody else has them.
    unsafe { (File::from_raw_fd(own), File::from_raw_fd(other)) }
}

/// Waits until a terminal has something to be read, and no more comes.
#[track_caller]
fn wait_until_still(child: &mut Child, terminal: &File) {
    let (mut before, mut looks) = (0, 0);
    wait_while_it_runs(child, || {
        let now = rustix::io::ioctl_fionread(terminal).expect("a terminal can be asked");
        looks = if now > 0 && now == before { looks + 1 } else { 0 };
        before = now;
        looks == 1_000
    });
}

/// A terminal takes less at once than a pipe does, and says that it takes something as long as it takes a byte.
#[test]
fn a_guest_that_writes_to_a_terminal_that_nobody_reads_ends_by_time_and_by_a_signal() {
    let guest = |length: usize| {
        format!(
            r#"(module
                (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
                (memory (export "memory") 20)
                (func (export "_start")
                    (i32.store (i32.const 0) (i32.const 1024))
                    (i32.store (i32.const 4) (i32.const {length}))
                    (loop $again (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (br $again))))"#
        )
    };
    // How much room there is goes by chance, so what a pipe always takes is tried several times.
    for (length, times) in [(1, 1), (4_097, 8), (1_000_000, 1)] {
        let place = Place::with("guest.wat", guest(length));
        for (options, status) in std::iter::once(("--timeout 1s", 124)).chain(std::iter::repeat_n(("", 143), times)) {
            let (own, other) = terminal();
            let mut command = place.command(&format!("run guest.wat {options}"));
            command.stdout(other);
            let mut child = command.stderr(Stdio::piped()).spawn().expect("the program starts");
            if status == 143 {
                wait_until_still(&mut child, &own);
                send(&child, Signal::TERM);
            }
            let outcome = outcome(child);
            assert_eq!((outcome.status, outcome.stderr.contains("warning")), (Some(status), false), "{length}: {outcome:?}");
            drop(own);
        }
    }
}

/// The process that does the work, which is kept by the one that was started.
fn worker(child: &Child) -> Pid {
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).expect("procfs is mounted");
    children.trim().parse().ok().and_then(Pid::from_raw).expect("one child")
}

#[test]
fn nothing_survives_the_process_that_was_started() {
    let place = Place::new();
    let child = start(command(&place, "", "ends compute"));
    send(&child, Signal::KILL);
    // Its output would be held by whatever is left.
    assert_eq!(outcome(child).status, None);
}

#[test]
fn a_crash_is_told_as_what_it_was() {
    use std::os::unix::process::ExitStatusExt;

    let place = Place::new();
    for signal in [Signal::KILL, Signal::ABORT] {
        let child = start(command(&place, "", "ends compute"));
        kill_process(worker(&child), signal).expect("it is there");
        let output = end(child);
        assert_eq!(output.status.signal(), Some(signal.as_raw()));
        assert!(String::from_utf8_lossy(&output.stderr).contains("was ended by signal"), "{output:?}");
    }
}

/// No file of the process that this starts may be larger.
fn limit_files(command: &mut Command, bytes: u64) {
    // SAFETY: it is safe to do that between fork and exec.
    unsafe {
        command.pre_exec(move || Ok(setrlimit(Resource::Fsize, Rlimit { current: Some(bytes), maximum: Some(bytes) })?));
    }
}

#[test]
fn a_file_over_the_limit_of_the_process_is_an_error_of_the_guest() {
    let place = Place::new();
    for line in ["ends blocking write-far file", "ends wasi write-far file"] {
        let mut command = command(&place, "", line);
        limit_files(&mut command, 32 << 20);
        outcome(command.spawn().expect("the program starts")).assert_output(0, "ready\nover");
        assert_eq!(fs::metadata(place.path("file")).expect("it was made").len(), 0, "{line}");
    }
}

#[test]
fn a_limit_for_files_that_is_below_the_data_of_a_plugin_is_named() {
    let plugin = r#"(module (memory (export "memory") 1) (data (i32.const 0) "data") (func (export "_start")))"#;
    let place = Place::with("plugin.wat", plugin);
    let mut command = place.command("run --no-cache plugin.wat");
    limit_files(&mut command, 1024);
    finished(&mut command).assert(
        1,
        "error: plugin.wat reached a limit\n  cause: File too large (os error 27)\n  help: raise the limit for files, as with \
         `ulimit -f unlimited`: wasmtime keeps a plugin's data in a file without a name\n",
    );
}

#[test]
fn a_file_over_the_limit_of_the_process_is_an_error_of_every_request_and_nothing_is_left_of_it() {
    const LIMIT: u64 = 8 << 20;
    let content = vec![b'x'; 9 << 20];
    for (request, path) in [
        ("store", "small"),
        ("truncate", "small"),
        ("allocate", "small"),
        ("copy", "tree/large"),
        ("copy-tree", "tree"),
        ("sendfile", "small"),
    ] {
        let place = Place::new();
        fs::create_dir(place.path("tree")).expect("it is new");
        fs::write(place.path("tree/large"), &content).expect("there is room on the disk");
        fs::write(place.path("small"), "small").expect("there is room on the disk");
        let mut command = command(&place, "", &format!("ends too-large {request} {path}"));
        limit_files(&mut command, LIMIT);
        let outcome = outcome(command.spawn().expect("the program starts"));
        outcome.assert_output(0, "ready\nErr(ErrorCode::FileTooLarge)\nover");
        assert!(!place.path("made").exists() && !has_temporary(place.dir.path()), "{request}");
        assert_eq!(fs::read(place.path("small")).expect("it is there"), b"small", "{request}");
        let output = fs::metadata(place.path("output")).map_or(0, |output| output.len());
        assert_eq!(output, 0, "{request}");
    }
}

/// Recurses, and has the host give it a list: its `realloc` recurses for ever.
const NESTED: &str = r#"(component
    (import "wasi:random/random@0.2.0" (instance $random
        (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
    (core module $place
        (memory (export "memory") 1)
        (func $deeper (param i32) (result i32) (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (call $deeper (i32.const 0))))
    (core instance $place (instantiate $place))
    (core func $bytes (canon lower (func $random "get-random-bytes")
        (memory (core memory $place "memory")) (realloc (core func $place "realloc"))))
    (core module $code
        (import "" "bytes" (func $bytes (param i64 i32)))
        (func $deeper (param i32) (result i32)
            (if (result i32) (local.get 0)
                (then (i32.add (call $deeper (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
                (else (call $bytes (i64.const 16) (i32.const 0)) (i32.const 0))))
        (func (export "f") (param i32) (drop (call $deeper (local.get 0)))))
    (core instance $code (instantiate $code (with "" (instance (export "bytes" (func $bytes))))))
    (func (export "f") (param "depth" u32) (canon lift (core func $code "f"))))"#;

#[test]
fn a_guest_that_was_called_from_deep_within_itself_ended_the_host() {
    let place = Place::with("nested.wat", NESTED);
    // Around what takes all of the stack that a guest has, in steps that are smaller than what was left beyond.
    for depth in (32_400..33_000).step_by(16) {
        let outcome = place.run(&format!("run --invoke f({depth}) nested.wat"));
        assert!(
            outcome.status == Some(134) && outcome.stderr.contains("nested.wat trapped: call stack exhausted"),
            "{outcome:?}"
        );
    }
}

/// Makes objects and drops them all at once, again and again: it takes a second and more to collect them.
const GARBAGE: &str = r#"(module
    (type $node (struct (field (ref null $node))))
    (memory (export "memory") 1)
    (global $list (mut (ref null $node)) (ref.null $node))
    (func (export "_start") (local $count i32)
        (loop $again
            (local.set $count (i32.const 0))
            (loop $more
                (global.set $list (struct.new $node (global.get $list)))
                (local.set $count (i32.add (local.get $count) (i32.const 1)))
                (br_if $more (i32.lt_u (local.get $count) (i32.const 8000000))))
            (global.set $list (ref.null $node))
            (br $again))))"#;

#[test]
fn a_run_waited_for_the_garbage_of_its_guest() {
    let place = Place::with("garbage.wat", GARBAGE);
    for (time, said) in [("1s", "1s"), ("1200ms", "1.2s"), ("1500ms", "1.5s")] {
        // Without a warning that something is left to itself.
        place.run(&format!("run --timeout {time} garbage.wat")).assert(
            124,
            &format!(
                "error: garbage.wat was stopped: it took longer than {said}\n  help: give it more time with --timeout, or none to \
                 wait as long as it takes\n"
            ),
        );
    }
}
