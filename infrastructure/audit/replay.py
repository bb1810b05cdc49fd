"""An export read again as the events it is made of: any read model, any record, any right, without a server."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import BinaryIO
from uuid import UUID

import msgspec
from msgspec import Struct

from application.decision import Known
from application.evaluation import Moment, Wanted
from domain.shared import Event, Recorded, Stored
from infrastructure.audit.form import LONGEST_LINE
from infrastructure.audit.report import Report
from infrastructure.audit.sealed import SEALED
from infrastructure.event_codec import EventCodec
from infrastructure.guard_replay import Replay as Guarded
from infrastructure.guards import Guards
from infrastructure.personal_data import SubjectKey
from infrastructure.security.evaluation import OfEvents
from projections.leaf import stored_of

Until = Callable[[Stored], bool]
"""Whether an event had happened by a moment."""
Keys = Mapping[UUID, SubjectKey | None]


class NotWhole(Exception):
    """A replay needs every entry from the first to its moment, and this export does not have, or cannot show, them."""


class _Leaf(Struct):
    leaf: bytes


class Replay:
    """The events of an export that was verified. The file is read anew for each question, so memory does not grow."""

    def __init__(self, file: BinaryIO, report: Report, keys: Keys = SEALED) -> None:
        """`report` is what its verification found. Raises NotWhole for a selection that does not begin at entry 1
        or has been filtered: what is not in it would be missing unseen.
        """
        chosen = report.selection
        if chosen is not None and (chosen.filtered or chosen.first > 1):
            raise NotWhole(f"this is a selection ({chosen}); a replay needs every entry from the first")
        self._file, self._keys, self._codec = file, keys, EventCodec()
        self._leaf = msgspec.json.Decoder(_Leaf).decode

    def stored(self) -> Iterator[Stored]:
        self._file.seek(0)
        for line in iter(lambda: self._file.readline(LONGEST_LINE), b""):
            if line.startswith(b'{"i":'):
                yield stored_of(self._leaf(line).leaf)

    def recorded(self, takes: Callable[[Stored], bool], until: Until) -> Iterator[Recorded[Event]]:
        """Those that are taken, up to the moment. Raises UnknownTopic."""
        return (self._codec.decode(each, self._keys) for each in self.stored() if takes(each) and until(each))

    def batches(self, takes: Callable[[Stored], bool], until: Until, size: int) -> Iterator[list[Stored]]:
        """All up to the moment, those that are taken opened, as projections are given them. Raises UnknownTopic."""
        batch: list[Stored] = []
        for each in self.stored():
            if until(each):
                batch.append(self._codec.decode(each, self._keys) if takes(each) else each)
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch

    def moment(self, until: Until, at: datetime | None = None) -> Moment:
        """The place of a moment: that of the last event by then, at the instant that was named, or at the event's own.

        Raises NotWhole when nothing had happened by then.
        """
        last: Stored | None = None
        for each in self.stored():
            if until(each):
                last = each
        if last is None:
            raise NotWhole("nothing had happened by then")
        return Moment(position=last.position, at=at or last.recorded_at)


class Rights(OfEvents):
    """Implements application.evaluation's Source and Owners from an export alone.

    Each question reads the export once; "now" is where it ends.
    """

    def __init__(self, replay: Replay, end: Moment) -> None:
        super().__init__()
        self._replay, self._end = replay, end
        self._codec = EventCodec()

    async def standing(self, subject: UUID) -> Known:
        events = await self.events([subject], None)
        return self.known(events.get(subject, ()), {}, self._end)

    async def events(
        self, streams: Collection[UUID], up_to: int | None
    ) -> Mapping[UUID, Sequence[Recorded[Event]]]:
        wanted, last = frozenset(streams), self._end.position if up_to is None else up_to
        found: dict[UUID, list[Recorded[Event]]] = {}
        for each in self._replay.stored():
            if each.stream_id in wanted and each.position <= last:
                found.setdefault(each.stream_id, []).append(self._codec.decode(each, {}))
        return found

    async def holders(
        self, wanted: Wanted, at: Moment | None, after: UUID | None, limit: int
    ) -> Sequence[UUID]:
        """Everybody there ever was: whoever is found is judged by himself."""
        last, noun = (at or self._end).position, "user." if wanted.kind == "user" else "api_client."
        found = {
            each.stream_id
            for each in self._replay.stored()
            if each.position <= last and each.topic.startswith(noun)
        }
        return sorted(each for each in found if after is None or each > after)[:limit]

    async def owner(self, kind: str, value: str) -> UUID | None:
        """Which record has that custom id where the export ends."""
        noun = f"{kind.partition('.')[0]}."
        guarded = Guarded(Guards(lambda _kind, blinded: blinded))
        for each in self._replay.stored():
            if each.topic.startswith(noun):
                guarded.apply(self._codec.decode(each, {}))
        owned = guarded.claims.get((kind, value))
        return None if owned is None else owned.owner
