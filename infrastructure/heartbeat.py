"""How a process shows that it lives: a file that is touched, and, started by systemd, its own word (sd_notify(3))."""

import asyncio
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Never

import structlog

BEAT_SECONDS = 2.0
DEAD_SECONDS = 30.0
"""Silence after which a process counts as dead: its loop has stood still, or it is gone."""

_log = structlog.get_logger("heartbeat")


class Heartbeat:
    """Of one process. Beats on the loop that does the work, so a loop that stands still falls silent."""

    def __init__(self, folder: str, name: str) -> None:
        self._file = Path(folder) / name if folder else None

    async def run(self) -> Never:
        """For ever. What cannot be written is said once: a full disk ends nobody."""
        complained = False
        notify("READY=1")
        try:
            while True:
                notify("WATCHDOG=1")
                try:
                    self._touch()
                except OSError as error:
                    if not complained:
                        _log.warning("heartbeat.unwritten", file=str(self._file), error=str(error))
                    complained = True
                await asyncio.sleep(BEAT_SECONDS)
        finally:
            if self._file is not None:
                with suppress(OSError):  # what could not be written cannot be removed
                    self._file.unlink()

    def _touch(self) -> None:
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.touch()


def silence(folder: str, name: str) -> float | None:
    """Seconds since the last beat; None when there is none."""
    try:
        return max(0.0, time.time() - (Path(folder) / name).stat().st_mtime)
    except FileNotFoundError:
        return None


def notify(state: str) -> None:
    """Tell systemd, where it listens; nobody waits for it, and nobody minds when it is not there."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place:
        return
    address = "\0" + place[1:] if place.startswith("@") else place
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as told:
        told.setblocking(False)
        try:
            told.sendto(state.encode(), address)
        except OSError as error:
            _log.debug("systemd does not listen", error=str(error))
