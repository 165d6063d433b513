#!/usr/bin/env bash
# Prints the path of wit-bindgen, which makes C headers of WIT. Builds one from its crate if there is none yet.
#
# AIOHOST_WIT_BINDGEN: the wit-bindgen to use instead.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"

version=0.63.0
prefix=$cache/wit-bindgen-$version

install_wit_bindgen() {
  need cargo
  say "building wit-bindgen $version, one or two minutes, into $prefix"
  # The debug profile builds in a third of the time, and this program runs for milliseconds. The variables that are taken
  # away could make it a program for another machine.
  env -u RUSTC -u RUSTFLAGS -u CARGO_BUILD_TARGET CARGO_TARGET_DIR="$1/target" CARGO_PROFILE_DEV_DEBUG=0 \
    cargo install --quiet --debug --locked --no-default-features --features c --root "$1" "wit-bindgen-cli@$version" >&2
  rm -r "$1/target"
}

chosen AIOHOST_WIT_BINDGEN && exit
fill "$prefix" install_wit_bindgen
echo "$prefix/bin/wit-bindgen"
