//! Many guests on one engine, with all that may happen to them: nothing is lost, and nothing is left.

use std::fs;
use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use aiohost::{AioEngine, Counters};
use futures::future::join_all;
use tempfile::TempDir;

use embedded::{descriptors, run, store, wait_for_no_workers};
use many::{FILES, FOLDERS, tree};

#[path = "support/embedded.rs"]
mod embedded;
#[path = "support/many.rs"]
mod many;

/// Long enough for anything on a busy machine; a test that works never waits for it.
const LONG: Duration = Duration::from_secs(60);

const GUESTS: usize = 64;
const THREADS: usize = 4;

/// Rounds after which the allocator has what it wants.
const WARM_UP: u64 = 3;
const ROUNDS: u64 = 5;

/// Bytes by which the process may grow in the rounds after these. Under 0.5 MiB as a rule.
const GROWTH_MAX: usize = 8 << 20;

fn submitted(counters: Counters) -> u64 {
    counters.queued + counters.running + counters.done + counters.failed + counters.canceled
}

/// Runs a guest to its end, or until it was polled so often. Returns how many requests it has submitted.
async fn guest(dir: &Path, number: usize, seed: u64, workers: &AioEngine) -> u64 {
    let how = ["end", "trap", "late", "go-on"][number % 4];
    let dir = dir.join(number.to_string());
    fs::create_dir(&dir).expect("it is new");
    let mut store = store(&dir, &["stress", how, &seed.to_string()], workers);
    let outcome = {
        let mut running = pin!(run(&mut store));
        let mut polls = if how == "go-on" { 50 + 7 * number } else { usize::MAX };
        poll_fn(|cx| match running.as_mut().poll(cx) {
            Poll::Pending if polls > 0 => {
                polls -= 1;
                Poll::Pending
            }
            Poll::Pending => Poll::Ready(None),
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        })
        .await
    };
    match (how, &outcome) {
        ("end" | "late", Some(Ok(Ok(())))) | ("go-on", None) => {}
        ("trap", Some(Err(error))) if error.is::<wasmtime::Trap>() => {}
        _ => panic!("guest {number}, seed {seed}, {how}: {outcome:?}"),
    }
    let counters = store.data().aio.counters();
    if how == "end" {
        assert_eq!((counters.queued, counters.running), (0, 0), "guest {number}: {counters:?}");
    }
    submitted(counters)
}

/// Runs all guests on a few threads, and sees what the engine says in the end.
fn round(round: u64) {
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written");
    let workers = AioEngine::builder().workers_max(6).build();
    let thread = |thread: usize| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        // Each thread has guests of every end.
        let numbers = (0..GUESTS).filter(|number| number / 4 % THREADS == thread);
        let guests = numbers.map(|number| guest(dir.path(), number, round * 1000 + number as u64, &workers));
        runtime.block_on(join_all(guests)).into_iter().sum::<u64>()
    };
    let total: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|number| scope.spawn(move || thread(number))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no guest fails in another way than it has to")).sum()
    });
    assert!(workers.shutdown(LONG), "workers are left");
    let counters = workers.counters();
    println!("round {round}: {counters:?}, {} KiB in memory", resident() >> 10);
    assert_eq!((counters.queued, counters.running), (0, 0), "{counters:?}");
    assert_eq!(submitted(counters), total, "{counters:?}");
    assert!(counters.done > 0 && counters.failed > 0 && counters.canceled > 0, "{counters:?}");
    assert_no_leftovers(dir.path());
}

/// Names of what was not whole.
fn assert_no_leftovers(dir: &Path) {
    for entry in fs::read_dir(dir).expect("it can be read") {
        let entry = entry.expect("it can be read");
        assert!(!entry.file_name().to_string_lossy().starts_with(".aiohost-"), "{}", entry.path().display());
        if entry.file_type().expect("it has a type").is_dir() {
            assert_no_leftovers(&entry.path());
        }
    }
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").expect("procfs is mounted");
    let pages: usize = pages.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("the second number");
    pages * rustix::param::page_size()
}

/// The tests count what is in the whole process, so they take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn guests_of_every_end_leave_nothing() {
    let _turn = turn();
    // With an arena for each thread the allocator keeps some ten megabytes more or less by chance, so the test has a process of its
    // own in which there is one.
    const ONE_ARENA: &str = "MALLOC_ARENA_MAX";
    if std::env::var_os(ONE_ARENA).is_none() {
        let mut alone = Command::new(std::env::current_exe().expect("the tests have a path"));
        alone.args(["--exact", "guests_of_every_end_leave_nothing", "--nocapture"]).env(ONE_ARENA, "1");
        return assert!(alone.status().expect("it can be run again").success());
    }
    (0..WARM_UP).for_each(round);
    let (before, memory) = (descriptors(), resident());
    for number in WARM_UP..WARM_UP + ROUNDS {
        round(number);
        wait_for_no_workers(LONG);
        assert_eq!(descriptors(), before, "descriptors are left, or gone");
    }
    let grown = resident().saturating_sub(memory);
    println!("{} KiB more in memory after {ROUNDS} rounds", grown >> 10);
    assert!(grown < GROWTH_MAX, "{grown} bytes more in memory");
}

/// 20,000 files, read in a group with a limit, which is canceled half-way.
#[test]
fn a_canceled_walk_loses_nothing() {
    let _turn = turn();
    let dir = tree();
    let workers = AioEngine::new();
    let mut store = store(dir.path(), &["stress", "walk", "0"], &workers);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let outcome = runtime.block_on(run(&mut store));
    assert!(matches!(outcome, Ok(Ok(()))), "{outcome:?}");
    let counters = store.data().aio.counters();
    println!("of the guest: {counters:?}");
    assert_eq!((counters.queued, counters.running, counters.failed), (0, 0, 0), "{counters:?}");
    // The files, and the requests that list them.
    let lists = 1 + FOLDERS as u64;
    assert_eq!(submitted(counters), (FOLDERS * FILES) as u64 + lists, "{counters:?}");
}

/// A guest with thousands of requests in the queue delays the only request of another by those that run, and no more.
fn a_flood_delays_nobody(workers_max: usize) {
    let _turn = turn();
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written");
    let workers = AioEngine::builder().workers_max(workers_max).build();
    let mut flood = store(dir.path(), &["stress", "flood", "3000"], &workers);
    let mut look = store(dir.path(), &["stress", "look", "0"], &workers);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let came = runtime.block_on(async {
        let mut flooding = Box::pin(run(&mut flood));
        poll_fn(|cx| {
            assert!(flooding.as_mut().poll(cx).is_pending(), "it waits for the first of thousands");
            Poll::Ready(())
        })
        .await;
        let mut looking = Box::pin(run(&mut look));
        let mut looked = None;
        let came = poll_fn(|cx| {
            // The first poll is up to where its request is queued, and beyond if a worker was as fast as that.
            if let Poll::Ready(outcome) = looking.as_mut().poll(cx) {
                looked = Some(outcome);
            }
            Poll::Ready(workers.counters())
        })
        .await;
        let outcome = match looked {
            Some(outcome) => outcome,
            None => looking.await,
        };
        assert!(matches!(outcome, Ok(Ok(()))), "{outcome:?}");
        let outcome = flooding.await;
        assert!(matches!(outcome, Ok(Ok(()))), "{outcome:?}");
        came
    });
    let seen = (0..=3000).find(|seen| dir.path().join(format!("seen-{seen}")).exists()).expect("the guest has told");
    println!("when the other guest came: {came:?}; its request was done after {seen} others");
    assert!(seen <= came.done + workers_max as u64, "{seen} requests were done first, and {came:?}");
}

#[test]
fn a_flood_delays_nobody_on_one_worker() {
    a_flood_delays_nobody(1);
}

#[test]
fn a_flood_delays_nobody_on_two_workers() {
    a_flood_delays_nobody(2);
}
