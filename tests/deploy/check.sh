#!/usr/bin/env bash
# Checks what is in host/deploy: manifests against the schemas of Kubernetes, the unit by systemd, and the rest for its form.
#
# Prints a line that begins with `skipped` for each check that cannot be made here.
set -euo pipefail
repository=$(realpath "${BASH_SOURCE[0]%/*}/../..")
. "$repository/guest-examples/toolchains/cache.sh"
cd "$repository/host/deploy"

version=1.37.0
prefix=$cache/kubernetes-validate-$version

install_kubernetes_validate() {
  need python3
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$1/lib" \
    "kubernetes-validate==$version" >&2 || exit
}

# The schemas of this version are in the package.
if (fill "$prefix" install_kubernetes_validate) 2>/dev/null; then
  for manifest in kubernetes/*.yaml; do
    PYTHONPATH=$prefix/lib python3 -m kubernetes_validate --quiet --strict "$manifest" 2>&1 ||
      { echo "$manifest is no valid manifest" >&2; exit 1; }
  done
else
  echo "skipped: kubernetes-validate $version cannot be installed"
fi

# systemd looks for the program, which is not installed here.
if command -v systemd-analyze >/dev/null; then
  folder=$(mktemp -d)
  trap 'rm -r "$folder"' EXIT
  sed "s#^ExecStart=/usr/local/bin/aiohost #ExecStart=$(command -v true) #" systemd/aiohost@.service >"$folder/aiohost@.service"
  said=$(systemd-analyze verify --man=no "$folder/aiohost@plugin.service" 2>&1) || { echo "$said" >&2; exit 1; }
  # What it does not know it only mentions.
  if grep -F "$folder" <<<"$said" >&2; then exit 1; fi
else
  echo "skipped: there is no systemd-analyze to check the unit with"
fi

python3 - <<'PYTHON'
import json, sys, tomllib
for name in ["containerd/config.toml", "crio/10-aiohost.conf", "podman/aiohost.conf"]:
    with open(name, "rb") as file:
        tomllib.load(file)
for name in ["docker/daemon.json", "oci.json"]:
    with open(name, "rb") as file:
        json.load(file)
PYTHON
