//! Plugins with batteries: from a file to a running guest, with WASI, limits, and a cache of compiled code.
//!
//! `host` has the settings, `load` makes a plugin of a file by way of `format`, `world`, `offer` and `cache`, and `guest` runs
//! it. Embedders with a wasmtime of their own do without all this; they use [`add_to_linker`](crate::add_to_linker).

mod cache;
mod ending;
mod format;
mod guest;
mod host;
mod invoke;
mod load;
mod machine;
mod offer;
mod problem;
mod sealed;
mod state;
mod ticker;
mod world;

pub use format::Format;
pub use guest::Guest;
pub use host::{Host, HostBuilder};
pub use load::{Description, Plugin, describe};
pub use machine::EngineKind;
pub use offer::{Missing, WIT};
pub use problem::{Problem, ProblemKind};
pub use world::{Command, Function, Item, ItemKind, World};
