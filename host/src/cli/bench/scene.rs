//! The directory and the files that are worked on.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::fs::{Advice, Mode, fadvise};

use super::over::Over;
use crate::cli::remedy::failure;
use crate::cli::replacement::with_new_name;
use crate::cli::streams;

/// Bytes of one read or write.
pub(super) const BLOCK: usize = 4096;

/// Blocks of the file that reads and writes go to: 64 MiB, far more than the processor's caches hold. A power of two.
pub(super) const BLOCKS: u64 = 1 << 14;

/// Small files.
pub(super) const FILES: u64 = 1000;

/// The file that reads and writes go to.
pub(super) const DATA: &str = "data";

/// A directory of its own, with the files in it. Dropping it removes both.
pub(super) struct Scene {
    pub(super) dir: PathBuf,
    data: File,
}

impl Scene {
    /// Makes the directory.
    pub(super) fn make_dir(above: &Path) -> anyhow::Result<PathBuf> {
        let made = with_new_name(|name| rustix::fs::mkdir(above.join(name), Mode::RWXU));
        let (name, ()) = made.map_err(|error| {
            failure(format!("cannot make a directory in {}: {error}", above.display()), help(above, &error))
        })?;
        Ok(above.join(name))
    }

    /// Makes the files in it, unless somebody wants it to end. If that fails nothing is left.
    pub(super) fn new(dir: &Path, over: &Over) -> anyhow::Result<Self> {
        match fill(dir, over) {
            Ok(data) => Ok(Self { dir: dir.to_owned(), data }),
            Err(error) => {
                remove(dir);
                let above = dir.parent().unwrap_or(dir);
                Err(failure(format!("cannot make 68 MiB of files in {}: {error}", above.display()), help(above, &error)))
            }
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The next reads have to go to the disk.
    pub(super) fn forget(&self) -> anyhow::Result<()> {
        // What is not written yet is not forgotten.
        self.data.sync_data().context("cannot bring the data to the disk")?;
        fadvise(&self.data, 0, None, Advice::DontNeed).context("cannot drop the data from memory")
    }

    /// The next reads are answered from memory.
    pub(super) fn remember(&self) -> anyhow::Result<()> {
        let mut bytes = vec![0; 1 << 20];
        let mut offset = 0;
        while let bytes_read @ 1.. = self.data.read_at(&mut bytes, offset).context("cannot read the data")? {
            offset += u64::try_from(bytes_read)?;
        }
        Ok(())
    }

    /// Whether anything can be forgotten: a file system in memory has nothing else.
    pub(super) fn is_in_memory(&self) -> bool {
        const TMPFS: i64 = 0x0102_1994;
        const RAMFS: i64 = 0x8584_58f6;
        rustix::fs::fstatfs(&self.data).is_ok_and(|status| [TMPFS, RAMFS].contains(&status.f_type))
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        remove(&self.dir);
    }
}

/// Removes everything, and says so if something is left.
fn remove(dir: &Path) {
    let Err(why) = fs::remove_dir_all(dir) else { return };
    // To list a directory takes a descriptor, of which there may be none left. What was made at first is known by name.
    let names = (0..FILES).map(file).chain([DATA.to_owned()]);
    // What is not there, or cannot be removed, is seen in the end.
    names.for_each(|name| drop(fs::remove_file(dir.join(name))));
    let _ = fs::remove_dir(dir.join("files"));
    if fs::remove_dir(dir).is_err_and(|error| error.kind() != ErrorKind::NotFound) {
        streams::say(&format!("warning: {} is left: {why}; remove it\n", dir.display()));
    }
}

/// What to do about a directory in which nothing can be made.
fn help(above: &Path, error: &io::Error) -> String {
    let text = match (error.kind(), error.raw_os_error()) {
        (_, Some(libc::EMFILE)) => "allow more open files, which `ulimit -n` shows",
        (_, Some(libc::ENFILE)) => "the system allows no more open files: end what has many of them",
        (ErrorKind::NotFound, _) if !above.exists() => return format!("make it first: mkdir -p '{}'", above.display()),
        (ErrorKind::NotADirectory, _) => "name a directory",
        (ErrorKind::StorageFull | ErrorKind::QuotaExceeded, _) => "choose a directory on a disk with more room",
        (ErrorKind::FileTooLarge, _) => "raise the limit for the size of files, which `ulimit -f` shows",
        _ => "choose a directory that files can be made in",
    };
    text.to_owned()
}

fn fill(dir: &Path, over: &Over) -> io::Result<File> {
    let data = File::options().read(true).write(true).create_new(true).open(dir.join(DATA))?;
    let bytes: Vec<u8> = (0u8..251).cycle().take(1 << 20).collect();
    for piece in 0..BLOCKS * BLOCK as u64 / (1 << 20) {
        over.check()?;
        data.write_all_at(&bytes, piece << 20)?;
    }
    data.sync_all()?;
    fs::create_dir(dir.join("files"))?;
    for number in 0..FILES {
        over.check()?;
        fs::write(dir.join(file(number)), &bytes[..BLOCK])?;
    }
    Ok(data)
}

/// The name of a small file.
pub(super) fn file(number: u64) -> String {
    format!("files/{number:04}")
}

/// The places of reads and writes, in an order that comes to each block once before it starts over: a linear congruential generator
/// with the period of its modulus, which is a power of two.
#[derive(Clone, Copy, Default)]
pub(super) struct Offsets(pub(super) u64);

impl Offsets {
    /// As many generators, which share the blocks among themselves.
    pub(super) fn shared(by: u32) -> Vec<Self> {
        let share = usize::try_from(BLOCKS).unwrap_or(usize::MAX) / by as usize;
        let mut next = Self::default();
        let generator = |_| {
            let first = next;
            next.by_ref().take(share).for_each(drop);
            first
        };
        (0..by).map(generator).collect()
    }
}

impl Iterator for Offsets {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 = (self.0 * 1_664_525 + 1_013_904_223) % BLOCKS;
        Some(self.0 * BLOCK as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn many_come_to_each_block_once() {
        for by in [1, 8, 64] {
            let each = usize::try_from(BLOCKS).expect("it is small") / by as usize;
            let places: BTreeSet<u64> = Offsets::shared(by).into_iter().flat_map(|offsets| offsets.take(each)).collect();
            assert_eq!(places.len(), each * by as usize);
        }
    }
}
