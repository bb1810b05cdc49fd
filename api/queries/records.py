"""What every read has in common: wait for a position, find one record, show it to those who may see it."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Protocol
from uuid import UUID

from litestar import Request
from litestar.params import HeaderParameter, QueryParameter

from api import answers
from api.answers import Answer
from api.auth import caller_of
from api.conditions import min_position
from api.problems import NotFound
from api.queries.past import Past
from application.access import Caller

MinPosition = Annotated[
    str | None,
    HeaderParameter(
        name="X-Min-Position", description="Wait up to 2 s until the read model has passed this position."
    ),
]
IfNoneMatch = Annotated[
    str | None, HeaderParameter(name="If-None-Match", description="Answer 304 if the record still has this ETag.")
]
AsOf = Annotated[
    str | None,
    QueryParameter(
        name="as_of", description="The record as it was: an instant, a position, or a version such as v7."
    ),
]
From = Annotated[str, QueryParameter(name="from", description="An instant, a position, or a version such as v7.")]
To = Annotated[str, QueryParameter(name="to", description="An instant, a position, or a version such as v7.")]
Asked = Request[Any, Any, Any]


class Found(Protocol):
    @property
    def version(self) -> int: ...
    @property
    def view(self) -> bytes: ...
    @property
    def position(self) -> int: ...


Reached = Callable[[str, int], Awaitable[None]]
Show = Callable[[Caller, bytes], bytes | None]
"""The record as this caller may see it; None: it is not his to know."""


class Read(Protocol):
    """Single records of one read model, by id."""

    @property
    def name(self) -> str: ...
    async def __call__(self, record_id: UUID) -> Found: ...


class Records:
    """Single records of one read model, as people may see them."""

    def __init__(self, read: Read, reached: Reached, past: Past) -> None:
        self._read, self._reached, self._past = read, reached, past

    async def wait(self, asked: str | None) -> None:
        """Raises ConditionMalformed, PositionUnknown, ProjectionBehind."""
        position = min_position(asked)
        if position is not None:
            await self._reached(self._read.name, position)

    async def one(
        self,
        request: Asked,
        record_id: UUID,
        show: Show,
        *,
        at_least: str | None,
        if_none_match: str | None,
        as_of: str | None,
    ) -> Answer[Any]:
        await self.wait(at_least)
        if as_of is not None:
            body, version, position = await self._past.as_of(record_id, as_of)
        else:
            found = await self._read(record_id)
            body, version, position = found.view, found.version, found.position
        return answers.record(
            _shown(request, body if version else None, show), version, position, if_none_match
        )

    async def history(self, request: Asked, record_id: UUID, show: Show) -> Answer[Any]:
        await self._known(request, record_id, show)
        return answers.json_answer(await self._past.history(record_id))

    async def diff(self, request: Asked, record_id: UUID, show: Show, start: str, end: str) -> Answer[Any]:
        await self._known(request, record_id, show)
        return answers.json_answer(await self._past.diff(record_id, start, end))

    async def _known(self, request: Asked, record_id: UUID, show: Show) -> None:
        """Whoever may see the record may see its past. Raises NotFound."""
        body, _, _ = await self._past.as_of(record_id, "9" * 18)
        _shown(request, body, show)


def _shown(request: Asked, body: bytes | None, show: Show) -> bytes:
    shown = None if body is None else show(caller_of(request), body)
    if shown is None:
        raise NotFound
    return shown
