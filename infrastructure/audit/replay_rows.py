"""The rows of a read model as an export has them: by its fold alone, or by all of it in a database to throw away."""

import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from psycopg import sql

from infrastructure.audit.replay import Replay, Until
from infrastructure.embedded.folder import Folder
from infrastructure.embedded.postgres import APP, OWNER, Postgres
from infrastructure.migrations import migrate
from infrastructure.postgres import connect
from infrastructure.role import Connection
from projections.projection import Fold, Projection

BATCH = 5_000
_SCHEMA = "replayed"
_OPTIONS = "-c jit=off -c enable_seqscan=off -c synchronous_commit=off"
_DOCUMENTS = ("view", "body")
"""Columns that hold a row's JSON, as it is shown."""
_encode = msgspec.json.Encoder(order="deterministic").encode


def folded(replay: Replay, model: Fold[Any], until: Until, only: UUID | None = None) -> Iterator[bytes]:
    """The rows of a pure fold, or one of them, in the order of their ids."""
    rows = model.rebuilt(replay.recorded(model.takes, until), only)
    return (_encode(view) for view in sorted(rows, key=lambda view: view.id))


async def applied(
    url: str, replay: Replay, model: Projection, until: Until, only: UUID | None = None
) -> AsyncIterator[bytes]:
    """The rows that any read model writes, by its own hand, in a schema of this migrated database.

    `url` is its owner's. `only`: of a model whose rows have ids.
    """
    async with await connect(url, options=_OPTIONS, name="chancery audit replay") as connection:
        await connection.execute(sql.SQL("create schema {}").format(sql.Identifier(_SCHEMA)))
        await connection.execute(model.ddl(_SCHEMA).encode())
        for batch in replay.batches(model.takes, until, BATCH):
            async with connection.transaction(), connection.cursor() as cursor:
                await model.apply(cursor, _SCHEMA, batch)
        columns = await _columns(connection, model.tables[0])
        shown = next((each for each in _DOCUMENTS if each in columns), None)
        what = sql.SQL("to_jsonb(t)::text::bytea") if shown is None else sql.Identifier(shown)
        query = sql.SQL("select {} from {} t {} order by {}").format(
            what,
            sql.Identifier(_SCHEMA, model.tables[0]),
            sql.SQL("") if only is None else sql.SQL("where id = {}").format(sql.Literal(only)),
            sql.SQL(", ").join(sql.Identifier(each) for each in columns[:2]),
        )
        async with connection.cursor(binary=True) as cursor:
            async for (row,) in cursor.stream(query, size=1000):
                yield bytes(row)


@contextmanager
def throwaway() -> Generator[str]:
    """A migrated database of one's own, for a while, without a port: the URL of its owner. Raises StartError."""
    with tempfile.TemporaryDirectory(prefix="chancery-replay-") as place:
        Path(place).chmod(0o711)  # as root PostgreSQL runs as somebody else
        folder = Folder(Path(place) / "data")
        with folder.held():
            server = Postgres(folder, folder.sockets(), fast=True)
            server.start()
            try:
                migrate(server.url(OWNER), APP)
                yield server.url(OWNER)
            finally:
                server.child.stop()
                folder.remove_sockets()


async def _columns(connection: Connection, table: str) -> list[str]:
    rows = await connection.execute(
        "select column_name from information_schema.columns where table_schema = %s and table_name = %s"
        " order by ordinal_position",
        (_SCHEMA, table),
    )
    return [name for (name,) in await rows.fetchall()]
