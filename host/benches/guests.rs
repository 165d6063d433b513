//! Many guests at once: what an idle one costs in memory, and how long it takes from nothing to the answer of its first request.
//!
//! `cargo bench --bench guests [-- GUESTS]`. The guest is `guest-examples/processor`, in Rust with its standard library; its first
//! request opens a file. Each row has a process of its own. `on demand` is the host's own engine, and `pooled` an engine with
//! wasmtime's pooling allocator, given to the host by `HostBuilder::engine`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use aiohost::bindings::types::{Error, File};
use aiohost::{Guest, Host, HostBuilder, Rights};
use tempfile::TempDir;
use wasmtime::component::Resource;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

const GUESTS: u32 = 1000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if let [row, kind, guests] = arguments.as_slice()
        && row == "row"
    {
        return show(kind, guests.parse().expect("a number of guests"));
    }
    let guests = arguments.first().cloned().unwrap_or_else(|| GUESTS.to_string());
    println!(
        "{:<10} {:>7} {:>12} {:>14} {:>14} {:>8}",
        "engine", "guests", "KiB a guest", "first p50 µs", "first p99 µs", "threads"
    );
    for kind in ["on demand", "pooled"] {
        let program = std::env::current_exe().expect("the benchmark has a path");
        let status = Command::new(program).args(["row", kind, &guests]).stderr(Stdio::inherit()).status();
        assert!(status.expect("it can be run again").success());
    }
}

fn show(kind: &str, count: u32) {
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written");
    std::fs::write(dir.path().join("file"), "content").expect("it is new");
    let builder = match kind {
        "pooled" => Host::builder().engine(pooled(count)),
        _ => Host::builder(),
    };
    let host = builder.dir(dir.path(), ".", Rights::Read).linker(|linker| {
        linker.root().func_wrap("report", |_: wasmtime::StoreContextMut<'_, aiohost::GuestState>, (_,): (String,)| Ok(()))
    });
    let host = HostBuilder::build(host).expect("a host");
    let guest = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("guests/processor.wasm");
    let plugin = host.load(guest).expect("guest-examples/build.sh processor has built it");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an event loop");
    runtime.block_on(async {
        // What is made once is made by the first one.
        first_request(&mut plugin.guest().build().expect("a guest")).await;
        let before = resident_kib();
        let (mut guests, mut times) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let start = Instant::now();
            let mut guest = plugin.guest().build().expect("a guest");
            first_request(&mut guest).await;
            times.push(start.elapsed().as_nanos());
            guests.push(guest);
        }
        let each = (resident_kib() - before) / u64::from(count);
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)] / 1000;
        let threads = std::fs::read_dir("/proc/self/task").expect("procfs is mounted").count();
        println!("{kind:<10} {count:>7} {each:>12} {:>14} {:>14} {threads:>8}", at(50), at(99));
    });
}

async fn first_request(guest: &mut Guest) {
    let (file,) = guest.call::<(), (Result<Resource<File>, Error>,)>("choose", ()).await.expect("a call");
    file.expect("there is a file");
}

fn pooled(count: u32) -> Engine {
    let mut pool = PoolingAllocationConfig::new();
    let (guests, parts) = (count + 8, 8 * (count + 8));
    pool.total_component_instances(guests).total_core_instances(parts).total_memories(guests).total_tables(parts);
    pool.total_stacks(guests).max_memory_size(64 << 20).max_core_instances_per_component(16).max_tables_per_component(16);
    let mut config = Config::new();
    config.epoch_interruption(true).concurrency_support(false).memory_reservation(64 << 20).memory_guard_size(64 << 10);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config).expect("an engine")
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs is mounted");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is there");
    line.trim().trim_end_matches(" kB").trim().parse().expect("a number")
}
