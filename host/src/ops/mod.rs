//! The requests, a file for each family and a line for each request.
//!
//! To add one: its function in `wit/requests.wit` (then `UPDATE=1 cargo test --test wit_faces`), its line here, and its guest
//! test in `tests/guests`.

pub(crate) mod control;
pub(crate) mod durability;
pub(crate) mod file;
pub(crate) mod group;
pub(crate) mod path;
pub(crate) mod range;
pub(crate) mod streams;
pub(crate) mod tree;
pub(crate) mod whole;
