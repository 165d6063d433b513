#!/usr/bin/env bash
# Prints the path of a zig: it has a C compiler and the libc of WASI in it. Installs one from PyPI if there is none yet.
#
# AIOHOST_ZIG: the zig to use instead.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"

version=0.17.1
prefix=$cache/zig-$version

install_zig() {
  need python3
  say "installing zig $version, 100 MB to load, into $prefix"
  # A wheel is a zip file: no Python environment is needed to unpack it, and no execute bit comes out of it.
  python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$1/wheel" "ziglang==$version" >&2
  python3 -m zipfile -e "$1"/wheel/*.whl "$1"
  rm -r "$1/wheel"
  chmod +x "$1/ziglang/zig"
}

chosen AIOHOST_ZIG && exit
fill "$prefix" install_zig
echo "$prefix/ziglang/zig"
