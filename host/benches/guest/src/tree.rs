//! The tree of files that is listed and opened, and the files beside it. The harness has this module too.

/// The tree: directories of files.
pub(crate) const TREE: &str = "tree";
pub(crate) const DIRECTORIES: u32 = 200;
pub(crate) const FILES: u32 = 100;
pub(crate) const FILE_BYTES: u32 = 4096;

/// The file that is copied, and what it is copied to.
pub(crate) const LARGE: &str = "gigabyte";
pub(crate) const LARGE_BYTES: u64 = 1 << 30;
pub(crate) const COPY: &str = "gigabyte-copy";

/// Files beside the tree, which a single name leads to.
pub(crate) const NAMES: u32 = 100;

pub(crate) fn name(number: u32) -> String {
    format!("name-{number:02}")
}

/// The file that writes go to, and its size: few enough pages that the system need not begin to write them.
pub(crate) const SCRATCH: &str = "scratch";
pub(crate) const SCRATCH_BYTES: u64 = 16 << 20;

/// A file that is made and removed.
pub(crate) const NEW: &str = "new";

/// A file that is made and stays.
pub(crate) fn durable_name(number: u64) -> String {
    format!("durable-{number}")
}

/// A tree that is there to be removed.
pub(crate) fn doomed(number: u64) -> String {
    format!("doomed-{number}")
}

pub(crate) fn directory(number: u32) -> String {
    format!("{TREE}/dir-{number:03}")
}

/// The paths of all files of the tree.
pub(crate) fn paths() -> Vec<String> {
    let of_directory = |number| (0..FILES).map(move |file| format!("{}/file-{file:02}", directory(number)));
    (0..DIRECTORIES).flat_map(of_directory).collect()
}
