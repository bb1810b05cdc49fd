"""What is noted afterwards, in streams of its own, one after the other: nobody waits for it, nothing rests on it."""

from typing import Any, Generic, TypeVar

from application.access import Need
from application.context import Context
from application.execute import Execute
from application.ports import NewId
from domain.shared import Event, Rules

C = TypeVar("C")
E = TypeVar("E", bound=Event)

OF_ONE_STREAM = 1_000
"""Events after which another stream begins, so that no record ever takes long to load."""


class Journal(Generic[C, E]):
    """One process writes to one stream at a time, which is its alone."""

    def __init__(self, execute: Execute, rules: Rules[Any, C, E], new_id: NewId) -> None:
        self._execute, self._rules, self._new_id = execute, rules, new_id
        self.turn()

    def turn(self) -> None:
        """Begins another stream: the present one is long enough, or nobody knows how far it came."""
        self._stream, self._used = self._new_id(), 0

    async def append(self, command: C, context: Context, *, by: str) -> None:
        """`by`: on what it rests. Raises what the store raises."""
        need = Need(right=None, by=by)
        await self._execute(self._rules, self._stream, command, context, need, new=self._used == 0)
        self._used += 1
        if self._used >= OF_ONE_STREAM:
            self.turn()
