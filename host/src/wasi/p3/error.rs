//! Error codes of WASI 0.3 for those of requests.

use wasmtime_wasi::p3::bindings::filesystem::types::ErrorCode as WasiCode;
use wasmtime_wasi::p3::filesystem::FilesystemError;

use crate::error::{Error, ErrorCode};
use crate::wasi::filesystem::Failure;

impl From<Error> for WasiCode {
    fn from(error: Error) -> Self {
        match error.code {
            ErrorCode::Access => Self::Access,
            ErrorCode::Already => Self::Already,
            ErrorCode::BadDescriptor => Self::BadDescriptor,
            ErrorCode::Busy => Self::Busy,
            // None of WASI's codes says that, nor that the time is over. What was interrupted, programs do again, for ever.
            ErrorCode::Canceled | ErrorCode::TimedOut => Self::Io,
            ErrorCode::CrossDevice => Self::CrossDevice,
            ErrorCode::Deadlock => Self::Deadlock,
            ErrorCode::Quota => Self::Quota,
            ErrorCode::Exist => Self::Exist,
            ErrorCode::FileTooLarge => Self::FileTooLarge,
            ErrorCode::IllegalByteSequence => Self::IllegalByteSequence,
            ErrorCode::Invalid => Self::Invalid,
            ErrorCode::Io => Self::Io,
            ErrorCode::IsDirectory => Self::IsDirectory,
            ErrorCode::Loop => Self::Loop,
            ErrorCode::TooManyLinks => Self::TooManyLinks,
            ErrorCode::NameTooLong => Self::NameTooLong,
            ErrorCode::NoDevice if error.errno == NXIO => Self::NoSuchDevice,
            ErrorCode::NoDevice => Self::NoDevice,
            ErrorCode::NoEntry => Self::NoEntry,
            ErrorCode::NoLock => Self::NoLock,
            // None says that as many files are open as may be, and none that as much is under way; to close some, or to wait for
            // others to end, is what helps in all cases.
            ErrorCode::InsufficientMemory | ErrorCode::TooManyOpenFiles | ErrorCode::WouldBlock => Self::InsufficientMemory,
            ErrorCode::InsufficientSpace => Self::InsufficientSpace,
            ErrorCode::NotDirectory => Self::NotDirectory,
            ErrorCode::NotEmpty => Self::NotEmpty,
            ErrorCode::NotPermitted => Self::NotPermitted,
            ErrorCode::Overflow => Self::Overflow,
            ErrorCode::ReadOnly => Self::ReadOnly,
            ErrorCode::InvalidSeek => Self::InvalidSeek,
            ErrorCode::TextFileBusy => Self::TextFileBusy,
            ErrorCode::Unsupported => Self::Unsupported,
            ErrorCode::Other => Self::Io,
        }
    }
}

/// `ENXIO`.
const NXIO: u32 = 6;

impl From<Error> for FilesystemError {
    fn from(error: Error) -> Self {
        WasiCode::from(error).into()
    }
}

impl From<Failure> for FilesystemError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Code(error) => error.into(),
            Failure::Trap(trap) => Self::trap(trap),
        }
    }
}
