#!/usr/bin/env bash
# Prints the path of wit-bindgen, which makes bindings of WIT for C, C++ and Go. Builds one from its crate if there is none yet.
#
#   wit-bindgen.sh --go-package    prints the folder of the Go package that its Go bindings import
#
# AIOHOST_WIT_BINDGEN: the wit-bindgen to use instead.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"

version=0.63.0
prefix=$cache/wit-bindgen-$version-c-cpp-go

install_wit_bindgen() {
  need cargo
  say "building wit-bindgen $version, two or three minutes, into $prefix"
  # The debug profile builds in a third of the time, and this program runs for milliseconds. The variables that are taken
  # away could make it a program for another machine.
  env -u RUSTC -u RUSTFLAGS -u CARGO_BUILD_TARGET CARGO_TARGET_DIR="$1/target" CARGO_PROFILE_DEV_DEBUG=0 \
    cargo install --quiet --debug --locked --no-default-features --features c,cpp,go --root "$1" "wit-bindgen-cli@$version" >&2
  rm -r "$1/target"
}

# The Go package is a part of the crate wit-bindgen-go. Cargo knows where the source of a crate is that something depends on.
install_go_package() {
  local source
  need cargo
  mkdir -p "$1/depends/src"
  printf '[package]\nname = "depends"\n[workspace]\n[dependencies]\nwit-bindgen-go = "=%s"\n' "$version" >"$1/depends/Cargo.toml"
  : >"$1/depends/src/lib.rs"
  source=$(cargo metadata --format-version 1 --manifest-path "$1/depends/Cargo.toml" |
    grep -o "\"[^\"]*/wit-bindgen-go-$version/Cargo.toml\"" | head -n 1 | tr -d '"')
  cp -R "${source%/*}/src/pkg" "$1/pkg"
  rm -r "$1/depends"
}

if [ "${1:-}" = --go-package ]; then
  fill "$prefix-package" install_go_package
  echo "$prefix-package/pkg"
  exit
fi
chosen AIOHOST_WIT_BINDGEN && exit
fill "$prefix" install_wit_bindgen
echo "$prefix/bin/wit-bindgen"
