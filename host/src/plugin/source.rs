//! A plugin's file: opened without waiting for anybody, and read only if it is no larger than a plugin may be.

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use crate::problem::{Problem, ProblemKind, Result};

/// Bytes of a plugin. 256 MiB: over three times the largest programs that people compile to WebAssembly, whole compilers.
const PLUGIN_BYTES_MAX: u64 = 256 << 20;

/// Bytes of a plugin as text. 8 MiB: text is written by hand, or to be looked at, and while it is parsed it may take seventy times
/// its own size, also in a process that only looks at it.
const TEXT_BYTES_MAX: u64 = 8 << 20;

/// Bytes of compiled code. 2 GiB, eight times a plugin: that of a large one has been seen to take four times.
const COMPILED_BYTES_MAX: u64 = 2 << 30;

const ELF: &[u8] = b"\x7fELF";
const WASM: &[u8] = b"\0asm";

/// Reads the file of a core module that is to become a plugin, for [`componentize`](super::componentize()). As for a plugin, only a
/// regular file is opened, and it is not read if it is too large.
///
/// ```
/// use aiohost::plugin::{componentize, read_module};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("module.wat");
/// # std::fs::write(&path, r#"(module (memory (export "memory") 1) (func (export "_start")))"#)?;
/// let component = componentize("module.wat", &read_module(path)?, None)?;
/// # assert!(!component.is_empty());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// If it is not there, is not a regular file, is too large, or cannot be read.
pub fn read_module(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    read_as("module", path.as_ref())
}

/// Reads a plugin's file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    read_as("plugin", path)
}

fn read_as(what: &str, path: &Path) -> Result<Vec<u8>> {
    try_open(path).and_then(|file| content(&file)).map_err(|error| problem_of(what, path, error))
}

/// Reads a plugin's file that is open, from its start.
pub(super) fn read_open(path: &Path, file: &File) -> Result<Vec<u8>> {
    content(file).map_err(|error| problem(path, error))
}

fn content(mut file: &File) -> io::Result<Vec<u8>> {
    file.rewind()?;
    let mut content = Vec::new();
    file.take(4).read_to_end(&mut content)?;
    let max = bytes_max(&content);
    content.reserve(usize::try_from(file.metadata()?.len().min(max)).unwrap_or(0));
    // A file may be larger than it says, as those in /proc are, and it may grow.
    file.take(max + 1).read_to_end(&mut content)?;
    check(&content).map(|()| content)
}

/// Whether a file begins as compiled code does.
pub(super) fn is_elf(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    open(path)?.take(4).read_to_end(&mut start).map_err(|error| problem(path, error))?;
    Ok(start == ELF)
}

/// Opens a plugin's file. Nothing but a regular file is opened, and none that is too large: to open a FIFO would wait for whoever
/// writes to it, and to open a device may do anything.
pub(super) fn open(path: &Path) -> Result<File> {
    try_open(path).map_err(|error| problem(path, error))
}

fn try_open(path: &Path) -> io::Result<File> {
    check_type(path.metadata()?.file_type())?;
    // It may have become something else meanwhile.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    check_type(metadata.file_type())?;
    let mut start = Vec::new();
    (&mut file).take(4).read_to_end(&mut start)?;
    let (bytes, max) = (metadata.len(), bytes_max(&start));
    if bytes > max {
        return Err(too_large(bytes, max));
    }
    file.rewind()?;
    Ok(file)
}

/// The same limits for a plugin that is in memory already.
pub(super) fn check_size(name: &str, content: &[u8]) -> Result<()> {
    check(content).map_err(|error| problem(Path::new(name), error))
}

fn check(content: &[u8]) -> io::Result<()> {
    let (bytes, max) = (u64::try_from(content.len()).unwrap_or(u64::MAX), bytes_max(content));
    if bytes > max { Err(too_large(bytes, max)) } else { Ok(()) }
}

/// The limit for a file that begins like this.
fn bytes_max(content: &[u8]) -> u64 {
    match content {
        _ if content.starts_with(ELF) => COMPILED_BYTES_MAX,
        _ if content.starts_with(WASM) => PLUGIN_BYTES_MAX,
        _ => TEXT_BYTES_MAX,
    }
}

fn check_type(file_type: FileType) -> io::Result<()> {
    let what = match file_type {
        _ if file_type.is_file() => return Ok(()),
        _ if file_type.is_dir() => return Err(io::Error::from_raw_os_error(libc::EISDIR)),
        _ if file_type.is_fifo() => "a FIFO",
        _ if file_type.is_socket() => "a socket",
        _ => "a device",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}, and a plugin is a regular file")))
}

fn too_large(bytes: u64, max: u64) -> io::Error {
    let text = format!("it has {} MiB, and may have {}", bytes.div_ceil(1 << 20), max >> 20);
    io::Error::new(io::ErrorKind::FileTooLarge, text)
}

/// Why a plugin's file cannot be read.
pub(super) fn problem(path: &Path, error: io::Error) -> Problem {
    problem_of("plugin", path, error)
}

fn problem_of(what: &str, path: &Path, error: io::Error) -> Problem {
    if error.kind() == io::ErrorKind::IsADirectory {
        return cannot_read(what, path, error).help_for(
            "name the plugin's file; directories for it are granted with HostBuilder::dir",
            "name the plugin's file; directories for it are granted with --dir",
        );
    }
    let help = match error.kind() {
        io::ErrorKind::NotFound if what == "module" => "name the file that your compiler made",
        io::ErrorKind::NotFound => "check the path of the plugin",
        io::ErrorKind::PermissionDenied => "the user who runs the host needs the right to read it",
        io::ErrorKind::InvalidInput => "write the plugin into a file first, and name that",
        io::ErrorKind::FileTooLarge => "build it without debug information: `wasm-tools strip` removes it",
        _ => "check the file",
    };
    cannot_read(what, path, error).help_with(help)
}

fn cannot_read(what: &str, path: &Path, error: io::Error) -> Problem {
    Problem::new(ProblemKind::File, format!("cannot read the {what} {}", path.display())).because(error)
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::os::unix::net::UnixListener;

    use super::*;

    /// Why a file is not read.
    fn refusal(path: &Path) -> String {
        let problem = read(path).expect_err("it is no plugin");
        problem.source().expect("a reason").to_string()
    }

    #[test]
    fn a_file_that_is_too_large_is_refused_before_it_is_read() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let cases: [(&[u8], u64, &str); 3] = [
            (b"\0asm", PLUGIN_BYTES_MAX, "it has 257 MiB, and may have 256"),
            (b"(module", TEXT_BYTES_MAX, "it has 9 MiB, and may have 8"),
            (ELF, COMPILED_BYTES_MAX, "it has 2049 MiB, and may have 2048"),
        ];
        for (start, max, said) in cases {
            let path = dir.path().join("plugin");
            std::fs::write(&path, start).expect("a file of our own");
            // A hole takes no space; to read it all would take memory.
            let file = OpenOptions::new().write(true).open(&path).expect("a file of our own");
            file.set_len(max + 1).expect("a file with a hole");
            assert_eq!(refusal(&path), said);
        }
    }

    #[test]
    fn what_is_in_memory_has_the_same_limit() {
        let mut content = vec![b' '; usize::try_from(TEXT_BYTES_MAX).expect("it fits")];
        assert!(check_size("text", &content).is_ok());
        content.push(b' ');
        assert_eq!(check_size("text", &content).expect_err("too large").kind(), ProblemKind::File);
    }

    #[test]
    fn what_is_no_regular_file_is_not_waited_for() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (fifo, socket, link) = (dir.path().join("fifo"), dir.path().join("socket"), dir.path().join("link"));
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).expect("a FIFO of our own");
        let _listener = UnixListener::bind(&socket).expect("a socket of our own");
        std::os::unix::fs::symlink(&fifo, &link).expect("a link of our own");
        assert_eq!(refusal(&fifo), "it is a FIFO, and a plugin is a regular file");
        assert_eq!(refusal(&link), "it is a FIFO, and a plugin is a regular file");
        assert_eq!(refusal(&socket), "it is a socket, and a plugin is a regular file");
        assert_eq!(refusal(Path::new("/dev/zero")), "it is a device, and a plugin is a regular file");
        assert!(refusal(dir.path()).contains("Is a directory"));
    }
}
