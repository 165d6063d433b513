//! All that is below a directory, as text; `tests/equivalence/state.rs` of the host writes the same.

use std::collections::HashMap;

use crate::face::{Error, Face, FileType, Status};

/// The identity of an object: the file system, and the object on it.
pub type Identity = (u64, u64);

pub fn identity(status: &Status) -> Identity {
    (status.identity.device, status.identity.inode)
}

/// What each name is, in order, and by which names it is open.
pub async fn below<F: Face>(root: &str, open: &[(String, Identity)]) -> Result<String, Error> {
    let mut paths: Vec<String> = walk::<F>(None, root, 0).await?.into_iter().map(|(path, _)| path).collect();
    paths.sort();
    let mut lines = Vec::new();
    let mut first_names = HashMap::new();
    for path in paths {
        let full = format!("{root}/{path}");
        let status = F::lstat(None, &full).await?;
        let identity = identity(&status);
        let more = match status.type_ {
            FileType::RegularFile => {
                let first = first_names.entry(identity).or_insert_with(|| path.clone());
                format!("{} ={first}", digest(&F::load(None, &full).await?))
            }
            FileType::SymbolicLink => F::readlink(None, &full).await?,
            _ => String::new(),
        };
        let names = open.iter().filter(|(_, open)| *open == identity).map(|(name, _)| format!(" @{name}"));
        lines.push(format!("{path} {} {more}{}", describe(&status), names.collect::<String>()));
    }
    Ok(lines.join("; "))
}

/// Everything that a walk gives.
pub async fn walk<F: Face>(at: Option<&crate::face::Dir>, path: &str, depth: u32) -> Result<Vec<(String, FileType)>, Error> {
    let walker = F::walk(at, path, depth, 2).await?;
    let mut found = Vec::new();
    loop {
        let entries = F::walk_next(&walker, 7).await?;
        if entries.is_empty() {
            return Ok(found);
        }
        for entry in entries {
            match entry.error {
                None => found.push((entry.path, entry.type_)),
                Some(error) => return Err(error),
            }
        }
    }
}

pub fn kind(type_: FileType) -> char {
    match type_ {
        FileType::RegularFile => 'f',
        FileType::Directory => 'd',
        FileType::SymbolicLink => 'l',
        _ => '?',
    }
}

/// What is the same for two directories that came about in the same way. Times that were not set are only recent.
pub fn describe(status: &Status) -> String {
    let (kind, mode, links) = (kind(status.type_), status.mode, status.links);
    let modified = status.modified;
    let modified = match modified.seconds {
        seconds if seconds > 1_500_000_000 => "recent".to_owned(),
        seconds => format!("{seconds}.{:09}", modified.nanoseconds),
    };
    match status.type_ {
        FileType::RegularFile => format!("{kind} {mode:o} {links} {modified} {}", status.size),
        FileType::Directory => format!("{kind} {mode:o} {links} {modified}"),
        _ => format!("{kind} {links} {}", status.size),
    }
}

/// The length of data, and a number that tells what it is. FNV-1a.
pub fn digest(data: &[u8]) -> String {
    let hash =
        data.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{}:{hash:016x}", data.len())
}

/// The data that is written for a tag.
pub fn data(length: usize, tag: u8) -> Vec<u8> {
    (0..=250).map(|byte: u8| byte.wrapping_mul(31).wrapping_add(tag)).cycle().take(length).collect()
}
