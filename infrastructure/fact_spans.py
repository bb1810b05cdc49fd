"""Facts in their traces: relay, read models and reactor go on, in whatever process, where append ended.

Nothing is stored for it: the trace's id follows from the request's, and the span's from the event's.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from random import getrandbits
from uuid import UUID

import msgspec

from application import spans
from application.spans import Kind, Place, Span
from domain.shared import Event, Metadata, Recorded, Stored

LINKED = 64
"""Facts of one batch that get a span, and are linked by it, at most."""


class _Beside(msgspec.Struct, frozen=True):
    """What of the metadata, as stored, names the trace."""

    actor: tuple[str, UUID]
    request_id: str


_beside = msgspec.json.Decoder(_Beside)


def place_of(actor: str, request_id: str, event_id: UUID) -> Place:
    """The system's own request ids say what it does, not when: each of these facts is a trace by itself."""
    named = request_id
    if actor == "system" and not spans.is_trace(request_id):
        named = f"{event_id} by itself"
    return Place(spans.trace_of(named), event_id.int & (1 << 64) - 1)


def places(facts: Iterable[Stored]) -> dict[UUID, Place]:
    """Those of them whose traces are sampled, by event id; at most LINKED, the first."""
    found: dict[UUID, Place] = {}
    if not spans.collected():
        return found
    for stored in facts:
        beside = _beside.decode(stored.meta)
        place = place_of(beside.actor[0], beside.request_id, stored.event_id)
        if spans.sampled(place.trace_id):
            found[stored.event_id] = place
            if len(found) == LINKED:
                break
    return found


def written(attempt: Metadata, events: Sequence[Event], event_ids: Sequence[UUID], position: int) -> None:
    """Each event that append has just accepted, the last of them at `position`, is a span: what follows hangs on it.

    It stands under what is going on here, or is linked to it when that is another trace.
    """
    if not spans.collected():
        return
    here, first = spans.current(), position - len(events) + 1
    for number, (event, event_id) in enumerate(zip(events, event_ids, strict=True)):
        place = place_of(attempt.actor.kind, attempt.request_id, event_id)
        if not spans.sampled(place.trace_id):
            continue
        same = here is not None and here.trace_id == place.trace_id
        spans.finish(
            Span(
                name=event.TOPIC,
                trace_id=place.trace_id,
                span_id=place.span_id,
                parent_id=here.span_id if here is not None and same else 0,
                kind="producer",
                attributes={"chancery.position": first + number},
                links=[here.place] if here is not None and not same else [],
            )
        )


def batched(waiting: Iterable[Span | None], began: int, size: int) -> None:
    """One transaction of the writer: a trace of its own, linked with the appends in it that are sampled."""
    commands = [each for each in waiting if each is not None and not each.ended]
    if not commands:
        return
    batch = Span(
        name="append batch",
        trace_id=getrandbits(128) or 1,
        kind="client",
        began=began,
        attributes={"chancery.batch.commands": size},
        links=[each.place for each in commands[:LINKED]],
    )
    for each in commands:
        each.attributes["chancery.batch.commands"] = size
        each.attributes["chancery.waited_us"] = max(0, began - each.began) // 1000
        each.links.append(batch.place)
    spans.finish(batch)


def followed(name: str, facts: Mapping[UUID, Place], began: int, size: int, kind: Kind = "consumer") -> None:
    """A batch of facts was carried on since `began`: a trace of its own, and a span in the trace of each fact."""
    if not facts:
        return
    batch = Span(
        name=f"{name} batch",
        trace_id=getrandbits(128) or 1,
        kind=kind,
        began=began,
        attributes={"chancery.batch.events": size},
        links=list(facts.values()),
    )
    spans.finish(batch)
    for place in facts.values():
        spans.finish(
            Span(
                name=name,
                trace_id=place.trace_id,
                parent_id=place.span_id,
                kind=kind,
                began=began,
                attributes={"chancery.batch.events": size},
                links=[batch.place],
            )
        )


def following(recorded: Recorded[Event], name: str) -> AbstractContextManager[Span | None]:
    """One fact is being carried on; None unless its trace is sampled."""
    if not spans.collected():
        return spans.NOTHING
    place = place_of(recorded.metadata.actor.kind, recorded.metadata.request_id, recorded.event_id)
    return spans.whole(name, place.trace_id, place.span_id, "consumer")
