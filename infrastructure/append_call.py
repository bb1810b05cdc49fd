"""The call of the one SQL function that writes: commands as columns, and what its verdicts mean."""

from collections.abc import Hashable, Sequence
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from projections.packing import a_bytes, a_int4, a_int8, a_text, a_uuid

ACCEPTED, KEY_SEEN, STORED_ALREADY, STALE_ACCESS, CLAIM_TAKEN, CONFLICT, MOVED, ERASED, NONE_LEFT = range(9)
VERDICTS = (
    *("accepted", "key seen", "stored already", "stale access", "claim taken"),
    *("version conflict", "moved", "erased", "none left"),
)
"""Their names, in that order."""

Row = tuple[str, dict[str, Any]]


class Item(Struct, kw_only=True, gc=False):
    """One command, encoded and ready for `append`."""

    stream_id: UUID
    expected: int
    actor_id: UUID
    event_ids: Sequence[UUID]
    topics: Sequence[str]
    states: Sequence[bytes]
    metas: Sequence[bytes]
    session: tuple[UUID, int] | None
    grant_id: UUID | None
    key: tuple[bytes, bytes, int, bytes] | None
    claims: Sequence[tuple[str, str]]
    rows: Sequence[Row]
    conditions: Sequence[Row]
    subjects: Sequence[tuple[UUID, bytes | None]]
    writes: frozenset[Hashable]
    reads: frozenset[Hashable]


CALL = b"""select a.*, extract(epoch from a.at - statement_timestamp())::float8
  from append(%b::bytea[],%b::bytea[],%b::int[],%b::bytea[],%b::uuid[],
  %b::uuid[],%b::bigint[],%b::int[],%b::uuid[],%b::int[],%b::uuid[],
  %b::int[],%b::uuid[],%b::bigint[],%b::text[],%b::bytea[],%b::uuid[],%b::bytea[],
  %b::int[],%b::text[],%b::text[], %b::int[],%b::uuid[],%b::bytea[], %t::jsonb,%t::jsonb,%b) a"""
"""The last column: seconds from the statement's arrival until the lock was had, about."""


def packed(items: Sequence[Item], *, again: bool) -> tuple[Any, ...]:
    """The parameters of `append`, column by column; commands are numbered from 1."""
    keys = [item.key for item in items]
    events = [
        (
            number,
            item.stream_id,
            item.expected + i + 1,
            item.topics[i],
            item.states[i],
            item.event_ids[i],
            item.metas[i],
        )
        for number, item in enumerate(items, 1)
        for i in range(len(item.event_ids))
    ]
    e_cmd, e_stream, e_version, e_topic, e_state, e_id, e_meta = (
        zip(*events, strict=True) if events else ((),) * 7
    )
    claims = [(number, kind, value) for number, item in enumerate(items, 1) for kind, value in item.claims]
    subjects = [
        (number, subject, wrapped)
        for number, item in enumerate(items, 1)
        for subject, wrapped in item.subjects
    ]
    return (
        a_bytes([key and key[0] for key in keys]),
        a_bytes([key and key[1] for key in keys]),
        a_int4([key and key[2] for key in keys]),
        a_bytes([key and key[3] for key in keys]),
        a_uuid([item.actor_id for item in items]),
        a_uuid([item.stream_id for item in items]),
        a_int8([item.expected for item in items]),
        a_int4([len(item.event_ids) for item in items]),
        a_uuid([item.session and item.session[0] for item in items]),
        a_int4([item.session and item.session[1] for item in items]),
        a_uuid([item.grant_id for item in items]),
        a_int4(e_cmd),
        a_uuid(e_stream),
        a_int8(e_version),
        a_text(e_topic),
        a_bytes(e_state),
        a_uuid(e_id),
        a_bytes(e_meta),
        a_int4([c[0] for c in claims]),
        a_text([c[1] for c in claims]),
        a_text([c[2] for c in claims]),
        a_int4([s[0] for s in subjects]),
        a_uuid([s[1] for s in subjects]),
        a_bytes([s[2] for s in subjects]),
        _lists(item.conditions for item in items),
        _lists(item.rows for item in items),
        again,
    )


def _lists(per_item: Any) -> str | None:
    lists: dict[str, list[dict[str, Any]]] = {}
    for number, rows in enumerate(per_item, 1):
        for name, row in rows:
            lists.setdefault(name, []).append({"c": number, **row})
    return msgspec.json.encode(lists).decode() if lists else None
