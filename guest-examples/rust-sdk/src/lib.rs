//! The requests of aiohost for plugins in Rust, in the style of `std`.
//!
//! * **One after the other**: [`File`], [`Dir`] and [`OpenOptions`] are used like those of `std`. A call returns when its work
//!   is done. [`File`] is [`Read`](std::io::Read), [`Write`](std::io::Write) and [`Seek`](std::io::Seek).
//! * **Many at a time**: the functions of [`submit`] return a [`Request`] at once. [`InFlight`] holds many and returns each when it
//!   is done; a [`Group`] waits for its members, cancels them, and limits how many are in flight. A request is also a [`Future`]:
//!   [`block_on`] runs `async` code in a plain `fn main`.
//! * **WASI 0.3**, with the feature `async`: the module `requests`, whose functions are async, and streams of a [`File`].
//!
//! # Examples
//!
//! ```no_run
#![doc = include_str!("../examples/overview.rs")]
//! ```
//!
//! [`File`], [`Dir`], [`Group`], [`InFlight`] and [`submit`] have more examples.
//!
//! # Errors
//!
//! The host's errors come as an [`io::Error`](std::io::Error): its kind is the closest that `std` has, and [`reason`] returns
//! the host's own [`ErrorCode`]. The names in the sections on errors are those of `ErrorCode`; [`submit`] lists those that any
//! request may fail with.
//!
//! # Cancellation
//!
//! A call that waits cannot be canceled. A [`Request`] can, with [`cancel`](Request::cancel); dropping it does not cancel it.
//! The functions of the module `requests`, with the feature `async`, are canceled when their future is dropped: a request in
//! the queue never runs, and the result of a running one is lost.
//!
//! # More
//!
//! The programs in `examples` are run by aiohost's tests. This crate only wraps what the host offers, and has no access of its
//! own. What it does not wrap is in [`blocking`], [`control`] and [`types`], as in the host's WIT.
//!
//! A path is text. Each byte of a name that is not UTF-8 comes as a character from U+F780 to U+F7FF; pass it back unchanged. A
//! relative path starts from the first directory that the plugin was granted.

mod bindings;
mod completions;
mod dir;
mod error;
mod file;
mod future;
mod group;
mod in_flight;
mod options;
mod request;
#[cfg(feature = "async")]
mod streams;
pub mod submit;

#[cfg(feature = "async")]
pub use bindings::aiohost::aio::requests;
pub use bindings::aiohost::aio::{blocking, control, types};
pub use dir::Dir;
pub use error::reason;
pub use file::File;
pub use future::block_on;
pub use group::{Group, Next};
pub use in_flight::InFlight;
pub use options::OpenOptions;
pub use request::{FromOutcome, Request};
pub use types::{ErrorCode, FileType, Status};
