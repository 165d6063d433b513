#!/usr/bin/env bash
# Prints the path of componentize-qjs, which makes a component of JavaScript and the engine QuickJS. Installs one from npm if
# there is none yet.
#
# AIOHOST_COMPONENTIZE_QJS: the componentize-qjs to use instead.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"

version=0.4.5
prefix=$cache/componentize-qjs-$version

install_componentize_qjs() {
  need node npm
  say "installing componentize-qjs $version, 13 MB to load, into $prefix"
  npm install --silent --no-audit --no-fund --no-update-notifier --ignore-scripts --prefix "$1" "componentize-qjs@$version" >&2
}

chosen AIOHOST_COMPONENTIZE_QJS && exit
fill "$prefix" install_componentize_qjs
echo "$prefix/node_modules/.bin/componentize-qjs"
