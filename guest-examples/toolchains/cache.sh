# Where toolchains are kept, and how one gets there. The other scripts in this folder source this file.

cache=${AIOHOST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/aiohost}
[[ $cache == /* ]] || cache=$PWD/$cache

# Messages go to stderr: what a script prints on stdout is its answer.
say() { echo "${0##*/}: $*" >&2; }

# need PROGRAM...: ends the script if one of the programs is missing.
need() {
  for one; do
    command -v "$one" >/dev/null || { say "needs $one, which is not installed"; exit 1; }
  done
}

# chosen VARIABLE: prints the path of the program that the environment variable VARIABLE names. Fails if it isn't set.
chosen() {
  [ -n "${!1:-}" ] || return 1
  command -v "${!1}" || { say "$1 is '${!1}', and there is no such program"; exit 1; }
}

# fill PREFIX FUNCTION: calls FUNCTION with a new folder, which then becomes PREFIX. The last step is a rename, so that an
# install that was cut short is never taken for a whole one. Does nothing if PREFIX is there.
fill() {
  [ ! -d "$1" ] || return 0
  mkdir -p "$cache"
  # What a killed install left behind, a day ago or earlier.
  find "$cache" -maxdepth 1 -name 'new.*' -mtime +0 -exec rm -rf {} +
  new=$(mktemp -d "$cache/new.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  chmod 755 "$new"
  "$2" "$new"
  # If two scripts worked side by side, the first one is kept.
  [ -d "$1" ] || mv "$new" "$1"
}
