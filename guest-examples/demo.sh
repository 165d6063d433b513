#!/usr/bin/env bash
# Shows what aiohost does: a guest hashes the files of a directory that it was granted, and sha256sum checks the hashes.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
  cat <<'HELP'
Shows what aiohost does: a guest hashes the files of a directory that it was granted, and sha256sum checks the hashes.

  demo.sh [DIRECTORY]

It builds the host and the Rust guest if need be; the first time that takes some minutes. The guest writes MANIFEST.sha256 into
DIRECTORY, and replaces one that is there. Without a DIRECTORY, a small one is made for the occasion. The exit status is 0 if
sha256sum finds every hash right.
HELP
}

# show COMMAND...: prints a command and runs it.
show() {
  printf '$'
  printf ' %q' "$@"
  printf '\n'
  "$@"
}

# make_sample DIRECTORY: some files, with some names that are easy to get wrong.
make_sample() {
  mkdir -p "$1/notes/2026" "$1/data/deep/er"
  echo 'Hello, guest!' >"$1/hello.txt"
  : >"$1/empty"
  echo 'a name with a space' >"$1/notes/to do.txt"
  echo 'a name with a backslash and a line break' >"$1/notes/2026/odd\\na"$'\n'me
  echo 'a name with letters outside ASCII' >"$1/notes/2026/über.txt"
  echo 'a name that is not UTF-8' 2>/dev/null >"$1/notes/2026/latin-1 "$'\xfc' || true # some systems know no such name
  head -c 3000000 /dev/urandom >"$1/data/three-megabytes"
  for number in 1 2 3 4 5 6 7 8; do echo "$number" >"$1/data/deep/er/$number"; done
  ln -s ../hello.txt "$1/data/link" # is no regular file, and left out
}

fail() {
  echo "demo.sh: $*; see --help" >&2
  exit 2
}

case ${1:-} in
  -h | --help) usage; exit ;;
esac
[[ $# -le 1 ]] || fail "takes one directory at most, and got $#"
if [[ $# = 1 ]]; then
  [[ -d $1 ]] || fail "'$1' is not a directory"
  directory=$(cd "$1" && pwd)
else
  directory=$(mktemp -d)
  trap 'rm -rf "$directory"' EXIT
  make_sample "$directory"
fi
if [[ -n ${CARGO_TARGET_DIR:-} && $CARGO_TARGET_DIR != /* ]]; then
  export CARGO_TARGET_DIR=$PWD/$CARGO_TARGET_DIR
fi
target=${CARGO_TARGET_DIR:-target}

cd "$here/.."
# Flags of cargo's that tests/run.sh sets, so that aiohost is built once.
read -ra flags <<<"${AIOHOST_CARGO_FLAGS-}"
show cargo build --release "${flags[@]}" --bin aiohost
show guest-examples/build.sh rust
echo
show "$target/release/aiohost" run "$target/guests/manifest-rust.wasm" --dir "$directory"
echo
cd "$directory"
files=$(wc -l <MANIFEST.sha256)
if [[ $files -gt 30 ]]; then
  show sha256sum --check --strict --quiet MANIFEST.sha256
elif [[ $files -gt 0 ]]; then
  show sha256sum --check --strict MANIFEST.sha256
fi
echo "sha256sum accepts all $files files of $directory"
