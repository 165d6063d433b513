#!/usr/bin/env bash
# Builds the guests of the benchmarks, and puts them into guests/ of the target directory.
#
# The compiler is that of guest-examples/toolchains/rust.sh.
set -euo pipefail
here=$(realpath "${BASH_SOURCE[0]%/*}")
target=${CARGO_TARGET_DIR:-$here/../../../target}
mkdir -p "$target/guests"
target=$(realpath "$target")
cd "$here"
rustc=$(../../../guest-examples/toolchains/rust.sh)
# A folder for each standard library, as guest-examples/build.sh has it: cargo would not notice that there is another one.
std=$(basename "$("$rustc" --print target-libdir --target wasm32-wasip2)"/libstd-*.rlib .rlib)
guest_build=$target/guest-build/${std#lib}

for guest in wasi plain async wasi3; do
  # RUSTFLAGS and the like are meant for the host.
  env -u RUSTFLAGS -u CARGO_BUILD_TARGET -u CARGO_ENCODED_RUSTFLAGS RUSTC="$rustc" CARGO_TARGET_DIR="$guest_build" \
    cargo build --locked --release --target wasm32-wasip2 --features "$guest"
  cp "$guest_build/wasm32-wasip2/release/bench_guest.wasm" "$target/guests/bench-$guest.wasm"
done
