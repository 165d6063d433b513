//! All that is below a directory, as text; `tests/guests/src/plans/state.rs` writes the same.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The identity of an object: the file system, and the object on it.
pub(crate) type Identity = (u64, u64);

pub(crate) fn identity(status: &Metadata) -> Identity {
    (status.dev(), status.ino())
}

/// What each name is, in order, and by which names it is open.
pub(crate) fn below(root: &Path, open: &[(String, Identity)]) -> io::Result<String> {
    let mut names = Vec::new();
    walk(root, "", 0, &mut names)?;
    names.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut first_names = HashMap::new();
    let mut lines = Vec::new();
    for (name, status) in names {
        let path = root.join(&name);
        let more = if status.is_file() {
            let first = first_names.entry(identity(&status)).or_insert_with(|| name.clone());
            format!("{} ={first}", digest(&fs::read(&path)?))
        } else if status.is_symlink() {
            fs::read_link(&path)?.to_string_lossy().into_owned()
        } else {
            String::new()
        };
        let names = open.iter().filter(|(_, open)| *open == identity(&status)).map(|(name, _)| format!(" @{name}"));
        lines.push(format!("{name} {} {more}{}", describe(&status), names.collect::<String>()));
    }
    Ok(lines.join("; "))
}

/// Everything below a directory, so many levels deep; 0 is no end.
pub(crate) fn walk(dir: &Path, prefix: &str, depth: u32, found: &mut Vec<(String, Metadata)>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let status = entry.metadata()?;
        if status.is_dir() && depth != 1 {
            walk(&entry.path(), &format!("{path}/"), depth.saturating_sub(1), found)?;
        }
        found.push((path, status));
    }
    Ok(())
}

pub(crate) fn kind(kind: fs::FileType) -> char {
    match kind {
        kind if kind.is_file() => 'f',
        kind if kind.is_dir() => 'd',
        kind if kind.is_symlink() => 'l',
        _ => '?',
    }
}

/// What is the same for two directories that came about in the same way. Times that were not set are only recent.
pub(crate) fn describe(status: &Metadata) -> String {
    let (kind, mode, links) = (kind(status.file_type()), status.mode() & 0o7777, status.nlink());
    let modified = match status.mtime() {
        seconds if seconds > 1_500_000_000 => "recent".to_owned(),
        seconds => format!("{seconds}.{:09}", status.mtime_nsec()),
    };
    if status.is_file() {
        format!("{kind} {mode:o} {links} {modified} {}", status.len())
    } else if status.is_dir() {
        format!("{kind} {mode:o} {links} {modified}")
    } else {
        format!("{kind} {links} {}", status.len())
    }
}

/// The length of data, and a number that tells what it is. FNV-1a.
pub(crate) fn digest(data: &[u8]) -> String {
    let hash =
        data.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{}:{hash:016x}", data.len())
}

/// The data that is written for a tag.
pub(crate) fn data(length: usize, tag: u8) -> Vec<u8> {
    (0..=250).map(|byte: u8| byte.wrapping_mul(31).wrapping_add(tag)).cycle().take(length).collect()
}
