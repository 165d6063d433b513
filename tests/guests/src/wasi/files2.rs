//! Files by WASI 0.2. No call is ever pending: the host waits inside of it.

use wasip2::clocks::wall_clock::Datetime;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{
    Advice, Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, NewTimestamp, OpenFlags, PathFlags,
    filesystem_error_code,
};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use crate::records::{How, Outcome, Status};

/// Bytes that are asked for at a time.
const PIECE: u64 = 1000;

/// Bytes that a stream takes in one call that waits, as its WIT says.
const BLOCKING_BYTES_MAX: usize = 4096;

/// An open file or directory.
pub struct Fd(Descriptor);

/// The directories that were granted, and their names.
pub fn preopens() -> Vec<(Fd, String)> {
    get_directories().into_iter().map(|(descriptor, name)| (Fd(descriptor), name)).collect()
}

fn told<T>(result: Result<T, ErrorCode>) -> Outcome<T> {
    result.map_err(|error| error.name().to_owned())
}

/// What a stream failed with; the end of one is an error as well.
fn told_of_stream<T>(result: Result<T, StreamError>) -> Outcome<T> {
    result.map_err(|error| match error {
        StreamError::Closed => "closed".to_owned(),
        StreamError::LastOperationFailed(error) => {
            filesystem_error_code(&error).map_or("an error without a code", |code| code.name()).to_owned()
        }
    })
}

fn kind(kind: DescriptorType) -> &'static str {
    match kind {
        DescriptorType::Directory => "directory",
        DescriptorType::RegularFile => "file",
        DescriptorType::SymbolicLink => "link",
        DescriptorType::Fifo => "fifo",
        _ => "other",
    }
}

fn status(status: &DescriptorStat) -> Status {
    let time =
        |time: Option<Datetime>| time.map(|time| (i64::try_from(time.seconds).expect("a time of our own"), time.nanoseconds));
    let (modified, changed) = (time(status.data_modification_timestamp), time(status.status_change_timestamp));
    Status { kind: kind(status.type_), size: status.size, links: status.link_count, modified, changed }
}

fn follows(follow: bool) -> PathFlags {
    if follow { PathFlags::SYMLINK_FOLLOW } else { PathFlags::empty() }
}

fn modified((seconds, nanoseconds): (u64, u32)) -> NewTimestamp {
    NewTimestamp::Timestamp(Datetime { seconds, nanoseconds })
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
        told(self.0.open_at(follows(how.follow), path, open, flags)).map(Self)
    }

    pub async fn kind(&self) -> Outcome<&'static str> {
        told(self.0.get_type()).map(kind)
    }

    /// Everything from an offset on, and how that ended: by calls of the descriptor, or by a stream, in one of several ways.
    pub async fn read(&self, offset: u64, way: usize) -> (Vec<u8>, Outcome<()>) {
        let mut found = Vec::new();
        let end = if way == 0 { self.read_by_calls(offset, &mut found) } else { self.read_by_stream(offset, way, &mut found) };
        (found, end)
    }

    fn read_by_calls(&self, offset: u64, found: &mut Vec<u8>) -> Outcome<()> {
        loop {
            let (bytes, is_end) = told(self.0.read(PIECE, offset + found.len() as u64))?;
            found.extend(&bytes);
            if is_end || bytes.is_empty() {
                return Ok(());
            }
        }
    }

    fn read_by_stream(&self, offset: u64, way: usize, found: &mut Vec<u8>) -> Outcome<()> {
        let stream = told(self.0.read_via_stream(offset))?;
        loop {
            let read = match way {
                1 => stream.blocking_read(PIECE),
                2 => read_when_ready(&stream),
                // What is passed over is counted by as many zeroes.
                _ => stream.blocking_skip(PIECE).map(|count| vec![0; usize::try_from(count).expect("a small number")]),
            };
            match told_of_stream(read) {
                Ok(bytes) => found.extend(bytes),
                Err(end) if end == "closed" => return Ok(()),
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Writes at an offset, or at the end: by calls of the descriptor, or by a stream, in one of several ways.
    pub async fn write(&self, offset: Option<u64>, bytes: Vec<u8>, way: usize) -> Outcome<()> {
        if let (Some(offset), 0) = (offset, way) {
            let mut done = 0;
            while done < bytes.len() {
                let count = told(self.0.write(&bytes[done..], offset + done as u64))?;
                assert!(count > 0, "nothing is written, and it is no error");
                done += usize::try_from(count).expect("a small number");
            }
            return Ok(());
        }
        let stream = told(match offset {
            Some(offset) => self.0.write_via_stream(offset),
            None => self.0.append_via_stream(),
        })?;
        told_of_stream(match way {
            0 | 1 => bytes.chunks(BLOCKING_BYTES_MAX).try_for_each(|piece| stream.blocking_write_and_flush(piece)),
            2 => write_when_ready(&stream, &bytes),
            // As many zeroes.
            _ => bytes
                .chunks(BLOCKING_BYTES_MAX)
                .try_for_each(|piece| stream.blocking_write_zeroes_and_flush(piece.len() as u64)),
        })
    }

    /// Everything from an offset on to an offset of another file, from stream to stream.
    pub async fn copy(&self, from: u64, other: &Self, to: u64, way: usize) -> Outcome<()> {
        let (input, output) = (told(self.0.read_via_stream(from))?, told(other.0.write_via_stream(to))?);
        loop {
            let spliced = if way % 2 == 0 { output.blocking_splice(&input, PIECE) } else { splice_when_ready(&output, &input) };
            match told_of_stream(spliced) {
                Ok(_) => {}
                Err(end) if end == "closed" => return told_of_stream(output.blocking_flush()),
                Err(failure) => return Err(failure),
            }
        }
    }

    pub async fn list(&self) -> (Vec<(String, &'static str)>, Outcome<()>) {
        let mut entries = Vec::new();
        let end = told(self.0.read_directory()).and_then(|stream| {
            while let Some(entry) = told(stream.read_directory_entry())? {
                entries.push((entry.name, kind(entry.type_)));
            }
            Ok(())
        });
        (entries, end)
    }

    pub async fn stat(&self) -> Outcome<Status> {
        told(self.0.stat()).map(|found| status(&found))
    }

    pub async fn stat_at(&self, path: &str, follow: bool) -> Outcome<Status> {
        told(self.0.stat_at(follows(follow), path)).map(|found| status(&found))
    }

    pub async fn set_size(&self, size: u64) -> Outcome<()> {
        told(self.0.set_size(size))
    }

    /// Sets the time at which it was modified.
    pub async fn set_time(&self, time: (u64, u32)) -> Outcome<()> {
        told(self.0.set_times(NewTimestamp::NoChange, modified(time)))
    }

    pub async fn set_time_at(&self, path: &str, follow: bool, time: (u64, u32)) -> Outcome<()> {
        told(self.0.set_times_at(follows(follow), path, NewTimestamp::NoChange, modified(time)))
    }

    pub async fn mkdir(&self, path: &str) -> Outcome<()> {
        told(self.0.create_directory_at(path))
    }

    pub async fn rmdir(&self, path: &str) -> Outcome<()> {
        told(self.0.remove_directory_at(path))
    }

    pub async fn unlink(&self, path: &str) -> Outcome<()> {
        told(self.0.unlink_file_at(path))
    }

    pub async fn readlink(&self, path: &str) -> Outcome<String> {
        told(self.0.readlink_at(path))
    }

    pub async fn rename(&self, path: &str, other: &Self, new_path: &str) -> Outcome<()> {
        told(self.0.rename_at(path, &other.0, new_path))
    }

    pub async fn link(&self, path: &str, other: &Self, new_path: &str) -> Outcome<()> {
        told(self.0.link_at(PathFlags::empty(), path, &other.0, new_path))
    }

    pub async fn symlink(&self, target: &str, path: &str) -> Outcome<()> {
        told(self.0.symlink_at(target, path))
    }

    pub async fn sync(&self) -> Outcome<()> {
        told(self.0.sync())
    }

    pub async fn sync_data(&self) -> Outcome<()> {
        told(self.0.sync_data())
    }

    pub async fn advise(&self, offset: u64, length: u64) -> Outcome<()> {
        told(self.0.advise(offset, length, Advice::Sequential))
    }

    pub async fn is_same(&self, other: &Self) -> bool {
        self.0.is_same_object(&other.0)
    }

    pub async fn hash(&self) -> Outcome<(u64, u64)> {
        told(self.0.metadata_hash()).map(|hash| (hash.lower, hash.upper))
    }

    pub async fn hash_at(&self, path: &str, follow: bool) -> Outcome<(u64, u64)> {
        told(self.0.metadata_hash_at(follows(follow), path)).map(|hash| (hash.lower, hash.upper))
    }
}

/// What there is once the stream says that there is something.
fn read_when_ready(stream: &InputStream) -> Result<Vec<u8>, StreamError> {
    stream.subscribe().block();
    stream.read(PIECE)
}

/// Writes as much at a time as the stream says that it takes.
fn write_when_ready(stream: &OutputStream, bytes: &[u8]) -> Result<(), StreamError> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let room = usize::try_from(stream.check_write()?).expect("a small number").min(rest.len());
        if room == 0 {
            stream.subscribe().block();
        } else {
            stream.write(&rest[..room])?;
            rest = &rest[room..];
        }
    }
    stream.blocking_flush()
}

fn splice_when_ready(output: &OutputStream, input: &InputStream) -> Result<u64, StreamError> {
    output.subscribe().block();
    input.subscribe().block();
    output.splice(input, PIECE)
}

/// An input stream that has failed is closed from then on, as `wasi:io` says; who reads until it is, comes to an end.
pub fn failed_stream() {
    let (dir, _) = get_directories().remove(0);
    let open = |flags| dir.open_at(PathFlags::empty(), "failed", OpenFlags::CREATE, flags).expect("it can be made");
    let unreadable = open(DescriptorFlags::WRITE).read_via_stream(0).expect("a stream is made at once");
    let beyond = open(DescriptorFlags::READ).read_via_stream(u64::MAX).expect("a stream is made at once");
    for stream in [unreadable, beyond] {
        assert!(matches!(stream.blocking_read(10), Err(StreamError::LastOperationFailed(_))));
        for size in [10, 0, 10] {
            assert!(matches!(stream.read(size), Err(StreamError::Closed)), "{size}");
            assert!(matches!(stream.blocking_read(size), Err(StreamError::Closed)), "{size}");
            assert!(matches!(stream.blocking_skip(size), Err(StreamError::Closed)), "{size}");
        }
        stream.subscribe().block();
        assert!(matches!(stream.read(10), Err(StreamError::Closed)));
    }
}
