//! The same work by threads that call the system themselves.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use anyhow::{Context as _, anyhow};
use rustix::fs::{Advice, fadvise};

use super::jobs::Job;
use super::over::Over;
use super::scene::{BLOCK, DATA, FILES, Offsets, Scene, file};

/// Threads that share the work.
pub(super) struct Threads(Vec<Worker>);

#[derive(Clone)]
struct Worker {
    dir: PathBuf,
    files: Arc<[PathBuf]>,
    data: Arc<File>,
    offsets: Offsets,
    number: usize,
    over: Over,
}

impl Threads {
    pub(super) fn new(scene: &Scene, number: u32, over: &Over) -> anyhow::Result<Self> {
        let data = File::options().read(true).write(true).open(scene.path(DATA)).context("cannot open the data")?;
        fadvise(&data, 0, None, Advice::Random).context("cannot advise")?;
        let data = Arc::new(data);
        let files: Arc<[PathBuf]> = (0..FILES).map(|number| scene.path(&file(number))).collect();
        let worker = |(number, offsets)| {
            let (files, data) = (Arc::clone(&files), Arc::clone(&data));
            Worker { dir: scene.dir.clone(), files, data, offsets, number, over: over.clone() }
        };
        Ok(Self(Offsets::shared(number).into_iter().enumerate().map(worker).collect()))
    }

    /// Does it so often in all, and at least once on each thread.
    pub(super) fn run(&self, job: Job, count: u64) -> anyhow::Result<()> {
        if let [worker] = self.0.as_slice() {
            return worker.clone().run(job, count).context("the native loop failed");
        }
        let each = (count / u64::try_from(self.0.len())?).max(1);
        let start = |worker: &Worker| {
            let worker = worker.clone();
            thread::Builder::new().spawn(move || worker.run(job, each))
        };
        let started: Vec<_> = self.0.iter().map(start).collect();
        // All of them are waited for, whatever came of the others: they make files, which are about to be removed.
        let outcomes: Vec<anyhow::Result<()>> = started
            .into_iter()
            .map(|started| {
                let thread = started.context("cannot start a thread")?;
                let outcome = thread.join().map_err(|_| anyhow!("a thread of the native loop panicked"))?;
                outcome.context("the native loop failed")
            })
            .collect();
        outcomes.into_iter().collect()
    }
}

impl Worker {
    fn run(mut self, job: Job, count: u64) -> io::Result<()> {
        let mut bytes = [0; BLOCK];
        let mut places = self.places(count);
        let files = self.files.iter().cycle();
        let mut files = files.take(usize::try_from(count).unwrap_or(usize::MAX));
        // It takes a nanosecond to look.
        let over = &self.over;
        match job {
            Job::Read | Job::ReadFromDisk => {
                places.try_for_each(|place| over.check().and_then(|()| self.data.read_exact_at(&mut bytes, place)))
            }
            Job::Write => places.try_for_each(|place| over.check().and_then(|()| self.data.write_all_at(&bytes, place))),
            Job::Stat => files.try_for_each(|path| over.check().and_then(|()| fs::symlink_metadata(path).map(drop))),
            Job::OpenReadClose => {
                files.try_for_each(|path| over.check().and_then(|()| File::open(path)?.read_exact_at(&mut bytes, 0)))
            }
            Job::Store => {
                let (path, new) =
                    (self.dir.join(format!("native-{:04}", self.number)), self.dir.join(format!("new-{}", self.number)));
                let dir = File::open(&self.dir)?;
                (0..count).try_for_each(|_| {
                    over.check()?;
                    let file = File::create_new(&new)?;
                    file.write_all_at(&bytes, 0)?;
                    file.sync_all()?;
                    fs::rename(&new, &path)?;
                    dir.sync_all()
                })
            }
            Job::Make | Job::MakeDurably => {
                let path = self.dir.join(format!("native-{:04}", self.number));
                (0..count).try_for_each(|_| {
                    over.check()?;
                    let file = File::create_new(&path)?;
                    file.write_all_at(&bytes, 0)?;
                    if job == Job::MakeDurably {
                        file.sync_all()?;
                    }
                    drop(file);
                    fs::remove_file(&path)
                })
            }
        }
    }

    fn places(&mut self, count: u64) -> impl Iterator<Item = u64> + use<> {
        self.offsets.take(usize::try_from(count).unwrap_or(usize::MAX))
    }
}
