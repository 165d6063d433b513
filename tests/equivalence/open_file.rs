//! An open file without aiohost.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FallocateFlags, OFlags, fallocate};
use rustix::io::Errno;

pub(crate) struct OpenFile {
    pub(crate) file: File,
    pub(crate) readable: bool,
    writable: bool,
    append: bool,
}

impl OpenFile {
    /// As `wit/requests.wit` says: a directory is not opened, and flags that contradict each other are refused.
    pub(crate) fn open(path: &Path, flags: &str, mode: u32) -> io::Result<Self> {
        let has = |flag| flags.split(',').any(|word| word == flag);
        let (append, writable) = (has("append"), has("write") || has("append"));
        if has("create") && !writable || has("truncate") && (append || !has("write")) {
            return Err(Errno::INVAL.into());
        }
        let mut options = OpenOptions::new();
        options.read(has("read")).write(has("write")).append(append).truncate(has("truncate")).create(has("create"));
        options.create_new(has("exclusive")).mode(mode);
        if has("no-follow") {
            options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
        }
        if !has("exclusive") {
            let status = if has("no-follow") { fs::symlink_metadata(path) } else { fs::metadata(path) };
            match status {
                Ok(status) if status.is_dir() => return Err(Errno::ISDIR.into()),
                Ok(_) => {}
                Err(error) if has("create") && error.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { file: options.open(path)?, readable: has("read"), writable, append })
    }

    pub(crate) fn read(&self, offset: Option<u64>, length: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; length];
        let count = match offset {
            Some(offset) => self.file.read_at(&mut buffer, offset)?,
            None => (&self.file).read(&mut buffer)?,
        };
        buffer.truncate(count);
        Ok(buffer)
    }

    pub(crate) fn write(&self, offset: Option<u64>, data: &[u8]) -> io::Result<usize> {
        match offset {
            Some(offset) => self.file.write_at(data, offset),
            None => (&self.file).write(data),
        }
    }

    pub(crate) fn seek(&self, from: &str, offset: i64) -> io::Result<u64> {
        let from = match from {
            "start" => SeekFrom::Start(u64::try_from(offset).map_err(|_| io::Error::from(Errno::INVAL))?),
            "current" => SeekFrom::Current(offset),
            _ => SeekFrom::End(offset),
        };
        (&self.file).seek(from)
    }

    pub(crate) fn truncate(&self, length: u64) -> io::Result<()> {
        if self.writable { self.file.set_len(length) } else { Err(Errno::BADF.into()) }
    }

    pub(crate) fn allocate(&self, flags: &str, offset: u64, length: u64) -> io::Result<()> {
        let flags = match flags {
            "none" => FallocateFlags::empty(),
            "keep-size" => FallocateFlags::KEEP_SIZE,
            "keep-size,punch-hole" => FallocateFlags::KEEP_SIZE | FallocateFlags::PUNCH_HOLE,
            "zero-range" => FallocateFlags::ZERO_RANGE,
            "zero-range,keep-size" => FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE,
            "collapse-range" => FallocateFlags::COLLAPSE_RANGE,
            "insert-range" => FallocateFlags::INSERT_RANGE,
            _ => return Err(Errno::INVAL.into()),
        };
        if !self.writable {
            return Err(Errno::BADF.into());
        }
        Ok(fallocate(&self.file, flags, offset, length)?)
    }

    pub(crate) fn sendfile(&self, offset: Option<u64>, input: &Self, from: u64, length: usize) -> io::Result<usize> {
        if !self.writable || !input.readable {
            return Err(Errno::BADF.into());
        }
        let (output_status, input_status) = (self.file.metadata()?, input.file.metadata()?);
        let data = input.read(Some(from), length)?;
        let start = match offset {
            Some(offset) => offset,
            None => (&self.file).stream_position()?,
        };
        // In append mode it is written at the end, whatever the offset.
        let at = if self.append { output_status.len() } else { start };
        let end = |start: u64| start + data.len() as u64;
        let same = (output_status.dev(), output_status.ino()) == (input_status.dev(), input_status.ino());
        if same && from < end(at) && at < end(from) {
            return Err(Errno::INVAL.into());
        }
        // What was written is not read again: a file that is appended to itself is copied up to where it ended.
        let copied = data.len();
        self.file.write_all_at(&data, at)?;
        if offset.is_none() {
            let position = if self.append && copied > 0 { self.file.metadata()?.len() } else { start + copied as u64 };
            (&self.file).seek(SeekFrom::Start(position))?;
        }
        Ok(copied)
    }
}
