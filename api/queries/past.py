"""Answers about the past of one record: as it was, what happened to it, what changed between two moments."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec
from msgspec import Struct

from api.problems import NotFound, Problem
from domain.shared import Event, Recorded
from projections.projection import Fold

_encode = msgspec.json.Encoder(order="deterministic").encode
_BOOKKEEPING = {"version", "position", "updated_at"}


class MomentMalformed(Problem):
    """A moment is an instant (RFC 3339 with an offset), a position, or a version such as v7."""

    code, status = "query.moment_malformed", 400


class Streams(Protocol):
    async def recorded(self, stream_id: UUID) -> Sequence[Recorded[Event]]: ...


class Change(Struct, frozen=True, kw_only=True, rename={"before": "from", "after": "to"}):
    """One field, from what to what."""

    field: str
    before: Any
    after: Any


class HistoryEntry(Struct, frozen=True, kw_only=True):
    """Who, when, what, from → to, why; `position` is its place in the log."""

    position: int
    version: int
    event_id: UUID
    topic: str
    at: datetime
    actor: dict[str, str]
    request_id: str
    allowed_by: str | None
    reason: str | None
    changes: list[Change]


class History(Struct, frozen=True, kw_only=True):
    data: list[HistoryEntry]


class Diff(Struct, frozen=True, kw_only=True, rename={"before": "from", "after": "to"}):
    before: int
    after: int
    changes: list[Change]


class Past:
    """The past of one noun's records, folded from their streams by the very fold that made the read model."""

    def __init__(self, streams: Streams, fold: Fold[Any]) -> None:
        self._streams, self._fold = streams, fold

    async def as_of(self, record_id: UUID, moment: str) -> tuple[bytes, int, int]:
        """(body, version, position) of the record as it was then. Raises NotFound when it was not there yet."""
        events = until(await self._streams.recorded(record_id), moment)
        view = self._fold.replay(events)
        if view is None:
            raise NotFound("It was not there at that moment.")
        return _encode(view), view.version, view.position

    async def history(self, record_id: UUID) -> History:
        """Everything that happened to it, oldest first."""
        events = await self._streams.recorded(record_id)
        before: dict[str, Any] = {}
        entries: list[HistoryEntry] = []
        for recorded, view in zip(events, self._fold.steps(events), strict=True):
            after = _plain(view)
            entries.append(_entry(recorded, changes(before, after)))
            before = after
        return History(data=entries)

    async def diff(self, record_id: UUID, start: str, end: str) -> Diff:
        events = await self._streams.recorded(record_id)
        earlier, later = until(events, start), until(events, end)
        return Diff(
            before=earlier[-1].version if earlier else 0,
            after=later[-1].version if later else 0,
            changes=changes(_plain(self._fold.replay(earlier)), _plain(self._fold.replay(later))),
        )


def _plain(view: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {} if view is None else msgspec.to_builtins(view)
    return plain


def until(events: Sequence[Recorded[Event]], moment: str) -> Sequence[Recorded[Event]]:
    """The events up to a version (`v7`), a position, or an instant; an instant means recorded at or before it."""
    if re.fullmatch(r"v[1-9][0-9]{0,17}", moment):
        return [e for e in events if e.version <= int(moment[1:])]
    if re.fullmatch(r"[0-9]{1,18}", moment):
        return [e for e in events if e.position <= int(moment)]
    try:
        instant = datetime.fromisoformat(moment)
    except ValueError:
        raise MomentMalformed from None
    if instant.tzinfo is None:
        raise MomentMalformed("The instant needs an offset, such as Z.")
    return [e for e in events if e.recorded_at <= instant]


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
    names = dict.fromkeys([*before, *after])
    return [
        Change(field=name, before=before.get(name), after=after.get(name))
        for name in names
        if name not in _BOOKKEEPING and before.get(name) != after.get(name)
    ]


def _entry(recorded: Recorded[Event], changed: list[Change]) -> HistoryEntry:
    actor = recorded.metadata.actor
    return HistoryEntry(
        position=recorded.position,
        version=recorded.version,
        event_id=recorded.event_id,
        topic=recorded.topic,
        at=recorded.recorded_at,
        actor={"kind": actor.kind, "id": str(actor.id)},
        request_id=recorded.metadata.request_id,
        allowed_by=recorded.metadata.allowed_by,
        reason=getattr(recorded.event, "reason", None),
        changes=changed,
    )
