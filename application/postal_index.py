"""The postal index as imports load it."""

from application.access import Need
from application.context import Context
from application.execute import Execute
from domain.postal_index.aggregate import POSTAL_INDEX
from domain.postal_index.commands import LoadPostalIndex
from domain.postal_index.events import batch_id

LOAD = Need(right="import:run")


class PostalIndex:
    def __init__(self, execute: Execute) -> None:
        self._execute = execute

    async def load(self, command: LoadPostalIndex, context: Context) -> None:
        """One batch; nothing when it was loaded before. Raises EventTooLarge: a batch is at most 60,000 bytes."""
        stream_id = batch_id(command.import_id, command.number)
        await self._execute(POSTAL_INDEX, stream_id, command, context, LOAD, upsert=True)
