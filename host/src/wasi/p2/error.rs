//! Error codes of WASI 0.2 for those of requests.

use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode as WasiCode;
use wasmtime_wasi::p2::{FsError, StreamError};

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
            // None says that as many files are open as may be; to close some, or to end, is what helps in both cases.
            ErrorCode::InsufficientMemory | ErrorCode::TooManyOpenFiles => Self::InsufficientMemory,
            ErrorCode::InsufficientSpace => Self::InsufficientSpace,
            ErrorCode::NotDirectory => Self::NotDirectory,
            ErrorCode::NotEmpty => Self::NotEmpty,
            ErrorCode::NotPermitted => Self::NotPermitted,
            ErrorCode::Overflow => Self::Overflow,
            ErrorCode::ReadOnly => Self::ReadOnly,
            ErrorCode::InvalidSeek => Self::InvalidSeek,
            ErrorCode::TextFileBusy => Self::TextFileBusy,
            ErrorCode::Unsupported => Self::Unsupported,
            ErrorCode::WouldBlock => Self::WouldBlock,
            ErrorCode::Other => Self::Io,
        }
    }
}

/// `ENXIO`.
const NXIO: u32 = 6;

impl From<Error> for FsError {
    fn from(error: Error) -> Self {
        WasiCode::from(error).into()
    }
}

impl From<Failure> for FsError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Code(error) => error.into(),
            Failure::Trap(trap) => Self::trap(trap),
        }
    }
}

/// What a stream fails with: `filesystem-error-code` tells the code of it.
pub(super) fn failed(error: Error) -> StreamError {
    StreamError::LastOperationFailed(error.into())
}

/// The code of what a stream failed with, if that was a stream of a file, or one of `wasmtime_wasi`.
pub(super) fn code_of(error: &wasmtime::Error) -> Option<WasiCode> {
    match error.downcast_ref::<Error>() {
        Some(error) => Some((*error).into()),
        None => error.downcast_ref::<std::io::Error>().map(WasiCode::from),
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn each_number_of_linux_has_the_code_that_wasi_names_after_it() {
        for (errno, code) in [
            (Errno::PERM, WasiCode::NotPermitted),
            (Errno::ROFS, WasiCode::ReadOnly),
            (Errno::XDEV, WasiCode::CrossDevice),
            (Errno::NODEV, WasiCode::NoDevice),
            (Errno::NXIO, WasiCode::NoSuchDevice),
            (Errno::DQUOT, WasiCode::Quota),
            (Errno::TXTBSY, WasiCode::TextFileBusy),
            (Errno::CONNREFUSED, WasiCode::Io),
        ] {
            assert_eq!(WasiCode::from(Error::from(errno)), code, "{errno:?}");
        }
    }

    #[test]
    fn what_a_stream_fails_with_has_a_code() {
        let StreamError::LastOperationFailed(error) = failed(Error::NO_ENTRY) else { panic!("a failure is one") };
        assert_eq!(code_of(&error), Some(WasiCode::NoEntry));
        let error = wasmtime::Error::from(std::io::Error::from_raw_os_error(13));
        assert_eq!(code_of(&error), Some(WasiCode::Access));
        assert_eq!(code_of(&wasmtime::format_err!("something else")), None);
    }
}
