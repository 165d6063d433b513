//! The tests, a file for each family of requests. A test of a request has its name.

pub mod attributes;
pub mod control;
pub mod defects;
pub mod differences;
pub mod durability;
pub mod file;
pub mod groups;
pub mod limits;
pub mod links;
pub mod path;
pub mod queue;
pub mod range;
pub mod relapses;
pub mod transfer;
pub mod tree;
pub mod trees;
pub mod whole;

use crate::face::Face;

/// Makes the tests of a module known by name.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub const NAMES: &[&str] = &[$(stringify!($name)),*];

        /// Runs a test of this module, if it has this name.
        pub async fn run<F: $crate::face::Face>(name: &str) -> bool {
            $(if name == stringify!($name) {
                $name::<F>().await;
                return true;
            })*
            false
        }
    };
}
pub(crate) use tests;

/// Every test that this face has.
pub fn names<F: Face>() -> impl Iterator<Item = &'static str> {
    let modules = [
        path::NAMES,
        links::NAMES,
        attributes::NAMES,
        file::NAMES,
        range::NAMES,
        transfer::NAMES,
        tree::NAMES,
        trees::NAMES,
        whole::NAMES,
        durability::NAMES,
        control::NAMES,
        limits::NAMES,
        defects::NAMES,
        relapses::NAMES,
        differences::NAMES,
    ];
    modules.into_iter().chain(F::OWN_TESTS.iter().copied()).flatten().copied()
}

/// Runs a test and tells whether there is one of that name.
pub async fn run<F: Face>(name: &str) -> bool {
    path::run::<F>(name).await
        || links::run::<F>(name).await
        || attributes::run::<F>(name).await
        || file::run::<F>(name).await
        || range::run::<F>(name).await
        || transfer::run::<F>(name).await
        || tree::run::<F>(name).await
        || trees::run::<F>(name).await
        || whole::run::<F>(name).await
        || durability::run::<F>(name).await
        || control::run::<F>(name).await
        || limits::run::<F>(name).await
        || defects::run::<F>(name).await
        || relapses::run::<F>(name).await
        || differences::run::<F>(name).await
        || F::own_test(name).await
}
