//! The same work without a guest: system calls in a loop, and other ways that a program of its own has.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags};

use crate::measure::{Batch, Run, timed};
use crate::setup::Setup;
use crate::tree::{COPY, FILE_BYTES, LARGE, NAMES, NEW, SCRATCH, SCRATCH_BYTES, TREE, doomed, durable_name, name, paths};
use crate::workload::{DATA, Offsets, digest};

fn add(sum: u64, piece: &[u8]) -> u64 {
    sum.wrapping_add(digest(piece))
}

/// `pread` in a loop, into one buffer.
fn read<I: Iterator<Item = u64> + 'static>(setup: &Setup, block: u32, offsets: fn(u32) -> I) -> anyhow::Result<Run> {
    let path = setup.data().join(DATA);
    let mut buffer = vec![0; usize::try_from(block)?];
    Ok(Box::new(move |steps| {
        timed(|| {
            let file = File::open(&path)?;
            let mut sum = 0;
            for offset in offsets(block).take(usize::try_from(steps)?) {
                let count = rustix::io::pread(&file, &mut buffer, offset)?;
                sum = add(sum, &buffer[..count]);
            }
            Ok(sum)
        })
    }))
}

/// All over the file.
pub(crate) fn read_random(setup: &Setup, block: u32) -> anyhow::Result<Run> {
    read(setup, block, Offsets::new)
}

/// From its beginning on.
pub(crate) fn read_sequential(setup: &Setup, block: u32) -> anyhow::Result<Run> {
    read(setup, block, |block| (0..).step_by(usize::try_from(block).expect("a block fits in memory")))
}

/// `pread` in a loop on each of many threads.
pub(crate) fn read_random_threads(setup: &Setup, block: u32, threads: u64) -> anyhow::Result<Run> {
    let path = setup.data().join(DATA);
    let length = usize::try_from(block)?;
    Ok(Box::new(move |steps| {
        let offsets: Vec<u64> = Offsets::new(block).take(usize::try_from(steps)?).collect();
        let next = AtomicUsize::new(0);
        timed(|| {
            let file = File::open(&path)?;
            let read = || {
                let mut buffer = vec![0; length];
                let mut sum = 0;
                while let Some(offset) = offsets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let count = rustix::io::pread(&file, &mut buffer, *offset)?;
                    sum = add(sum, &buffer[..count]);
                }
                anyhow::Ok(sum)
            };
            on_threads(threads, read)
        })
    }))
}

/// The paths of the tree as system calls take them, and the directory that they start from.
fn tree(setup: &Setup) -> anyhow::Result<(OwnedFd, Vec<CString>)> {
    let dir = rustix::fs::openat(CWD, setup.data(), OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    Ok((dir, paths().into_iter().map(CString::new).collect::<Result<_, _>>()?))
}

/// `statx` in a loop.
pub(crate) fn stat_all(setup: &Setup) -> anyhow::Result<Run> {
    let (dir, paths) = tree(setup)?;
    Ok(Box::new(move |steps| {
        timed(|| {
            let mut sum = 0;
            for _ in 0..steps {
                for path in &paths {
                    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
                    sum += rustix::fs::statx(&dir, path, AtFlags::empty(), wanted)?.stx_size;
                }
            }
            Ok(sum)
        })
    }))
}

/// `statx` of single names in a loop.
pub(crate) fn stat_names(setup: &Setup) -> anyhow::Result<Run> {
    let (dir, _) = tree(setup)?;
    let names = (0..NAMES).map(|number| CString::new(name(number))).collect::<Result<Vec<_>, _>>()?;
    Ok(Box::new(move |steps| {
        timed(|| {
            let mut sum = 0;
            for _ in 0..steps {
                for name in &names {
                    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
                    sum += rustix::fs::statx(&dir, name, AtFlags::empty(), wanted)?.stx_size;
                }
            }
            Ok(sum)
        })
    }))
}

/// `pwrite` in a loop.
pub(crate) fn write_random(setup: &Setup, block: u32) -> anyhow::Result<Run> {
    let path = setup.data().join(SCRATCH);
    let data = vec![1; usize::try_from(block)?];
    Ok(Box::new(move |steps| {
        timed(|| {
            let file = File::options().write(true).open(&path)?;
            let mut sum = 0;
            for offset in Offsets::within(SCRATCH_BYTES, block).take(usize::try_from(steps)?) {
                sum += u64::try_from(rustix::io::pwrite(&file, &data, offset)?)?;
            }
            Ok(sum)
        })
    }))
}

/// `openat`, `pwrite`, `close` and `unlinkat` in a loop.
pub(crate) fn make(setup: &Setup) -> anyhow::Result<Run> {
    let (dir, _) = tree(setup)?;
    let data = vec![1; usize::try_from(FILE_BYTES)?];
    Ok(Box::new(move |steps| {
        timed(|| {
            let mut sum = 0;
            for _ in 0..steps {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let file = rustix::fs::openat(&dir, NEW, flags, Mode::from_raw_mode(0o666))?;
                sum += u64::try_from(rustix::io::pwrite(&file, &data, 0)?)?;
                drop(file);
                rustix::fs::unlinkat(&dir, NEW, AtFlags::empty())?;
            }
            Ok(sum)
        })
    }))
}

/// `openat`, `pwrite`, `fsync` and `close` in a loop on each of many threads.
pub(crate) fn durable(setup: &Setup, threads: u64) -> anyhow::Result<Run> {
    let (dir, _) = tree(setup)?;
    let data = vec![1; usize::try_from(FILE_BYTES)?];
    Ok(Box::new(move |steps| {
        let next = AtomicU64::new(0);
        timed(|| {
            let make = || {
                let mut sum = 0;
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= steps {
                        return anyhow::Ok(sum);
                    }
                    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                    let file = rustix::fs::openat(&dir, durable_name(number), flags, Mode::from_raw_mode(0o666))?;
                    sum += u64::try_from(rustix::io::pwrite(&file, &data, 0)?)?;
                    rustix::fs::fsync(&file)?;
                }
            };
            on_threads(threads, make)
        })
    }))
}

/// The sum of what each of many threads comes to.
fn on_threads(threads: u64, run: impl Fn() -> anyhow::Result<u64> + Sync) -> anyhow::Result<u64> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(&run)).collect();
        let sums = threads.into_iter().map(|thread| thread.join().expect("no thread panics"));
        sums.into_iter().try_fold(0u64, |sum, part| Ok(sum.wrapping_add(part?)))
    })
}

/// `openat`, `pread` and `close` in a loop.
pub(crate) fn open_read_close_all(setup: &Setup) -> anyhow::Result<Run> {
    let (dir, paths) = tree(setup)?;
    let mut buffer = vec![0; usize::try_from(FILE_BYTES)?];
    Ok(Box::new(move |steps| {
        timed(|| {
            let mut sum = 0;
            for _ in 0..steps {
                for path in &paths {
                    let file = rustix::fs::openat(&dir, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
                    let count = rustix::io::pread(&file, &mut buffer, 0)?;
                    sum = add(sum, &buffer[..count]);
                }
            }
            Ok(sum)
        })
    }))
}

/// What a walk asks of each entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Its name and its kind, as the directory has them.
    Name,
    /// Its status as well.
    Status,
}

/// `std::fs::read_dir`, down the tree.
pub(crate) fn walk(setup: &Setup, ask: Ask) -> Run {
    let root = setup.data().join(TREE);
    Box::new(move |steps| {
        timed(|| {
            let mut sum = 0;
            for _ in 0..steps {
                let mut todo = vec![root.clone()];
                while let Some(directory) = todo.pop() {
                    for entry in fs::read_dir(&directory)? {
                        let entry = entry?;
                        let kind = if ask == Ask::Status { entry.metadata()?.file_type() } else { entry.file_type()? };
                        if kind.is_dir() {
                            todo.push(entry.path());
                        } else {
                            sum += u64::try_from(entry.file_name().len())?;
                        }
                    }
                }
            }
            Ok(sum)
        })
    })
}

/// A program that does a step of its own. It is timed from its start to its end, and what it writes goes nowhere.
fn program(command: impl Fn(u64) -> Command + 'static) -> Run {
    Box::new(move |steps| {
        let start = Instant::now();
        for step in 0..steps {
            let mut command = command(step);
            let status = command.stdout(Stdio::null()).status()?;
            anyhow::ensure!(status.success(), "{} failed", command.get_program().display());
        }
        Ok(Batch { time: start.elapsed(), busy: None, sum: None })
    })
}

/// The program `find`, which writes the names to nowhere.
pub(crate) fn find(setup: &Setup) -> Run {
    let root: PathBuf = setup.data().join(TREE);
    program(move |_| {
        let mut command = Command::new("find");
        command.arg(&root).args(["-type", "f"]);
        command
    })
}

/// The programs `cp` and `sync`: a copy of aiohost is on the device when it is done.
pub(crate) fn cp(setup: &Setup) -> Run {
    let data = setup.data();
    program(move |_| {
        let mut command = Command::new("sh");
        command.args(["-c", "cp -p \"$1\" \"$2\" && sync \"$2\"", "sh"]).arg(data.join(LARGE)).arg(data.join(COPY));
        command
    })
}

/// The program `rm`.
pub(crate) fn rm(setup: &Setup) -> Run {
    let data = setup.data();
    program(move |step| {
        let mut command = Command::new("rm");
        command.arg("-rf").arg(data.join(doomed(step)));
        command
    })
}

/// Two channels and a thread that sends back what it gets.
pub(crate) fn channels(in_flight: u64) -> Run {
    let (to_worker, requests) = mpsc::channel();
    let (to_us, results) = mpsc::channel();
    // It ends when our end of its channel is dropped.
    thread::spawn(move || requests.into_iter().try_for_each(|request| to_us.send(request)));
    Box::new(move |steps| {
        timed(|| {
            for request in 0..steps {
                to_worker.send(request)?;
                if request >= in_flight - 1 {
                    results.recv()?;
                }
            }
            for _ in 0..steps.min(in_flight - 1) {
                results.recv()?;
            }
            Ok(steps)
        })
    })
}

/// `tokio::task::spawn_blocking`, by which `wasmtime-wasi` makes its calls unless it is told otherwise.
pub(crate) fn spawn_blocking(in_flight: usize) -> anyhow::Result<Run> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    Ok(Box::new(move |steps| {
        timed(|| {
            runtime.block_on(async {
                let mut pending = FuturesUnordered::new();
                for _ in 0..steps {
                    if pending.len() == in_flight {
                        pending.next().await.transpose()?;
                    }
                    pending.push(tokio::task::spawn_blocking(|| ()));
                }
                while pending.next().await.transpose()?.is_some() {}
                Ok(steps)
            })
        })
    }))
}
