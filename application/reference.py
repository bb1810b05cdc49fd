"""Reference data: lists that are shipped with the product, and loaded when they have changed."""

from collections.abc import Sequence

from application.access import Need, system
from application.context import Context
from application.execute import Execute
from domain.reference.aggregate import REFERENCE
from domain.reference.commands import LoadReference
from domain.reference.events import Entry, list_id

LOAD = Need(right="import:run")


class References:
    def __init__(self, execute: Execute) -> None:
        self._execute = execute

    async def load(self, kind: str, entries: Sequence[Entry]) -> None:
        """The list is this one from now on; nothing when it was already."""
        context = Context(caller=system(), request_id="reference-data")
        command = LoadReference(kind=kind, entries=tuple(entries))
        await self._execute(REFERENCE, list_id(kind), command, context, LOAD, upsert=True)
