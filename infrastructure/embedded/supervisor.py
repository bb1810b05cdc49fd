"""Keeps processes running: what dies is started again after a pause, but not for ever."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from infrastructure.embedded.children import StartError
from infrastructure.embedded.stack import Server

DEATHS = 5
"""Quick deaths in a row after which a process is given up."""
QUICK = 30.0
"""Seconds a process must live for its death to count as the first again."""
_FIRST_PAUSE = 0.2


class GaveUp(Exception):
    """A process dies as soon as it is started."""


@dataclass
class _Watched:
    server: Server
    started: float = field(default_factory=time.monotonic)
    deaths: int = 0
    due: float | None = None


class Supervisor:
    """`say` gets one sentence for each death and each start."""

    def __init__(self, say: Callable[[str], None]) -> None:
        # bounded: by the programs there are
        self._watched: list[_Watched] = []
        self._say = say

    def watch(self, server: Server) -> None:
        """A server that has been started."""
        self._watched.append(_Watched(server))

    def step(self) -> None:
        """Look once at each; call it several times a second. Raises GaveUp."""
        for watched in self._watched:
            if watched.due is None and watched.server.child.died():
                self._bury(watched)
            elif watched.due is not None and watched.due <= time.monotonic():
                self._revive(watched)

    def _bury(self, watched: _Watched) -> None:
        child = watched.server.child
        status = child.stop(0)  # kills the rest of its group: workers without their main process
        how = f"by signal {-status}" if status is not None and status < 0 else f"with status {status}"
        now = time.monotonic()
        watched.deaths = watched.deaths + 1 if now - watched.started < QUICK else 1
        if watched.deaths >= DEATHS:
            raise GaveUp(f"{child.name} ended {how}, {DEATHS} times in a row. {child.last_words()}")
        pause = _FIRST_PAUSE * 2.0**watched.deaths
        watched.due = now + pause
        self._say(f"{child.name} ended {how}; starting it again in {pause:.1f} s")

    def _revive(self, watched: _Watched) -> None:
        watched.due, watched.started = None, time.monotonic()
        try:
            watched.server.start()
        except StartError as error:
            self._say(str(error))
            self._bury(watched)
