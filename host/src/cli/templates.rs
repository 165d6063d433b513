//! The templates of `aiohost new`: the files in `guest-examples/templates`, which the tests build and run.

/// A project for one language.
pub(super) struct Template {
    /// What it is asked for by.
    pub(super) language: &'static str,
    /// What else people call it.
    pub(super) also: &'static [&'static str],
    /// What it is called in a sentence.
    pub(super) title: &'static str,
    /// The command that builds it.
    pub(super) build: &'static str,
    /// What that makes.
    pub(super) plugin: &'static str,
    /// The name and the text of each file.
    pub(super) files: &'static [Files],
}

type Files = &'static [(&'static str, &'static str)];

/// The files of a folder below `guest-examples`, and what is put before their names.
macro_rules! files {
    ($folder:literal, $($name:literal),* $(,)?) => { files!($folder => "", $($name),*) };
    ($folder:literal => $inside:literal, $($name:literal),* $(,)?) => {
        &[$((concat!($inside, $name), include_str!(concat!("../../../guest-examples/", $folder, "/", $name)))),*]
    };
}

/// The manifest of such a folder, which has another name in the package of this crate: see `host/dist/package.sh`.
macro_rules! manifest {
    ($folder:literal => $inside:literal) => {
        &[(concat!($inside, "Cargo.toml"), include_str!(concat!("../../../guest-examples/", $folder, "/Cargo.toml")))]
    };
}

/// The crate for plugins in Rust, which a project in Rust has inside.
const RUST_SDK: Files = files!(
    "rust-sdk" => "aiohost-guest/",
    "README.md",
    "examples/attributes.rs",
    "examples/deadlines.rs",
    "examples/directories.rs",
    "examples/files.rs",
    "examples/futures.rs",
    "examples/groups.rs",
    "examples/in_flight.rs",
    "examples/locks.rs",
    "examples/names.rs",
    "examples/overview.rs",
    "examples/ranges.rs",
    "examples/streams.rs",
    "examples/trees.rs",
    "src/bindings.rs",
    "src/completions.rs",
    "src/dir.rs",
    "src/error.rs",
    "src/file.rs",
    "src/future.rs",
    "src/group.rs",
    "src/in_flight.rs",
    "src/lib.rs",
    "src/options.rs",
    "src/request.rs",
    "src/streams.rs",
    "src/submit.rs",
);

const RUST_SDK_MANIFEST: Files = manifest!("rust-sdk" => "aiohost-guest/");

const RUST_SDK_LICENCES: Files = &[
    ("aiohost-guest/LICENSE-APACHE", include_str!("../../../LICENSE-APACHE")),
    ("aiohost-guest/LICENSE-MIT", include_str!("../../../LICENSE-MIT")),
];

/// The header for plugins in C and C++.
const C_SDK: Files = files!("c", "aio.h");

pub(super) const TEMPLATES: [Template; 8] = [
    Template {
        language: "rust",
        also: &["rs"],
        title: "Rust",
        build: "cargo build --release --target wasm32-wasip2",
        plugin: "target/wasm32-wasip2/release/my-plugin.wasm",
        files: &[
            RUST_SDK,
            RUST_SDK_MANIFEST,
            RUST_SDK_LICENCES,
            files!("templates/rust", ".gitignore", "README.md", "src/main.rs"),
            manifest!("templates/rust" => ""),
        ],
    },
    Template {
        language: "rust-async",
        also: &["async-rust"],
        title: "async Rust",
        build: "cargo build --release --target wasm32-wasip2",
        plugin: "target/wasm32-wasip2/release/my_plugin.wasm",
        files: &[
            RUST_SDK,
            RUST_SDK_MANIFEST,
            RUST_SDK_LICENCES,
            files!("templates/rust-async", ".gitignore", "README.md", "src/lib.rs"),
            manifest!("templates/rust-async" => ""),
        ],
    },
    Template {
        language: "c",
        also: &["clang"],
        title: "C",
        build: "make",
        plugin: "build/my-plugin.wasm",
        files: &[C_SDK, files!("templates/c", ".gitignore", "Makefile", "README.md", "plugin.c")],
    },
    Template {
        language: "cpp",
        also: &["c++", "cxx", "cc"],
        title: "C++",
        build: "make",
        plugin: "build/my-plugin.wasm",
        files: &[C_SDK, files!("templates/cpp", ".gitignore", "Makefile", "README.md", "plugin.cpp")],
    },
    Template {
        language: "zig",
        also: &["ziglang"],
        title: "Zig",
        build: "make",
        plugin: "build/my-plugin.wasm",
        files: &[files!("templates/zig", ".gitignore", "Makefile", "README.md", "aio.zig", "plugin.zig", "wit/world.wit")],
    },
    Template {
        language: "python",
        also: &["py", "python3"],
        title: "Python",
        build: "make",
        plugin: "build/my-plugin.wasm",
        files: &[files!("templates/python", ".gitignore", "Makefile", "README.md", "plugin.py", "wit/world.wit")],
    },
    Template {
        language: "javascript",
        also: &["js", "node", "typescript", "ts"],
        title: "JavaScript",
        build: "npm install && npm run build",
        plugin: "build/my-plugin.wasm",
        files: &[files!("templates/javascript", ".gitignore", "README.md", "package.json", "plugin.js", "wit/world.wit")],
    },
    Template {
        language: "go",
        also: &["golang"],
        title: "Go",
        build: "make",
        plugin: "build/my-plugin.wasm",
        files: &[files!("templates/go", ".gitignore", "Makefile", "README.md", "go.mod", "main.go", "wit/world.wit")],
    },
];
