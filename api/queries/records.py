"""What every read has in common: wait for a position, find one record, show it to those who may see it."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Protocol
from uuid import UUID

import msgspec
from litestar import Request
from litestar.params import HeaderParameter, QueryParameter
from msgspec import Raw, structs

from api import answers
from api.answers import Answer, Header
from api.auth import caller_of
from api.conditions import min_position
from api.problems import NotFound
from api.queries.past import Change, Diff, History, Life, Past, moment
from application.access import Caller
from infrastructure.positions import Parked

MinPosition = Annotated[
    str | None,
    HeaderParameter(
        name="X-Min-Position", description="Wait up to 2 s until the read model has passed this position."
    ),
]
IfNoneMatch = Annotated[
    str | None,
    HeaderParameter(name="If-None-Match", description="Answer 304 if the record still has this ETag."),
]
AsOf = Annotated[
    str | None,
    QueryParameter(
        name="as_of", description="The record as it was: an instant, a position, or a version such as v7."
    ),
]
From = Annotated[
    str, QueryParameter(name="from", description="An instant, a position, or a version such as v7.")
]
To = Annotated[str, QueryParameter(name="to", description="An instant, a position, or a version such as v7.")]
Asked = Request[Any, Any, Any]
Clock = Callable[[], datetime]


class Found(Protocol):
    @property
    def version(self) -> int: ...
    @property
    def view(self) -> bytes: ...
    @property
    def position(self) -> int: ...


class Read(Protocol):
    """Single records of one read model, by id."""

    @property
    def name(self) -> str: ...
    async def __call__(self, record_id: UUID) -> Found: ...


class Progress(Protocol):
    """How far the log and the read models are."""

    async def reached(self, projection: str, position: int) -> None:
        """Returns when the read model has passed the position. Raises BeyondHead, Behind."""
        ...

    async def written(self, position: int) -> int:
        """The log's head, at least `position`. Raises BeyondHead."""
        ...

    def parked(self, projection: str) -> int:
        """Of how many streams the read model lacks something."""
        ...


class Sight(Protocol):
    """What a caller may see of a noun's records; each is judged as it is now, also when its past is asked for."""

    def sees(self, caller: Caller, record: bytes) -> bool:
        """Whether the record is his to know."""
        ...

    def hidden(self, caller: Caller, record_id: UUID) -> frozenset[str]:
        """Its members that are not."""
        ...


class Records:
    """Single records of one read model, as people may see them."""

    def __init__(self, read: Read, progress: Progress, past: Past, sight: Sight) -> None:
        self._read, self._progress, self._past, self._sight = read, progress, past, sight

    async def one(
        self,
        request: Asked,
        record_id: UUID,
        *,
        at_least: str | None,
        if_none_match: str | None,
        as_of: str | None = None,
    ) -> Answer[Any]:
        """Raises NotFound, ConditionMalformed, MomentMalformed, and what Progress raises."""
        if as_of is not None:
            return await self._then(request, record_id, as_of, at_least, if_none_match)
        position = min_position(at_least)
        if position is not None:
            await self._progress.reached(self._read.name, position)
        found = await self._read(record_id)
        if not found.version:
            raise NotFound
        body = self._shown(request, record_id, found.view, found.view)
        return answers.record(body, found.version, found.position, if_none_match)

    async def others(self, at_least: str | None, *models: Read) -> None:
        """Returns when other read models that an answer takes have passed X-Min-Position, too.

        Raises ConditionMalformed, and what Progress raises.
        """
        if (position := min_position(at_least)) is not None:
            for model in models:
                await self._progress.reached(model.name, position)

    async def _then(
        self, request: Asked, record_id: UUID, as_of: str, at_least: str | None, if_none_match: str | None
    ) -> Answer[Any]:
        until = moment(as_of)
        head, life = await self._life(record_id, at_least)
        present, then = life.present(), life.at(until)
        if present is None:
            raise NotFound
        if then is None:
            self._shown(request, record_id, present.body, b"{}")
            raise NotFound("It was not there at that moment.")
        body = self._shown(request, record_id, present.body, then.body)
        return answers.record(body, then.version, head, if_none_match)

    async def history(self, request: Asked, record_id: UUID, *, at_least: str | None) -> Answer[Any]:
        """Everything that happened to it, oldest first. Raises NotFound, ConditionMalformed, BeyondHead."""
        head, life = await self._life(record_id, at_least)
        hidden = self._hidden(request, record_id, life)
        entries = [structs.replace(one, changes=_visible(one.changes, hidden)) for one in life.history()]
        return answers.json_answer(History(data=entries), headers=[_known(head)])

    async def diff(
        self, request: Asked, record_id: UUID, start: str, end: str, *, at_least: str | None
    ) -> Answer[Any]:
        """Raises NotFound, ConditionMalformed, MomentMalformed, BeyondHead."""
        between = moment(start), moment(end)
        head, life = await self._life(record_id, at_least)
        hidden = self._hidden(request, record_id, life)
        found: Diff = life.diff(*between)
        shown = structs.replace(found, changes=_visible(found.changes, hidden))
        return answers.json_answer(shown, headers=[_known(head)])

    async def _life(self, record_id: UUID, at_least: str | None) -> tuple[int, Life]:
        """The log's head before it was read, and what it holds of the record: no read model need be waited for.

        Of one whose stream is parked: as far as it can be folded, what is asked of later is refused.
        """
        head = await self._progress.written(min_position(at_least) or 0)
        life = await self._past.life(record_id)
        if self._progress.parked(self._read.name):
            try:
                await self._read(record_id)
            except Parked as parked:
                return head, life.whole_until(parked.position)
        return head, life

    def _hidden(self, request: Asked, record_id: UUID, life: Life) -> frozenset[str]:
        present, caller = life.present(), caller_of(request)
        if present is None or not self._sight.sees(caller, present.body):
            raise NotFound
        return self._sight.hidden(caller, record_id)

    def _shown(self, request: Asked, record_id: UUID, present: bytes, body: bytes) -> bytes:
        caller = caller_of(request)
        if not self._sight.sees(caller, present):
            raise NotFound
        hidden = self._sight.hidden(caller, record_id)
        if not hidden:
            return body
        members = _members.decode(body)
        return msgspec.json.encode({name: value for name, value in members.items() if name not in hidden})


_members = msgspec.json.Decoder(dict[str, Raw])


def _visible(changes: list[Change], hidden: frozenset[str]) -> list[Change]:
    return [one for one in changes if one.field not in hidden]


def _known(head: int) -> Header:
    return b"x-projection-position", b"%d" % head
