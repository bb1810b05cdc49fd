"""What exactly is hashed: one stored event as one leaf of the audit log, byte for byte the same for ever."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from domain.shared import Stored

LEAF_LIMIT = 60_000
"""Bytes a leaf may have: a bundle's length field ends at 65,535 (C2SP tlog-tiles); NATS stands on it too."""
STORED_COLUMNS = (
    "notification_id, event_id, originator_id, originator_version, topic, recorded_at, metadata, state"
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[int, UUID, UUID, int, str, int, bytes, bytes]).decode
_LARGEST = 2**63 - 1
_LAST_INSTANT = 253_402_300_799_999_999
_FIXED = len(_encode((_LARGEST, UUID(int=0), UUID(int=0), _LARGEST, _LAST_INSTANT, b"", b""))) + 1


class NotABundle(ValueError):
    """Bytes that are no sequence of length-prefixed leaves."""


def leaf(stored: Stored) -> bytes:
    """A JSON array of eight, bytes as base64, the instant as microseconds since 1970; personal fields as ciphertext."""
    since = stored.recorded_at - EPOCH
    instant = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return _encode(
        (
            stored.position,
            stored.event_id,
            stored.stream_id,
            stored.version,
            stored.topic,
            instant,
            stored.meta,
            stored.state,
        )
    )


def stored_of(leaf: bytes) -> Stored:
    """The event a leaf was made of, byte for byte. Raises msgspec.DecodeError for anything else."""
    position, event_id, stream_id, version, topic, instant, meta, state = _decode(leaf)
    return Stored(
        position=position,
        event_id=event_id,
        stream_id=stream_id,
        version=version,
        topic=topic,
        recorded_at=EPOCH + timedelta(microseconds=instant),
        meta=meta,
        state=state,
    )


def stored_of_row(row: Sequence[Any]) -> Stored:
    """From a row of STORED_COLUMNS."""
    return Stored(
        position=row[0],
        event_id=row[1],
        stream_id=row[2],
        version=row[3],
        topic=row[4],
        recorded_at=row[5],
        meta=row[6],
        state=row[7],
    )


def leaf_bound(topic: str, metadata: int, state: int) -> int:
    """The most bytes a leaf can have, position and instant still unknown. `metadata` and `state` are sizes."""
    return _FIXED + len(_encode(topic)) + _base64(metadata) + _base64(state)


def bundle(leaves: Iterable[bytes]) -> bytes:
    """An entry bundle of C2SP tlog-tiles: each leaf after its length as a big-endian uint16."""
    return b"".join([len(one).to_bytes(2, "big") + one for one in leaves])


def unbundle(data: bytes) -> list[bytes]:
    """The leaves of a bundle. Raises NotABundle when bytes are missing."""
    leaves: list[bytes] = []
    at = 0
    while at < len(data):
        start = at + 2
        at = start + int.from_bytes(data[at:start], "big")
        if start > len(data) or at > len(data):
            raise NotABundle(f"entry {len(leaves)} is cut off")
        leaves.append(data[start:at])
    return leaves


def _base64(size: int) -> int:
    return (size + 2) // 3 * 4
