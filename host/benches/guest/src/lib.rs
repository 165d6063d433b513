//! The guests of the benchmarks: loops as a user would write them, as a component for each feature.

mod workload;

#[cfg(not(feature = "async"))]
mod tree;

#[cfg(feature = "async")]
mod requests;

#[cfg(feature = "plain")]
mod plain;

#[cfg(feature = "wasi")]
mod wasi;

/// The paths of all files of the tree. Made in the first call, which is not timed.
#[cfg(not(feature = "async"))]
fn paths() -> &'static [String] {
    static PATHS: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    PATHS.get_or_init(tree::paths)
}
