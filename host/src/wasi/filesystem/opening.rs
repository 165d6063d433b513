//! How something is to be opened, and what its descriptor says then.

use wasmtime_wasi::p2::bindings::filesystem::types::{self, DescriptorFlags, PathFlags};

use crate::error::{Error, Result};
use crate::sandbox::{OpenFlags, OpenKind};
use crate::wasi::runs;

pub(crate) fn follows(flags: PathFlags) -> bool {
    flags.contains(PathFlags::SYMLINK_FOLLOW)
}

/// How something is to be opened.
pub(crate) struct Opened {
    pub(crate) flags: OpenFlags,
    pub(crate) kind: OpenKind,
    /// What the descriptor of a file says that it was opened for: what is made or emptied can be written, and what is not to be
    /// written can be read.
    pub(crate) file: DescriptorFlags,
    /// The same of a directory.
    pub(crate) dir: DescriptorFlags,
}

pub(crate) fn opened(path: PathFlags, open: types::OpenFlags, flags: DescriptorFlags) -> Result<Opened> {
    let changes = types::OpenFlags::CREATE | types::OpenFlags::TRUNCATE;
    let is_dir = open.contains(types::OpenFlags::DIRECTORY);
    if is_dir && open.intersects(changes | types::OpenFlags::EXCLUSIVE) {
        return Err(Error::INVALID);
    }
    let mut file = flags & !DescriptorFlags::MUTATE_DIRECTORY;
    if !flags.contains(DescriptorFlags::WRITE) {
        file |= DescriptorFlags::READ;
    }
    if open.intersects(changes) {
        file |= DescriptorFlags::WRITE;
    }
    let synchronous = DescriptorFlags::FILE_INTEGRITY_SYNC | DescriptorFlags::REQUESTED_WRITE_SYNC;
    let wanted = [
        (file.contains(DescriptorFlags::READ), OpenFlags::READ),
        (file.contains(DescriptorFlags::WRITE), OpenFlags::WRITE),
        (open.contains(types::OpenFlags::CREATE), OpenFlags::CREATE),
        (open.contains(types::OpenFlags::EXCLUSIVE), OpenFlags::EXCLUSIVE),
        (open.contains(types::OpenFlags::TRUNCATE), OpenFlags::TRUNCATE),
        (!follows(path), OpenFlags::NO_FOLLOW),
        (flags.contains(DescriptorFlags::DATA_INTEGRITY_SYNC), OpenFlags::DATA_SYNC),
        (flags.intersects(synchronous), OpenFlags::SYNC),
    ];
    let dir = DescriptorFlags::READ | flags & DescriptorFlags::MUTATE_DIRECTORY;
    Ok(Opened { flags: runs::flags(wanted), kind: if is_dir { OpenKind::Dir } else { OpenKind::Any }, file, dir })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_can_be_written_and_what_is_not_to_be_written_can_be_read() {
        let file = |open, flags| opened(PathFlags::empty(), open, flags).expect("valid flags").file;
        let (read, write) = (DescriptorFlags::READ, DescriptorFlags::WRITE);
        let none = types::OpenFlags::empty();
        assert_eq!(file(none, DescriptorFlags::empty()), read);
        assert_eq!(file(none, write), write);
        assert_eq!(file(types::OpenFlags::CREATE, DescriptorFlags::empty()), read | write);
        assert_eq!(file(types::OpenFlags::TRUNCATE, read), read | write);
        assert_eq!(file(types::OpenFlags::CREATE, write), write);
    }

    #[test]
    fn a_directory_is_neither_made_nor_emptied() {
        for open in [types::OpenFlags::CREATE, types::OpenFlags::EXCLUSIVE, types::OpenFlags::TRUNCATE] {
            let result = opened(PathFlags::empty(), open | types::OpenFlags::DIRECTORY, DescriptorFlags::READ);
            assert_eq!(result.err(), Some(Error::INVALID));
        }
    }
}
