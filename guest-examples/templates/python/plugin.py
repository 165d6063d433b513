"""Lists the working directory: each file with its size, and the sum.

The modules `wit_world` and `componentize_py_types` are made by componentize-py, of the world in wit/world.wit.
"""

import asyncio
import sys

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import requests
from wit_world.imports.types import FileType

IN_FLIGHT = 64  # How many requests are in flight at most. 64 keep a fast disk busy.


class Run(exports.Run):
    """What the host calls, since the world exports wasi:cli/run: the methods have the names of its functions."""

    async def run(self) -> None:
        try:
            await show()
        except Err as failure:  # A request that fails raises Err with the host's record `error`.
            print(failure.value, file=sys.stderr)
            raise Err(None)  # The exit status of this program is then 1.


async def show() -> None:
    # `None` is the directory to start from: the working directory, which is the first one that was granted.
    names = sorted(await requests.readdir(None, "."))
    free = asyncio.Semaphore(IN_FLIGHT)

    async def look(name: str):
        async with free:
            return await requests.lstat(None, name)

    # All at a time: it is the host that wakes the tasks.
    statuses = await asyncio.gather(*map(look, names))
    size = 0
    for name, status in zip(names, statuses):
        if status.type == FileType.REGULAR_FILE:
            print(f"{status.size:>10}  {name}")
            size += status.size
        else:
            print(f"{'-':>10}  {name}{'/' if status.type == FileType.DIRECTORY else ''}")
    print(f"{len(names)} entries, {size} bytes")
