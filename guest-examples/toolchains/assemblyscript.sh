#!/usr/bin/env bash
# Prints the path of asc, the compiler of AssemblyScript. Installs one from npm if there is none yet.
#
# AIOHOST_ASC: the asc to use instead.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"

version=0.28.20
prefix=$cache/assemblyscript-$version

install_assemblyscript() {
  need node npm
  say "installing assemblyscript $version, 100 MB, into $prefix"
  npm install --silent --no-audit --no-fund --no-update-notifier --ignore-scripts --prefix "$1" "assemblyscript@$version" >&2
}

chosen AIOHOST_ASC && exit
fill "$prefix" install_assemblyscript
echo "$prefix/node_modules/.bin/asc"
