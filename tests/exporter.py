"""One attempt at an export in a process of its own, which never gets beyond its first rows: for a test to kill."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from uuid import UUID

from infrastructure.bootstrap import running
from infrastructure.embedded.children import die_with_parent
from infrastructure.exports import exporting
from infrastructure.settings import load
from workers.exports import exporter


async def attempt(export_id: UUID, begun: Path) -> None:
    async def stuck(*_: object) -> None:
        await asyncio.to_thread(begun.touch)
        await asyncio.Event().wait()

    exporting.shown = stuck
    async with running(load(), name="jobs") as system:
        await exporter(system).run(export_id, last=False)


if __name__ == "__main__":
    die_with_parent(signal.SIGKILL, os.getppid())
    asyncio.run(attempt(UUID(sys.argv[1]), Path(sys.argv[2])))
