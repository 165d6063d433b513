#!/usr/bin/env bash
# Makes what is given to users: an archive with the command, its licences, completions and manual pages, and a checksum.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
[[ $target == /* ]] || target=$PWD/$target

usage() {
  cat <<'HELP'
Makes what is given to users: an archive with the command, its licences, completions and manual pages, and a checksum.

  build.sh [--unchecked] [--target TRIPLE] [--binary FILE] [--out DIR]

  --unchecked      no release: without the checks below, and named so
  --target TRIPLE  what the command runs on; without it, Linux with musl on this kind of machine, which is linked statically and
                   runs on any Linux, or where Rust has no standard library for that, this machine
  --binary FILE    an aiohost that was built already, with --unchecked only
  --out DIR        where the archive goes, in place of target/dist

It prints the path of the archive. A release is refused unless

  * nothing is changed or untracked in the repository, and the changelog has a section for the version;
  * `cargo deny` finds no advisory, and no licence or source that is not allowed, with advisories that it has just fetched;
  * `cargo audit` finds nothing either;
  * `cargo semver-checks` finds no change against the last release that the version does not allow, once there is a release;
  * plugins of every release still run (tests/compatibility.sh).

Archives of the same commit, built with the same tools, are equal byte for byte.
HELP
}

say() { echo "build.sh: $*" >&2; }
fail() { say "$*"; exit 1; }
wrong() { say "$*; see --help"; exit 2; }

checked=1 triple='' binary='' out=$target/dist
while [[ $# -gt 0 ]]; do
  case $1 in
    -h | --help) usage; exit ;;
    --unchecked) checked=0; shift; continue ;;
    --target | --binary | --out) [[ $# -ge 2 ]] || wrong "$1 needs a value" ;;
    *) wrong "what is '$1'?" ;;
  esac
  case $1 in
    --target) triple=$2 ;;
    --binary) binary=$(realpath "$2") ;;
    --out) out=$2 ;;
  esac
  shift 2
done
[[ -z $binary || $checked = 0 ]] || wrong "a release is built from its sources: --binary needs --unchecked"

# A release is not made without these, so their absence is told before anything else.
check_tools() {
  local tool missing=()
  for tool in cargo-deny cargo-audit cargo-semver-checks; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  [[ ${#missing[@]} -eq 0 ]] ||
    fail "no release without ${missing[*]} (cargo install --locked ${missing[*]}); --unchecked makes an archive that is none"
}

check() {
  local last
  [[ -z $(git -C "$root" status --porcelain) ]] || fail "no release: there are changes that are not committed"
  grep -q "^## $version\b" "$root/CHANGELOG.md" || fail "no release: CHANGELOG.md has no section '## $version'"
  cd "$root"
  cargo deny fetch >&2 || fail "no release: the advisories cannot be fetched"
  cargo deny check >&2 || fail "no release: see above what cargo deny has found"
  cargo audit >&2 || fail "no release: see above what cargo audit has found"
  if last=$(git describe --tags --abbrev=0 --match 'v*' 'HEAD^' 2>/dev/null); then
    local manifest
    for manifest in host guest-examples/rust-sdk; do
      cargo semver-checks --manifest-path "$manifest/Cargo.toml" --baseline-rev "$last" >&2 ||
        fail "no release: see above what has changed since $last that a version like $version must keep"
    done
  else
    say "no release yet: nothing to compare the interface of the crates with"
  fi
  # 77: there is none.
  tests/compatibility.sh >&2 || [[ $? = 77 ]] || fail "no release: plugins of an earlier release do not run"
}

# has_std TRIPLE: whether Rust has its standard library for it, or could get it.
has_std() {
  local libraries
  libraries=$(rustc --print target-libdir --target "$1" 2>/dev/null) || return 1
  ! compgen -G "$libraries/libstd-*.rlib" >/dev/null || return 0
  command -v rustup >/dev/null && rustup target add "$1" >&2 && compgen -G "$libraries/libstd-*.rlib" >/dev/null
}

choose_triple() {
  local host
  host=$(rustc -vV | sed -n 's/^host: //p')
  triple=${host%%-*}-unknown-linux-musl
  has_std "$triple" && return
  say "Rust has no standard library for $triple here: this is for $host, and needs its C library"
  triple=$host
}

# c_compiler FOLDER: a compiler for the little C in the command, for musl. Where there is none, zig has one.
c_compiler() {
  command -v "${triple%%-*}-linux-musl-gcc" || command -v musl-gcc && return
  local zig
  zig=$("$root/guest-examples/toolchains/zig.sh") || return 1
  # It knows the machine by a name of its own, and would put checks into the code that need a library of its own.
  cat >"$1/zig-cc" <<SCRIPT
#!/bin/sh
for word; do
  shift
  case \$word in --target=*) ;; *) set -- "\$@" "\$word" ;; esac
done
exec "$zig" cc -target ${triple%%-*}-linux-musl -fno-sanitize=undefined "\$@"
SCRIPT
  chmod +x "$1/zig-cc"
  echo "$1/zig-cc"
}

# compile: builds the command. No path of this machine is left in it.
compile() {
  has_std "$triple" || fail "Rust has no standard library for $triple"
  local tools=$target/dist-tools compiler=''
  mkdir -p "$tools"
  [[ $triple != *-musl ]] || compiler=$(c_compiler "$tools")
  (
    cd "$root"
    [[ -z $compiler ]] || export "CC_${triple//-/_}=$compiler"
    export RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo --remap-path-prefix=$root=aiohost"
    unset CARGO_ENCODED_RUSTFLAGS
    cargo build --locked --profile dist --target "$triple" --target-dir "$target" --package aiohost --bin aiohost >&2
  )
  binary=$target/$triple/dist/aiohost
}

# stage FOLDER: everything that is in the archive.
stage() {
  local sysroot shell
  install -D -m 755 "$binary" "$1/aiohost"
  install -m 644 "$root/README.md" "$root/CHANGELOG.md" "$root/LICENSE-APACHE" "$root/LICENSE-MIT" "$1"
  mkdir "$1/completions" "$1/licences"
  for shell in bash:aiohost.bash zsh:_aiohost fish:aiohost.fish elvish:aiohost.elv powershell:_aiohost.ps1; do
    "$runnable" completions "${shell%%:*}" >"$1/completions/${shell#*:}"
  done
  "$runnable" man --out "$1/man/man1"
  python3 "$here/licences.py" "$root" "$triple" >"$1/licences/dependencies.txt"
  sysroot=$(rustc --print sysroot)
  if [[ -e $sysroot/share/doc/rust/COPYRIGHT-library.html ]]; then
    install -m 644 "$sysroot/share/doc/rust/COPYRIGHT-library.html" "$1/licences/rust-standard-library.html"
  elif [[ $checked = 1 ]]; then
    fail "no release: this Rust has no COPYRIGHT-library.html"
  else
    say "this Rust has no COPYRIGHT-library.html: the licences of its standard library are left out"
  fi
  chmod -R u=rwX,go=rX "$1"
}

for tool in cargo rustc git python3 tar gzip sha256sum; do
  command -v "$tool" >/dev/null || fail "needs $tool, which is not installed"
done
[[ $checked = 0 ]] || check_tools
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/Cargo.toml" | head -n 1)
[[ -n $triple ]] || if [[ -n $binary ]]; then triple=$(rustc -vV | sed -n 's/^host: //p'); else choose_triple; fi
[[ $checked = 0 ]] || check
[[ -n $binary ]] || compile
# A command for another kind of machine cannot be asked for its own pages.
runnable=$binary
"$runnable" --version >/dev/null || fail "the command for $triple does not run on this machine"

name=aiohost-$version-$triple
[[ $checked = 1 ]] || name+=-unchecked
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
stage "$work/$name"
mkdir -p "$out"
# Times and owners are those of the commit, so that the archive says nothing about this machine.
time=$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 0)
tar --create --directory "$work" --sort=name --format=ustar --mtime="@$time" --owner=0 --group=0 --numeric-owner "$name" |
  gzip --no-name --best >"$work/$name.tar.gz"
(cd "$work" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
mv "$work/$name.tar.gz" "$work/$name.tar.gz.sha256" "$out"
echo "$out/$name.tar.gz"
