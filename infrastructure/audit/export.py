"""The log as one file for an auditor: NDJSON, every leaf with its hash, closed by the signed checkpoint."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any, Protocol

import httpx
import msgspec
from msgspec import Struct
from psycopg import AsyncConnection

from infrastructure.audit.form import (
    FORMAT,
    Block,
    Continued,
    Header,
    Line,
    Trailer,
    checkpoint_of,
    encode,
    written,
)
from infrastructure.audit.keys import published_keys
from infrastructure.audit.selection import Selection
from projections import audit_log, audit_tree
from projections.leaf import leaf, unbundle
from projections.merkle import HASH
from projections.proofs import Checkpoint
from projections.tiles import WIDTH, Edge, TileAt, tile_path


class NothingToExport(Exception):
    """The log has no signed checkpoint, or does not serve what its checkpoint covers."""


class Source(Protocol):
    """Where a log can be read from."""

    async def checkpoint(self) -> str:
        """The newest signed note. Raises NothingToExport."""
        ...

    async def keys(self) -> tuple[str, ...]: ...

    async def tile(self, at: TileAt, width: int) -> bytes:
        """Raises NothingToExport when it is not there."""
        ...

    async def leaves(self, number: int, width: int) -> list[tuple[int, bytes]]:
        """The leaves under a level 0 tile, each with its index. Those that are missing are missing here too."""
        ...


class DatabaseSource:
    """The log in its own database."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self._connection = connection

    async def checkpoint(self) -> str:
        signed = await audit_tree.signed_checkpoint(self._connection)
        if signed is None:
            raise NothingToExport("nothing is signed yet")
        return signed.note

    async def keys(self) -> tuple[str, ...]:
        return tuple(key.vkey for key in await published_keys(self._connection))

    async def tile(self, at: TileAt, width: int) -> bytes:
        row = await audit_tree.tile(self._connection, at, width)
        if row is None:
            raise NothingToExport(f"tile {at.level}/{tile_path(at.number, width)} is missing")
        return row

    async def leaves(self, number: int, width: int) -> list[tuple[int, bytes]]:
        first = number * WIDTH + 1
        events = await audit_log.stored_events(self._connection, first, first + width - 1)
        return [(event.position - 1, leaf(event)) for event in events]


class HttpSource:
    """The log of a running server, by the paths of C2SP tlog-tiles. The client knows base URL and credential."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def checkpoint(self) -> str:
        return (await self._get("checkpoint")).decode()

    async def keys(self) -> tuple[str, ...]:
        answer = msgspec.json.decode(await self._get("keys"))
        return tuple(key["vkey"] for key in answer["data"])

    async def tile(self, at: TileAt, width: int) -> bytes:
        return await self._get(f"tile/{at.level}/{tile_path(at.number, width)}")

    async def leaves(self, number: int, width: int) -> list[tuple[int, bytes]]:
        data = await self._get(f"tile/entries/{tile_path(number, width)}")
        return list(enumerate(unbundle(data), number * WIDTH))

    async def _get(self, path: str) -> bytes:
        answer = await self._client.get(path)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            raise NothingToExport(f"{path} is missing")
        return answer.raise_for_status().content


class Order(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an export is made of, settled when it begins, so that one which was interrupted goes on with the same."""

    checkpoint: str
    keys: tuple[str, ...]
    selection: Selection | None = None
    continues: Continued | None = None

    @property
    def head(self) -> Checkpoint:
        return checkpoint_of(self.checkpoint)


async def order(source: Source) -> Order:
    """The whole log as it is signed now. Raises NothingToExport."""
    return Order(checkpoint=await source.checkpoint(), keys=await source.keys())


def first_line(settled: Order) -> bytes:
    return written(Header(format=FORMAT, origin=settled.head.origin, size=settled.head.size))


async def export_lines(source: Source, settled: Order | None = None, done: int = 0) -> AsyncIterator[bytes]:
    """The export of a whole log, some lines at a time. Raises NothingToExport, Malformed.

    It goes on after `done` blocks; 0 is the beginning.
    """
    settled = settled or await order(source)
    size = settled.head.size
    if done == 0:
        yield first_line(settled)
    above = b""
    for number in range(done, -(-size // WIDTH)):
        if (number % WIDTH == 0 or not above) and size // WIDTH > number:
            first = number - number % WIDTH
            above = await source.tile(TileAt(1, number // WIDTH), min(WIDTH, size // WIDTH - first))
        width = min(WIDTH, size - number * WIDTH)
        row = await source.tile(TileAt(0, number), width)
        lines = [
            encode(Line(index, data, row[(at := index % WIDTH * HASH) : at + HASH]))
            for index, data in await source.leaves(number, width)
        ]
        at = number % WIDTH * HASH
        whole = above[at : at + HASH] if width == WIDTH else Edge().grown([row])[0].root()
        lines.append(encode(Block(number, whole)))
        yield b"\n".join(lines) + b"\n"
    yield written(Trailer(checkpoint=settled.checkpoint, keys=settled.keys))
