//! The types of `aiohost:aio` for worlds of your own: [`bindgen!`](wasmtime::component::bindgen) uses them instead of generating new
//! ones.
//!
//! A world that includes one of aiohost's worlds has its interfaces, and its functions may take and return its handles:
//!
//! ```
//! wasmtime::component::bindgen!({
//!     inline: r#"
//!         package example:app;
//!
//!         world processor {
//!             include aiohost:aio/blocking-guest@0.1.0;
//!             import log: func(message: string);
//!             export process: func(input: borrow<file>) -> result<u64, string>;
//!             use aiohost:aio/types@0.1.0.{file};
//!         }
//!     "#,
//!     // Where the WIT of this crate is, as `aiohost wit --out` writes it.
//!     path: "../wit",
//!     with: { "aiohost:aio": ::aiohost::bindings },
//!     exports: { default: async },
//! });
//! # fn main() {}
//! ```
//!
//! [`add_to_linker`](crate::add_to_linker) adds the functions of `aiohost:aio` to a linker, and the linkers of [`Host`](crate::Host)
//! have them already. The functions of that name in this module add nothing, so `Processor::add_to_linker` adds only those of your
//! own world:
//!
//! ```text
//! let host = Host::builder().linker(|linker| Processor::add_to_linker::<_, HasSelf<_>>(linker, |state: &mut GuestState| state));
//! ```
//!
//! `host/examples/processor` is a whole program.
//!
//! An error in such a world is a [`types::Error`]. `into` converts it to an [`Error`], which can be printed, and back; the same holds
//! for the codes:
//!
//! ```
//! use aiohost::bindings::types;
//! use aiohost::{Error, ErrorCode};
//!
//! let error = Error { code: ErrorCode::NoEntry, errno: 2 };
//! let for_guest = types::Error::from(error);
//! assert_eq!(for_guest.code, types::ErrorCode::NoEntry);
//! assert_eq!(Error::from(for_guest), error);
//! ```

use crate::error::{Error, ErrorCode};

/// Made of the WIT package.
#[allow(dead_code, missing_docs, clippy::all, reason = "it is generated, and what it adds to a linker is not used")]
mod generated {
    wasmtime::component::bindgen!({
        inline: "package aiohost:bindings; world types { import aiohost:aio/types@0.1.0; import aiohost:aio/control@0.1.0; }",
        path: "../wit",
        with: {
            "aiohost:aio/types.file": crate::sandbox::OpenFile,
            "aiohost:aio/types.dir": crate::sandbox::OpenDir,
            "aiohost:aio/types.walker": crate::sandbox::Walker,
            "aiohost:aio/types.request": crate::output::RequestHandle,
            "aiohost:aio/types.group": crate::output::GroupHandle,
        },
    });
}

/// What `bindgen!` expects for an interface whose functions are in the linker already.
macro_rules! is_added_elsewhere {
    () => {
        /// What a world's `add_to_linker` requires. It has no methods, since the functions are aiohost's.
        pub trait Host {}

        impl<T: ?Sized> Host for T {}

        /// The same for functions that take the store.
        pub trait HostWithStore<T>: wasmtime::component::HasData {}

        impl<T, D: wasmtime::component::HasData + ?Sized> HostWithStore<T> for D {}

        /// Adds nothing; see [`add_to_linker`](crate::add_to_linker).
        ///
        /// # Errors
        ///
        /// None.
        pub fn add_to_linker<T, D>(
            _linker: &mut wasmtime::component::Linker<T>,
            _host_getter: fn(&mut T) -> D::Data<'_>,
        ) -> wasmtime::Result<()>
        where
            T: 'static,
            D: HostWithStore<T>,
        {
            Ok(())
        }
    };
}

/// `aiohost:aio/types`: the handles and the records.
pub mod types {
    pub use super::generated::aiohost::aio::types::{
        Advice, AllocateFlags, Counters, Dirent, Error, ErrorCode, Extent, Failure, FileType, GroupOutcome, Identity, Listing,
        LockKind, NewTime, OpenFlags, Outcome, Progress, ReaddirxFlags, RenameFlags, Scan, Status, SyncRangeFlags, Timestamp,
        Volume, WalkEntry, Whence,
    };
    pub use crate::output::{GroupHandle as Group, RequestHandle as Request};
    pub use crate::sandbox::{OpenDir as Dir, OpenFile as File, Walker};

    is_added_elsewhere!();
}

/// Codes have the same names on both sides: one that is missing here does not compile.
macro_rules! same_codes {
    ($($code:ident)*) => {
        impl From<types::ErrorCode> for ErrorCode {
            fn from(code: types::ErrorCode) -> Self {
                match code {
                    $(types::ErrorCode::$code => Self::$code,)*
                }
            }
        }

        impl From<ErrorCode> for types::ErrorCode {
            fn from(code: ErrorCode) -> Self {
                match code {
                    $(ErrorCode::$code => Self::$code,)*
                }
            }
        }
    };
}

same_codes! {
    Access Already BadDescriptor Busy Canceled CrossDevice Deadlock Quota Exist FileTooLarge IllegalByteSequence
    Invalid Io IsDirectory Loop TooManyLinks NameTooLong NoDevice NoEntry NoLock InsufficientMemory InsufficientSpace
    NotDirectory NotEmpty NotPermitted Overflow ReadOnly InvalidSeek TimedOut TextFileBusy TooManyOpenFiles
    Unsupported WouldBlock Other
}

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        Self { code: error.code.into(), errno: error.errno }
    }
}

impl From<Error> for types::Error {
    fn from(error: Error) -> Self {
        Self { code: error.code.into(), errno: error.errno }
    }
}

/// `aiohost:aio/control`.
pub mod control {
    pub use super::generated::aiohost::aio::control::{Grant, WhenFull};

    is_added_elsewhere!();
}

/// `aiohost:aio/blocking`.
pub mod blocking {
    is_added_elsewhere!();
}

/// `aiohost:aio/submit`.
pub mod submit {
    is_added_elsewhere!();
}

/// `aiohost:aio/requests`.
pub mod requests {
    is_added_elsewhere!();
}

/// `aiohost:aio/streams`.
pub mod streams {
    is_added_elsewhere!();
}
