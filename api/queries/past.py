"""Answers about the past of one record: as it was, what happened to it, what changed between two moments."""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Protocol
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from api.problems import Problem
from domain.shared import Event, Recorded, Stored
from infrastructure.positions import Parked
from projections.projection import Fold

_encode = msgspec.json.Encoder(order="deterministic").encode
_BOOKKEEPING = {"version", "position", "updated_at"}


class MomentMalformed(Problem):
    """A moment is an instant (RFC 3339 with an offset), a position, or a version such as v7."""

    code, status = "query.moment_malformed", 400


Moment = Callable[[Stored], bool]
"""Whether an event had happened by then."""


def moment(text: str) -> Moment:
    """A version (`v7`), a position, or an instant, which means whatever was recorded at or before it.

    One that has not come yet is the present. Raises MomentMalformed.
    """
    if re.fullmatch(r"v[1-9][0-9]{0,17}", text):
        version = int(text[1:])
        return lambda event: event.version <= version
    if re.fullmatch(r"[0-9]{1,18}", text):
        position = int(text)
        return lambda event: event.position <= position
    try:
        instant = msgspec.convert(text, Annotated[datetime, Meta(tz=True)])
    except msgspec.ValidationError:
        hint = "In an address the + of an offset is written %2B." if " " in text else None
        raise MomentMalformed(hint=hint) from None
    return lambda event: event.recorded_at <= instant


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
    """What changed; `from` and `to` are the record's versions at the two moments, 0 before it was there."""

    before: int
    after: int
    changes: list[Change]


class State(Struct, frozen=True, kw_only=True):
    """A record as it was."""

    body: bytes
    version: int


class Life:
    """Everything that happened to one record, folded by the very fold that makes the read model."""

    def __init__(
        self,
        events: Sequence[Recorded[Event]],
        fold: Fold[Any],
        waiting: Sequence[Recorded[Event]] = (),
        position: int = 0,
    ) -> None:
        self._events, self._fold = events, fold
        self._waiting, self._position = waiting, position

    def whole_until(self, position: int) -> "Life":
        """The same without what waits after that, parked: each question about that raises Parked."""
        known = [each for each in self._events if each.position <= position]
        return Life(known, self._fold, self._events[len(known) :], position)

    def at(self, then: Moment) -> State | None:
        """The record at a moment; None: it is not there. Raises Parked."""
        return self._state(self._until(then))

    def present(self) -> State | None:
        """The record as it is shown, for whether it may be; None: it is not there."""
        return self._state(self._events)

    def _state(self, events: Sequence[Recorded[Event]]) -> State | None:
        view = self._fold.replay(events)
        return None if view is None else State(body=self._told(view), version=view.version)

    def _told(self, view: Any) -> bytes:
        """Without what other streams decide, too: this one's past does not tell it."""
        derived = self._fold.derived
        if not derived:
            return _encode(view)
        return _encode({name: value for name, value in _plain(view).items() if name not in derived})

    def history(self) -> Iterator[HistoryEntry]:
        """Raises Parked."""
        if self._waiting:
            raise Parked(self._position)
        before: dict[str, Any] = {}
        for recorded, view in zip(self._events, self._fold.steps(self._events), strict=True):
            after = _plain(view)
            yield _entry(recorded, _changes(before, after))
            before = after

    def diff(self, start: Moment, end: Moment) -> Diff:
        """Raises Parked."""
        earlier, later = self._until(start), self._until(end)
        return Diff(
            before=earlier[-1].version if earlier else 0,
            after=later[-1].version if later else 0,
            changes=_changes(_plain(self._fold.replay(earlier)), _plain(self._fold.replay(later))),
        )

    def _until(self, then: Moment) -> Sequence[Recorded[Event]]:
        if any(map(then, self._waiting)):
            raise Parked(self._position)
        return [event for event in self._events if then(event)]


class Past:
    """The lives of one noun's records."""

    def __init__(self, streams: Streams, fold: Fold[Any]) -> None:
        self._streams, self._fold = streams, fold

    async def life(self, record_id: UUID) -> Life:
        """Of an id that is another noun's: nothing, since its events mean nothing here."""
        return Life(await self._streams.recorded(record_id), self._fold)


def _plain(view: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {} if view is None else msgspec.to_builtins(view)
    return plain


def _changes(before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
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
