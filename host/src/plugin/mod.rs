//! Plugins, with everything included: from a file to a running guest, with WASI, limits, and a cache of compiled code.
//!
//! ```
//! use aiohost::{Host, Limits, Rights};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), aiohost::Problem> {
//! // What all plugins may do is set once; a guest may get more, or less.
//! let limits = Limits { memory_bytes_max: 64 << 20, ..Limits::default() };
//! let host = Host::builder().dir(std::env::temp_dir(), "tmp", Rights::Read).limits(limits).build()?;
//!
//! // A plugin is loaded once, usually from a file, and runs as often as you like.
//! let text = r#"(component
//!     (core module $code (func (export "double") (param i32) (result i32)
//!         (i32.mul (local.get 0) (i32.const 2))))
//!     (core instance $code (instantiate $code))
//!     (func (export "double") (param "number" u32) (result u32) (canon lift (core func $code "double"))))"#;
//! let plugin = host.load_bytes("double.wat", text.as_bytes())?;
//! assert_eq!(plugin.invoke("double(21)").await?.as_deref(), Some("42"));
//!
//! // Each run is a guest of its own, which has statistics of what it did.
//! let mut guest = plugin.guest().arg("--an-argument").build()?;
//! assert_eq!(guest.invoke("double(4)").await?.as_deref(), Some("8"));
//! assert!(guest.stats().is_empty(), "it made no requests");
//! # Ok(())
//! # }
//! ```
//!
//! A plugin that is a command, with a main function, is run with [`Plugin::run`], which returns its exit status. Errors are a
//! [`Problem`](crate::Problem), which says what happened, why, and what to do about it.
//!
//! `host` has the settings, `load` makes a plugin from a file with `format`, `world`, `offer` and `cache`, and `guest` runs it.
//! Embedders with a linker of their own need none of this and use [`add_to_linker`](crate::add_to_linker). This module is behind the
//! feature `host`, which is on by default.

mod bytes;
mod cache;
mod cache_folder;
mod code;
mod compile;
mod compile_how;
mod compile_process;
mod compile_wire;
mod compiled;
mod componentize;
mod core_imports;
mod difference;
mod ending;
mod entry;
mod flags_weight;
mod footprint;
mod format;
mod grant;
mod guest;
mod guest_builder;
mod handle;
mod host;
#[cfg(feature = "cli")]
mod image_cache;
mod invoke;
mod invoke_core;
mod known;
mod load;
mod machine;
mod marker;
mod memory;
mod offer;
mod places;
mod prepare;
mod private;
mod sealed;
mod secret;
mod source;
mod standard_output;
mod state;
mod stdio;
mod streams_of_flags;
mod trace;
mod tree_hash;
mod trust;
mod validate;
mod whereabouts;
mod world;

pub use compile_process::CompileProcess;
pub use compiled::{CompiledCode, compiled_code};
pub use componentize::{BuiltFor, componentize};
pub use format::Format;
pub use guest::Guest;
pub use guest_builder::GuestBuilder;
pub use handle::GuestHandle;
pub use host::{Host, HostBuilder};
#[cfg(feature = "cli")]
pub use image_cache::{ImageCache, NewBlob};
pub use load::{Description, Plugin, describe, describe_bytes};
pub use machine::EngineKind;
pub use offer::{Missing, WIT};
pub use source::read_module;
pub use state::GuestState;
pub use stdio::{Captured, Stdin, Stdout};
pub use validate::Unsupported;
pub use world::{Command, Function, Item, ItemKind, World};
