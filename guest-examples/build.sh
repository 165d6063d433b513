#!/usr/bin/env bash
# Builds the example guests. `build.sh --help` tells more.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
target=${CARGO_TARGET_DIR:-$root/target}
[[ $target == /* ]] || target=$PWD/$target
guests=$target/guests
work=$target/guest-build

# Each language, and the scripts in the folder toolchains that it takes.
languages=(rust rust-async c cpp zig go python javascript processor)
declare -A needs=(
  [rust]="rust" [rust-async]="rust" [c]="zig wit-bindgen" [cpp]="zig wit-bindgen" [zig]="zig" [go]="go wit-bindgen"
  [python]="componentize-py" [javascript]="componentize-qjs" [processor]="rust"
)

# guest_of LANGUAGE: the name of what is built.
guest_of() { [[ $1 == processor ]] && echo processor.wasm || echo "manifest-$1.wasm"; }

usage() {
  cat <<'HELP'
Builds the example guests: one program, `manifest`, in several languages, and one that an application calls.

  build.sh [LANGUAGE...]

  rust         a plain program, with the interface `submit`      -> target/guests/manifest-rust.wasm
  rust-async   a component of WASI 0.3, with `requests`          -> target/guests/manifest-rust-async.wasm
  c            a plain program, with `submit`                    -> target/guests/manifest-c.wasm
  cpp          coroutines, on top of `submit`                    -> target/guests/manifest-cpp.wasm
  zig          a plain program, with `submit`                    -> target/guests/manifest-zig.wasm
  go           goroutines, on top of `submit`                    -> target/guests/manifest-go.wasm
  python       asyncio, with `requests`                          -> target/guests/manifest-python.wasm
  javascript   promises, on top of `submit`                      -> target/guests/manifest-javascript.wasm
  processor    another program: no command, but functions that an application calls, in Rust, with `blocking`
                                                                 -> target/guests/processor.wasm

Without a LANGUAGE it builds all of them. What is up to date is left alone. A toolchain that is missing is installed for this
project only, below ~/.cache/aiohost; where rustup can add the target wasm32-wasip2 to the Rust you have, it does that. Where a
toolchain cannot be had, the languages that need it are left out with a message, unless you named them.

  build.sh rust                                          # the first guest to try
  target/release/aiohost run target/guests/manifest-rust.wasm --dir some/directory

Environment variables:
  CARGO_TARGET_DIR          where to build, in place of target
  AIOHOST_CACHE             where toolchains are kept, in place of ~/.cache/aiohost
  AIOHOST                   the aiohost that makes components for Zig and Go; built here if it isn't set
  AIOHOST_GUEST_RUSTC       a rustc that can build for wasm32-wasip2
  AIOHOST_ZIG               a zig 0.17, for C, C++ and Zig
  AIOHOST_WIT_BINDGEN       a wit-bindgen 0.63 that can write C, C++ and Go
  AIOHOST_GO                a go 1.27
  AIOHOST_COMPONENTIZE_PY   a componentize-py 0.25, for Python
  AIOHOST_COMPONENTIZE_QJS  a componentize-qjs 0.4, for JavaScript
HELP
}

say() { echo "build.sh: $*" >&2; }

# tool SCRIPT [ARGUMENT...]: prints the path of a tool, and installs it if need be.
tool() { "$here/toolchains/$1.sh" "${@:2}"; }

# quietly COMMAND...: runs a command, and shows what it says only if it fails.
quietly() {
  local said
  said=$("$@" 2>&1) || { echo "$said" >&2; return 1; }
}

# publish FILE NAME: makes FILE the guest NAME in one step. A guest that has not changed keeps its time.
publish() {
  mkdir -p "$guests"
  if ! cmp -s "$1" "$guests/$2"; then
    cp "$1" "$guests/$2.new"
    chmod 644 "$guests/$2.new"
    mv "$guests/$2.new" "$guests/$2"
  fi
  echo "$guests/$2"
}

# is_fresh LANGUAGE: whether a guest is newer than all that it is made of. Cargo knows better for those in Rust.
is_fresh() {
  local guest=$guests/$(guest_of "$1") script sources=("$here/$1" "$root/wit" "$here/build.sh" "$here/toolchains/cache.sh")
  [[ $1 != rust* && $1 != processor && -e $guest ]] || return 1
  for script in ${needs[$1]}; do sources+=("$here/toolchains/$script.sh"); done
  [[ $1 != cpp ]] || sources+=("$here/c")
  [[ -z $(find "${sources[@]}" -newer "$guest" -print -quit) ]]
}

# has_tools LANGUAGE: whether all that it takes is there, or could be installed.
has_tools() {
  local script
  for script in ${needs[$1]}; do tool "$script" >/dev/null || return 1; done
}

# build_rust FOLDER FILE: builds the crate in FOLDER, of which cargo makes FILE.
build_rust() {
  local rustc libraries std
  rustc=$(tool rust)
  libraries=$("$rustc" --print target-libdir --target wasm32-wasip2)
  std=$(cd "$libraries" 2>/dev/null && echo libstd-*.rlib)
  [[ -e $libraries/$std ]] || { say "$rustc has no standard library for wasm32-wasip2"; exit 1; }
  # A folder for each standard library, since cargo would not notice that there is another one. The flags that are taken away
  # are meant for the host's machine.
  std=${std#lib} std=${std%.rlib}
  (
    cd "$here/$1" # Where a rust-toolchain.toml would be found.
    env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS RUSTC="$rustc" \
      cargo build --release --locked --target wasm32-wasip2 --target-dir "$work/$std" >&2
  )
  publish "$work/$std/wasm32-wasip2/release/$2" "$(guest_of "$1")"
}

# zig ARGUMENT...: the first build for WASI takes half a minute, since zig compiles its libc, and the first in C++ another one.
zig() {
  local zig
  zig=$(tool zig)
  ZIG_GLOBAL_CACHE_DIR=$work/zig-cache ZIG_LOCAL_CACHE_DIR=$work/zig-cache "$zig" "$@" >&2
}

# componentize MODULE ARGUMENT...: makes a component of a core module, with aiohost.
componentize() {
  if [[ -z ${AIOHOST:-} ]]; then
    say "building aiohost, which makes components of core modules"
    local flags
    read -ra flags <<<"${AIOHOST_CARGO_FLAGS-}"
    cargo build --quiet --release "${flags[@]}" --manifest-path "$root/Cargo.toml" --target-dir "$target" --bin aiohost >&2
  fi
  "${AIOHOST:-$target/release/aiohost}" componentize "$@"
}

# wit_of LANGUAGE FOLDER: puts its world into FOLDER, with the package that it is written for in the folder deps. Without that, the
# world would be looked up in the package of the aiohost at hand, which may be of another version.
wit_of() {
  mkdir -p "$2/deps"
  cp "$here/$1/wit/world.wit" "$2/"
  cp -R "$root/wit" "$2/deps/aiohost-aio"
}

# The usual stack of zig's C is 16 MiB, far more than is needed.
c_flags=(-target wasm32-wasi -O3 -s -Wl,-z,stack-size=1048576 -Wall -Wextra)

build_c() {
  local folder=$work/c wit_bindgen
  wit_bindgen=$(tool wit-bindgen)
  # submit_guest.h and .c are the functions of the host, and submit_guest_component_type.o tells the host that they are meant.
  quietly "$wit_bindgen" c --world submit-guest --out-dir "$folder/bindings" "$root/wit"
  zig cc "${c_flags[@]}" -std=gnu17 -I"$folder/bindings" -o "$folder/manifest.wasm" "$here"/c/*.c \
    "$folder/bindings/submit_guest.c" "$folder/bindings/submit_guest_component_type.o"
  publish "$folder/manifest.wasm" manifest-c.wasm
}

build_cpp() {
  local folder=$work/cpp wit_bindgen
  wit_bindgen=$(tool wit-bindgen)
  quietly "$wit_bindgen" cpp --world submit-guest --out-dir "$folder/bindings" "$root/wit"
  # SHA-256 is that of the guest in C.
  zig cc "${c_flags[@]}" -std=gnu17 -c -o "$folder/sha256.o" "$here/c/sha256.c"
  zig c++ "${c_flags[@]}" -std=c++23 -fno-exceptions -fno-rtti -I"$folder/bindings" -o "$folder/manifest.wasm" \
    "$here/cpp/manifest.cpp" "$folder/sha256.o" \
    "$folder/bindings/submit_guest.cpp" "$folder/bindings/submit_guest_component_type.o"
  publish "$folder/manifest.wasm" manifest-cpp.wasm
}

build_zig() {
  local folder=$work/zig
  zig build-exe -target wasm32-wasi -O ReleaseFast -fstrip --export=cabi_realloc -femit-bin="$folder/core.wasm" "$here/zig/main.zig"
  wit_of zig "$folder/wit"
  componentize "$folder/core.wasm" --wit "$folder/wit" --output "$folder/manifest.wasm"
  publish "$folder/manifest.wasm" manifest-zig.wasm
}

build_go() {
  local folder=$work/go go wit_bindgen package
  go=$(tool go)
  wit_bindgen=$(tool wit-bindgen)
  package=$(tool wit-bindgen --go-package)
  cp -R "$here/go" "$folder/source"
  quietly "$wit_bindgen" go --format=false --pkg-name manifest/bindings --world submit-guest \
    --out-dir "$folder/source/bindings" "$root/wit"
  (
    cd "$folder/source"
    # Nothing is loaded from anywhere, and nothing that is set up for other projects has a say.
    export GOENV=off GOTOOLCHAIN=local GOPROXY=off GOFLAGS=-mod=mod GOCACHE=$work/go-cache GOOS=wasip1 GOARCH=wasm
    "$go" mod edit -replace "go.bytecodealliance.org/pkg=$package"
    # The package uses a function of Go's runtime that is not for everyone: hence -checklinkname=0.
    "$go" build -buildmode=c-shared -trimpath -ldflags='-s -w -checklinkname=0' -o "$folder/core.wasm" . >&2
  )
  wit_of go "$folder/wit"
  componentize "$folder/core.wasm" --wit "$folder/wit" --output "$folder/manifest.wasm"
  publish "$folder/manifest.wasm" manifest-go.wasm
}

build_python() {
  local folder=$work/python componentize_py
  componentize_py=$(tool componentize-py)
  # A copy, since Python leaves a folder __pycache__ beside what it has read.
  cp "$here/python/app.py" "$folder/"
  quietly "$componentize_py" --wit-path "$root/wit" --wit-path "$here/python/wit" --world example:manifest/manifest \
    componentize --python-path "$folder" app --output "$folder/manifest.wasm"
  publish "$folder/manifest.wasm" manifest-python.wasm
}

build_javascript() {
  local folder=$work/javascript componentize_qjs
  componentize_qjs=$(tool componentize-qjs)
  wit_of javascript "$folder/wit"
  quietly "$componentize_qjs" --wit "$folder/wit" --world manifest --module-root "$here/javascript" \
    --js "$here/javascript/manifest.js" --output "$folder/manifest.wasm"
  publish "$folder/manifest.wasm" manifest-javascript.wasm
}

# build LANGUAGE: anew, in a folder of its own, unless it is up to date.
build() {
  if is_fresh "$1"; then
    echo "$guests/$(guest_of "$1")"
    return
  fi
  case $1 in
    rust) build_rust rust manifest-rust.wasm ;;
    rust-async) build_rust rust-async manifest_rust_async.wasm ;;
    processor) build_rust processor processor.wasm ;;
    *)
      rm -rf "${work:?}/$1"
      mkdir -p "$work/$1"
      rm -f "$guests/$(guest_of "$1")" # The new one may be the same as before, and must be newer than what it is made of.
      "build_$1"
      ;;
  esac
}

for language; do
  case $language in
    -h | --help) usage; exit ;;
  esac
  [[ -n ${needs[$language]:-} ]] || { say "there is no guest in '$language': the choices are ${languages[*]} (see --help)"; exit 2; }
done

named=$#
[[ $named -gt 0 ]] || set -- "${languages[@]}"
skipped=()
for language; do
  # The tests know from this file that a guest is missing for a reason.
  rm -f "$guests/manifest-$language.skipped"
  if is_fresh "$language" || has_tools "$language"; then
    build "$language"
  elif [[ $named -gt 0 ]]; then
    say "$language: its toolchain cannot be had, see above"
    exit 1
  else
    skipped+=("$language")
    mkdir -p "$guests"
    rm -f "$guests/$(guest_of "$language")"
    echo "its toolchain (${needs[$language]}) cannot be had" >"$guests/manifest-$language.skipped"
  fi
done
[[ ${#skipped[@]} -eq 0 ]] || say "SKIPPED, since their toolchains cannot be had: ${skipped[*]} (the messages above say why)"
