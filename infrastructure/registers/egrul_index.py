"""Our own copy of the register of Russian legal entities, searched."""

from collections.abc import Sequence
from datetime import date
from typing import Any, LiteralString

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from application.lookup import PAGE_SIZE, Entries, Entry, Name, Number, Place, Sought
from infrastructure.page_number import page_number, token_of
from infrastructure.registers.egrul_address import NOWHERE
from infrastructure.registers.egrul_words import words

RANKED = 10_000
"""Of so many entries the best are shown first; a search that finds more should say more."""

_FIELDS: LiteralString = (
    "ref, full_name, short_name, inn, kpp, ogrn, address, postal_code, region_code, is_main"
)
_NUMBERS: dict[str, LiteralString] = {"inn": "inn = %s", "kpp": "kpp = %s", "ogrn": "ogrn = %s"}


class EgrulIndex:
    """Implements application.lookup.Egrul."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    async def is_there(self) -> bool:
        return await self._valid_as_of() is not None

    async def search(self, what: Sought, page_token: str | None) -> Entries:
        page = page_number(page_token, what)
        valid_as_of = await self._valid_as_of()
        async with self._pool.connection() as connection:
            rows = await _found(connection, what, (page - 1) * PAGE_SIZE)
        more = len(rows) > PAGE_SIZE
        return Entries(
            data=[_entry(row) for row in rows[:PAGE_SIZE]],
            source="local",
            valid_as_of=valid_as_of,
            has_more=more,
            next_page_token=token_of(page + 1, what) if more else None,
        )

    async def entry(self, ref: str) -> Entry | None:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(f"select {_FIELDS} from lookup.egrul where ref = %s", (ref,))
            row = await cursor.fetchone()
        return None if row is None else _entry(row)

    async def _valid_as_of(self) -> date | None:
        """None: it has never been loaded."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "select valid_as_of from lookup.registers where name = 'egrul' and entries > 0"
            )
            row = await cursor.fetchone()
        return None if row is None else row[0]


async def _found(connection: AsyncConnection[Any], what: Sought, skipped: int) -> list[tuple[Any, ...]]:
    match what:
        case Number():
            cursor = await connection.execute(
                f"select {_FIELDS} from lookup.egrul where {_NUMBERS[what.kind]}"
                " order by is_main desc, full_name, inn, ref limit %s offset %s",
                (what.digits, PAGE_SIZE + 1, skipped),
            )
        case Name():
            cursor = await connection.execute(
                f"select {_FIELDS} from (select {_FIELDS}, ts_rank(words, query) as rank"
                " from lookup.egrul, plainto_tsquery('pg_catalog.russian', %s) as query"
                " where words @@ query limit %s) as ranked"
                " order by rank desc, full_name, inn, ref limit %s offset %s",
                (words(what.text), RANKED, PAGE_SIZE + 1, skipped),
            )
    return await cursor.fetchall()


def _entry(row: Sequence[Any]) -> Entry:
    ref, full_name, short_name, inn, kpp, ogrn, address, postal_code, region_code, is_main = row
    return Entry(
        ref=ref,
        full_name=full_name,
        short_name=short_name,
        inn=inn,
        kpp=kpp,
        ogrn=ogrn,
        address=None
        if address == NOWHERE.text
        else Place(text=address, postal_code=postal_code, country="RU"),
        region_code=region_code,
        is_main=is_main,
    )
