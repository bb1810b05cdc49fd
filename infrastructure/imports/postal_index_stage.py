"""A postal index laid beside the present one: what is new in it, what lies elsewhere, what has vanished."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import msgspec
import psycopg
from msgspec import Struct
from psycopg import Connection

from domain.imports.events import FILL, Counts
from domain.postal_index.events import PostalCode
from infrastructure.imports.file import FailedRow
from infrastructure.imports.postal_index_file import PostalIndexFile
from infrastructure.release import named

BATCH, BATCH_BYTES = 500, 36_000
"""Codes of one event, and bytes: its leaf holds them in base64."""
EVERY = 2_000
"""Records between two words on progress."""

_OPTIONS = "-c jit=off -c statement_timeout=0 -c idle_in_transaction_session_timeout=0"
_ARRIVED = """
create temporary table arrived (
  row bigint not null, batch int not null, code text collate "C" not null, region_code text collate "C" not null,
  area text, locality text
)
"""
_DIFFERENCE = """
create temporary table difference as
with present as materialized (
  select code, archived, region_code, convert_from(view, 'UTF8')::jsonb as view from read.address
)
select a.row, a.batch, a.code, a.region_code, a.area, a.locality,
  case when p.code is null or p.archived then 'added'
       when (p.region_code, p.view ->> 'area', p.view ->> 'locality')
            is distinct from (a.region_code, a.area, a.locality) then 'changed'
       else 'unchanged' end as verdict
from arrived a left join present p on p.code = a.code
union all
select null, %(batches)s + p.code::int / %(size)s, p.code, p.region_code, null, null, 'vanished'
from present p where not p.archived and not exists (select from arrived a where a.code = p.code)
"""

Told = Callable[[int, list[FailedRow]], None]
"""Called with how many records have been read, and which of them failed since it was called last."""


class Lot(Struct, frozen=True, kw_only=True):
    """What one batch writes. The number of a batch follows from the file alone, whatever was written before."""

    number: int
    codes: tuple[PostalCode, ...]
    vanished: tuple[str, ...]
    counts: Counts


class PostalIndexStage:
    """In temporary tables of one connection: use it from one thread at a time, and not on the event loop."""

    def __init__(self, connection: Connection[tuple[Any, ...]], mode: str) -> None:
        self._connection, self._mode = connection, mode
        self._written = ["added"] if mode == FILL else ["added", "changed", "vanished"]

    def take(self, file: PostalIndexFile, told: Told) -> None:
        """Reads the file through; what `told` raises ends it."""
        self._connection.execute(_ARRIVED)
        batches = _Batches()
        read, failed = 0, list[FailedRow]()
        with (
            self._connection.cursor() as cursor,
            cursor.copy("copy arrived (row, batch, code, region_code, area, locality) from stdin") as copy,
        ):
            for row in file:
                read = row.row
                if row.failed is not None:
                    failed.append(row.failed)
                if (place := row.place) is not None:
                    batch = batches.of(place)
                    copy.write_row(
                        (row.row, batch, place.code, place.region_code, place.area, place.locality)
                    )
                if read % EVERY == 0:
                    told(read, failed)
                    failed = []
        told(read, failed)
        self._connection.execute("create index on arrived (code)")
        self._connection.execute("analyze arrived")
        statement = _DIFFERENCE % {"batches": batches.number + 1, "size": BATCH}
        self._connection.execute(statement.encode())
        self._connection.execute("create index on difference (batch)")
        self._connection.execute("analyze difference")

    def counts(self) -> Counts:
        """What becomes of the codes under this mode; what it does not touch counts as unchanged."""
        found: dict[str, int] = dict(
            self._connection.execute("select verdict, count(*) from difference group by verdict").fetchall()
        )
        written = {verdict: found.get(verdict, 0) for verdict in self._written}
        left = sum(n for verdict, n in found.items() if verdict not in ("vanished", *self._written))
        return Counts(unchanged=left, **written)

    def sample(self, limit: int) -> list[dict[str, Any]]:
        """Some of what would be written, in the file's order."""
        cursor = self._connection.execute(
            "select row, verdict, code, region_code, area, locality from difference"
            " where verdict = any(%s) order by row nulls last, code limit %s",
            (self._written, limit),
        )
        names = ("row", "action", "code", "region_code", "area", "locality")
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def numbers(self, first: int) -> list[int]:
        """The batches that write something, from that number on."""
        cursor = self._connection.execute(
            "select distinct batch from difference where verdict = any(%s) and batch >= %s order by batch",
            (self._written, first),
        )
        return [number for (number,) in cursor.fetchall()]

    def lot(self, number: int) -> Lot:
        cursor = self._connection.execute(
            "select verdict, code, region_code, area, locality from difference"
            " where batch = %s and verdict = any(%s) order by code",
            (number, self._written),
        )
        rows = cursor.fetchall()
        return Lot(
            number=number,
            codes=tuple(
                PostalCode(code=code, region_code=region_code, area=area, locality=locality)
                for verdict, code, region_code, area, locality in rows
                if verdict != "vanished"
            ),
            vanished=tuple(code for verdict, code, *_ in rows if verdict == "vanished"),
            counts=Counts(**{verdict: sum(row[0] == verdict for row in rows) for verdict in self._written}),
        )


class _Batches:
    """Numbers from 1, as full as an event may be."""

    def __init__(self) -> None:
        self.number, self._codes, self._bytes = 1, 0, 0

    def of(self, place: PostalCode) -> int:
        size = len(msgspec.json.encode(place)) + 1
        if self._codes == BATCH or self._bytes + size > BATCH_BYTES:
            self.number, self._codes, self._bytes = self.number + 1, 0, 0
        self._codes += 1
        self._bytes += size
        return self.number


@contextmanager
def staged(url: str, mode: str) -> Generator[PostalIndexStage]:
    with psycopg.connect(
        url, autocommit=True, options=_OPTIONS, application_name=named("chancery import")
    ) as connection:
        yield PostalIndexStage(connection, mode)
