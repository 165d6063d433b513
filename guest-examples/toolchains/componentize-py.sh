#!/usr/bin/env bash
# Prints the path of componentize-py, which makes a component of a Python program. Installs one from PyPI if there is none yet.
#
# AIOHOST_COMPONENTIZE_PY: the componentize-py to use instead.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"

version=0.25.1
prefix=$cache/componentize-py-$version

install_componentize_py() {
  need python3
  say "installing componentize-py $version, 46 MB, into $prefix"
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --only-binary :all: --target "$1/lib" \
    "componentize-py==$version" >&2
  # The program that pip makes knows the folder it was installed to, and this one will be renamed.
  cat >"$1/componentize-py" <<'WRAPPER'
#!/bin/sh
PYTHONPATH=${0%/*}/lib exec python3 -c 'import sys; from componentize_py import script; sys.argv[0] = "componentize-py"; script()' "$@"
WRAPPER
  chmod +x "$1/componentize-py"
}

chosen AIOHOST_COMPONENTIZE_PY && exit
fill "$prefix" install_componentize_py
echo "$prefix/componentize-py"
