//! Files by WASI preview 1, by nothing but its functions. No call is ever pending: the host waits inside of it.

use crate::records::{How, Outcome, Status};

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn fd_close(fd: u32) -> u32;
    fn fd_fdstat_get(fd: u32, stat: *mut u8) -> u32;
    fn fd_pread(fd: u32, list: *const Piece, count: u32, offset: u64, done: *mut u32) -> u32;
    fn fd_prestat_dir_name(fd: u32, name: *mut u8, length: u32) -> u32;
    fn fd_prestat_get(fd: u32, prestat: *mut [u32; 2]) -> u32;
    fn fd_pwrite(fd: u32, list: *const Piece, count: u32, offset: u64, done: *mut u32) -> u32;
    fn fd_readdir(fd: u32, buffer: *mut u8, room: u32, cookie: u64, used: *mut u32) -> u32;
    fn fd_sync(fd: u32) -> u32;
    fn path_create_directory(fd: u32, path: *const u8, length: u32) -> u32;
    fn path_filestat_get(fd: u32, lookup: u32, path: *const u8, length: u32, stat: *mut u64) -> u32;
    fn path_filestat_set_times(
        fd: u32,
        lookup: u32,
        path: *const u8,
        length: u32,
        accessed: u64,
        modified: u64,
        which: u32,
    ) -> u32;
    fn path_link(fd: u32, lookup: u32, path: *const u8, length: u32, new: u32, new_path: *const u8, new_length: u32) -> u32;
    fn path_open(
        fd: u32,
        lookup: u32,
        path: *const u8,
        length: u32,
        open: u32,
        rights: u64,
        inheriting: u64,
        flags: u32,
        opened: *mut u32,
    ) -> u32;
    fn path_readlink(fd: u32, path: *const u8, length: u32, buffer: *mut u8, room: u32, used: *mut u32) -> u32;
    fn path_remove_directory(fd: u32, path: *const u8, length: u32) -> u32;
    fn path_rename(fd: u32, path: *const u8, length: u32, new: u32, new_path: *const u8, new_length: u32) -> u32;
    fn path_symlink(target: *const u8, target_length: u32, fd: u32, path: *const u8, length: u32) -> u32;
    fn path_unlink_file(fd: u32, path: *const u8, length: u32) -> u32;
}

/// Where bytes are, and how many.
#[repr(C)]
struct Piece {
    at: *mut u8,
    length: u32,
}

/// Rights to read a file, to write one, and to list a directory.
const RIGHT_READ: u64 = 1 << 1;
const RIGHT_WRITE: u64 = 1 << 6;
const RIGHT_LIST: u64 = 1 << 14;

/// Bytes of an entry of a listing before its name.
const ENTRY_BYTES: usize = 24;

/// An open file or directory.
pub struct Fd(u32);

impl Drop for Fd {
    fn drop(&mut self) {
        // SAFETY: it is a number.
        unsafe { fd_close(self.0) };
    }
}

/// The directories that were granted, and their names.
pub fn preopens() -> Vec<(Fd, String)> {
    let mut found = Vec::new();
    for fd in 3.. {
        let mut prestat = [0; 2];
        // SAFETY: it is written to what is ours.
        if unsafe { fd_prestat_get(fd, &raw mut prestat) } != 0 {
            break;
        }
        let mut name = vec![0; prestat[1] as usize];
        // SAFETY: as above.
        let code = unsafe { fd_prestat_dir_name(fd, name.as_mut_ptr(), prestat[1]) };
        told(code).expect("it has a name");
        found.push((Fd(fd), String::from_utf8(name).expect("a name is text")));
    }
    found
}

/// Error numbers by the names that codes of later versions have.
fn told(code: u32) -> Outcome<()> {
    let name = match code {
        0 => return Ok(()),
        2 => "access",
        6 => "would-block",
        8 => "bad-descriptor",
        20 => "exist",
        25 => "illegal-byte-sequence",
        28 => "invalid",
        29 => "io",
        31 => "is-directory",
        32 => "loop",
        33 => "too-many-open-files",
        37 => "name-too-long",
        44 => "no-entry",
        48 => "insufficient-memory",
        54 => "not-directory",
        55 => "not-empty",
        58 => "unsupported",
        63 => "not-permitted",
        69 => "read-only",
        75 => "cross-device",
        other => return Err(format!("errno-{other}")),
    };
    Err(name.to_owned())
}

fn length(bytes: impl AsRef<[u8]>) -> u32 {
    u32::try_from(bytes.as_ref().len()).expect("it is in memory")
}

fn kind(number: u64) -> &'static str {
    match number & 0xff {
        3 => "directory",
        4 => "file",
        7 => "link",
        _ => "other",
    }
}

/// A status as it lies in memory: eight numbers.
fn status(stat: &[u64; 8]) -> Status {
    let time = |nanoseconds: u64| {
        let seconds = i64::try_from(nanoseconds / 1_000_000_000).expect("a time of our own");
        Some((seconds, u32::try_from(nanoseconds % 1_000_000_000).expect("a part of a second")))
    };
    Status { kind: kind(stat[2]), size: stat[4], links: stat[3], modified: time(stat[6]), changed: time(stat[7]) }
}

// SAFETY, of every call in here: what is passed are numbers, and places and lengths of what is ours while the call lasts.
impl Fd {
    pub async fn open(&self, path: &str, how: How) -> Outcome<Self> {
        let open = u32::from(how.create)
            | u32::from(how.directory) << 1
            | u32::from(how.exclusive) << 2
            | u32::from(how.truncate) << 3;
        let right = |is_wanted: bool, right| if is_wanted { right } else { 0 };
        let rights = right(how.read, RIGHT_READ) | right(how.write, RIGHT_WRITE) | right(how.directory, RIGHT_LIST);
        let mut opened = 0;
        let (lookup, inheriting) = (u32::from(how.follow), RIGHT_READ | RIGHT_WRITE | RIGHT_LIST);
        told(unsafe { path_open(self.0, lookup, path.as_ptr(), length(path), open, rights, inheriting, 0, &raw mut opened) })?;
        Ok(Self(opened))
    }

    pub async fn kind(&self) -> Outcome<&'static str> {
        let mut stat = [0; 24];
        told(unsafe { fd_fdstat_get(self.0, stat.as_mut_ptr()) })?;
        Ok(kind(stat[0].into()))
    }

    /// Everything from an offset on, and how that ended.
    pub async fn read(&self, offset: u64, _way: usize) -> (Vec<u8>, Outcome<()>) {
        let mut found = Vec::new();
        loop {
            let (mut bytes, mut done) = (vec![0; 1000], 0);
            let piece = Piece { at: bytes.as_mut_ptr(), length: length(&bytes) };
            let code = unsafe { fd_pread(self.0, &raw const piece, 1, offset + found.len() as u64, &raw mut done) };
            match told(code) {
                Ok(()) if done > 0 => found.extend(&bytes[..done as usize]),
                end => return (found, end),
            }
        }
    }

    /// Writes at an offset.
    pub async fn write(&self, offset: Option<u64>, mut bytes: Vec<u8>, _way: usize) -> Outcome<()> {
        let offset = offset.expect("to append is a flag of the descriptor");
        let mut at = 0;
        while at < bytes.len() {
            let rest = &mut bytes[at..];
            let (piece, mut done) = (Piece { at: rest.as_mut_ptr(), length: length(&*rest) }, 0);
            told(unsafe { fd_pwrite(self.0, &raw const piece, 1, offset + at as u64, &raw mut done) })?;
            assert!(done > 0, "nothing is written, and it is no error");
            at += done as usize;
        }
        Ok(())
    }

    pub async fn list(&self) -> (Vec<(String, &'static str)>, Outcome<()>) {
        let (mut entries, mut cookie) = (Vec::new(), 0);
        loop {
            let (mut buffer, mut used) = (vec![0; 4096], 0);
            let code = unsafe { fd_readdir(self.0, buffer.as_mut_ptr(), length(&buffer), cookie, &raw mut used) };
            if let Err(code) = told(code) {
                return (entries, Err(code));
            }
            let mut rest = &buffer[..used as usize];
            while let Some((entry, after)) = rest.split_at_checked(ENTRY_BYTES) {
                let long = |at: usize| u64::from_le_bytes(entry[at..at + 8].try_into().expect("eight bytes"));
                let Some((name, after)) = after.split_at_checked((long(16) & 0xffff_ffff) as usize) else { break };
                let name = String::from_utf8(name.to_vec()).expect("a name is text");
                cookie = long(0);
                rest = after;
                if name != "." && name != ".." {
                    entries.push((name, kind(entry[20].into())));
                }
            }
            if (used as usize) < buffer.len() {
                return (entries, Ok(()));
            }
        }
    }

    pub async fn stat_at(&self, path: &str, follow: bool) -> Outcome<Status> {
        let mut stat = [0; 8];
        let code = unsafe { path_filestat_get(self.0, follow.into(), path.as_ptr(), length(path), stat.as_mut_ptr()) };
        told(code).map(|()| status(&stat))
    }

    /// Sets the time at which it was modified.
    pub async fn set_time_at(&self, path: &str, follow: bool, (seconds, nanoseconds): (u64, u32)) -> Outcome<()> {
        let time = seconds * 1_000_000_000 + u64::from(nanoseconds);
        told(unsafe { path_filestat_set_times(self.0, follow.into(), path.as_ptr(), length(path), 0, time, 1 << 2) })
    }

    pub async fn mkdir(&self, path: &str) -> Outcome<()> {
        told(unsafe { path_create_directory(self.0, path.as_ptr(), length(path)) })
    }

    pub async fn rmdir(&self, path: &str) -> Outcome<()> {
        told(unsafe { path_remove_directory(self.0, path.as_ptr(), length(path)) })
    }

    pub async fn unlink(&self, path: &str) -> Outcome<()> {
        told(unsafe { path_unlink_file(self.0, path.as_ptr(), length(path)) })
    }

    pub async fn readlink(&self, path: &str) -> Outcome<String> {
        let (mut target, mut used) = (vec![0; 5000], 0);
        let code =
            unsafe { path_readlink(self.0, path.as_ptr(), length(path), target.as_mut_ptr(), length(&target), &raw mut used) };
        target.truncate(used as usize);
        told(code).map(|()| String::from_utf8(target).expect("a target is text"))
    }

    pub async fn rename(&self, path: &str, other: &Self, new_path: &str) -> Outcome<()> {
        let (new, new_length) = (new_path.as_ptr(), length(new_path));
        told(unsafe { path_rename(self.0, path.as_ptr(), length(path), other.0, new, new_length) })
    }

    pub async fn link(&self, path: &str, other: &Self, new_path: &str) -> Outcome<()> {
        let (new, new_length) = (new_path.as_ptr(), length(new_path));
        told(unsafe { path_link(self.0, 0, path.as_ptr(), length(path), other.0, new, new_length) })
    }

    pub async fn symlink(&self, target: &str, path: &str) -> Outcome<()> {
        told(unsafe { path_symlink(target.as_ptr(), length(target), self.0, path.as_ptr(), length(path)) })
    }

    pub async fn sync(&self) -> Outcome<()> {
        told(unsafe { fd_sync(self.0) })
    }
}
