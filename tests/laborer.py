"""`chancery jobs` with operations that only a test asks for: each attempt leaves its number in a folder."""

import asyncio
import os
import signal
from pathlib import Path

from infrastructure.bootstrap import System
from infrastructure.embedded.children import die_with_parent
from infrastructure.operations import Taken
from infrastructure.settings import load
from workers import jobs, operations


async def note(_system: System, taken: Taken) -> None:
    """Done at once."""
    _noted(taken)


async def stick(_system: System, taken: Taken) -> None:
    """The first attempt never comes to an end."""
    _noted(taken)
    if taken.attempt == 1:
        await asyncio.Event().wait()


def _noted(taken: Taken) -> None:
    Path(taken.about["folder"], str(taken.attempt)).touch()


if __name__ == "__main__":
    die_with_parent(signal.SIGKILL, os.getppid())
    for work in (note, stick):
        setattr(operations, f"test_{work.__name__}", work)
    jobs.run(load())
