"""Who may see which event: whoever reads all of them, and whoever reads those of the records in a scope."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec
from msgspec import Struct

from api.queries.records import Clock, Progress, Read
from application.access import ANYTHING, Caller, Forbidden, Resource, in_force, may
from domain.shared import Stored
from infrastructure.positions import Parked

READ = "events:read"


class _Place(Struct, frozen=True):
    """Where a record lies, whatever its noun."""

    organisation_id: UUID | None = None
    organisation_ids: tuple[UUID, ...] = ()
    account_manager_id: UUID | None = None
    responsible_id: UUID | None = None
    scope_type: str | None = None
    scope_id: str | None = None


_place = msgspec.json.Decoder(_Place)


class EventSight:
    """`reads`: single records by noun, as they are now. What has no record lies in no scope."""

    def __init__(self, reads: Mapping[str, Read], progress: Progress, clock: Clock) -> None:
        self._reads, self._progress, self._clock = reads, progress, clock

    def require(self, caller: Caller) -> None:
        """Raises Forbidden when the caller reads the events of no scope at all."""
        now = self._clock()
        if may(caller, READ, ANYTHING, now) is None and not any(
            f"{held.module}:{held.action}" == READ and in_force(held, now) for held in caller.rights
        ):
            raise Forbidden(f"This needs the right {READ}.", required=READ)

    async def seen(self, caller: Caller, events: Sequence[Stored]) -> list[bool]:
        """Which of them are his to know. Raises Behind while a read model has not come so far."""
        now = self._clock()
        if may(caller, READ, ANYTHING, now) is not None:
            return [True] * len(events)
        views = await self._views(events)
        seen: list[bool] = []
        for event in events:
            noun, view = event.topic.partition(".")[0], views.get(event.stream_id)
            resource = _resource(noun, event.stream_id, view) if view else ANYTHING
            seen.append(may(caller, READ, resource, now) is not None)
        return seen

    async def _views(self, events: Sequence[Stored]) -> dict[UUID, bytes]:
        wanted: defaultdict[str, dict[UUID, int]] = defaultdict(dict)
        for event in events:
            noun = event.topic.partition(".")[0]
            if noun in self._reads:
                wanted[noun][event.stream_id] = event.position
        found: dict[UUID, bytes] = {}
        for noun, last in wanted.items():
            await self._progress.reached(self._reads[noun].name, max(last.values()))
            views = await asyncio.gather(*(_view(self._reads[noun], key) for key in last))
            found |= {key: view for key, view in zip(last, views, strict=True) if view is not None}
        return found


async def _view(read: Read, record_id: UUID) -> bytes | None:
    """None also for one that waits: where it lies now, and so whose it is to know, nobody can say, nor waits for it."""
    try:
        found = await read(record_id)
    except Parked:
        return None
    return found.view if found.version else None


def _resource(noun: str, record_id: UUID, view: bytes) -> Resource:
    place = _place.decode(view)
    scopes = {(noun, str(record_id)), *(("organisation", str(each)) for each in place.organisation_ids)}
    if place.organisation_id is not None:
        scopes.add(("organisation", str(place.organisation_id)))
    if place.scope_type is not None and place.scope_id is not None:
        scopes.add((place.scope_type, place.scope_id))
    responsible = {place.account_manager_id, place.responsible_id} - {None}
    return Resource(
        scopes=frozenset(scopes), responsible_ids=frozenset(each for each in responsible if each is not None)
    )
