//! What the tests share: checks of results, and short ways to a file's content.
//!
//! The directories that the tests work in are made by `tests/support/tree.rs` of the host, which says what is in them.

use std::fmt::Debug;
use std::time::Duration;

use crate::face::{Dir, Error, ErrorCode, Face, File, OpenFlags};

/// How long what comes a moment later may take, on a machine that does much else.
pub const MOMENT: Duration = Duration::from_secs(30);

/// The errno that belongs to each class of error, as Linux numbers them; the host has to give both.
fn errno(code: ErrorCode) -> Option<u32> {
    Some(match code {
        ErrorCode::NotPermitted => 1,
        ErrorCode::NoEntry => 2,
        ErrorCode::Io => 5,
        ErrorCode::NoDevice => 6,
        ErrorCode::BadDescriptor => 9,
        ErrorCode::WouldBlock => 11,
        ErrorCode::InsufficientMemory => 12,
        ErrorCode::Access => 13,
        ErrorCode::Busy => 16,
        ErrorCode::Exist => 17,
        ErrorCode::CrossDevice => 18,
        ErrorCode::NotDirectory => 20,
        ErrorCode::IsDirectory => 21,
        ErrorCode::Invalid => 22,
        ErrorCode::TooManyOpenFiles => 24,
        ErrorCode::TextFileBusy => 26,
        ErrorCode::FileTooLarge => 27,
        ErrorCode::InsufficientSpace => 28,
        ErrorCode::InvalidSeek => 29,
        ErrorCode::ReadOnly => 30,
        ErrorCode::TooManyLinks => 31,
        ErrorCode::Deadlock => 35,
        ErrorCode::NameTooLong => 36,
        ErrorCode::NoLock => 37,
        ErrorCode::NotEmpty => 39,
        ErrorCode::Loop => 40,
        ErrorCode::Overflow => 75,
        ErrorCode::IllegalByteSequence => 84,
        ErrorCode::Unsupported => 95,
        ErrorCode::TimedOut => 110,
        ErrorCode::Already => 114,
        ErrorCode::Quota => 122,
        ErrorCode::Canceled => 125,
        ErrorCode::Other => return None,
    })
}

/// Checks that both halves of an error say the same.
#[track_caller]
pub fn assert_errno(error: &Error) {
    assert_eq!(Some(error.errno), errno(error.code), "{error:?}");
}

/// Checks that a request failed with this class of error, and with the errno that belongs to it.
#[track_caller]
pub fn fails<T: Debug>(result: Result<T, Error>, code: ErrorCode) {
    match result {
        Ok(value) => panic!("expected {code:?}, but it worked: {value:?}"),
        Err(error) => {
            assert_eq!(error.code, code, "{error:?}");
            assert_errno(&error);
        }
    }
}

/// What a request returned that had to work.
#[track_caller]
pub fn works<T>(result: Result<T, Error>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("expected it to work, but: {error:?}"),
    }
}

/// The errors that any request with a path can give, whatever it does with the last part of it.
pub async fn path_errors<T: Debug>(request: impl AsyncFn(Option<&Dir>, &str) -> Result<T, Error>, sub: &Dir) {
    let name = "n".repeat(256);
    let path = "sub/../".repeat(586) + "x";
    for (path, code) in [
        ("", ErrorCode::NoEntry),
        ("missing/x", ErrorCode::NoEntry),
        ("link-dangling/x", ErrorCode::NoEntry),
        ("missing/.", ErrorCode::NoEntry),
        ("missing/sub/..", ErrorCode::NoEntry),
        ("digits/x", ErrorCode::NotDirectory),
        ("digits/.", ErrorCode::NotDirectory),
        ("sub/inner/..", ErrorCode::NotDirectory),
        ("link-file/x", ErrorCode::NotDirectory),
        ("link-loop/x", ErrorCode::Loop),
        ("digits\0", ErrorCode::Invalid),
        ("sub\0/inner", ErrorCode::Invalid),
        (&name, ErrorCode::NameTooLong),
        (&path, ErrorCode::NameTooLong),
        ("../outside/secret", ErrorCode::NotPermitted),
        ("sub/../../outside/secret", ErrorCode::NotPermitted),
        ("link-out-dir/secret", ErrorCode::NotPermitted),
        ("link-absolute-dir/inner", ErrorCode::NotPermitted),
        ("/nowhere/x", ErrorCode::NotPermitted),
    ] {
        let result = request(None, path).await;
        assert!(result.is_err(), "{path:?} worked: {result:?}");
        assert_eq!(result.as_ref().err().map(|error| error.code), Some(code), "{path:?}");
        fails(result, code);
    }
    for (path, code) in [
        ("", ErrorCode::NoEntry),
        ("missing/x", ErrorCode::NoEntry),
        ("inner/x", ErrorCode::NotDirectory),
        ("inner\0", ErrorCode::Invalid),
        ("../../outside/secret", ErrorCode::NotPermitted),
        ("deep/../../../outside/secret", ErrorCode::NotPermitted),
        ("link-out-dir/secret", ErrorCode::NotPermitted),
    ] {
        let result = request(Some(sub), path).await;
        assert_eq!(result.as_ref().err().map(|error| error.code), Some(code), "{path:?} from sub");
        fails(result, code);
    }
}

/// The directory `path`.
pub async fn dir<F: Face>(path: &str) -> Dir {
    works(F::open_dir(None, path).await)
}

/// The file `path`, open for reading.
pub async fn readable<F: Face>(path: &str) -> File {
    works(F::open(None, path, OpenFlags::READ, 0).await)
}

/// The file `path`, open for writing.
pub async fn writable<F: Face>(path: &str) -> File {
    works(F::open(None, path, OpenFlags::WRITE, 0).await)
}

/// A new file with this content, left open for reading and writing.
pub async fn create<F: Face>(path: &str, content: &[u8]) -> File {
    let flags = OpenFlags::READ | OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
    let file = works(F::open(None, path, flags, 0o666).await);
    write_all::<F>(&file, content).await;
    file
}

/// Writes at the start of a file. One `write` may write less than it is given.
pub async fn write_all<F: Face>(file: &File, mut data: &[u8]) {
    let mut offset = 0;
    while !data.is_empty() {
        let count = works(F::write(file, Some(offset), data).await);
        offset += count;
        data = &data[usize::try_from(count).expect("no more than was given")..];
    }
}

/// Reads a whole file from `offset` on, `length` bytes at a time.
pub async fn read_all<F: Face>(file: &File, mut offset: u64, length: u32) -> Vec<u8> {
    let mut data = Vec::new();
    loop {
        let part = works(F::read(file, Some(offset), length).await);
        if part.is_empty() {
            return data;
        }
        offset += u64::try_from(part.len()).expect("a length fits");
        data.extend(part);
    }
}

/// Bytes in which none of the block sizes that computers like is a period.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

/// What is in the file `path`, if that is little.
pub async fn content<F: Face>(path: &str) -> Vec<u8> {
    let file = readable::<F>(path).await;
    works(F::read(&file, Some(0), 65_536).await)
}

/// Whether there is something of that name.
pub async fn exists<F: Face>(path: &str) -> bool {
    match F::lstat(None, path).await {
        Ok(_) => true,
        Err(error) if error.code == ErrorCode::NoEntry => false,
        Err(error) => panic!("lstat of {path:?}: {error:?}"),
    }
}
