"""The log in a dump, read without a server: every event is there once, and their tree has the root that was signed."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import IO
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.file.events import FileUploaded
from domain.shared import Stored
from infrastructure.backup.manifest import Altered
from projections.leaf import leaf
from projections.merkle import EMPTY_ROOT, leaf_hash
from projections.tiles import WIDTH, Edge

TABLE = "public.stored_events"


class _File(Struct):
    object_id: UUID
    sha256: str


class Scan:  # bounded: one scan of a backup
    """Takes events in any order, as a table has them, and keeps only those that came too early.

    `roots`: the sizes at which the root is wanted; `events`: how many there were. `files`: contents that the log names,
    by the name of their object, each with its SHA-256.
    """

    def __init__(self, sizes: Iterable[int]) -> None:
        self.roots = {size: EMPTY_ROOT for size in sizes if size == 0}
        self.files: dict[str, str] = {}
        self._sizes = sorted(size for size in sizes if size > 0)
        self._edge, self._row = Edge(), list[bytes]()
        self._early: dict[int, bytes] = {}
        self._file = msgspec.json.Decoder(_File).decode

    @property
    def events(self) -> int:
        """How many there are from the first one on, without a hole."""
        return self._edge.size + len(self._row)

    def take(self, stored: Stored) -> None:
        """Raises Altered."""
        if stored.position <= self.events or stored.position in self._early:
            raise Altered(f"position {stored.position} is in the log twice")
        self._early[stored.position] = leaf_hash(leaf(stored))
        while (digest := self._early.pop(self.events + 1, None)) is not None:
            self._add(digest)
        if stored.topic == FileUploaded.TOPIC:
            file = self._file(stored.state)
            self.files[str(file.object_id)] = file.sha256

    def end(self) -> None:
        """Raises Altered for a hole."""
        if self._early:
            raise Altered(
                f"position {self.events + 1} is missing in the log, and {min(self._early)} is there"
            )

    def _add(self, digest: bytes) -> None:
        self._row.append(digest)
        if self._sizes and self._sizes[0] == self.events:
            self.roots[self._sizes.pop(0)] = self._edge.grown(self._row)[0].root()
        if len(self._row) == WIDTH:
            self._edge, _ = self._edge.grown(self._row)
            self._row = []


def events(rows: IO[bytes]) -> Iterator[Stored]:
    """Out of what `pg_restore` says of the table (PostgreSQL's text form of COPY). Raises Altered."""
    columns: list[bytes] = []
    for line in rows:
        if not columns:
            if line.startswith(b"COPY "):
                columns = line[line.index(b"(") + 1 : line.rindex(b")")].split(b", ")
        elif line == b"\\.\n":
            return
        else:
            try:
                yield _event(dict(zip(columns, line.rstrip(b"\n").split(b"\t"), strict=True)))
            except (KeyError, ValueError) as error:
                raise Altered(f"an event cannot be read: {error}") from None
    raise Altered("the dump has no log in it" if not columns else "the log in the dump is cut off")


def _event(row: dict[bytes, bytes]) -> Stored:
    return Stored(
        position=int(row[b"notification_id"]),
        event_id=UUID(row[b"event_id"].decode()),
        stream_id=UUID(row[b"originator_id"].decode()),
        version=int(row[b"originator_version"]),
        topic=row[b"topic"].decode(),
        recorded_at=datetime.fromisoformat(row[b"recorded_at"].decode()),
        meta=_bytes(row[b"metadata"]),
        state=_bytes(row[b"state"]),
    )


def _bytes(told: bytes) -> bytes:
    r"""bytea is `\x…`, and COPY doubles the backslash."""
    if not told.startswith(b"\\\\x"):
        raise ValueError("bytes that are not in hexadecimal")
    return bytes.fromhex(told[3:].decode())
