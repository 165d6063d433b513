#!/usr/bin/env bash
# Prints the folder of an esbuild, in which it is a native program (node_modules/.bin/esbuild) and one for WASI preview 1
# (node_modules/@esbuild/wasi-preview1/esbuild.wasm). Installs it from npm if there is none yet. The tests run it: it is a large
# program in Go.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"

version=0.27.2
prefix=$cache/esbuild-$version

install_esbuild() {
  need node npm
  say "installing esbuild $version, 15 MB to load, into $prefix"
  npm install --silent --no-audit --no-fund --no-update-notifier --ignore-scripts --prefix "$1" \
    "esbuild@$version" "@esbuild/wasi-preview1@$version" >&2
}

fill "$prefix" install_esbuild
echo "$prefix"
