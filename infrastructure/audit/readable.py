"""Entries for other programs, as a table or as CloudEvents: to be read, without proofs. Personal fields read sealed."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec import structs

from infrastructure.audit.export import Source
from infrastructure.audit.sealed import SEALED
from infrastructure.audit.selected import Asked, fitting, settle
from infrastructure.event_codec import EventCodec
from infrastructure.exports.format import CsvWriting, NdjsonWriting, Writing
from projections.audit_log import Entry, shown
from projections.leaf import stored_of
from projections.merkle import leaf_hash

CSV, CLOUD_EVENTS = "csv", "cloudevents"
COLUMNS = (
    *("position", "recorded_at", "topic", "stream_id", "version", "actor.kind", "actor.id", "session_id"),
    *("client", "request_id", "cause", "allowed_by", "address", "agent", "event_id", "leaf_hash", "data"),
)
_encode = msgspec.json.Encoder(order="deterministic").encode


async def write_readable(
    source: Source, asked: Asked, file: Path, form: str, told: Callable[[int, int], None]
) -> int:
    """Write what is asked for as CSV or as CloudEvents, an event a line; answers how many.

    It is under its name once it is whole. Raises NothingToExport, Malformed, UnknownTopic, OSError.
    """
    settled = await settle(source, asked)
    codec, origin = EventCodec(), settled.head.origin
    writing: Writing = CsvWriting([tuple(name.split(".")) for name in COLUMNS])
    if form == CLOUD_EVENTS:
        writing = NdjsonWriting()
    part, entries = file.with_name(f"{file.name}.part"), 0
    last = settled.head.size if settled.selection is None else settled.selection.last
    with part.open("wb") as out:
        out.write(writing.head())
        async for position, found in fitting(source, settled):
            leaves = [leaf for _, leaf in found]
            out.write(
                writing.rows(_events(codec, origin, leaves) if form == CLOUD_EVENTS else _rows(codec, leaves))
            )
            entries += len(found)
            told(position, last)
    _rename(part, file)
    return entries


def _rows(codec: EventCodec, leaves: Sequence[bytes]) -> list[bytes]:
    """As the list of entries answers them."""
    rows: list[bytes] = []
    for leaf in leaves:
        stored = stored_of(leaf)
        entry = Entry(**structs.asdict(stored), leaf_hash=leaf_hash(leaf))
        rows.append(_encode(shown(entry, codec.metadata(stored, SEALED), codec.data(stored, SEALED))))
    return rows


def _events(codec: EventCodec, origin: str, leaves: Sequence[bytes]) -> list[bytes]:
    """CloudEvents 1.0 in JSON, with its sequence extension; extensions are named in lower-case letters and digits."""
    events: list[bytes] = []
    for leaf in leaves:
        stored = stored_of(leaf)
        beside = codec.metadata(stored, SEALED)
        event = {
            "specversion": "1.0",
            "id": stored.event_id,
            "source": f"//{origin}/streams/{stored.stream_id}",
            "type": stored.topic,
            "subject": str(stored.stream_id),
            "time": stored.recorded_at,
            "datacontenttype": "application/json",
            "sequence": str(stored.position),
            "streamversion": stored.version,
            "actorkind": beside.actor.kind,
            "actorid": str(beside.actor.id),
            "requestid": beside.request_id,
            "data": codec.data(stored, SEALED),
        }
        events.append(
            _encode(event | ({} if beside.allowed_by is None else {"allowedby": beside.allowed_by}))
        )
    return events


def _rename(part: Path, file: Path) -> None:
    part.replace(file)
