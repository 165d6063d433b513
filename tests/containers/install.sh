#!/usr/bin/env bash
# Installs the engines that the tests of containers use, where they are missing: as root, on Debian and what is made of it.
set -euo pipefail

missing=()
for program in containerd runc crun podman; do
  command -v "$program" >/dev/null || missing+=("$program")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

fail() { echo "$1" >&2; exit 1; }
command -v apt-get >/dev/null || fail "there is no apt-get to install ${missing[*]} with"
[[ $EUID -eq 0 ]] || fail "only root can install ${missing[*]}"

# Without a network it gives up at once and not after minutes.
install() {
  DEBIAN_FRONTEND=noninteractive timeout 100 apt-get -o Acquire::Retries=0 -o Acquire::http::Timeout=10 \
    install --yes --quiet --no-install-recommends "${missing[@]}" >/dev/null 2>&1
}
install || { timeout 60 apt-get -o Acquire::Retries=0 -o Acquire::http::Timeout=10 update --quiet >/dev/null 2>&1 && install; } ||
  fail "apt-get cannot install ${missing[*]}"
