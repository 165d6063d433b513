#!/usr/bin/env bash
# Builds the guests of the test-suite, and puts them into guests/ of the target directory.
#
# The compiler is that of guest-examples/toolchains/rust.sh; AIOHOST_GUEST_RUSTC names another.
set -euo pipefail
here=$(realpath "${BASH_SOURCE[0]%/*}")
target=${CARGO_TARGET_DIR:-$here/../../target}
mkdir -p "$target/guests"
target=$(realpath "$target")
cd "$here"
rustc=$(../../guest-examples/toolchains/rust.sh)
# A folder for each standard library, as guest-examples/build.sh has it: cargo would not notice that there is another one.
std=$(basename "$("$rustc" --print target-libdir --target wasm32-wasip2)"/libstd-*.rlib .rlib)
guest_build=$target/guest-build/${std#lib}

# RUSTFLAGS and the like are meant for the host.
env -u RUSTFLAGS -u CARGO_BUILD_TARGET RUSTC="$rustc" CARGO_TARGET_DIR="$guest_build" \
  cargo build --locked --release --target wasm32-wasip2

built=$guest_build/wasm32-wasip2/release
cp --remove-destination "$built/requests-sync.wasm" "$target/guests/requests-sync.wasm"
cp --remove-destination "$built/requests_async.wasm" "$target/guests/requests-async.wasm"
cp --remove-destination "$built/container.wasm" "$target/guests/container.wasm"
cp --remove-destination "$built/wasi2.wasm" "$target/guests/wasi2.wasm"
cp --remove-destination "$built/wasi3.wasm" "$target/guests/wasi3.wasm"

# The guest of WASI preview 1, which uses no crates. Its target is one that not every toolchain has.
rm -f "$target/guests/preview1.wasm"
if rustc=$(../../guest-examples/toolchains/rust.sh wasm32-wasip1); then
  env -u RUSTFLAGS "$rustc" --edition=2024 --target=wasm32-wasip1 -C opt-level=1 -C strip=debuginfo \
    -o "$target/guests/preview1.wasm" src/preview1_guest.rs
else
  echo "skipped: the guest of WASI preview 1: there is no standard library for it" >&2
fi
