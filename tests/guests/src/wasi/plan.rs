//! A random plan of calls of `wasi:filesystem`, each with what it came to: the same seed is the same plan, in either version.

use crate::files::{Fd, preopens};
use crate::random::Random;
use crate::records::{How, Outcome, Status};

const PATHS: [&str; 35] = [
    "a",
    "b",
    "c",
    "d",
    "e",
    "d/a",
    "d/b",
    "d/e",
    "e/a",
    "e/d",
    "e/d/a",
    "l",
    "m",
    "d/l",
    "a",
    "b",
    "d",
    "e",
    ".",
    "..",
    "../a",
    "/a",
    "",
    "a/",
    "d/",
    "d/.",
    "d/..",
    "d/../a",
    "./b",
    "d//a",
    "l/a",
    "l/",
    "none/a",
    "a/b",
    "d/../../a",
];

/// Descriptors that are open at a time.
const OPEN_MAX: usize = 8;

/// In how many ways bytes are moved; which they are is each version's own.
const WAYS: u64 = 4;

struct Plan {
    random: Random,
    open: Vec<Fd>,
}

pub async fn run(seed: u64, steps: u64) {
    let root = preopens().swap_remove(0).0;
    let mut plan = Plan { random: Random(seed), open: vec![root] };
    for _ in 0..steps {
        let line = plan.step().await;
        println!("{line}");
    }
    println!("end of plan");
}

/// A call, and what it came to: 0, or the name of its error, and what it gave.
fn said<T>(call: String, outcome: &Outcome<T>, show: impl FnOnce(&T) -> String) -> String {
    match outcome {
        Ok(value) => format!("{call} = 0 {}", show(value)),
        Err(code) => format!("{call} = {code}"),
    }
}

fn nothing<T>(_: &T) -> String {
    String::new()
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)) >> 40
}

/// What can be told of a status: how large a directory is, and how many links it has, is the file system's own affair.
fn shown(status: &Status) -> String {
    let (size, links) = if status.kind == "directory" { (0, 0) } else { (status.size, status.links) };
    format!("{} {size} {links}", status.kind)
}

impl Plan {
    fn path(&mut self) -> &'static str {
        PATHS[self.random.below(PATHS.len() as u64) as usize]
    }

    fn at(&mut self) -> usize {
        self.random.below(self.open.len() as u64) as usize
    }

    /// The root more often than others.
    fn dir(&mut self) -> usize {
        if self.random.percent(60) { 0 } else { self.at() }
    }

    fn follow(&mut self) -> bool {
        self.random.percent(50)
    }

    fn way(&mut self) -> usize {
        self.random.below(WAYS) as usize
    }

    async fn step(&mut self) -> String {
        match self.random.below(26) {
            0..4 => self.open_at().await,
            4..6 => self.close(),
            6..9 => self.read().await,
            9..12 => self.write().await,
            12 => self.copy().await,
            13..15 => self.status().await,
            15 => self.size_and_times().await,
            16 => self.listing().await,
            17..20 => self.one_path().await,
            20..24 => self.two_paths().await,
            _ => self.other().await,
        }
    }

    async fn open_at(&mut self) -> String {
        let (dir, path) = (self.dir(), self.path());
        let how = How {
            follow: self.follow(),
            create: self.random.percent(50),
            exclusive: self.random.percent(15),
            truncate: self.random.percent(20),
            directory: self.random.percent(20),
            read: self.random.percent(70),
            write: self.random.percent(50),
            mutate: self.random.percent(30),
        };
        let opened = self.open[dir].open(path, how).await;
        let kind = match &opened {
            Ok(descriptor) => descriptor.kind().await.expect("it is open"),
            Err(_) => "",
        };
        let line = said(format!("open-at {dir} '{path}' {how}"), &opened, |_| kind.to_owned());
        if let Ok(descriptor) = opened {
            if self.open.len() == OPEN_MAX {
                self.open.pop();
            }
            self.open.push(descriptor);
        }
        line
    }

    fn close(&mut self) -> String {
        let at = self.at();
        if at > 0 {
            self.open.swap_remove(at);
        }
        format!("close {at} = 0")
    }

    async fn read(&mut self) -> String {
        let (at, offset, way) = (self.at(), self.random.below(9000), self.way());
        let (bytes, end) = self.open[at].read(offset, way).await;
        said(format!("read {at} {offset} {way}"), &end, |()| format!("{} {}", bytes.len(), sum(&bytes)))
    }

    async fn write(&mut self) -> String {
        let (at, offset, length, way) = (self.at(), self.random.below(9000), 1 + self.random.below(5000), self.way());
        let bytes: Vec<u8> = (0..length).map(|_| self.random.below(256) as u8).collect();
        let (call, offset) = if self.random.percent(30) {
            (format!("append {at} {length} {way}"), None)
        } else {
            (format!("write {at} {offset} {length} {way}"), Some(offset))
        };
        said(call, &self.open[at].write(offset, bytes, way).await, nothing)
    }

    /// What is copied to where it is read from may never end. A file that cannot be written is told of before there is anything to be
    /// written here, and then only there.
    async fn copy(&mut self) -> String {
        let (at, from, other, to, way) = (self.at(), self.random.below(9000), self.at(), self.random.below(9000), self.way());
        let call = format!("copy {at} {from} {other} {to} {way}");
        if self.open[at].is_same(&self.open[other]).await {
            return format!("{call} = 0 the same");
        }
        let copied = match self.open[other].write(Some(to), vec![1], way).await {
            Ok(()) => self.open[at].copy(from, &self.open[other], to, way).await,
            Err(code) => Err(code),
        };
        said(call, &copied, nothing)
    }

    async fn status(&mut self) -> String {
        if self.random.percent(50) {
            let at = self.at();
            return said(format!("stat {at}"), &self.open[at].stat().await, shown);
        }
        let (dir, path, follow) = (self.dir(), self.path(), self.follow());
        said(format!("stat-at {dir} {follow} '{path}'"), &self.open[dir].stat_at(path, follow).await, shown)
    }

    async fn size_and_times(&mut self) -> String {
        let at = self.at();
        if self.random.percent(30) {
            let size = self.random.below(9000);
            return said(format!("set-size {at} {size}"), &self.open[at].set_size(size).await, nothing);
        }
        let time = (self.random.below(1 << 30), 1000 * self.random.below(1_000_000) as u32);
        let show = |status: &Outcome<Status>| format!("{:?}", status.as_ref().ok().map(|status| status.modified));
        if self.random.percent(50) {
            let set = match self.open[at].set_time(time).await {
                Ok(()) => Ok(self.open[at].stat().await),
                Err(code) => Err(code),
            };
            return said(format!("set-times {at} {}", time.0), &set, show);
        }
        let (dir, path, follow) = (self.dir(), self.path(), self.follow());
        let set = match self.open[dir].set_time_at(path, follow, time).await {
            Ok(()) => Ok(self.open[dir].stat_at(path, follow).await),
            Err(code) => Err(code),
        };
        said(format!("set-times-at {dir} {follow} '{path}' {}", time.0), &set, show)
    }

    async fn listing(&mut self) -> String {
        let at = self.dir();
        let (entries, end) = self.open[at].list().await;
        let mut entries: Vec<String> = entries.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
        // Their order is the file system's own affair.
        entries.sort();
        said(format!("read-directory {at}"), &end, |()| entries.join(", "))
    }

    async fn one_path(&mut self) -> String {
        let (dir, path) = (self.dir(), self.path());
        let fd = &self.open[dir];
        let (name, outcome) = match self.random.below(4) {
            0 => ("create-directory-at", fd.mkdir(path).await),
            // wasmtime-wasi removes no directory with a slash after its name.
            1 if !path.ends_with('/') => ("remove-directory-at", fd.rmdir(path).await),
            2 => ("unlink-file-at", fd.unlink(path).await),
            _ => return said(format!("readlink-at {dir} '{path}'"), &fd.readlink(path).await, String::clone),
        };
        said(format!("{name} {dir} '{path}'"), &outcome, nothing)
    }

    async fn two_paths(&mut self) -> String {
        let (dir, path, other_dir, other) = (self.dir(), self.path(), self.dir(), self.path());
        let (fd, new) = (&self.open[dir], &self.open[other_dir]);
        let (name, outcome) = match self.random.below(3) {
            0 => ("rename-at", fd.rename(path, new, other).await),
            1 => ("link-at", fd.link(path, new, other).await),
            _ => ("symlink-at", fd.symlink(path, other).await),
        };
        said(format!("{name} {dir} '{path}' {other_dir} '{other}'"), &outcome, nothing)
    }

    async fn other(&mut self) -> String {
        let at = self.at();
        let fd = &self.open[at];
        match self.random.below(5) {
            0 => said(format!("sync {at}"), &fd.sync().await, nothing),
            1 => said(format!("sync-data {at}"), &fd.sync_data().await, nothing),
            2 => said(format!("advise {at}"), &fd.advise(0, 100).await, nothing),
            3 => {
                let other = self.at();
                let same = self.open[at].is_same(&self.open[other]).await;
                format!("is-same-object {at} {other} = 0 {same}")
            }
            _ => {
                let (dir, path) = (self.dir(), self.path());
                let (one, other) = (&self.open[at], &self.open[dir]);
                let same = match other.hash_at(path, true).await {
                    Ok(hash) => one.hash().await.map(|own| own == hash),
                    Err(code) => Err(code),
                };
                said(format!("metadata-hash-at {dir} '{path}' beside {at}"), &same, bool::to_string)
            }
        }
    }
}
