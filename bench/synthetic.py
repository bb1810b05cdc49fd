"""An export of a log of any length, written without a server: real events, real hashes, a real signature."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from bench.companies import companies
from domain.organisation.events import OrganisationAdded
from domain.shared import Actor, Metadata, Stored
from infrastructure.audit.form import FORMAT, Block, Header, Line, Trailer, written
from infrastructure.audit.signed_note import Signer, sign
from infrastructure.event_codec import EventCodec
from projections.leaf import leaf
from projections.merkle import leaf_hash
from projections.proofs import Checkpoint
from projections.tiles import WIDTH, Edge

ORIGIN = "chancery.example/audit"
SIGNER = Signer(ORIGIN, bytes(range(32)))
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
DIFFERENT = 2_000
"""Payloads there are; ids, positions and instants differ from entry to entry."""


def leaves(count: int) -> Iterator[bytes]:
    codec, commands = EventCodec(), companies()
    metadata = codec.encode_metadata(
        Metadata(actor=Actor(kind="user", id=UUID(int=7)), request_id="bench"), UUID(int=1), 1, {}
    )
    added = [_event(next(commands)) for _ in range(DIFFERENT)]
    states = [codec.encode(event, UUID(int=1), 1, {}) for event in added]
    for position in range(1, count + 1):
        identity = hashlib.blake2b(position.to_bytes(8, "big"), digest_size=16).digest()
        yield leaf(
            Stored(
                position=position,
                event_id=UUID(bytes=identity),
                stream_id=UUID(bytes=identity[::-1]),
                version=1,
                topic=OrganisationAdded.TOPIC,
                recorded_at=BEGAN + timedelta(milliseconds=position),
                meta=metadata,
                state=states[position % DIFFERENT],
            )
        )


def write(file: Path, count: int) -> None:
    """The whole log as `chancery audit export` writes it."""
    edge = Edge()
    with file.open("wb") as out:
        out.write(written(Header(format=FORMAT, origin=ORIGIN, size=count)))
        row: list[bytes] = []
        for index, data in enumerate(leaves(count)):
            row.append(leaf_hash(data))
            out.write(written(Line(index, data, row[-1])))
            if len(row) == WIDTH or index == count - 1:
                out.write(written(Block(index // WIDTH, Edge().grown(row)[0].root())))
                edge, _ = edge.grown(row)
                row.clear()
        checkpoint = Checkpoint(origin=ORIGIN, size=count, root=edge.root())
        note = str(sign(checkpoint.text(), [SIGNER]))
        out.write(written(Trailer(checkpoint=note, keys=(SIGNER.verifier.vkey(),))))


def _event(command: object) -> OrganisationAdded:
    names = OrganisationAdded.__struct_fields__
    return OrganisationAdded(**{name: getattr(command, name) for name in names if hasattr(command, name)})
