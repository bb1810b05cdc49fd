"""Which projections may set a stream aside, and which can take it back afterwards."""

from typing import Any, Protocol, runtime_checkable

from psycopg import AsyncCursor

from projections.projection import Batch


@runtime_checkable
class Halting(Protocol):
    """One that would be wrong as a whole without one of its streams: it stops instead. Empty: it would not."""

    @property
    def halts(self) -> str:
        """Why, in half a sentence."""
        ...


@runtime_checkable
class Refolding(Protocol):
    """One that can make anew what it has of one stream, whenever; any other has to be built again as a whole."""

    def alone(self, stream: Batch) -> bool:
        """Whether what it has of these events follows from their stream alone, and nothing of others from it."""
        ...

    async def refold(self, cursor: AsyncCursor[Any], schema: str, stream: Batch) -> None:
        """Put the stream's whole past in the place of what was there of it, in the caller's transaction."""
        ...
