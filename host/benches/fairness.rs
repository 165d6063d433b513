//! What a modest guest notices of hogs on the same engine: its calls alone, and beside 1, 2, 8 and 32 of each kind.
//!
//! `cargo bench --bench fairness [KIND ...]`. Each guest has a thread of its own; all share the workers. The times are those of a
//! stat and a nop in turn, in microseconds. Hogs of the kind `spins` ask for nothing and compute: where these make the modest guest
//! late, it is the system that shares out the processors. The rows `native` have neither host nor guests: two threads pass a word to
//! and fro, beside threads that copy files. What is late there is late without aiohost.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use aiohost::{Host, Rights};
use tempfile::TempDir;

const SECONDS: u64 = 3;
const CROWDS: [usize; 4] = [1, 2, 8, 32];
const KINDS: [&str; 10] = ["spins", "native", "copies", "fsyncs", "timers", "locks", "reads", "walks", "groups", "drops"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    // A process for each row: its guests write to its standard output.
    if let [row, kind, hogs] = arguments.as_slice()
        && row == "row"
    {
        let hogs = hogs.parse().expect("a number of hogs");
        return if kind == "native" { native_row(hogs) } else { row_of(kind, hogs) };
    }
    let kinds: Vec<&str> = if arguments.is_empty() { KINDS.to_vec() } else { arguments.iter().map(String::as_str).collect() };
    println!("{:<10} {:>5} {:>9} {:>9} {:>9} {:>9}", "hogs", "", "calls", "p50 µs", "p99 µs", "max µs");
    show("none", 0);
    for kind in kinds {
        CROWDS.iter().for_each(|hogs| show(kind, *hogs));
    }
}

fn show(kind: &str, hogs: usize) {
    let program = std::env::current_exe().expect("the benchmark has a path");
    let output = Command::new(program).args(["row", kind, &hogs.to_string()]).stderr(Stdio::inherit()).output();
    let output = String::from_utf8(output.expect("it can be run again").stdout).expect("it prints numbers");
    let numbers: Vec<&str> = output.split_whitespace().collect();
    let [calls, median, late, longest] = numbers.as_slice() else { panic!("{kind} {hogs}: {output}") };
    println!("{kind:<10} {hogs:>5} {calls:>9} {median:>9} {late:>9} {longest:>9}");
}

/// Runs the modest guest beside the hogs; its numbers go to standard output.
fn row_of(kind: &str, hogs: usize) {
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written");
    let host = Host::builder().dir(dir.path(), ".", Rights::ReadWrite).inherit_stdio().build().expect("a host");
    let guest = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("guests/requests-sync.wasm");
    let plugin = host.load(guest).expect("tests/guests/build.sh has built the guest");
    std::thread::scope(|scope| {
        for number in 0..hogs {
            let plugin = plugin.clone();
            let arguments = ["crowd", kind, &(SECONDS + 2).to_string(), &number.to_string()].map(str::to_owned);
            scope.spawn(move || run(&plugin, &arguments));
        }
        // What is measured is a load that has settled. No condition tells of that: hogs that only compute ask the host for nothing.
        std::thread::sleep(Duration::from_secs(1));
        run(&plugin, &["crowd", "modest", &SECONDS.to_string()].map(str::to_owned));
    });
}

/// What the same pattern costs two threads of a program: one asks and the other one answers.
fn native_row(hogs: usize) {
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written");
    let large = dir.path().join("large");
    std::fs::write(&large, vec![7; 64 << 20]).expect("there is room on the disk");
    let until = Instant::now() + Duration::from_secs(SECONDS + 2);
    let copy = |to: &Path| {
        while Instant::now() < until {
            std::fs::copy(&large, to).expect("there is room on the disk");
            std::fs::remove_file(to).expect("it is there");
        }
    };
    std::thread::scope(|scope| {
        for number in 0..hogs * 3 {
            let to = dir.path().join(format!("copy-{number}"));
            scope.spawn(move || copy(&to));
        }
        let ((ask, asked), (answer, answered)) = (mpsc::channel(), mpsc::channel());
        scope.spawn(move || asked.into_iter().try_for_each(|()| answer.send(())));
        // As long as a modest guest gives its hogs.
        std::thread::sleep(Duration::from_secs(1));
        let mut times: Vec<u128> = Vec::new();
        let until = Instant::now() + Duration::from_secs(SECONDS);
        while Instant::now() < until {
            let start = Instant::now();
            ask.send(()).expect("the other thread is there");
            answered.recv().expect("it answers");
            times.push(start.elapsed().as_micros());
            // It has nothing to do most of the time, as the modest guest.
            std::thread::sleep(Duration::from_micros(400));
        }
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
        println!("{} {} {} {}", times.len(), at(50), at(99), times[times.len() - 1]);
    });
}

fn run(plugin: &aiohost::Plugin, arguments: &[String]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let status = runtime.block_on(plugin.run(arguments.iter().map(String::as_str)));
    assert!(matches!(status, Ok(0)), "{arguments:?}: {status:?}");
}
