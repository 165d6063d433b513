#!/usr/bin/env bash
# Prints the folder of SQLite's source, sqlite3.c and sqlite3.h, as the crate libsqlite3-sys has it. Loads it if there is none
# yet. The tests build a program with it.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"

version=0.40.0
checksum=b06e69070b7e12262b0cd90832f0a7396f142a2b330181255562decf9f0c6215
prefix=$cache/sqlite-of-libsqlite3-sys-$version

# Cargo loads crates, and checks them, for a package that depends on them. This one is never built.
install_sqlite() {
  need cargo
  say "loading the source of SQLite, 6 MB, into $prefix"
  mkdir -p "$1/depends/src"
  : >"$1/depends/src/lib.rs"
  cat >"$1/depends/Cargo.toml" <<TOML
[package]
name = "depends"
[workspace]
[dependencies]
libsqlite3-sys = { version = "=$version", default-features = false }
TOML
  cat >"$1/depends/Cargo.lock" <<TOML
version = 4

[[package]]
name = "depends"
version = "0.0.0"
dependencies = ["libsqlite3-sys"]

[[package]]
name = "libsqlite3-sys"
version = "$version"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "$checksum"
TOML
  cargo vendor --quiet --locked --manifest-path "$1/depends/Cargo.toml" "$1/vendor" >/dev/null
  mv "$1/vendor/libsqlite3-sys/sqlite3/sqlite3."[ch] "$1/"
  rm -r "$1/vendor" "$1/depends"
}

fill "$prefix" install_sqlite
echo "$prefix"
