#!/usr/bin/env bash
# Prints the path of a program in Rust that knows only WASI. Builds it from its crate if there is none yet. The tests run it.
#
#   rust-program.sh ripgrep|coreutils wasm32-wasip1|wasm32-wasip2
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"

case ${1-} in
  ripgrep) version=15.2.0 binary=rg features=() ;;
  # Only what the tests call: all utilities together take four times as long.
  coreutils) version=0.12.0 binary=coreutils features=(--no-default-features --features cp,ls,mv,rm,sort) ;;
  *) say "builds ripgrep or coreutils, and not '${1-}'"; exit 2 ;;
esac
name=$1 target=${2-}
# Whatever changes in this script makes another program.
prefix=$cache/$name-$version-$target-$(cksum <"${BASH_SOURCE[0]}" | cut -d' ' -f1)

install_program() {
  need cargo
  rustc=$("$here/rust.sh" "$target")
  say "building $name $version for $target, one or two minutes, into $prefix"
  # With little optimization it is there in half of the time. The variables that are taken away could make it another program.
  env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS -u CARGO_BUILD_TARGET RUSTC="$rustc" \
    CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
    CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_RELEASE_STRIP=true CARGO_PROFILE_RELEASE_INCREMENTAL=false \
    cargo install --quiet --locked --no-track "${features[@]}" --target "$target" --target-dir "$1/target" --root "$1" \
    "$name@$version" >&2
  rm -r "$1/target"
}

here=$(dirname "${BASH_SOURCE[0]}")
fill "$prefix" install_program
echo "$prefix/bin/$binary.wasm"
