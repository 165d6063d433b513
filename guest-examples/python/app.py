"""Writes MANIFEST.sha256: the SHA-256 of every regular file below the working directory, as sha256sum writes it.

A component of WASI 0.3: its `run` is a coroutine, and so are the requests. asyncio does what it always does, and it is the
host that wakes the tasks: up to 64 files are under way at a time, in a single thread.

The modules `wit_world` and `componentize_py_types` are made by componentize-py, of the world in wit/world.wit.
"""

import asyncio
import hashlib
import sys
import time

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import requests
from wit_world.imports.types import FileType, OpenFlags

MANIFEST = "MANIFEST.sha256"
TEMPORARY = "MANIFEST.sha256.tmp"
IN_FLIGHT = 64
PIECE = 128 * 1024

# The host gives a byte that is not UTF-8, 0x80 to 0xFF, as a character from U+F780 to U+F7FF. Python's own way to hold such a
# byte is a character from U+DC80 to U+DCFF, which the error handler "surrogateescape" turns back into the byte.
ESCAPED = {0xF700 + byte: 0xDC00 + byte for byte in range(0x80, 0x100)}


class Run(exports.Run):
    """What the host calls, since the world exports wasi:cli/run: the methods have the names of its functions."""

    async def run(self) -> None:
        start = time.monotonic()
        try:
            files = await hash_tree()
            await write_manifest(b"".join(sorted_lines(files)))
        # A task group collects what went wrong in its tasks. A request that fails raises Err with the host's record `error`.
        except* Err as failures:
            for failure in failures.exceptions:
                print(failure.value, file=sys.stderr)
            raise Err(None)  # The exit status of this program is then 1.
        size = sum(size for _, _, size in files)
        print(f"{len(files)} files, {size} bytes, {time.monotonic() - start:.3f} s")


async def hash_tree() -> list[tuple[bytes, str, int]]:
    """The path, the hash and the size of every file."""
    files, directories, free = [], ["."], asyncio.Semaphore(IN_FLIGHT)
    async with asyncio.TaskGroup() as tasks:
        while directories:
            directory = directories.pop()
            scan = await requests.scandir(None, directory, 0)
            prefix = "" if directory == "." else directory + "/"
            directories += [prefix + name for name in scan.directories]
            for path in [prefix + name for name in scan.others]:
                if path not in (MANIFEST, TEMPORARY):
                    await free.acquire()  # A task is begun when there is room for it: few files are open, and few wait.
                    task = tasks.create_task(hash_file(path, files))
                    task.add_done_callback(lambda _: free.release())
    return files


async def hash_file(path: str, files: list[tuple[bytes, str, int]]) -> None:
    """Adds a file to the list. Anything but a regular file, a symbolic link for instance, is left out."""
    status = await requests.lstat(None, path)
    if status.type != FileType.REGULAR_FILE:
        return
    hash, size = hashlib.sha256(), 0
    with await requests.open(None, path, OpenFlags.READ | OpenFlags.NO_FOLLOW, 0) as file:
        while piece := await requests.read(file, None, PIECE):
            hash.update(piece)
            size += len(piece)
    files.append((path.translate(ESCAPED).encode(errors="surrogateescape"), hash.hexdigest(), size))


def sorted_lines(files: list[tuple[bytes, str, int]]):
    """A line for each file. Three characters are escaped, and a backslash at the start of the line tells so."""
    for path, hash, _ in sorted(files):
        escaped = path.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
        yield b"%s%s  %s\n" % (b"\\" if escaped != path else b"", hash.encode(), escaped)


async def write_manifest(text: bytes) -> None:
    """Writes a file under another name and renames it, so that nobody ever sees half of it."""
    flags = OpenFlags.WRITE | OpenFlags.CREATE | OpenFlags.TRUNCATE | OpenFlags.NO_FOLLOW
    file = await requests.open(None, TEMPORARY, flags, 0o666)
    while text:
        written = await requests.write(file, None, text[:PIECE])
        text = text[written:]
    await requests.fdatasync(file)
    await requests.close(file)
    await requests.rename(None, TEMPORARY, None, MANIFEST)
