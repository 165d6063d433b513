#!/usr/bin/env bash
# Lays out the crates as they are packaged. `package.sh --help` tells more.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

usage() {
  cat <<'HELP'
Lays out the crates as they are packaged: what they share with the repository - the WIT, the licences, the templates of
`aiohost new` - lies inside of them there, and the paths in their sources say so.

  package.sh DIR

makes DIR, with the crates in DIR/host and DIR/aiohost-guest. `cargo package` and `cargo publish` are run in these.
HELP
}

case ${1-} in
  -h | --help) usage; exit ;;
esac
[[ $# -eq 1 ]] || { usage >&2; exit 2; }
mkdir "$1"
out=$(cd "$1" && pwd)
cd "$root"

# lay OUT FILE...: copies what is in git, and what may yet come to be.
lay() {
  mkdir -p "$1"
  cp -R "${@:2}" "$1/"
}

# change FILE SCRIPT: a path that is not found is a mistake here, and not left for whoever uses the package.
change() {
  sed -E "$2" "$1" >"$1.changed"
  ! cmp -s "$1" "$1.changed" || { echo "package.sh: nothing to change in $1" >&2; exit 1; }
  mv "$1.changed" "$1"
}

lay "$out" Cargo.lock README.md Cargo.toml
host=$out/host
lay "$host" host/src host/examples host/Cargo.toml wit LICENSE-APACHE LICENSE-MIT
lay "$host/templates/rust-sdk" guest-examples/rust-sdk/{Cargo.toml,README.md,src,examples}
lay "$host/templates/c" guest-examples/c/aio.h
lay "$host/templates" guest-examples/templates
# Cargo leaves each folder with a manifest of its own out of a package.
find "$host/templates" -name Cargo.toml -exec mv {} {}.in ';'
# Tests and benchmarks stay behind; they come last in the manifest.
change "$host/Cargo.toml" '/^\[\[test\]\]/,$d'
change "$host/src/bindings.rs" 's|"\.\./wit"|"wit"|'
change "$host/examples/processor/main.rs" 's|"\.\./wit"|"wit"|'
change "$host/src/plugin/offer.rs" 's|"\.\./\.\./\.\./wit/|"../../wit/|'
change "$host/src/cli/templates.rs" \
  's|\.\./\.\./\.\./guest-examples/|../../templates/|; s|\.\./\.\./\.\./LICENSE|../../LICENSE|; s|/Cargo\.toml"\)|/Cargo.toml.in")|'

guest=$out/aiohost-guest
lay "$guest" guest-examples/rust-sdk/{Cargo.toml,Cargo.lock,README.md,src,examples} wit LICENSE-APACHE LICENSE-MIT
change "$guest/src/bindings.rs" 's|"\.\./\.\./wit"|"wit"|'
