"""A process whose wall clock is off, by as many seconds as a file says, read anew a few times a second.

And leases that end sooner than they do elsewhere.
"""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

LOOK = 0.2
"""Seconds after which the file is read again."""


class Off:
    def __init__(self, file: str) -> None:
        self._file, self._looked, self._by = Path(file), 0.0, 0.0

    def seconds(self) -> float:
        now = time.monotonic()
        if now - self._looked > LOOK:
            self._looked = now
            self._by = float(self._file.read_text() or 0) if self._file.exists() else 0.0
        return self._by


def install(file: str) -> None:
    """Before anything has taken the clock by its name."""
    from infrastructure import core

    off = Off(file)
    real, real_ns = time.time, time.time_ns
    time.time = lambda: real() + off.seconds()
    time.time_ns = lambda: real_ns() + int(off.seconds() * 1e9)
    core.clock = lambda: datetime.now(UTC) + timedelta(seconds=off.seconds())


def shorten_leases(seconds: float) -> None:
    """Of attempts at operations: a run cannot wait a minute for each one that was killed."""
    from infrastructure.operations import Operations

    kept = Operations.__init__.__kwdefaults__
    assert kept is not None
    kept["lease"] = timedelta(seconds=seconds)
