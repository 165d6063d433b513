//! Files by WASI 0.3.

use futures::future::join;
use wasip3::filesystem::preopens::get_directories;
use wasip3::filesystem::types::{
    Advice, Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, Instant, NewTimestamp, OpenFlags, PathFlags,
};
use wasip3::wit_stream;
use wit_bindgen::rt::async_support::StreamResult;

use crate::records::{How, Outcome, Status, kebab};

/// An open file or directory.
pub struct Fd(Descriptor);

/// The directories that were granted, and their names.
pub fn preopens() -> Vec<(Fd, String)> {
    get_directories().into_iter().map(|(descriptor, name)| (Fd(descriptor), name)).collect()
}

/// The name of a code, as it is in Rust.
pub fn code(error: &ErrorCode) -> String {
    let shown = format!("{error:?}");
    shown.split_once("::").map_or(shown.as_str(), |(_, name)| name).to_owned()
}

fn told<T>(result: Result<T, ErrorCode>) -> Outcome<T> {
    result.map_err(|error| kebab(&code(&error)))
}

fn kind(kind: &DescriptorType) -> &'static str {
    match kind {
        DescriptorType::Directory => "directory",
        DescriptorType::RegularFile => "file",
        DescriptorType::SymbolicLink => "link",
        DescriptorType::Fifo => "fifo",
        _ => "other",
    }
}

fn status(status: &DescriptorStat) -> Status {
    let time = |time: Option<Instant>| time.map(|time| (time.seconds, time.nanoseconds));
    let (modified, changed) = (time(status.data_modification_timestamp), time(status.status_change_timestamp));
    Status { kind: kind(&status.type_), size: status.size, links: status.link_count, modified, changed }
}

fn follows(follow: bool) -> PathFlags {
    if follow { PathFlags::SYMLINK_FOLLOW } else { PathFlags::empty() }
}

fn modified((seconds, nanoseconds): (u64, u32)) -> NewTimestamp {
    NewTimestamp::Timestamp(Instant { seconds: seconds.cast_signed(), nanoseconds })
}

impl Fd {
    pub async fn open(&self, path: &str, how: How) -> Outcome<Self> {
        let mut open = OpenFlags::empty();
        open.set(OpenFlags::CREATE, how.create);
        open.set(OpenFlags::EXCLUSIVE, how.exclusive);
        open.set(OpenFlags::TRUNCATE, how.truncate);
        open.set(OpenFlags::DIRECTORY, how.directory);
        let mut flags = DescriptorFlags::empty();
        flags.set(DescriptorFlags::READ, how.read);
        flags.set(DescriptorFlags::WRITE, how.write);
        flags.set(DescriptorFlags::MUTATE_DIRECTORY, how.mutate);
        told(self.0.open_at(follows(how.follow), path.to_owned(), open, flags).await).map(Self)
    }

    pub async fn kind(&self) -> Outcome<&'static str> {
        told(self.0.get_type().await).map(|found| kind(&found))
    }

    /// Everything from an offset on, and how the stream ended. One way takes it as it comes, the others in pieces.
    pub async fn read(&self, offset: u64, way: usize) -> (Vec<u8>, Outcome<()>) {
        let (mut stream, end) = self.0.read_via_stream(offset);
        if way == 0 {
            let bytes = stream.collect().await;
            return (bytes, told(end.await));
        }
        let mut found = Vec::new();
        loop {
            let (result, bytes) = stream.read(Vec::with_capacity(777 * way)).await;
            found.extend(bytes);
            if matches!(result, StreamResult::Dropped) {
                return (found, told(end.await));
            }
        }
    }

    /// Writes at an offset, or at the end, in pieces of a length that differs from way to way.
    pub async fn write(&self, offset: Option<u64>, bytes: Vec<u8>, way: usize) -> Outcome<()> {
        let (mut writer, reader) = wit_stream::new();
        let end = match offset {
            Some(offset) => self.0.write_via_stream(reader, offset),
            None => self.0.append_via_stream(reader),
        };
        let length = if way == 0 { bytes.len().max(1) } else { 777 * way };
        let source = async move {
            for piece in bytes.chunks(length) {
                // What is left is left because of an error, which the end of the stream tells.
                if !writer.write_all(piece.to_vec()).await.is_empty() {
                    break;
                }
            }
        };
        told(join(async { end.await }, source).await.0)
    }

    /// Everything from an offset on to an offset of another file: the stream of the one is that of the other.
    pub async fn copy(&self, from: u64, other: &Self, to: u64, _way: usize) -> Outcome<()> {
        let (stream, read_end) = self.0.read_via_stream(from);
        let end = other.0.write_via_stream(stream, to);
        let (read, written) = join(async { read_end.await }, async { end.await }).await;
        told(read).and(told(written))
    }

    pub async fn list(&self) -> (Vec<(String, &'static str)>, Outcome<()>) {
        let (stream, end) = self.0.read_directory();
        let entries = stream.collect().await.into_iter().map(|entry| (entry.name, kind(&entry.type_))).collect();
        (entries, told(end.await))
    }

    pub async fn stat(&self) -> Outcome<Status> {
        told(self.0.stat().await).map(|found| status(&found))
    }

    pub async fn stat_at(&self, path: &str, follow: bool) -> Outcome<Status> {
        told(self.0.stat_at(follows(follow), path.to_owned()).await).map(|found| status(&found))
    }

    pub async fn set_size(&self, size: u64) -> Outcome<()> {
        told(self.0.set_size(size).await)
    }

    /// Sets the time at which it was modified.
    pub async fn set_time(&self, time: (u64, u32)) -> Outcome<()> {
        told(self.0.set_times(NewTimestamp::NoChange, modified(time)).await)
    }

    pub async fn set_time_at(&self, path: &str, follow: bool, time: (u64, u32)) -> Outcome<()> {
        told(self.0.set_times_at(follows(follow), path.to_owned(), NewTimestamp::NoChange, modified(time)).await)
    }

    pub async fn mkdir(&self, path: &str) -> Outcome<()> {
        told(self.0.create_directory_at(path.to_owned()).await)
    }

    pub async fn rmdir(&self, path: &str) -> Outcome<()> {
        told(self.0.remove_directory_at(path.to_owned()).await)
    }

    pub async fn unlink(&self, path: &str) -> Outcome<()> {
        told(self.0.unlink_file_at(path.to_owned()).await)
    }

    pub async fn readlink(&self, path: &str) -> Outcome<String> {
        told(self.0.readlink_at(path.to_owned()).await)
    }

    pub async fn rename(&self, path: &str, other: &Self, new_path: &str) -> Outcome<()> {
        told(self.0.rename_at(path.to_owned(), &other.0, new_path.to_owned()).await)
    }

    pub async fn link(&self, path: &str, other: &Self, new_path: &str) -> Outcome<()> {
        told(self.0.link_at(PathFlags::empty(), path.to_owned(), &other.0, new_path.to_owned()).await)
    }

    pub async fn symlink(&self, target: &str, path: &str) -> Outcome<()> {
        told(self.0.symlink_at(target.to_owned(), path.to_owned()).await)
    }

    pub async fn sync(&self) -> Outcome<()> {
        told(self.0.sync().await)
    }

    pub async fn sync_data(&self) -> Outcome<()> {
        told(self.0.sync_data().await)
    }

    pub async fn advise(&self, offset: u64, length: u64) -> Outcome<()> {
        told(self.0.advise(offset, length, Advice::Sequential).await)
    }

    pub async fn is_same(&self, other: &Self) -> bool {
        self.0.is_same_object(&other.0).await
    }

    pub async fn hash(&self) -> Outcome<(u64, u64)> {
        told(self.0.metadata_hash().await).map(|hash| (hash.lower, hash.upper))
    }

    pub async fn hash_at(&self, path: &str, follow: bool) -> Outcome<(u64, u64)> {
        told(self.0.metadata_hash_at(follows(follow), path.to_owned()).await).map(|hash| (hash.lower, hash.upper))
    }
}
