"""`chancery jobs` with operations that only a test asks for: each attempt leaves its number in a folder.

It ends when it is asked to, with the process that began it, and never by itself.
"""

import asyncio
import os
import signal
from pathlib import Path

from infrastructure.bootstrap import System
from infrastructure.embedded.children import die_with_parent
from infrastructure.operations import Taken
from infrastructure.settings import load
from workers import jobs, operations


async def test_note(_: System, taken: Taken) -> None:
    """Done at once."""
    Path(taken.about["folder"], str(taken.attempt)).touch()


async def test_stick(_: System, taken: Taken) -> None:
    """The first attempt never comes to an end."""
    Path(taken.about["folder"], str(taken.attempt)).touch()
    if taken.attempt == 1:
        await asyncio.Event().wait()


if __name__ == "__main__":
    die_with_parent(signal.SIGKILL, os.getppid())
    for work in (test_note, test_stick):
        setattr(operations, work.__name__, work)
    jobs.run(load())
