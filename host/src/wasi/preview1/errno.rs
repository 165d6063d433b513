//! Error numbers of preview 1, and what a function fails with.

use crate::error::Error;

/// An error number of preview 1: `wasi_snapshot_preview1.errno`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Errno(u16);

macro_rules! errnos {
    ($($name:ident = $number:literal $(from $system:ident)?;)*) => {
        impl Errno {
            $(#[allow(dead_code, reason = "the table is whole")] pub(super) const $name: Self = Self($number);)*

            /// The number that stands for one of Linux.
            fn of(system: rustix::io::Errno) -> Self {
                match system {
                    $($(rustix::io::Errno::$system => Self::$name,)?)*
                    _ => Self::IO,
                }
            }
        }
    };
}

errnos! {
    SUCCESS = 0;
    TOO_BIG = 1 from TOOBIG;
    ACCES = 2 from ACCESS;
    AGAIN = 6 from AGAIN;
    ALREADY = 7 from ALREADY;
    BADF = 8 from BADF;
    BUSY = 10 from BUSY;
    CANCELED = 11 from CANCELED;
    DEADLK = 16 from DEADLK;
    DQUOT = 19 from DQUOT;
    EXIST = 20 from EXIST;
    FAULT = 21 from FAULT;
    FBIG = 22 from FBIG;
    ILSEQ = 25 from ILSEQ;
    INTR = 27 from INTR;
    INVAL = 28 from INVAL;
    IO = 29 from IO;
    ISDIR = 31 from ISDIR;
    LOOP = 32 from LOOP;
    MFILE = 33 from MFILE;
    MLINK = 34 from MLINK;
    NAMETOOLONG = 37 from NAMETOOLONG;
    NFILE = 41 from NFILE;
    NODEV = 43 from NODEV;
    NOENT = 44 from NOENT;
    NOLCK = 46 from NOLCK;
    NOMEM = 48 from NOMEM;
    NOSPC = 51 from NOSPC;
    NOSYS = 52 from NOSYS;
    NOTDIR = 54 from NOTDIR;
    NOTEMPTY = 55 from NOTEMPTY;
    NOTSOCK = 57 from NOTSOCK;
    NOTSUP = 58 from NOTSUP;
    NXIO = 60 from NXIO;
    OVERFLOW = 61 from OVERFLOW;
    PERM = 63 from PERM;
    PIPE = 64 from PIPE;
    ROFS = 69 from ROFS;
    SPIPE = 70 from SPIPE;
    STALE = 72 from STALE;
    TIMEDOUT = 73 from TIMEDOUT;
    TXTBSY = 74 from TXTBSY;
    XDEV = 75 from XDEV;
}

impl From<Error> for Errno {
    fn from(error: Error) -> Self {
        let number = i32::try_from(error.errno).unwrap_or(0);
        Self::of(rustix::io::Errno::from_raw_os_error(number))
    }
}

/// Why a function fails: the guest is told, or ends.
#[derive(Debug)]
pub(super) enum CallFailure {
    Errno(Errno),
    Trap(wasmtime::Error),
}

impl From<Errno> for CallFailure {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<Error> for CallFailure {
    fn from(error: Error) -> Self {
        Self::Errno(error.into())
    }
}

pub(super) type Result<T> = std::result::Result<T, CallFailure>;

/// What goes wrong in `wasmtime-wasi` ends the guest.
pub(super) fn trap(error: impl Into<wasmtime::Error>) -> CallFailure {
    CallFailure::Trap(error.into())
}

/// What a function gives to the guest.
pub(super) fn answer(result: Result<()>) -> wasmtime::Result<i32> {
    match result {
        Ok(()) => Ok(i32::from(Errno::SUCCESS.0)),
        Err(CallFailure::Errno(errno)) => Ok(i32::from(errno.0)),
        Err(CallFailure::Trap(error)) => Err(error),
    }
}

impl Errno {
    /// The number, as it stands in an event.
    pub(super) fn number(self) -> u16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_of_linux_that_a_request_gives_has_one_of_its_own() {
        for (system, expected) in
            [(2, 44), (1, 63), (9, 8), (20, 54), (21, 31), (39, 55), (40, 32), (28, 51), (95, 58), (18, 75)]
        {
            let error = Error::from(rustix::io::Errno::from_raw_os_error(system));
            assert_eq!(Errno::from(error).number(), expected, "{system}");
        }
    }
}
