#!/usr/bin/env bash
# Prints the path of a rustc that builds for wasm32-wasip2. Where the rustc at hand can't, rustup adds the target; where rustup
# can't, rust-debian.sh makes one.
#
#   rust.sh wasm32-wasip1    the same for WASI preview 1, which rust-debian.sh doesn't make
#
# AIOHOST_GUEST_RUSTC: the rustc to use instead.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"

target=${1:-wasm32-wasip2}
debian=$(dirname "${BASH_SOURCE[0]}")/rust-debian.sh

# print_rustc: prints the path of the rustc at hand if it has a standard library for the target.
print_rustc() {
  local libraries
  libraries=$(rustc --print target-libdir --target "$target" 2>/dev/null) || return 1
  compgen -G "$libraries/libstd-*.rlib" >/dev/null && command -v rustc
}

chosen AIOHOST_GUEST_RUSTC && exit
need cargo rustc
print_rustc && exit
[ "$target" != wasm32-wasip2 ] || ! "$debian" --installed || exit 0
if command -v rustup >/dev/null; then
  say "adding the target $target with rustup"
  rustup target add "$target" >&2 && print_rustc && exit
  say "rustup could not add it"
fi
[ "$target" = wasm32-wasip2 ] || { say "there is no rustc for $target"; exit 1; }
exec "$debian"
