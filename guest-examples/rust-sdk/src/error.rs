//! Why a request failed, as an [`io::Error`].

use std::{fmt, io};

use crate::types::{Error, ErrorCode};

/// The error of the host, inside an [`io::Error`].
#[derive(Debug)]
struct Reason(Error);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, errno {}", self.0.code, self.0.errno)
    }
}

impl std::error::Error for Reason {}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(kind(error.code), Reason(error))
    }
}

/// The host's error: its code, and the error number of its system. `None` for an error that does not come from the host.
///
/// [`io::Error::raw_os_error`] is `None` for all of them, since the numbers of the host's system are not those of WASI. The program at
/// [`File`](crate::File) has an example.
pub fn reason(error: &io::Error) -> Option<Error> {
    error.get_ref()?.downcast_ref::<Reason>().map(|reason| reason.0)
}

fn kind(code: ErrorCode) -> io::ErrorKind {
    use io::ErrorKind as Kind;
    match code {
        ErrorCode::Access | ErrorCode::NotPermitted => Kind::PermissionDenied,
        ErrorCode::Busy => Kind::ResourceBusy,
        ErrorCode::CrossDevice => Kind::CrossesDevices,
        ErrorCode::Deadlock => Kind::Deadlock,
        ErrorCode::Quota => Kind::QuotaExceeded,
        ErrorCode::Exist => Kind::AlreadyExists,
        ErrorCode::FileTooLarge => Kind::FileTooLarge,
        ErrorCode::IllegalByteSequence | ErrorCode::NameTooLong => Kind::InvalidFilename,
        ErrorCode::Invalid => Kind::InvalidInput,
        ErrorCode::IsDirectory => Kind::IsADirectory,
        ErrorCode::TooManyLinks => Kind::TooManyLinks,
        ErrorCode::NoEntry => Kind::NotFound,
        ErrorCode::InsufficientMemory => Kind::OutOfMemory,
        ErrorCode::InsufficientSpace => Kind::StorageFull,
        ErrorCode::NotDirectory => Kind::NotADirectory,
        ErrorCode::NotEmpty => Kind::DirectoryNotEmpty,
        ErrorCode::ReadOnly => Kind::ReadOnlyFilesystem,
        ErrorCode::InvalidSeek => Kind::NotSeekable,
        ErrorCode::TimedOut => Kind::TimedOut,
        ErrorCode::TextFileBusy => Kind::ExecutableFileBusy,
        ErrorCode::Unsupported => Kind::Unsupported,
        ErrorCode::WouldBlock => Kind::WouldBlock,
        _ => Kind::Other,
    }
}
