"""Prints the licences of all crates that are in the command.

  licences.py REPOSITORY TARGET

Fails if a crate has neither a licence nor the text of one.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

TEXTS = re.compile(r"^(licen[cs]e|copying|copyright|notice|unlicense)([-._].*)?$", re.IGNORECASE)

MUSL = """\
musl, the C library in this command, is licensed under the following standard MIT license:

Copyright © 2005-2020 Rich Felker, et al.

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files
(the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify,
merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE
FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def metadata(repository, target):
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", target]
    return json.loads(subprocess.run(command, cwd=repository, check=True, stdout=subprocess.PIPE).stdout)


def linked(data):
    """The crates whose code is in the command: not what runs only while it is built."""
    packages = {package["id"]: package for package in data["packages"]}
    nodes = {node["id"]: node for node in data["resolve"]["nodes"]}
    [start] = [name for name in data["workspace_members"] if packages[name]["name"] == "aiohost"]
    found, todo = {start}, [start]
    while todo:
        for dependency in nodes[todo.pop()]["deps"]:
            name = dependency["pkg"]
            is_normal = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            is_macro = any("proc-macro" in target["kind"] for target in packages[name]["targets"])
            if is_normal and not is_macro and name not in found:
                found.add(name)
                todo.append(name)
    found.remove(start)
    return sorted((packages[name] for name in found), key=lambda package: (package["name"], package["version"]))


def texts(package):
    folder = Path(package["manifest_path"]).parent
    files = {path for path in folder.iterdir() if path.is_file() and TEXTS.match(path.name)}
    if package["license_file"]:
        files.add(folder / package["license_file"])
    return [path.read_text(encoding="utf-8", errors="replace").strip() + "\n" for path in sorted(files)]


def main(repository, target):
    crates = {}
    print("The crates in this command, with the licences that each may be used under, and the texts below.\n")
    for package in linked(metadata(repository, target)):
        found = texts(package)
        if not found and not package["license"]:
            sys.exit(f"licences.py: {package['name']} {package['version']} has no licence")
        title = f"{package['name']} {package['version']}"
        authors = "" if found else f", by {', '.join(package['authors']) or 'its authors'}; its package has no text"
        print(f"* {title}: {package['license'] or 'see its text'}{authors}")
        for text in found:
            crates.setdefault(text, []).append(title)
    # Crates whose package has no text are under licences that others here have, too.
    for text, titles in crates.items():
        print(f"\n{'-' * 80}\n{', '.join(titles)}\n\n{text}", end="")
    if target.endswith("-musl"):
        print(f"\n{'-' * 80}\n{MUSL}", end="")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
