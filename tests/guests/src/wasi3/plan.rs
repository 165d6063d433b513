//! A random plan of calls of `wasi:filesystem` 0.3, each with what it came to: the same seed is the same plan.

use futures::future::join;
use wasip3::filesystem::types::{
    Advice, Descriptor, DescriptorFlags, DescriptorType, ErrorCode, Instant, NewTimestamp, OpenFlags, PathFlags,
};
use wasip3::wit_stream;

use crate::random::Random;

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

type Outcome<T> = Result<T, ErrorCode>;

struct Plan {
    random: Random,
    open: Vec<Descriptor>,
}

pub async fn run(seed: u64, steps: u64) {
    let mut plan = Plan { random: Random(seed), open: vec![crate::root()] };
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
        Err(error) => format!("{call} = {}", code(error)),
    }
}

pub fn code(error: &ErrorCode) -> String {
    let shown = format!("{error:?}");
    shown.split_once("::").map_or(shown.as_str(), |(_, name)| name).to_owned()
}

fn nothing<T>(_: &T) -> String {
    String::new()
}

pub fn kind(kind: &DescriptorType) -> &'static str {
    match kind {
        DescriptorType::Directory => "directory",
        DescriptorType::RegularFile => "file",
        DescriptorType::SymbolicLink => "link",
        DescriptorType::Fifo => "fifo",
        _ => "other",
    }
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)) >> 40
}

impl Plan {
    fn path(&mut self) -> String {
        PATHS[self.random.below(PATHS.len() as u64) as usize].to_owned()
    }

    fn at(&mut self) -> usize {
        self.random.below(self.open.len() as u64) as usize
    }

    /// The root more often than others.
    fn dir(&mut self) -> usize {
        if self.random.percent(60) { 0 } else { self.at() }
    }

    fn follow(&mut self) -> PathFlags {
        if self.random.percent(50) { PathFlags::SYMLINK_FOLLOW } else { PathFlags::empty() }
    }

    async fn step(&mut self) -> String {
        match self.random.below(25) {
            0..4 => self.open_at().await,
            4..6 => self.close(),
            6..9 => self.read().await,
            9..12 => self.write().await,
            12..14 => self.status().await,
            14 => self.size_and_times().await,
            15 => self.listing().await,
            16..19 => self.one_path().await,
            19..23 => self.two_paths().await,
            _ => self.other().await,
        }
    }

    async fn open_at(&mut self) -> String {
        let (dir, path, follow) = (self.dir(), self.path(), self.follow());
        let mut open = OpenFlags::empty();
        for (flag, percent) in
            [(OpenFlags::CREATE, 50), (OpenFlags::EXCLUSIVE, 15), (OpenFlags::TRUNCATE, 20), (OpenFlags::DIRECTORY, 20)]
        {
            if self.random.percent(percent) {
                open |= flag;
            }
        }
        let mut flags = DescriptorFlags::empty();
        for (flag, percent) in
            [(DescriptorFlags::READ, 70), (DescriptorFlags::WRITE, 50), (DescriptorFlags::MUTATE_DIRECTORY, 30)]
        {
            if self.random.percent(percent) {
                flags |= flag;
            }
        }
        let call = format!("open-at {dir} {follow:?} '{path}' {open:?} {flags:?}");
        let opened = self.open[dir].open_at(follow, path, open, flags).await;
        let kind_of = match &opened {
            Ok(descriptor) => kind(&descriptor.get_type().await.expect("it is open")),
            Err(_) => "",
        };
        let line = said(call, &opened, |_| kind_of.to_owned());
        if let Ok(descriptor) = opened {
            if self.open.len() == OPEN_MAX {
                let last = OPEN_MAX - 1;
                self.open[last] = descriptor;
            } else {
                self.open.push(descriptor);
            }
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
        let (at, offset) = (self.at(), self.random.below(9000));
        let (stream, end) = self.open[at].read_via_stream(offset);
        let bytes = stream.collect().await;
        said(format!("read-via-stream {at} {offset}"), &end.await, |()| format!("{} {}", bytes.len(), sum(&bytes)))
    }

    async fn write(&mut self) -> String {
        let (at, offset, length) = (self.at(), self.random.below(9000), self.random.below(5000));
        let bytes: Vec<u8> = (0..length).map(|number| (number * 7 + offset) as u8).collect();
        let appends = self.random.percent(30);
        let (mut writer, reader) = wit_stream::new();
        let (call, end) = if appends {
            (format!("append-via-stream {at} {length}"), self.open[at].append_via_stream(reader))
        } else {
            (format!("write-via-stream {at} {offset} {length}"), self.open[at].write_via_stream(reader, offset))
        };
        let source = async move {
            // What is left is left because of an error, which the end of the stream tells.
            let _ = writer.write_all(bytes).await;
        };
        let (end, ()) = join(async { end.await }, source).await;
        said(call, &end, nothing)
    }

    async fn status(&mut self) -> String {
        let show = |status: &wasip3::filesystem::types::DescriptorStat| {
            let size = if matches!(status.type_, DescriptorType::Directory) { 0 } else { status.size };
            let links = if matches!(status.type_, DescriptorType::Directory) { 0 } else { status.link_count };
            format!("{} {size} {links}", kind(&status.type_))
        };
        if self.random.percent(50) {
            let at = self.at();
            return said(format!("stat {at}"), &self.open[at].stat().await, show);
        }
        let (dir, path, follow) = (self.dir(), self.path(), self.follow());
        said(format!("stat-at {dir} {follow:?} '{path}'"), &self.open[dir].stat_at(follow, path).await, show)
    }

    async fn size_and_times(&mut self) -> String {
        let at = self.at();
        if self.random.percent(30) {
            let size = self.random.below(9000);
            return said(format!("set-size {at} {size}"), &self.open[at].set_size(size).await, nothing);
        }
        let time =
            Instant { seconds: self.random.below(1 << 30) as i64, nanoseconds: 1000 * self.random.below(1_000_000) as u32 };
        let (accessed, modified) = (NewTimestamp::NoChange, NewTimestamp::Timestamp(time));
        let seconds = |outcome: &Outcome<Outcome<wasip3::filesystem::types::DescriptorStat>>| match outcome {
            Ok(Ok(status)) => format!("{:?}", status.data_modification_timestamp.map(|time| (time.seconds, time.nanoseconds))),
            _ => String::new(),
        };
        if self.random.percent(50) {
            let set = match self.open[at].set_times(accessed, modified).await {
                Ok(()) => Ok(self.open[at].stat().await),
                Err(error) => Err(error),
            };
            return said(format!("set-times {at} {}", time.seconds), &set, |status| seconds(&Ok(status.clone())));
        }
        let (dir, path, follow) = (self.dir(), self.path(), self.follow());
        let call = format!("set-times-at {dir} {follow:?} '{path}' {}", time.seconds);
        let set = match self.open[dir].set_times_at(follow, path.clone(), accessed, modified).await {
            Ok(()) => Ok(self.open[dir].stat_at(follow, path).await),
            Err(error) => Err(error),
        };
        said(call, &set, |status| seconds(&Ok(status.clone())))
    }

    async fn listing(&mut self) -> String {
        let at = self.dir();
        let (stream, end) = self.open[at].read_directory();
        let mut entries: Vec<String> =
            stream.collect().await.iter().map(|entry| format!("{} {}", entry.name, kind(&entry.type_))).collect();
        // Their order is the file system's own affair.
        entries.sort();
        said(format!("read-directory {at}"), &end.await, |()| entries.join(", "))
    }

    async fn one_path(&mut self) -> String {
        let (dir, path) = (self.dir(), self.path());
        let fd = &self.open[dir];
        let (name, outcome) = match self.random.below(4) {
            0 => ("create-directory-at", fd.create_directory_at(path.clone()).await),
            // wasmtime-wasi removes no directory with a slash after its name.
            1 if !path.ends_with('/') => ("remove-directory-at", fd.remove_directory_at(path.clone()).await),
            2 => ("unlink-file-at", fd.unlink_file_at(path.clone()).await),
            _ => {
                let target = fd.readlink_at(path.clone()).await;
                return said(format!("readlink-at {dir} '{path}'"), &target, String::clone);
            }
        };
        said(format!("{name} {dir} '{path}'"), &outcome, nothing)
    }

    async fn two_paths(&mut self) -> String {
        let (dir, path, other_dir, other) = (self.dir(), self.path(), self.dir(), self.path());
        let (fd, new) = (&self.open[dir], &self.open[other_dir]);
        let (name, outcome) = match self.random.below(3) {
            0 => ("rename-at", fd.rename_at(path.clone(), new, other.clone()).await),
            1 => ("link-at", fd.link_at(PathFlags::empty(), path.clone(), new, other.clone()).await),
            _ => ("symlink-at", fd.symlink_at(path.clone(), other.clone()).await),
        };
        said(format!("{name} {dir} '{path}' {other_dir} '{other}'"), &outcome, nothing)
    }

    async fn other(&mut self) -> String {
        let at = self.at();
        let fd = &self.open[at];
        match self.random.below(5) {
            0 => said(format!("sync {at}"), &fd.sync().await, nothing),
            1 => said(format!("sync-data {at}"), &fd.sync_data().await, nothing),
            2 => said(format!("advise {at}"), &fd.advise(0, 100, Advice::Sequential).await, nothing),
            3 => {
                let other = self.at();
                let same = self.open[at].is_same_object(&self.open[other]).await;
                format!("is-same-object {at} {other} = 0 {same}")
            }
            _ => {
                let (dir, path) = (self.dir(), self.path());
                let (one, other) = (&self.open[at], &self.open[dir]);
                let hash = match other.metadata_hash_at(PathFlags::SYMLINK_FOLLOW, path.clone()).await {
                    Ok(hash) => one.metadata_hash().await.map(|own| (own.lower, own.upper) == (hash.lower, hash.upper)),
                    Err(error) => Err(error),
                };
                said(format!("metadata-hash-at {dir} '{path}' beside {at}"), &hash, bool::to_string)
            }
        }
    }
}
