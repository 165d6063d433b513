#!/usr/bin/env bash
# Prints the folder of a clang and a wasm-ld for WASI preview 1, which are one program (llvm.core.wasm), and of the headers and
# libraries for programs of WASI (usr). Installs them from npm if there are none yet. The tests run them: it is the largest
# program that they have.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"

version=22.0.0-git20542-10
prefix=$cache/clang-$version

install_clang() {
  local gen=$1/node_modules/@yowasp/clang/gen
  need node npm
  say "installing clang $version, 30 MB to load, into $prefix"
  npm install --silent --no-audit --no-fund --no-update-notifier --ignore-scripts --prefix "$1" "@yowasp/clang@$version" >&2
  mkdir "$1/usr"
  tar -x -f "$gen/llvm-resources.tar" -C "$1/usr"
  mv "$gen/llvm.core.wasm" "$1/"
  rm -r "$1/node_modules"
}

fill "$prefix" install_clang
echo "$prefix"
