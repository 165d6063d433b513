//! The rows: what is done, and who does it.

use wasmtime::component::{ComponentNamedList, Lower};

use crate::hosts::{Allocation, Host, call, instantiate, run};
use crate::measure::{Contender, Row, Run};
use crate::native::{self, Ask};
use crate::perl::{self, Work};
use crate::ring;
use crate::setup::Setup;
use crate::tree::{DIRECTORIES, FILES, LARGE_BYTES, NAMES};
use crate::workload::DATA_BYTES;

/// A row that can be measured.
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) make: fn(&Setup) -> anyhow::Result<Row>,
}

/// Every row, in the order in which they are measured.
pub(crate) fn all() -> Vec<Plan> {
    vec![
        Plan { name: "read-4k", make: read_4k },
        Plan { name: "read-64k", make: |setup| read(setup, "64 KiB", one_at_a_time(setup, 64 << 10)?) },
        Plan { name: "read-1m", make: |setup| read(setup, "1 MiB", one_at_a_time(setup, 1 << 20)?) },
        Plan { name: "sequential", make: sequential },
        Plan { name: "uncached-1", make: |setup| uncached(setup, 1) },
        Plan { name: "uncached-8", make: |setup| uncached(setup, 8) },
        Plan { name: "uncached-64", make: |setup| uncached(setup, 64) },
        Plan { name: "write-4k", make: write_4k },
        Plan { name: "make", make: make_files },
        Plan { name: "durable-32", make: durable },
        Plan { name: "stat", make: stat },
        Plan { name: "stat-names", make: stat_names },
        Plan { name: "open-read-close", make: open_read_close },
        Plan { name: "scandir", make: scandir },
        Plan { name: "walk", make: walk },
        Plan { name: "copy", make: copy },
        Plan { name: "rmtree", make: rmtree },
        Plan { name: "nop-1", make: |setup| nop(setup, 1) },
        Plan { name: "nop-8", make: |setup| nop(setup, 8) },
        Plan { name: "nop-64", make: |setup| nop(setup, 64) },
        Plan { name: "nop-512", make: |setup| nop(setup, 512) },
        Plan { name: "flat", make: flat },
        Plan { name: "instantiate", make: instantiation },
    ]
}

pub(crate) fn names() -> String {
    all().iter().map(|plan| plan.name).collect::<Vec<_>>().join(", ")
}

/// The names that the goals use.
pub(crate) mod name {
    pub(crate) const NATIVE: &str = "native";
    pub(crate) const NATIVE_STATUS: &str = "native, with a stat of each";
    pub(crate) const FIND: &str = "find";
    pub(crate) const CP: &str = "cp, sync";
    pub(crate) const RM: &str = "rm -rf";
    pub(crate) const WASI_DEFAULT: &str = "wasi, default";
    pub(crate) const WASI_BLOCKING: &str = "wasi, blocking mode";
    pub(crate) const CORO: &str = "Coro::AIO";
    pub(crate) const BLOCKING: &str = "aiohost blocking";
    pub(crate) const ALONE: &str = "aiohost blocking, own thread";
    pub(crate) const WASI_ALONE: &str = "aiohost WASI 0.2, own thread";
    pub(crate) const WASI3_DEFAULT: &str = "wasi 0.3, default";
    pub(crate) const WASI3_BLOCKING: &str = "wasi 0.3, blocking mode";
    pub(crate) const WASI3_ALONE: &str = "aiohost WASI 0.3, own thread";
    pub(crate) const IO_URING: &str = "io_uring";
    pub(crate) const BARE: &str = "wasmtime, bare";
    pub(crate) const SUBMIT: &str = "aiohost submit";
    pub(crate) const ON_DEMAND: &str = "aiohost, on demand";
    pub(crate) const POOLING: &str = "aiohost, pooling";
}

const BLOCK: u32 = 4096;

/// Of a file that is read from its beginning.
const PIECE: u32 = 256 << 10;

/// Who runs guests of WASI 0.3.
const HOSTS_OF_WASI3: [(&str, Host); 3] = [
    (name::WASI3_DEFAULT, Host::Wasi3Default),
    (name::WASI3_BLOCKING, Host::Wasi3Blocking),
    (name::WASI3_ALONE, Host::AiohostWasi3),
];

/// Reads one after the other: natively, through both modes of WASI, and on the face `blocking`.
fn one_at_a_time(setup: &Setup, block: u32) -> anyhow::Result<Vec<Contender>> {
    let guest = |host| call(setup, host, "read-random", move |count| (None::<u32>, block, count));
    Ok(vec![
        Contender::new(name::NATIVE, native::read_random(setup, block)?),
        Contender::new(name::WASI_DEFAULT, guest(Host::WasiDefault)?),
        Contender::new(name::WASI_BLOCKING, guest(Host::WasiBlocking)?),
        Contender::new(name::BARE, guest(Host::Bare)?),
        Contender::new(name::BLOCKING, guest(Host::Aiohost)?),
        Contender::new(name::ALONE, guest(Host::AiohostAlone)?),
        Contender::new(name::WASI_ALONE, guest(Host::AiohostWasi)?),
    ])
}

/// Reads with many in flight, on the faces `submit` and `requests`.
fn many_at_a_time(setup: &Setup, block: u32, in_flight: u32) -> anyhow::Result<Vec<Contender>> {
    let guest = |host| call(setup, host, "read-random", move |count| (Some(in_flight), block, count));
    Ok(vec![
        Contender::new(with(name::SUBMIT, in_flight), guest(Host::Aiohost)?),
        Contender::new(with("aiohost requests", in_flight), guest(Host::AiohostAsync)?),
    ])
}

/// A name with how many requests are in flight.
fn with(name: &str, in_flight: u32) -> String {
    format!("{name}, {in_flight} in flight")
}

/// Coro::AIO with all of its threads and with one, where it is installed.
fn coroutines(setup: &Setup, work: Work, in_flight: u32) -> anyhow::Result<Vec<Contender>> {
    let mut contenders = Vec::new();
    for (workers, suffix) in [(None, ""), (Some(1), ", 1 thread")] {
        let Some(run) = perl::coroutines(setup, work, in_flight, workers)? else { break };
        contenders.push(Contender::new(format!("{}{suffix}", with(name::CORO, in_flight)), run));
    }
    Ok(contenders)
}

fn read(setup: &Setup, size: &str, contenders: Vec<Contender>) -> anyhow::Result<Row> {
    Ok(Row {
        title: format!("{size} random reads from the page cache, for each read"),
        operations_per_step: 1,
        steps_max: u64::from(u32::MAX),
        before: setup.remember_data(),
        contenders,
    })
}

fn read_4k(setup: &Setup) -> anyhow::Result<Row> {
    let mut contenders = one_at_a_time(setup, BLOCK)?;
    for (name, host) in HOSTS_OF_WASI3 {
        contenders.push(Contender::new(name, call(setup, host, "read-random", |count| (None::<u32>, BLOCK, count))?));
    }
    contenders.extend(many_at_a_time(setup, BLOCK, 64)?);
    contenders.extend(coroutines(setup, Work::Read(BLOCK), 64)?);
    read(setup, "4 KiB", contenders)
}

fn sequential(setup: &Setup) -> anyhow::Result<Row> {
    let mut contenders = vec![Contender::new(name::NATIVE, native::read_sequential(setup, PIECE)?)];
    for (name, host) in HOSTS_OF_WASI3 {
        contenders.push(Contender::new(name, call(setup, host, "read-sequential", |count| (PIECE, count))?));
    }
    Ok(Row {
        title: "256 KiB after 256 KiB from the page cache, for each of them".to_owned(),
        operations_per_step: 1,
        steps_max: DATA_BYTES / u64::from(PIECE),
        before: setup.remember_data(),
        contenders,
    })
}

fn uncached(setup: &Setup, in_flight: u32) -> anyhow::Result<Row> {
    let mut contenders = Vec::new();
    if in_flight == 1 {
        contenders.extend(one_at_a_time(setup, BLOCK)?);
    } else {
        let threads = native::read_random_threads(setup, BLOCK, in_flight.into())?;
        contenders.push(Contender::new(name::NATIVE, threads));
    }
    if let Some(run) = ring::read_random(setup, BLOCK, in_flight)? {
        contenders.push(Contender::new(name::IO_URING, run));
    }
    contenders.extend(many_at_a_time(setup, BLOCK, in_flight)?);
    Ok(Row {
        title: format!("4 KiB random reads that are not in the page cache, {in_flight} in flight, for each read"),
        operations_per_step: 1,
        // Beyond this, blocks that were read come again.
        steps_max: DATA_BYTES / u64::from(BLOCK),
        before: setup.forget_data(),
        contenders,
    })
}

/// A row on all files of the tree. `native` comes first, then what guests do.
fn over_tree(setup: &Setup, work: &str, function: &str, native: Vec<Contender>) -> anyhow::Result<Row> {
    let guest = |host, in_flight: Option<u32>| call(setup, host, function, move |passes| (in_flight, passes));
    let mut contenders = native;
    contenders.extend([
        Contender::new(name::WASI_DEFAULT, guest(Host::WasiDefault, None)?),
        Contender::new(name::WASI_BLOCKING, guest(Host::WasiBlocking, None)?),
        Contender::new(name::BLOCKING, guest(Host::Aiohost, None)?),
        Contender::new(name::ALONE, guest(Host::AiohostAlone, None)?),
        Contender::new(name::WASI_ALONE, guest(Host::AiohostWasi, None)?),
        Contender::new(with(name::SUBMIT, 64), guest(Host::Aiohost, Some(64))?),
    ]);
    let files = u64::from(DIRECTORIES * FILES);
    Ok(Row {
        title: format!("{work} of {files} files in {DIRECTORIES} directories, for each file"),
        operations_per_step: files,
        steps_max: 1000,
        before: Box::new(|| Ok(())),
        contenders,
    })
}

/// What is done natively, and by a guest of wasmtime alone.
fn on_bare(setup: &Setup, function: &str, native: Run) -> anyhow::Result<Vec<Contender>> {
    let bare = call(setup, Host::Bare, function, |passes| (None::<u32>, passes))?;
    Ok(vec![Contender::new(name::NATIVE, native), Contender::new(name::BARE, bare)])
}

fn stat(setup: &Setup) -> anyhow::Result<Row> {
    over_tree(setup, "stat", "stat-all", on_bare(setup, "stat-all", native::stat_all(setup)?)?)
}

/// A row of what guests do one after the other, each with its thread to itself or not.
fn in_turn<P>(setup: &Setup, function: &str, native: Run, parameters: fn(u64) -> P) -> anyhow::Result<Vec<Contender>>
where
    P: ComponentNamedList + Lower + Send + Sync + 'static,
{
    let mut contenders = vec![Contender::new(name::NATIVE, native)];
    for (name, host) in [
        (name::WASI_DEFAULT, Host::WasiDefault),
        (name::WASI_BLOCKING, Host::WasiBlocking),
        (name::BARE, Host::Bare),
        (name::BLOCKING, Host::Aiohost),
        (name::ALONE, Host::AiohostAlone),
        (name::WASI_ALONE, Host::AiohostWasi),
    ] {
        contenders.push(Contender::new(name, call(setup, host, function, parameters)?));
    }
    Ok(contenders)
}

fn write_4k(setup: &Setup) -> anyhow::Result<Row> {
    setup.make_small_files()?;
    Ok(Row {
        title: "4 KiB random writes to the page cache, for each write".to_owned(),
        operations_per_step: 1,
        steps_max: u64::from(u32::MAX),
        before: Box::new(|| Ok(())),
        contenders: in_turn(setup, "write-random", native::write_random(setup, BLOCK)?, |count| (BLOCK, count))?,
    })
}

fn make_files(setup: &Setup) -> anyhow::Result<Row> {
    setup.make_small_files()?;
    Ok(Row {
        title: "create + write 4 KiB + close + unlink, for each file".to_owned(),
        operations_per_step: 1,
        steps_max: u64::from(u32::MAX),
        before: Box::new(|| Ok(())),
        contenders: in_turn(setup, "make", native::make(setup)?, |count| (count,))?,
    })
}

fn durable(setup: &Setup) -> anyhow::Result<Row> {
    const IN_FLIGHT: u32 = 32;
    let guest = |in_flight: Option<u32>| call(setup, Host::Aiohost, "durable", move |count| (in_flight, count));
    let mut contenders = vec![
        Contender::new(name::NATIVE, native::durable(setup, IN_FLIGHT.into())?),
        Contender::new(with(name::SUBMIT, IN_FLIGHT), guest(Some(IN_FLIGHT))?),
    ];
    contenders.extend(coroutines(setup, Work::Durable(BLOCK), IN_FLIGHT)?);
    Ok(Row {
        title: format!("create + write 4 KiB + fsync + close, {IN_FLIGHT} in flight, for each file"),
        operations_per_step: 1,
        steps_max: 10_000,
        before: setup.remove_durable(),
        contenders,
    })
}

fn stat_names(setup: &Setup) -> anyhow::Result<Row> {
    setup.make_small_files()?;
    Ok(Row {
        title: format!("stat of {NAMES} files by a single name, for each file"),
        operations_per_step: u64::from(NAMES),
        steps_max: u64::from(u32::MAX),
        before: Box::new(|| Ok(())),
        contenders: in_turn(setup, "stat-names", native::stat_names(setup)?, |passes| (passes,))?,
    })
}

fn open_read_close(setup: &Setup) -> anyhow::Result<Row> {
    let native = on_bare(setup, "open-read-close-all", native::open_read_close_all(setup)?)?;
    over_tree(setup, "open + read 4 KiB + close", "open-read-close-all", native)
}

fn listed(setup: &Setup) -> Vec<Contender> {
    vec![
        Contender::new(name::NATIVE, native::walk(setup, Ask::Name)),
        Contender::new(name::NATIVE_STATUS, native::walk(setup, Ask::Status)),
        Contender::new(name::FIND, native::find(setup)),
    ]
}

fn scandir(setup: &Setup) -> anyhow::Result<Row> {
    over_tree(setup, "scandir of each directory", "scandir-all", listed(setup))
}

/// What a guest does in one request after the other, beside what is native.
fn in_one(setup: &Setup, function: &str, native: Vec<Contender>) -> anyhow::Result<Vec<Contender>> {
    let mut contenders = native;
    contenders.push(Contender::new(name::BLOCKING, call(setup, Host::Aiohost, function, move |passes| (None::<u32>, passes))?));
    Ok(contenders)
}

fn walk(setup: &Setup) -> anyhow::Result<Row> {
    let files = u64::from(DIRECTORIES * FILES);
    Ok(Row {
        title: format!("walk of {files} files in {DIRECTORIES} directories, for each file"),
        operations_per_step: files,
        steps_max: 1000,
        before: Box::new(|| Ok(())),
        contenders: in_one(setup, "walk-all", listed(setup))?,
    })
}

fn copy(setup: &Setup) -> anyhow::Result<Row> {
    Ok(Row {
        title: "copy of a file of 1 GiB, for each MiB".to_owned(),
        operations_per_step: LARGE_BYTES >> 20,
        steps_max: 1,
        before: setup.remove_copy()?,
        contenders: in_one(setup, "copy", vec![Contender::new(name::CP, native::cp(setup))])?,
    })
}

fn rmtree(setup: &Setup) -> anyhow::Result<Row> {
    let files = u64::from(DIRECTORIES * FILES);
    Ok(Row {
        title: format!("rmtree of {files} files in {DIRECTORIES} directories, for each file"),
        operations_per_step: files,
        steps_max: 1,
        before: setup.doom_tree(),
        contenders: in_one(setup, "rmtree", vec![Contender::new(name::RM, native::rm(setup))])?,
    })
}

fn nop(setup: &Setup, in_flight: u32) -> anyhow::Result<Row> {
    let guest = |host, in_flight: Option<u32>| call(setup, host, "nop", move |count| (in_flight, count));
    let mut contenders = vec![
        Contender::new("native, a thread and channels", native::channels(in_flight.into())),
        Contender::new("tokio spawn_blocking", native::spawn_blocking(usize::try_from(in_flight)?)?),
    ];
    if in_flight == 1 {
        contenders.push(Contender::new(name::BLOCKING, guest(Host::Aiohost, None)?));
    }
    contenders.push(Contender::new(with(name::SUBMIT, in_flight), guest(Host::Aiohost, Some(in_flight))?));
    let alone = if in_flight == 1 { None } else { Some(in_flight) };
    contenders.push(Contender::new(with("aiohost::Host, own thread", in_flight), run(setup, "nop", alone)?));
    contenders.push(Contender::new(with("aiohost requests", in_flight), guest(Host::AiohostAsync, Some(in_flight))?));
    contenders.extend(coroutines(setup, Work::Nop, in_flight)?);
    Ok(Row {
        title: format!("a request that does nothing, {in_flight} in flight, for each request"),
        operations_per_step: 1,
        steps_max: u64::from(u32::MAX),
        before: Box::new(|| Ok(())),
        contenders,
    })
}

/// The same request with more and more in flight.
fn flat(setup: &Setup) -> anyhow::Result<Row> {
    const MOST: u32 = 100_000;
    let guest = |in_flight: u32| call(setup, Host::Aiohost, "nop", move |steps| (Some(in_flight), steps * u64::from(MOST)));
    let mut contenders = Vec::new();
    for in_flight in [10, 1_000, MOST] {
        contenders.push(Contender::new(with(name::SUBMIT, in_flight), guest(in_flight)?));
    }
    Ok(Row {
        title: "a request that does nothing, with more and more in flight, for each request".to_owned(),
        operations_per_step: MOST.into(),
        steps_max: u64::from(u32::MAX),
        before: Box::new(|| Ok(())),
        contenders,
    })
}

fn instantiation(setup: &Setup) -> anyhow::Result<Row> {
    let contender = |name: &str, host, allocation| -> anyhow::Result<Contender> {
        Ok(Contender::new(name, instantiate(setup, host, allocation)?))
    };
    Ok(Row {
        title: "a store, an instance of the guest in it, and the end of both".to_owned(),
        operations_per_step: 1,
        steps_max: u64::from(u32::MAX),
        before: Box::new(|| Ok(())),
        contenders: vec![
            contender("wasi, on demand", Host::WasiDefault, Allocation::OnDemand)?,
            contender("wasi, pooling", Host::WasiDefault, Allocation::Pooling)?,
            contender(name::ON_DEMAND, Host::Aiohost, Allocation::OnDemand)?,
            contender(name::POOLING, Host::Aiohost, Allocation::Pooling)?,
        ],
    })
}
