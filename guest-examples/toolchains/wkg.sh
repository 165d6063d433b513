#!/usr/bin/env bash
# Prints the path of wkg, which publishes packages of WIT to registries and fetches them. Builds one from its crate if there is none
# yet. The tests run it.
#
# AIOHOST_WKG: the wkg to use instead.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"

version=0.16.1
prefix=$cache/wkg-$version

install_wkg() {
  need cargo
  say "building wkg $version, five minutes or more, into $prefix"
  # The debug profile builds in a third of the time, and this program runs for milliseconds. The variables that are taken
  # away could make it a program for another machine.
  env -u RUSTC -u RUSTFLAGS -u CARGO_BUILD_TARGET CARGO_TARGET_DIR="$1/target" CARGO_PROFILE_DEV_DEBUG=0 \
    cargo install --quiet --debug --locked --root "$1" "wkg@$version" >&2
  rm -r "$1/target"
}

chosen AIOHOST_WKG && exit
fill "$prefix" install_wkg
echo "$prefix/bin/wkg"
