#!/usr/bin/env bash
# Builds the example guests. `build.sh --help` tells more.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
target=${CARGO_TARGET_DIR:-$root/target}
[[ $target == /* ]] || target=$PWD/$target
guests=$target/guests
work=$target/guest-build

usage() {
  cat <<'HELP'
Builds the example guests: one program, `manifest`, in several languages.

  build.sh [LANGUAGE...]

  rust         a plain program, with the interface `submit`      -> target/guests/manifest-rust.wasm
  rust-async   a component of WASI 0.3, with `requests`          -> target/guests/manifest-rust-async.wasm
  c            a plain program, with `submit`                    -> target/guests/manifest-c.wasm

Without a LANGUAGE it builds all of them. What is up to date is left alone. A toolchain that is missing is installed for this
project only, below ~/.cache/aiohost; where rustup can add the target wasm32-wasip2 to the Rust you have, it does that.

  build.sh rust                                          # the first guest to try
  target/release/aiohost run target/guests/manifest-rust.wasm --dir some/directory

Environment variables:
  CARGO_TARGET_DIR      where to build, in place of target
  AIOHOST_CACHE         where toolchains are kept, in place of ~/.cache/aiohost
  AIOHOST_GUEST_RUSTC   a rustc that can build for wasm32-wasip2
  AIOHOST_ZIG           a zig, for C
  AIOHOST_WIT_BINDGEN   a wit-bindgen 0.63 that can write C
HELP
}

say() { echo "build.sh: $*" >&2; }

# publish FILE NAME: makes FILE the guest NAME in one step. A guest that has not changed keeps its time.
publish() {
  mkdir -p "$guests"
  if ! cmp -s "$1" "$guests/$2"; then
    cp "$1" "$guests/$2.new"
    chmod 644 "$guests/$2.new"
    mv "$guests/$2.new" "$guests/$2"
  fi
  echo "$guests/$2"
}

# build_rust FOLDER FILE: builds the crate in FOLDER, of which cargo makes FILE.
build_rust() {
  local rustc libraries std
  rustc=$("$here/toolchains/rust.sh")
  libraries=$("$rustc" --print target-libdir --target wasm32-wasip2)
  std=$(cd "$libraries" 2>/dev/null && echo libstd-*.rlib)
  [[ -e $libraries/$std ]] || { say "$rustc has no standard library for wasm32-wasip2"; exit 1; }
  # A folder for each standard library, since cargo would not notice that there is another one. The flags that are taken away
  # are meant for the host's machine.
  std=${std#lib} std=${std%.rlib}
  (
    cd "$here/$1" # Where a rust-toolchain.toml would be found.
    env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS RUSTC="$rustc" \
      cargo build --release --locked --target wasm32-wasip2 --target-dir "$work/$std" >&2
  )
  publish "$work/$std/wasm32-wasip2/release/$2" "manifest-$1.wasm"
}

build_c() {
  local name=manifest-c.wasm zig wit_bindgen
  if [[ -e $guests/$name && -z $(find "$here/c" "$root/wit" "$here/toolchains" "$here/build.sh" -newer "$guests/$name") ]]; then
    echo "$guests/$name"
    return
  fi
  zig=$("$here/toolchains/zig.sh")
  wit_bindgen=$("$here/toolchains/wit-bindgen.sh")
  # submit_guest.h and .c are the functions of the host, and submit_guest_component_type.o tells the host that they are meant.
  rm -rf "$work/c/bindings"
  mkdir -p "$work/c"
  "$wit_bindgen" c --world submit-guest --out-dir "$work/c/bindings" "$root/wit" >"$work/c/wit-bindgen.log" 2>&1 ||
    { cat "$work/c/wit-bindgen.log" >&2; exit 1; }
  # The first build for WASI takes half a minute: zig compiles its libc. Its usual stack is 16 MiB, far more than is needed.
  ZIG_GLOBAL_CACHE_DIR=$work/c/cache ZIG_LOCAL_CACHE_DIR=$work/c/cache \
    "$zig" cc -target wasm32-wasi -std=gnu17 -O3 -s -Wl,-z,stack-size=1048576 -Wall -Wextra -I"$work/c/bindings" \
    -o "$work/c/$name" "$here"/c/*.c "$work/c/bindings/submit_guest.c" "$work/c/bindings/submit_guest_component_type.o" >&2
  rm -f "$guests/$name" # The new one may be the same as before, and must be newer than what it is made of.
  publish "$work/c/$name" "$name"
}

for language; do
  case $language in
    rust | rust-async | c) ;;
    -h | --help) usage; exit ;;
    *) say "there is no guest in '$language': the choices are rust, rust-async and c (see --help)"; exit 2 ;;
  esac
done
[[ $# -gt 0 ]] || set -- rust rust-async c
for language; do
  case $language in
    rust) build_rust rust manifest-rust.wasm ;;
    rust-async) build_rust rust-async manifest_rust_async.wasm ;;
    c) build_c ;;
  esac
done
