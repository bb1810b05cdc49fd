"""How far each import is, what its preview shows, and which rows failed: rows for people, no facts."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec import Struct, field, structs
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from domain.imports.events import Counts
from domain.shared import FieldError
from infrastructure.imports.file import FailedRow
from infrastructure.postgres import GroupRead

SAMPLE, PROBLEMS = 20, 100
"""Rows and problems that a preview shows; every failed row can be downloaded."""
MOMENT = timedelta(seconds=10)
PAGE = 1_000
"""Failed rows read at once."""

Step = Literal["reading", "applying"]


class Problem(FieldError, frozen=True, kw_only=True):
    """What is wrong with a row; `row` 0: with the file as a whole."""

    row: int


class Pending(Struct, frozen=True, kw_only=True):
    """The batch that was begun, and what it does; batch 0 is all of it, as the preview has it."""

    batch: int
    counts: Counts


class Progress(Struct, kw_only=True):
    """`total` is None while nobody knows it; `columns`: column of the file to the field it is."""

    step: Step = "reading"
    processed: int = 0
    total: int | None = None
    counts: Counts = Counts()
    pending: Pending | None = None
    format: str | None = None
    encoding: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    header: list[str] = field(default_factory=list)
    sample: list[dict[str, Any]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def note(self, failed: Sequence[FailedRow]) -> None:
        """Counts them, and shows the first."""
        self.counts += Counts(failed=len(failed))
        for row in failed:
            for each in row.problems[: PROBLEMS - len(self.problems)]:
                self.problems.append(Problem(row=row.row, **structs.asdict(each)))


_NAMES = Progress.__struct_fields__
_JSON = frozenset(("counts", "pending", "columns", "sample", "problems"))
_SET = ", ".join(f"{name} = excluded.{name}" for name in _NAMES)
_KEEP = (
    f"insert into import_progress (import_id, {', '.join(_NAMES)}) values (%(import_id)s,"
    f" {', '.join(f'%({name})s' for name in _NAMES)})"
    f" on conflict (import_id) do update set {_SET}, updated_at = clock_timestamp()"
).encode()
_FAILED = b"""insert into import_failed_rows (import_id, row, cells, problems) values (%s, %s, %s, %s)
  on conflict (import_id, row) do update set cells = excluded.cells, problems = excluded.problems"""
_READ = f"select import_id, {', '.join(_NAMES)} from import_progress where import_id = any(%s)".encode()


class ImportProgress:
    """Its `run` must be at work."""

    def __init__(self, url: str, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool
        self._read = GroupRead(url, _read, name="chancery imports")
        self.run = self._read.run

    async def of(self, import_id: UUID) -> Progress | None:
        """None: nothing has been done yet, or it is long ago."""
        return await self._read(import_id)

    async def moved(self) -> dict[UUID, datetime]:
        """Imports that went on a moment ago, and when."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "select import_id, updated_at from import_progress where updated_at > clock_timestamp() - %s",
                (MOMENT,),
            )
            return dict(await cursor.fetchall())

    async def begin(self, import_id: UUID, progress: Progress) -> None:
        """From nothing: what an earlier attempt or step left behind is gone."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute("delete from import_failed_rows where import_id = %s", (import_id,))
            await _keep(connection, import_id, progress)

    async def keep(self, import_id: UUID, progress: Progress, failed: Sequence[FailedRow] = ()) -> None:
        """As far as it is now, with the rows that failed since the last time."""
        async with self._pool.connection() as connection, connection.transaction():
            await _keep(connection, import_id, progress)
            if failed:
                rows = [
                    (import_id, each.row, list(each.cells), Jsonb(msgspec.to_builtins(each.problems)))
                    for each in failed
                ]
                await connection.cursor().executemany(_FAILED, rows)

    async def failed_rows(self, import_id: UUID) -> AsyncIterator[list[FailedRow]]:
        """In the file's order, page by page."""
        after = -1
        while True:
            async with self._pool.connection() as connection:
                cursor = await connection.execute(
                    "select row, cells, problems from import_failed_rows where import_id = %s and row > %s"
                    " order by row limit %s",
                    (import_id, after, PAGE),
                )
                rows = await cursor.fetchall()
            if not rows:
                return
            after = rows[-1][0]
            yield [
                FailedRow(
                    row=row, cells=tuple(cells), problems=msgspec.convert(problems, tuple[FieldError, ...])
                )
                for row, cells, problems in rows
            ]

    async def drop(self, import_id: UUID) -> None:
        """Its preview and its failed rows."""
        async with self._pool.connection() as connection:
            await connection.execute("delete from import_progress where import_id = %s", (import_id,))

    async def forget(self, age: timedelta) -> None:
        """What nothing has happened to for so long: its rows may hold people's data."""
        async with self._pool.connection() as connection:
            await connection.execute(
                "delete from import_progress where updated_at < clock_timestamp() - %s", (age,)
            )

    async def idle(self, age: timedelta, limit: int) -> list[UUID]:
        """Imports to which nothing has happened for so long."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "select import_id from import_progress where updated_at < clock_timestamp() - %s"
                " order by updated_at limit %s",
                (age, limit),
            )
            return [import_id for (import_id,) in await cursor.fetchall()]


async def _keep(connection: AsyncConnection[Any], import_id: UUID, progress: Progress) -> None:
    values = {
        name: Jsonb(msgspec.to_builtins(value)) if name in _JSON and value is not None else value
        for name, value in structs.asdict(progress).items()
    }
    await connection.execute(_KEEP, {"import_id": import_id, **values})


async def _read(connection: AsyncConnection[Any], ids: list[UUID]) -> dict[UUID, Progress]:
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(_READ, (ids,), prepare=True)
    return {row.pop("import_id"): msgspec.convert(row, Progress) for row in await cursor.fetchall()}
