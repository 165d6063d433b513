//! Why a request failed: the one table from error numbers to the codes of the WIT package.

use std::{fmt, io};

use rustix::io::Errno;
use wasmtime::component::{ComponentType, Lift, Lower};

/// The class of an error, with the names of WASI and POSIX: `aiohost:aio/types.error-code`. An [`Error`] has it, and the number too.
/// Later versions may have more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
#[non_exhaustive]
pub enum ErrorCode {
    /// Permission denied by the file system. `EACCES`.
    #[component(name = "access")]
    Access,
    /// The result has been taken already; the guest's mistake. `EALREADY`.
    #[component(name = "already")]
    Already,
    /// The file is not open for this; the guest's mistake. `EBADF`.
    #[component(name = "bad-descriptor")]
    BadDescriptor,
    /// The object is in use. `EBUSY`.
    #[component(name = "busy")]
    Busy,
    /// The request was canceled. `ECANCELED`.
    #[component(name = "canceled")]
    Canceled,
    /// Both names must be on one file system. `EXDEV`.
    #[component(name = "cross-device")]
    CrossDevice,
    /// The request would wait for itself. `EDEADLK`.
    #[component(name = "deadlock")]
    Deadlock,
    /// The disk quota is used up. `EDQUOT`.
    #[component(name = "quota")]
    Quota,
    /// The name exists. `EEXIST`.
    #[component(name = "exist")]
    Exist,
    /// The file would grow over its limit. `EFBIG`.
    #[component(name = "file-too-large")]
    FileTooLarge,
    /// The file system cannot hold the name, or it is another spelling of a name. `EILSEQ`.
    #[component(name = "illegal-byte-sequence")]
    IllegalByteSequence,
    /// An argument is not valid; the guest's mistake. `EINVAL`.
    #[component(name = "invalid")]
    Invalid,
    /// The device failed, or the host's own code did. `EIO`.
    #[component(name = "io")]
    Io,
    /// The object is a directory. `EISDIR`.
    #[component(name = "is-directory")]
    IsDirectory,
    /// Too many symbolic links, or one where none may be. `ELOOP`.
    #[component(name = "loop")]
    Loop,
    /// The object has as many links as it can have. `EMLINK`.
    #[component(name = "too-many-links")]
    TooManyLinks,
    /// A name or a path is too long. `ENAMETOOLONG`.
    #[component(name = "name-too-long")]
    NameTooLong,
    /// No such device, or nothing at that place. `ENXIO`.
    #[component(name = "no-device")]
    NoDevice,
    /// No such file or directory. `ENOENT`.
    #[component(name = "no-entry")]
    NoEntry,
    /// No more locks. `ENOLCK`.
    #[component(name = "no-lock")]
    NoLock,
    /// The host is out of memory. `ENOMEM`.
    #[component(name = "insufficient-memory")]
    InsufficientMemory,
    /// The device is full. `ENOSPC`.
    #[component(name = "insufficient-space")]
    InsufficientSpace,
    /// A part of the path is no directory. `ENOTDIR`.
    #[component(name = "not-directory")]
    NotDirectory,
    /// The directory is not empty. `ENOTEMPTY`.
    #[component(name = "not-empty")]
    NotEmpty,
    /// The path leads out of the grant, or to something that is no file; or the operation is never allowed. `EPERM`.
    #[component(name = "not-permitted")]
    NotPermitted,
    /// There are more entries than one answer may carry. `EOVERFLOW`.
    #[component(name = "overflow")]
    Overflow,
    /// Granted, or mounted, for reading only. `EROFS`.
    #[component(name = "read-only")]
    ReadOnly,
    /// The file cannot be positioned. `ESPIPE`.
    #[component(name = "invalid-seek")]
    InvalidSeek,
    /// The deadline passed. `ETIMEDOUT`.
    #[component(name = "timed-out")]
    TimedOut,
    /// The file is being executed. `ETXTBSY`.
    #[component(name = "text-file-busy")]
    TextFileBusy,
    /// As many files are open as are allowed. `EMFILE`, `ENFILE`.
    #[component(name = "too-many-open-files")]
    TooManyOpenFiles,
    /// The file system or the kind of file cannot do this. `ENOTSUP`.
    #[component(name = "unsupported")]
    Unsupported,
    /// As much is in flight as is allowed. `EAGAIN`.
    #[component(name = "would-block")]
    WouldBlock,
    /// Anything else; the error number says what.
    #[component(name = "other")]
    Other,
}

/// Why a request failed: `aiohost:aio/types.error`. A guest gets it from a request, and functions of an application may return it
/// to guests as well. A world of your own has it as `aiohost::bindings::types::Error`; `into` converts one
/// to the other.
///
/// ```
/// use aiohost::{Error, ErrorCode};
///
/// let error = Error { code: ErrorCode::NoEntry, errno: 2 };
/// assert_eq!(error.to_string(), "No such file or directory (os error 2)");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Error {
    /// The class of the error.
    pub code: ErrorCode,
    /// The error number (`errno`) of Linux.
    pub errno: u32,
}

pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) const ALREADY: Self = Self::new(Errno::ALREADY);
    pub(crate) const BAD_DESCRIPTOR: Self = Self::new(Errno::BADF);
    pub(crate) const CANCELED: Self = Self::new(Errno::CANCELED);
    pub(crate) const DEADLOCK: Self = Self::new(Errno::DEADLK);
    pub(crate) const CROSS_DEVICE: Self = Self::new(Errno::XDEV);
    pub(crate) const EXIST: Self = Self::new(Errno::EXIST);
    pub(crate) const FILE_TOO_LARGE: Self = Self::new(Errno::FBIG);
    pub(crate) const ILLEGAL_BYTE_SEQUENCE: Self = Self::new(Errno::ILSEQ);
    pub(crate) const INVALID: Self = Self::new(Errno::INVAL);
    pub(crate) const IO: Self = Self::new(Errno::IO);
    pub(crate) const IS_DIRECTORY: Self = Self::new(Errno::ISDIR);
    pub(crate) const NAME_TOO_LONG: Self = Self::new(Errno::NAMETOOLONG);
    pub(crate) const NO_ENTRY: Self = Self::new(Errno::NOENT);
    pub(crate) const NO_LOCK: Self = Self::new(Errno::NOLCK);
    pub(crate) const NOT_DIRECTORY: Self = Self::new(Errno::NOTDIR);
    pub(crate) const NOT_PERMITTED: Self = Self::new(Errno::PERM);
    pub(crate) const OVERFLOW: Self = Self::new(Errno::OVERFLOW);
    pub(crate) const READ_ONLY: Self = Self::new(Errno::ROFS);
    pub(crate) const TIMED_OUT: Self = Self::new(Errno::TIMEDOUT);
    pub(crate) const TOO_MANY_OPEN_FILES: Self = Self::new(Errno::MFILE);
    pub(crate) const UNSUPPORTED: Self = Self::new(Errno::NOTSUP);
    pub(crate) const WOULD_BLOCK: Self = Self::new(Errno::AGAIN);

    /// Something else has to end first: a worker is to try again later. No guest sees it, since the door handles it. Its number is
    /// `ERESTARTSYS`, which the kernel does not show to programs either.
    pub(crate) const NOT_YET: Self = Self { code: ErrorCode::WouldBlock, errno: 512 };

    const fn new(errno: Errno) -> Self {
        Self { code: code(errno), errno: errno.raw_os_error().unsigned_abs() }
    }
}

/// The table. Numbers that no request here can give are `other`.
const fn code(errno: Errno) -> ErrorCode {
    match errno {
        Errno::ACCESS => ErrorCode::Access,
        Errno::ALREADY => ErrorCode::Already,
        Errno::BADF => ErrorCode::BadDescriptor,
        Errno::BUSY => ErrorCode::Busy,
        Errno::CANCELED => ErrorCode::Canceled,
        Errno::XDEV => ErrorCode::CrossDevice,
        Errno::DEADLK => ErrorCode::Deadlock,
        Errno::DQUOT => ErrorCode::Quota,
        Errno::EXIST => ErrorCode::Exist,
        Errno::FBIG => ErrorCode::FileTooLarge,
        Errno::ILSEQ => ErrorCode::IllegalByteSequence,
        Errno::INVAL => ErrorCode::Invalid,
        Errno::IO => ErrorCode::Io,
        Errno::ISDIR => ErrorCode::IsDirectory,
        Errno::LOOP => ErrorCode::Loop,
        Errno::MLINK => ErrorCode::TooManyLinks,
        Errno::NAMETOOLONG => ErrorCode::NameTooLong,
        Errno::NXIO | Errno::NODEV => ErrorCode::NoDevice,
        Errno::NOENT => ErrorCode::NoEntry,
        Errno::NOLCK => ErrorCode::NoLock,
        Errno::NOMEM => ErrorCode::InsufficientMemory,
        Errno::NOSPC => ErrorCode::InsufficientSpace,
        Errno::NOTDIR => ErrorCode::NotDirectory,
        Errno::NOTEMPTY => ErrorCode::NotEmpty,
        Errno::PERM => ErrorCode::NotPermitted,
        Errno::OVERFLOW => ErrorCode::Overflow,
        Errno::ROFS => ErrorCode::ReadOnly,
        Errno::SPIPE => ErrorCode::InvalidSeek,
        Errno::TIMEDOUT => ErrorCode::TimedOut,
        Errno::TXTBSY => ErrorCode::TextFileBusy,
        Errno::MFILE | Errno::NFILE => ErrorCode::TooManyOpenFiles,
        Errno::NOTSUP | Errno::NOSYS | Errno::NOTTY => ErrorCode::Unsupported,
        Errno::AGAIN => ErrorCode::WouldBlock,
        _ => ErrorCode::Other,
    }
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Self::new(errno)
    }
}

impl From<io::Error> for Error {
    /// cap-std refuses a path that leads out with an error of its own that has no number.
    fn from(error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(errno) => errno.into(),
            None if error.kind() == io::ErrorKind::PermissionDenied => Self::NOT_PERMITTED,
            None => Self::IO,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errno = i32::try_from(self.errno).unwrap_or(0);
        write!(f, "{}", io::Error::from_raw_os_error(errno))
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errno_keeps_its_number_beside_its_code() {
        let error = Error::from(Errno::NOENT);
        assert_eq!((error.code, error.errno), (ErrorCode::NoEntry, 2));
    }

    #[test]
    fn an_unknown_errno_is_other_and_keeps_its_number() {
        let error = Error::from(Errno::CONNREFUSED);
        assert_eq!((error.code, error.errno), (ErrorCode::Other, 111));
    }

    #[test]
    fn a_refusal_of_cap_std_is_not_permitted() {
        let error = Error::from(io::Error::new(io::ErrorKind::PermissionDenied, "a path led outside"));
        assert_eq!(error, Error::NOT_PERMITTED);
    }
}
