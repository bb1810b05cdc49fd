"""The SQL function `append`, called by name and without the writer, so that the log's own rules can be asked."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

(
    ACCEPTED,
    KEY_SEEN,
    STORED_ALREADY,
    STALE_ACCESS,
    CLAIM_TAKEN,
    VERSION_CONFLICT,
    MOVED,
    ERASED,
    LEAVES_NONE,
) = range(9)

COLUMNS = {
    "keys": "bytea", "prints": "bytea", "statuses": "int", "extras": "bytea", "actors": "uuid",
    "streams": "uuid", "expected": "bigint", "counts": "int",
    "sess": "uuid", "sess_versions": "int", "allowed": "uuid",
    "e_cmd": "int", "e_stream": "uuid", "e_version": "bigint", "e_topic": "text", "e_state": "bytea",
    "e_id": "uuid", "e_meta": "bytea",
    "c_cmd": "int", "c_kind": "text", "c_value": "text",
    "s_cmd": "int", "s_subject": "uuid", "s_wrapped": "bytea",
}  # fmt: skip
CALL = "select * from append({}, conditions => %(conditions)s::jsonb, guards => %(guards)s::jsonb, again => %(again)s)"
QUERY = CALL.format(", ".join(f"{name} => %({name})s::{kind}[]" for name, kind in COLUMNS.items()))


@dataclass
class Wish:
    """One command as append sees it. `guards`: rows by list name; `conditions` likewise."""

    stream: UUID = field(default_factory=uuid4)
    events: int = 1
    expected: int = 0
    key: bytes | None = None
    fingerprint: bytes = b"print"
    session: tuple[UUID, int] | None = None
    allowed: UUID | None = None
    takes: tuple[tuple[str, str], ...] = ()
    seals: tuple[tuple[UUID, bytes | None], ...] = ()
    conditions: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    guards: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    actor: UUID = field(default_factory=uuid4)
    ids: list[UUID] = field(default_factory=list)

    def __post_init__(self):
        self.ids = self.ids or [uuid4() for _ in range(self.events)]


@dataclass
class Answer:
    head: int
    at: datetime
    verdicts: list[int]
    details: dict[str, Any]


def append(connection, *wishes: Wish, again: bool = False) -> Answer:
    """One call, one verdict for each wish."""
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}

    def row(prefix: str, *values: Any) -> None:
        for name, value in zip([n for n in COLUMNS if n.startswith(prefix)], values, strict=True):
            columns[name].append(value)

    lists: dict[str, dict[str, list[Any]]] = {"conditions": {}, "guards": {}}
    for number, wish in enumerate(wishes, 1):
        session, version = wish.session or (None, None)
        command = (
            wish.key,
            wish.fingerprint,
            201,
            b"{}",
            wish.actor,
            wish.stream,
            wish.expected,
            wish.events,
        )
        for name, value in zip(COLUMNS, (*command, session, version, wish.allowed), strict=False):
            columns[name].append(value)
        for offset, event_id in enumerate(wish.ids, 1):
            row("e_", number, wish.stream, wish.expected + offset, "thing.done.v1", b"{}", event_id, b"{}")
        for kind, value in wish.takes:
            row("c_", number, kind, value)
        for subject, wrapped in wish.seals:
            row("s_", number, subject, wrapped)
        for kind, found in lists.items():
            for name, rows in getattr(wish, kind).items():
                found.setdefault(name, []).extend({"c": number, **each} for each in rows)
    rare = {kind: json.dumps(found, default=str) if found else None for kind, found in lists.items()}
    head, at, verdicts, details = connection.execute(QUERY, {**columns, **rare, "again": again}).fetchone()
    return Answer(head, at, verdicts or [ACCEPTED] * len(wishes), details or {})
