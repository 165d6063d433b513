//! The guests of the benchmarks: loops as a user would write them, as a component for each feature.

mod workload;

#[cfg(any(feature = "plain", feature = "wasi"))]
mod tree;

#[cfg(feature = "async")]
mod requests;

#[cfg(feature = "plain")]
mod plain;

#[cfg(feature = "wasi")]
mod wasi;

#[cfg(feature = "wasi3")]
mod wasi3;

/// The paths of all files of the tree. Made in the first call, which is not timed.
#[cfg(any(feature = "plain", feature = "wasi"))]
fn paths() -> &'static [String] {
    static PATHS: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    PATHS.get_or_init(tree::paths)
}
