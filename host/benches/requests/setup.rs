//! What the rows work on: the guests, and the data in `bench-data/` of the target directory, which is made once.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use rustix::fs::Advice;
use rustix::io::{Errno, ReadWriteFlags};

use crate::hosts::Hosts;
use crate::tree::{
    COPY, DIRECTORIES, FILE_BYTES, FILES, LARGE, LARGE_BYTES, NAMES, NEW, SCRATCH, SCRATCH_BYTES, TREE, directory, doomed,
    durable_name, name, paths,
};
use crate::workload::{DATA, DATA_BYTES, Offsets};

/// The guests and the data.
pub(crate) struct Setup {
    target: PathBuf,
    pub(crate) hosts: Hosts,
}

/// A guest that the benchmarks have.
#[derive(Clone, Copy)]
pub(crate) enum Program {
    /// Knows `std::fs` only.
    Wasi,
    /// Has the faces `blocking` and `submit`.
    Plain,
    /// Has the face `requests`.
    Async,
    /// Knows the streams of WASI 0.3 only.
    Streams,
}

impl Setup {
    pub(crate) fn new() -> anyhow::Result<Self> {
        // Cargo gives benchmarks a directory `tmp` in the target directory.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().context("the directory has a parent")?.to_owned();
        let setup = Self { target, hosts: Hosts::default() };
        if setup.guests_are_old()? {
            setup.build_guests()?;
        }
        if !setup.data().join("complete").exists() {
            setup.make_data().context("cannot make the data")?;
        }
        Ok(setup)
    }

    /// The directory that guests are given.
    pub(crate) fn data(&self) -> PathBuf {
        self.target.join("bench-data")
    }

    pub(crate) fn program(&self, program: Program) -> PathBuf {
        self.target.join("guests").join(match program {
            Program::Wasi => "bench-wasi.wasm",
            Program::Plain => "bench-plain.wasm",
            Program::Async => "bench-async.wasm",
            Program::Streams => "bench-wasi3.wasm",
        })
    }

    fn guests_are_old(&self) -> anyhow::Result<bool> {
        let modified = |path: &Path| Ok::<_, anyhow::Error>(fs::metadata(path)?.modified()?);
        let programs = [Program::Wasi, Program::Plain, Program::Async, Program::Streams];
        let built: Result<Vec<SystemTime>, _> = programs.map(|program| modified(&self.program(program))).into_iter().collect();
        let Ok(built) = built else { return Ok(true) };
        let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut todo = vec![crate_dir.join("benches/guest"), crate_dir.join("../wit")];
        while let Some(path) = todo.pop() {
            if path.is_dir() {
                todo.extend(fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?);
            } else if built.iter().any(|built| modified(&path).is_ok_and(|modified| modified > *built)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn build_guests(&self) -> anyhow::Result<()> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/guest/build.sh");
        println!("building the guests with {}", script.display());
        let mut build = Command::new(&script);
        let status = build.env("CARGO_TARGET_DIR", &self.target).status();
        let status = status.with_context(|| format!("cannot run {}", script.display()))?;
        anyhow::ensure!(status.success(), "the guests could not be built: see the messages of {}", script.display());
        Ok(())
    }

    fn make_data(&self) -> anyhow::Result<()> {
        let data = self.data();
        println!("making the data in {}", data.display());
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        fs::create_dir_all(data.join(TREE))?;
        let mut words = 0u64..;
        let mut fill = |path: &Path, bytes: u64| -> anyhow::Result<()> {
            let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
            for word in words.by_ref().take(usize::try_from(bytes / 8)?) {
                // Scattered by a multiplication, so that no two words are the same and sums of them tell which they were.
                file.write_all(&word.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())?;
            }
            file.flush()?;
            Ok(())
        };
        fill(&data.join(DATA), DATA_BYTES)?;
        // What is dirty cannot be dropped from the page cache.
        File::open(data.join(DATA))?.sync_all()?;
        for number in 0..DIRECTORIES {
            fs::create_dir(data.join(directory(number)))?;
        }
        for path in paths() {
            fill(&data.join(path), FILE_BYTES.into())?;
        }
        fs::write(data.join("complete"), "")?;
        Ok(())
    }

    /// What removes the copy of the large file, which is made here.
    pub(crate) fn remove_copy(&self) -> anyhow::Result<Box<dyn Fn() -> anyhow::Result<()>>> {
        let (large, copy) = (self.data().join(LARGE), self.data().join(COPY));
        if fs::metadata(&large).map_or(0, |status| status.len()) != LARGE_BYTES {
            let mut file = File::create(&large)?;
            let piece: Vec<u8> = (0..=250).cycle().take(1 << 20).collect();
            for _ in 0..LARGE_BYTES >> 20 {
                file.write_all(&piece)?;
            }
            file.sync_all()?;
        }
        Ok(Box::new(move || match fs::remove_file(&copy) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            // What the one before has written is not to be the burden of the next.
            _ => Ok(rustix::fs::syncfs(File::open(&large)?)?),
        }))
    }

    /// Makes the files beside the tree that single names lead to, and the one that is written to.
    pub(crate) fn make_small_files(&self) -> anyhow::Result<()> {
        for number in 0..NAMES {
            fs::write(self.data().join(name(number)), [1; 10])?;
        }
        let scratch = File::create(self.data().join(SCRATCH))?;
        rustix::fs::fallocate(&scratch, rustix::fs::FallocateFlags::empty(), 0, SCRATCH_BYTES)?;
        match fs::remove_file(self.data().join(NEW)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(scratch.sync_all()?),
        }
    }

    /// What removes the files that were made to stay.
    pub(crate) fn remove_durable(&self) -> Box<dyn Fn() -> anyhow::Result<()>> {
        let data = self.data();
        Box::new(move || {
            for number in 0.. {
                match fs::remove_file(data.join(durable_name(number))) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(rustix::fs::syncfs(File::open(&data)?)?)
        })
    }

    /// What makes a tree that is there to be removed.
    pub(crate) fn doom_tree(&self) -> Box<dyn Fn() -> anyhow::Result<()>> {
        let data = self.data();
        Box::new(move || {
            let root = data.join(doomed(0));
            if root.exists() {
                fs::remove_dir_all(&root)?;
            }
            fs::create_dir(&root)?;
            for number in 0..DIRECTORIES {
                let directory = root.join(number.to_string());
                fs::create_dir(&directory)?;
                for file in 0..FILES {
                    File::create(directory.join(file.to_string()))?;
                }
            }
            Ok(rustix::fs::syncfs(File::open(&data)?)?)
        })
    }

    /// What brings the file of the random reads into the page cache, where some systems do not leave it for long.
    pub(crate) fn remember_data(&self) -> Box<dyn Fn() -> anyhow::Result<()>> {
        let path = self.data().join(DATA);
        Box::new(move || {
            let mut file = File::open(&path)?;
            // Without this the kernel marks pages, to read ahead when they are read, and a read of one of them may wait.
            rustix::fs::fadvise(&file, 0, None, Advice::Random)?;
            let mut buffer = vec![0; 1 << 20];
            while file.read(&mut buffer)? > 0 {}
            Ok(())
        })
    }

    /// What puts the file of the random reads out of the page cache.
    pub(crate) fn forget_data(&self) -> Box<dyn Fn() -> anyhow::Result<()>> {
        let path = self.data().join(DATA);
        Box::new(move || {
            let file = File::open(&path)?;
            for _ in 0..FORGET_TRIES {
                rustix::fs::fadvise(&file, 0, None, Advice::DontNeed)?;
                // Asking brings a block there, so these are some that few batches come to.
                let mut probes = Offsets::new(4096).skip(60_000).take(8);
                if !probes.try_fold(false, |cached, offset| Ok::<_, anyhow::Error>(cached | is_cached(&file, offset)?))? {
                    return Ok(());
                }
                // Nothing tells when the kernel lets a page go; it is asked again a bounded number of times.
                thread::sleep(Duration::from_millis(10));
            }
            anyhow::bail!("the kernel keeps {} in the page cache", path.display())
        })
    }
}

/// How often the kernel is asked to forget. It keeps pages that something else looks at just then.
const FORGET_TRIES: usize = 100;

/// Whether a block is in the page cache.
fn is_cached(file: impl AsFd, offset: u64) -> anyhow::Result<bool> {
    let mut byte = [0];
    let mut buffers = [io::IoSliceMut::new(&mut byte)];
    match rustix::io::preadv2(file, &mut buffers, offset, ReadWriteFlags::NOWAIT) {
        Ok(_) => Ok(true),
        Err(Errno::AGAIN) => Ok(false),
        Err(errno) => Err(errno).context("the file system keeps everything in memory"),
    }
}
