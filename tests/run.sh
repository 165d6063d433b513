#!/usr/bin/env bash
# Everything that must hold: format, lints, documentation, and all tests with real guests. Installs what it needs.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: tests/run.sh

Builds aiohost and the guests, and checks everything: format, lints, documentation, unit tests, and the tests that run real
guests through the real host. Guest toolchains are installed where they are missing, into
${AIOHOST_CACHE:-${XDG_CACHE_HOME:-~/.cache}/aiohost}. As root on Debian, containerd, runc, crun and podman are installed by apt-get
for the tests of containers. Nothing else outside of the build folder is touched.

Needs: bash, cargo with rustfmt and clippy, python3 with pip, node with npm, and for guests in Rust either rustup or apt. A guest
whose toolchain cannot be had is left out, with a message, and counted as skipped.

Ends with the number of tests, and with status 0 if all passed.
TEXT
}

case "${1-}" in
  "") ;;
  -h | --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac

cd "$(dirname "$0")/.."
target="${CARGO_TARGET_DIR:-$PWD/target}"
[[ $target == /* ]] || target=$PWD/$target
mkdir -p "$target"
log="$target/tests.log"
skipped=0
# The aiohost that is tested looks at its own sums each time that it takes the lock of a guest's requests.
checks=(--config "profile.release.package.aiohost.debug-assertions=true")
export AIOHOST_CARGO_FLAGS="${checks[*]}"
# Suites and unit tests are built without optimizations, in a quarter of the time. What they start has them.
quick=("${checks[@]}" --config "profile.release.package.aiohost.opt-level=0")

step() {
  printf '\n== %s\n' "$1"
  shift
  local start=$SECONDS
  "$@"
  printf '   %s s\n' "$((SECONDS - start))"
}

# The code of every guest crate, too, is formatted as the host's.
format() {
  cargo fmt --all --check
  local manifest
  for manifest in guest-examples/*/Cargo.toml guest-examples/templates/*/Cargo.toml tests/guests/Cargo.toml tests/model/Cargo.toml host/benches/guest/Cargo.toml; do
    cargo fmt --check --manifest-path "$manifest"
  done
}

# Advisories are fetched from the network, which not every machine has.
deny() {
  if ! command -v cargo-deny >/dev/null; then
    echo "   skipped: cargo-deny is not installed (cargo install --locked cargo-deny)"
    skipped=$((skipped + 1))
  elif ! cargo deny fetch >/dev/null 2>&1; then
    echo "   the advisory database cannot be fetched; checking licences, bans and sources only"
    skipped=$((skipped + 1))
    cargo deny check licenses bans sources
  else
    cargo deny check
  fi
}

# It has no command that only fetches its database.
audit() {
  local said
  if ! command -v cargo-audit >/dev/null; then
    echo "   skipped: cargo-audit is not installed (cargo install --locked cargo-audit)"
    skipped=$((skipped + 1))
  elif said=$(cargo audit 2>&1); then
    return
  elif grep -q "fetch advisory database" <<<"$said"; then
    echo "   skipped: the advisory database of cargo-audit cannot be fetched"
    skipped=$((skipped + 1))
  else
    echo "$said" >&2
    return 1
  fi
}

# What users of the crates would have to change since the last release.
semver() {
  local last manifest
  if ! last=$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null); then
    echo "   skipped: no release is tagged"
    skipped=$((skipped + 1))
  elif ! command -v cargo-semver-checks >/dev/null; then
    echo "   skipped: cargo-semver-checks is not installed (cargo install --locked cargo-semver-checks)"
    skipped=$((skipped + 1))
  else
    for manifest in host guest-examples/rust-sdk; do
      cargo semver-checks --manifest-path "$manifest/Cargo.toml" --baseline-rev "$last"
    done
  fi
}

# What cannot be checked here is told, and counted as skipped.
deploy() {
  local said
  said=$(tests/deploy/check.sh)
  [[ -z $said ]] || sed 's/^/   /' <<<"$said"
  skipped=$((skipped + $(grep -c '^skipped' <<<"$said" || true)))
}

# Runs a command that takes every signal as usual. Where this runs in the background or under nohup some are ignored, and then what is
# tested ignores them, too.
with_signals() {
  if env --default-signal true 2>/dev/null; then env --default-signal "$@"; else "$@"; fi
}

# The program that suites start, as users have it. The suites come with one of their own, which takes its place.
program() {
  cargo build --release "${checks[@]}" --bin aiohost
  mkdir -p "$target/tested"
  cp "$target/release/aiohost" "$target/tested/aiohost"
}

# A failure is told at the end, beside the numbers: a step that fails in another way ends everything at once.
tests() {
  AIOHOST_TESTED="$target/tested/aiohost" with_signals cargo test --release "${quick[@]}" --no-fail-fast 2>&1 | tee "$log" || status=$?
  # Whoever looks for the program here finds it as users have it.
  cp --remove-destination "$target/tested/aiohost" "$target/release/aiohost"
}

# With the feature that is not on by default. Only aiohost itself is built once more.
registry() {
  local build=(--release "${quick[@]}" --features registry)
  cargo clippy "${build[@]}" --quiet --bin aiohost --test registry -- -D warnings
  with_signals cargo test "${build[@]}" --no-fail-fast --test registry 2>&1 | tee "$target/registry.log" || status=$?
  cargo test "${build[@]}" --no-fail-fast --bin aiohost registry 2>&1 | tee -a "$target/registry.log" || status=$?
}

# The scheduler alone, in every order that its threads may come to their locks. It is built without wasmtime, in a folder of its
# own.
model() {
  CARGO_TARGET_DIR="$target/model" cargo test --quiet --manifest-path tests/model/Cargo.toml 2>&1 | tee "$target/model.log"
}

# Plugins of earlier releases.
compatibility() {
  local status=0
  tests/compatibility.sh || status=$?
  [[ $status != 77 ]] || skipped=$((skipped + 1))
  [[ $status = 0 || $status = 77 ]]
}

step "format" format
step "model" model
step "guests for the tests" tests/guests/build.sh
step "guest examples" guest-examples/build.sh
step "demo" guest-examples/demo.sh
step "compatibility" compatibility
step "lints" cargo clippy --release --all-targets --quiet -- -D warnings
step "documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --release --no-deps --document-private-items --quiet
step "dependencies" deny
step "advisories" audit
step "interface of the crates" semver
step "deployment" deploy
status=0
step "program" program
step "registries" registry
step "tests" tests

count() { sed -nE "s/^test result: .* ([0-9]+) $1;.*/\1/p" "$target/model.log" "$target/registry.log" "$log" | awk '{ sum += $1 } END { print sum + 0 }'; }
printf '\n%s passed, %s failed, %s skipped\n' "$(count passed)" "$(count failed)" "$((skipped + $(count ignored)))"
exit "$status"
