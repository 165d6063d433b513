//! The requests, a file for each family and a line for each request.
//!
//! To add one, its line here is one step of several: the section "The tree" of `README.md` has all of them, from its function in
//! `wit/requests.wit` to the tests.

pub(crate) mod control;
pub(crate) mod durability;
pub(crate) mod file;
pub(crate) mod group;
pub(crate) mod path;
pub(crate) mod range;
pub(crate) mod streams;
pub(crate) mod tree;
pub(crate) mod whole;
