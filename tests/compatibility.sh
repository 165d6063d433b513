#!/usr/bin/env bash
# Runs the example guests of each release, built from the sources of that release, on this host.
set -euo pipefail

usage() {
  cat <<'HELP'
Runs the example guests of each release, built from the sources of that release, on this host.

  compatibility.sh [LANGUAGE...]

A release is a tag `v1.2.3`, and its guests are those that its own guest-examples/build.sh makes, in each language or in those that
are named. Each hashes the files of a directory, and sha256sum checks the hashes. A guest whose toolchain cannot be had is left out,
with a message. Exit status: 0 if all of them run; 77 if there is no release yet.

Environment variables:
  AIOHOST   the aiohost that runs them; built here if it isn't set
HELP
}

case ${1:-} in
  -h | --help) usage; exit ;;
esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
[[ $target == /* ]] || target=$PWD/$target
say() { echo "compatibility.sh: $*" >&2; }

mapfile -t releases < <(git -C "$root" tag --list 'v[0-9]*' --sort=version:refname 2>/dev/null)
if [[ ${#releases[@]} -eq 0 ]]; then
  say "there is no release yet, and so no plugin of one"
  exit 77
fi
if [[ -z ${AIOHOST:-} ]]; then
  read -ra flags <<<"${AIOHOST_CARGO_FLAGS-}"
  cargo build --quiet --release "${flags[@]}" --manifest-path "$root/Cargo.toml" --target-dir "$target" --bin aiohost >&2
  AIOHOST=$target/release/aiohost
fi
AIOHOST=$(realpath "$AIOHOST")

# sources COMMIT FOLDER: the files of a release. They are as old as this, and not as the commit, so that all that was built of
# others is made anew.
sources() {
  [[ $(cat "$2/commit" 2>/dev/null) != "$1" ]] || return 0
  rm -rf "$2/sources" "$2/commit"
  mkdir -p "$2/sources"
  git -C "$root" archive "$1" | tar -x --touch -C "$2/sources"
  echo "$1" >"$2/commit"
}

# guests FOLDER [LANGUAGE...]: builds the guests of the sources in FOLDER, and prints their paths. What they are made from apart
# from the sources, such as crates, is built once for this tree and all releases.
guests() {
  local status=0
  mkdir -p "$1/target" "$target/guest-build"
  ln -sfn "$target/guest-build" "$1/target/guest-build"
  CARGO_TARGET_DIR=$1/target AIOHOST=$AIOHOST "$1/sources/guest-examples/build.sh" "${@:2}" || status=$?
  forget "$1/sources/guest-examples"
  return "$status"
}

# forget FOLDER: has the crates of a folder built anew. Cargo tells them from those of another one with the same names by the times
# of their files alone, and would take what it made of a release for what it is to make of this tree.
forget() {
  local manifest name
  for manifest in "$1"/*/Cargo.toml; do
    name=$(sed -n 's/^name = "\(.*\)"$/\1/p' "$manifest" | head -n 1)
    rm -rf "$target"/guest-build/*/wasm32-wasip2/release/.fingerprint/"${name:?}"-*
  done
}

# runs GUEST: whether the guest hashes the files of a directory as it should.
runs() {
  local place right
  place=$(mktemp -d)
  mkdir -p "$place/folder/below"
  echo 'Hello, guest!' >"$place/hello.txt"
  : >"$place/folder/empty"
  head -c 3000000 /dev/urandom >"$place/folder/below/three-megabytes"
  right=0
  "$AIOHOST" run "$1" --dir "$place" >&2 && [[ $(wc -l <"$place/MANIFEST.sha256") -eq 3 ]] &&
    (cd "$place" && sha256sum --quiet --check MANIFEST.sha256 >&2) || right=$?
  rm -rf "$place"
  return "$right"
}

failed=0
for release in "${releases[@]}"; do
  folder=$target/compatibility/$release
  sources "$(git -C "$root" rev-parse "$release^{commit}")" "$folder"
  if ! built=$(guests "$folder" "$@"); then
    echo "$release: its guests cannot be built"
    failed=1
    continue
  fi
  # The others are no commands.
  mapfile -t built < <(grep '/manifest-[^/]*$' <<<"$built")
  if [[ ${#built[@]} -eq 0 ]]; then
    echo "$release: none of its guests can be built here"
    failed=1
  fi
  for guest in "${built[@]}"; do
    if runs "$guest"; then
      echo "$release $(basename "$guest"): runs"
    else
      echo "$release $(basename "$guest"): does not run"
      failed=1
    fi
  done
done
exit "$failed"
