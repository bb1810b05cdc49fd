"""An event loop whose time passes when nobody has anything to do, and who runs next is for the dice to say."""

import asyncio
from random import Random
from typing import Any


class Stuck(Exception):
    """Everybody waits for somebody else."""


class _Jump:
    """A selector that never waits: it moves the clock on to the next timer."""

    def __init__(self, real: Any, loop: "DiceLoop") -> None:
        self._real, self._loop = real, loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Stuck
        self._loop.now += max(0.0, timeout)
        return []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class DiceLoop(asyncio.SelectorEventLoop):
    """`now` is in seconds, from 0."""

    def __init__(self, dice: Random) -> None:
        super().__init__()
        self.now, self._dice = 0.0, dice
        self._selector: Any = _Jump(self._selector, self)

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        ready: Any = self._ready  # type: ignore[attr-defined]
        if len(ready) > 1 and self._dice.random() < 0.5:
            mixed = list(ready)
            self._dice.shuffle(mixed)
            ready.clear()
            ready.extend(mixed)
        super()._run_once()  # type: ignore[misc]


def played(seed: int, scene: Any) -> Any:
    """What `scene(dice)` comes to, on a loop of its own. Whatever is still at work is ended."""
    dice = Random(seed)
    loop = DiceLoop(dice)
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(scene(dice))
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        asyncio.set_event_loop(None)
        loop.close()
