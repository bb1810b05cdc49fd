"""Connections whose other side takes nothing, or is gone without a word: the kernel ends them, whatever they wait for.

What was written to a connection stays in memory until it is taken, and nobody above the socket is told that it is not.
"""

import asyncio
import os
import socket
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PAUSE = 0.05
SILENT_SECONDS, ASK_SECONDS, ASK_TIMES = 60, 15, 3
"""After so long a silence the other side's kernel is asked whether it is there, so often."""


async def impatient(seconds: int) -> None:
    """From now on a connection of this process ends when its reader has taken nothing for so long (RFC 5482).

    Returns once it listens: a connection has what its listening socket had when it was accepted.
    """
    while not list(_set(seconds)):  # noqa: ASYNC110 - the server does not say when it listens
        await asyncio.sleep(PAUSE)


def _set(seconds: int) -> Iterator[bool]:
    for entry in Path("/proc/self/fd").iterdir():
        with _opened(int(entry.name)) as found:
            if found is not None and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, seconds * 1000)
                found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, SILENT_SECONDS)
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, ASK_SECONDS)
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, ASK_TIMES)
                yield True


@contextmanager
def _opened(number: int) -> Generator[socket.socket | None]:
    """The TCP socket of that number, if it is one still."""
    found = None
    with suppress(OSError):
        copy = os.dup(number)
        try:
            found = socket.socket(fileno=copy)
        except OSError:
            os.close(copy)
    try:
        yield found if found is not None and found.family in (socket.AF_INET, socket.AF_INET6) else None
    finally:
        if found is not None:
            found.close()
