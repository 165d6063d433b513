//! Guests that end with requests under way: whatever happens, no descriptor, no thread and no memory of theirs is left.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aiohost::{AioCtx, AioCtxView, AioEngine, AioView, Counters, EpochTicker, Gated, Limits, StoreCeiling};
use tempfile::TempDir;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store};

use embedded::{descriptors, guest, run, store, wait_for_no_workers, workers_named_in_proc};

#[path = "support/embedded.rs"]
mod embedded;
#[path = "support/program.rs"]
mod program;

/// Long enough for anything on a busy machine; a test that works never waits for it.
const LONG: Duration = Duration::from_secs(60);

/// The tests count the descriptors of the whole process, so they take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    guest();
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A directory with a file that takes long to copy.
fn fixture() -> TempDir {
    let dir = TempDir::new().expect("there is room for temporary files");
    let large = File::create(dir.path().join("large")).expect("it can be made");
    large.set_len(8 << 30).expect("the file system knows holes");
    dir
}

/// How a run went, and the guest's counters at its end.
type Ending = (Option<wasmtime::Result<Result<(), ()>>>, Counters);

/// Runs the guest until it ends, or until it has requests running if `cut` says so, and then sees that nothing is left.
fn ends(how: &str, cut: Cut) -> Ending {
    let _turn = turn();
    let dir = fixture();
    let before = descriptors();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let workers = AioEngine::builder().workers_max(8).build();
    let mut store = store(dir.path(), &["lifecycle", how], &workers);
    let outcome = runtime.block_on(async {
        match cut {
            Cut::No => Some(run(&mut store).await),
            Cut::WhenRunning => {
                let mut run = Box::pin(run(&mut store));
                let copy = dir.path().join("copy-0");
                // The guest comes up for air at every tick; once a copy has grown, requests are under way.
                std::future::poll_fn(|cx| {
                    guest().0.increment_epoch();
                    match run.as_mut().poll(cx) {
                        std::task::Poll::Ready(_) => panic!("the guest ended by itself"),
                        std::task::Poll::Pending if fs::metadata(&copy).is_ok_and(|copy| copy.len() > 0) => {
                            std::task::Poll::Ready(())
                        }
                        std::task::Poll::Pending => {
                            cx.waker().wake_by_ref();
                            std::task::Poll::Pending
                        }
                    }
                })
                .await;
                None
            }
        }
    });
    let counters = store.data().aio.counters();
    drop(store);
    assert!(workers.shutdown(LONG), "workers are left");
    drop((runtime, workers));
    wait_for_no_workers(LONG);
    assert_eq!(descriptors(), before, "descriptors are left, or gone");
    if how != "cancel" {
        assert_lock_is_free(&dir.path().join("locked"));
    }
    (outcome, counters)
}

#[test]
fn a_call_moved_more_at_once_on_the_thread_of_a_program_than_it_may() {
    let _turn = turn();
    let dir = TempDir::new().expect("there is room for temporary files");
    fs::write(dir.path().join("read"), vec![7; 2 << 20]).expect("it can be written");
    let workers = AioEngine::builder().build();
    let mut store = store(dir.path(), &["lifecycle", "read"], &workers);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    assert!(matches!(runtime.block_on(run(&mut store)), Ok(Ok(()))));
    // 1 MiB on `blocking` and 256 KiB on `submit`; a byte more is for a worker.
    let reads = store.data().aio.stats()["read"];
    assert_eq!((reads.count, reads.inline), (4, 2), "{reads:?}");
    // The other tests count what is open.
    drop(store);
    assert!(workers.shutdown(LONG), "workers are left");
}

/// Whoever locks a file next gets the lock that the guest had.
fn assert_lock_is_free(path: &Path) {
    let file = File::options().write(true).open(path).expect("the guest has made it");
    // SAFETY: all of its fields are numbers.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::c_short::try_from(libc::F_WRLCK).expect("it is small");
    // SAFETY: the descriptor is open, and the lock is only read.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

#[derive(Clone, Copy)]
enum Cut {
    No,
    WhenRunning,
}

fn submitted(counters: Counters) -> u64 {
    counters.queued + counters.running + counters.done + counters.failed + counters.canceled
}

#[test]
fn a_guest_returns_with_requests_running() {
    let (outcome, _) = ends("return", Cut::No);
    assert!(matches!(outcome, Some(Ok(Ok(())))), "{outcome:?}");
}

#[test]
fn a_guest_exits_with_requests_running() {
    let (outcome, _) = ends("exit", Cut::No);
    assert!(matches!(outcome, Some(Err(_))), "{outcome:?}");
}

#[test]
fn a_guest_traps_with_requests_running() {
    let (outcome, counters) = ends("trap", Cut::No);
    assert!(matches!(&outcome, Some(Err(error)) if error.is::<wasmtime::Trap>()), "{outcome:?}");
    // Three copies and a hundred listings with the four files that were opened for them, and two locks with two files.
    assert_eq!(submitted(counters), 3 + 100 + 4 + 2 + 2, "{counters:?}");
}

#[test]
fn a_guest_that_loops_is_cut_off_with_requests_running() {
    ends("loop", Cut::WhenRunning);
}

#[test]
fn a_guest_that_waits_is_cut_off_with_requests_running() {
    ends("wait", Cut::WhenRunning);
}

#[test]
fn a_guest_takes_back_what_runs_and_what_is_queued() {
    let (outcome, counters) = ends("cancel", Cut::No);
    assert!(matches!(outcome, Some(Ok(Ok(())))), "{outcome:?}");
    assert_eq!((counters.queued, counters.running), (0, 0), "{counters:?}");
    assert_eq!(submitted(counters), 3 + 100 + 4, "{counters:?}");
}

#[test]
fn canceled_trees_leaked_their_descriptors() {
    let _turn = turn();
    let dir = TempDir::new().expect("there is room for temporary files");
    fs::create_dir(dir.path().join("many")).expect("it is new");
    for number in 0..300 {
        File::create(dir.path().join(format!("many/entry-{number:03}"))).expect("it is new");
    }
    File::create(dir.path().join("sparse")).and_then(|file| file.set_len(20 << 20)).expect("the file system knows holes");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let workers = AioEngine::new();
    let mut store = store(dir.path(), &["blocking", "canceled_trees_leaked_their_descriptors"], &workers);
    let outcome = runtime.block_on(run(&mut store));
    assert!(matches!(outcome, Ok(Ok(()))), "{outcome:?}");
    // Before the guest's state is dropped, which would close what a request has left.
    let inside = |open: &PathBuf| open.starts_with(dir.path()) && open != dir.path();
    let left = || descriptors().into_iter().filter(inside).collect::<Vec<_>>();
    // The reaper closes them.
    let start = std::time::Instant::now();
    while !left().is_empty() {
        assert!(start.elapsed() < LONG, "descriptors are left: {:?}", left());
        std::thread::yield_now();
    }
    drop((store, runtime, workers));
}

#[test]
fn an_engine_that_is_dropped_first_serves_its_guests_to_the_end() {
    let _turn = turn();
    let dir = fixture();
    let before = descriptors();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let workers = AioEngine::new();
    let mut store = store(dir.path(), &["lifecycle", "cancel"], &workers);
    drop(workers);
    let outcome = runtime.block_on(run(&mut store));
    assert!(matches!(outcome, Ok(Ok(()))), "{outcome:?}");
    drop((store, runtime));
    let all_gone = || workers_named_in_proc() == 0 && descriptors() == before;
    // The last worker ends by itself, soon after the store.
    let start = std::time::Instant::now();
    while !all_gone() {
        assert!(start.elapsed() < LONG, "workers or descriptors are left: {:?}", descriptors());
        std::thread::yield_now();
    }
}

/// Times a guest that stores is killed.
const KILLS: u32 = 25;

#[test]
fn a_store_that_is_killed_leaves_the_old_content_or_the_new() {
    const BYTES: usize = 300_000;
    // It reads in this process, whose descriptors others count.
    let _turn = turn();
    let dir = TempDir::new().expect("there is room for temporary files");
    let path = dir.path().join("stored");
    let whole = |content: &[u8]| content.len() == BYTES && content.iter().all(|byte| *byte == content[0]);
    let guest = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("guests/requests-sync.wasm");
    let mut reads = 0;
    for round in 0..KILLS {
        let mut command = std::process::Command::new(program::aiohost());
        command.args(["run", "--dir"]).arg(dir.path()).arg(&guest).args(["blocking", "store-endlessly"]);
        let mut host = command.spawn().expect("the host can be started");
        // At first there is nothing. From then on, and in whatever moment the end comes, all that is read is whole.
        let mut left = 40 + 7 * round;
        while left > 0 {
            assert!(host.try_wait().expect("it is ours").is_none(), "the guest ended by itself");
            let Ok(content) = fs::read(&path) else { continue };
            assert!(whole(&content), "{} bytes of {:?}", content.len(), content.first());
            reads += 1;
            left -= 1;
        }
        host.kill().expect("it is ours");
        host.wait().expect("it is ours");
        assert!(whole(&fs::read(&path).expect("it was there")));
    }
    assert!(reads > 40 * KILLS);
}

/// Computes for some ticks, and then waits for ten requests that workers do.
const WITHOUT_WASI: &str = r#"(component
    (import "aiohost:aio/types@0.1.0" (instance $types (export "request" (type (sub resource)))))
    (alias export $types "request" (type $request))
    (import "aiohost:aio/submit@0.1.0" (instance $aio
        (export "request" (type $r (eq $request)))
        (export "busy" (func (param "time-ms" u64) (result (own $r))))))
    (import "aiohost:aio/control@0.1.0" (instance $control
        (export "flush" (func))))
    (core func $busy (canon lower (func $aio "busy")))
    (core func $flush (canon lower (func $control "flush")))
    (core module $code
        (import "host" "busy" (func $busy (param i64) (result i32)))
        (import "host" "flush" (func $flush))
        (func (export "work") (local $count i32)
            (local.set $count (i32.const 50000000))
            (loop $again
                (local.set $count (i32.sub (local.get $count) (i32.const 1)))
                (br_if $again (local.get $count)))
            (loop $again
                (drop (call $busy (i64.const 1))) (call $flush)
                (local.set $count (i32.add (local.get $count) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $count) (i32.const 10))))))
    (core instance $code (instantiate $code (with "host" (instance
        (export "busy" (func $busy)) (export "flush" (func $flush))))))
    (func (export "work") (canon lift (core func $code "work"))))"#;

/// What a store holds whose guest has `aiohost:aio` and no WASI.
struct Bare {
    aio: AioCtx,
    table: ResourceTable,
    ceiling: StoreCeiling,
}

impl AioView for Bare {
    fn aio(&mut self) -> AioCtxView<'_> {
        AioCtxView { ctx: &mut self.aio, table: &mut self.table }
    }
}

/// Waits for a future with nothing but the standard library.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    use std::task::{Context, Wake, Waker};

    struct Unpark(std::thread::Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(outcome) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return outcome;
        }
        std::thread::park();
    }
}

#[test]
fn a_guest_without_wasi_needs_no_event_loop() {
    // The other tests count threads.
    let _turn = turn();
    assert!(tokio::runtime::Handle::try_current().is_err(), "there is an event loop");
    let engine = Engine::new(Config::new().concurrency_support(false).epoch_interruption(true)).expect("an engine");
    let component = wat::parse_str(WITHOUT_WASI).expect("a valid test component");
    let component = Component::new(&engine, component).expect("a valid test component");
    let mut linker = Linker::<Bare>::new(&engine);
    aiohost::add_plain_to_linker(&mut linker).expect("a fresh linker");
    let (workers, limits) = (AioEngine::new(), Limits::default());
    let aio = AioCtx::builder().limits(limits.requests.clone()).allow(Gated::Busy).build(&workers);
    let mut store = Store::new(&engine, Bare { aio, table: limits.table(), ceiling: limits.ceiling() });
    limits.apply(&mut store, |state| &mut state.ceiling);
    let ticker = EpochTicker::new();
    ticker.add(&engine);
    let ticks = ticker.run().expect("a thread that ticks");
    let outcome = block_on(async {
        let instance = linker.instantiate_async(&mut store, &component).await?;
        instance.get_typed_func::<(), ()>(&mut store, "work")?.call_async(&mut store, ()).await
    });
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(store.data().aio.counters().done, 10);
    drop((ticks, store));
    assert!(block_on(workers.shutdown_async(LONG)), "workers are left");
}
