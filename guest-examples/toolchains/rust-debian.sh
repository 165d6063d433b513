#!/usr/bin/env bash
# Prints the path of a rustc that builds for wasm32-wasip2, made without rustup's server: for a closed machine that has Debian's
# packages and npm's and nothing else. rust.sh calls it where rustup can't help.
#
#   rust-debian.sh --installed    prints it only if it has been made before, and fails otherwise
#
# It takes Debian's rustc-web, unpacked and not installed, builds the standard library from rust-web-src, and takes the libc of
# WASI from @yowasp/clang: 165 MB to load, a minute of work. The linkers are those of the rustup toolchain at hand.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"

target=wasm32-wasip2
libc=@yowasp/clang@22.0.0-git20542-10
# Whatever changes in this script makes another toolchain.
prefix=$cache/rust-debian-$(cksum <"${BASH_SOURCE[0]}" | cut -d' ' -f1)

update_lists() {
  say "loading the package lists"
  if [ "$(id -u)" = 0 ]; then
    apt-get -qq update >&2
  else
    sudo -n apt-get -qq update >&2 || { say "the package lists are missing or old: run 'apt-get update' as root"; exit 1; }
  fi
}

# The packages, in the folder where it is called. The newest rustc-web tells its standard library, and that its LLVM.
load_packages() {
  local std llvm
  std=$(apt-cache depends libstd-rust-web-dev 2>/dev/null | grep -o 'libstd-rust-web-[0-9][0-9.]*' | head -n 1) || return 1
  llvm=$(apt-cache depends "$std" | grep -o 'libllvm[0-9]*' | head -n 1) || return 1
  apt-get -qq -o APT::Sandbox::User=root download rustc-web "$std" libstd-rust-web-dev "$llvm" rust-web-src >&2
}

unpack_packages() {
  local package
  for package in "$1"/packages/*.deb; do
    case $package in
      */rust-web-src_*) dpkg-deb --fsys-tarfile "$package" | tar -x -C "$1" --wildcards './usr/src/rustc-*/library' ;;
      *) dpkg-deb -x "$package" "$1" ;;
    esac
  done
  mkdir -p "$1/usr/lib/rustlib/src"
  ln -s "../../../src/$(cd "$1/usr/src" && echo rustc-*)" "$1/usr/lib/rustlib/src/rust"
}

# A rustc that finds the LLVM it came with, wherever the folder is moved to.
write_wrapper() {
  mkdir "$1/bin"
  cat >"$1/bin/rustc" <<'WRAPPER'
#!/bin/sh
usr=${0%/*}/../usr
for llvm in "$usr"/lib/*/libLLVM*; do export LD_LIBRARY_PATH="${llvm%/*}"; done
exec "$usr/bin/rustc" "$@"
WRAPPER
  chmod +x "$1/bin/rustc"
}

# The linkers are links into the rustup toolchain, which moves on: they are checked each time.
link_linkers() {
  local host from to
  host=$(rustc -vV | sed -n 's/^host: //p')
  to=$1/usr/lib/rustlib/$host/bin
  [ ! -x "$to/rust-lld" ] || [ ! -x "$to/wasm-component-ld" ] || return 0
  from=$(rustc --print sysroot)/lib/rustlib/$host/bin
  [ -x "$from/wasm-component-ld" ] || { say "there is no wasm-component-ld in $from: needs a Rust from rustup"; exit 1; }
  mkdir -p "$to"
  ln -sfn "$from/rust-lld" "$from/wasm-component-ld" "$to/"
}

unpack_libc() {
  local lib=lib/wasm32-wasip1
  mkdir -p "$1/libc" "$2"
  (cd "$1/libc" && npm_config_update_notifier=false npm pack --silent "$libc" >/dev/null)
  tar -xzOf "$1"/libc/*.tgz package/gen/llvm-resources.tar |
    tar -x -C "$2" --strip-components=2 "$lib/crt1-command.o" "$lib/crt1-reactor.o" "$lib/libc.a"
}

# With bitcode, so that a guest may ask for link-time optimization, as it may with rustup's library.
build_std() {
  mkdir -p "$1/std/src"
  printf '[package]\nname = "empty"\nedition = "2024"\n[workspace]\n' >"$1/std/Cargo.toml"
  : >"$1/std/src/lib.rs"
  env -u CARGO_BUILD_TARGET RUSTC="$1/bin/rustc" RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes \
    CARGO_TARGET_DIR="$1/std/target" CARGO_PROFILE_RELEASE_DEBUG=0 \
    cargo build --quiet --release -Zbuild-std=std,panic_abort --target "$target" --manifest-path "$1/std/Cargo.toml" >&2
  rm "$1/std/target/$target/release/deps"/libempty-*
  mv "$1/std/target/$target/release/deps"/*.rlib "$2/"
}

install_rust() {
  local libraries=$1/usr/lib/rustlib/$target/lib
  need apt-get apt-cache dpkg-deb npm
  say "making a Rust for $target, 165 MB to load and a minute of work, in $prefix"
  mkdir "$1/packages"
  cd "$1/packages"
  load_packages || { update_lists && load_packages; }
  cd "$1"
  unpack_packages "$1"
  write_wrapper "$1"
  link_linkers "$1"
  unpack_libc "$1" "$libraries/self-contained"
  build_std "$1" "$libraries"
  rm -r "$1/packages" "$1/libc" "$1/std" "$1/usr/src" "$1/usr/lib/rustlib/src"
}

need cargo rustc
[ "${1:-}" != --installed ] || [ -d "$prefix" ] || exit 1
fill "$prefix" install_rust
link_linkers "$prefix"
echo "$prefix/bin/rustc"
