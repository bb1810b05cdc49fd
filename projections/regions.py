"""Where a record lies: its regions follow from the postal codes its addresses name, its okrugs from its regions.

Each such read model keeps copies of its own of both lists, so that it depends on the log alone: when a code moves to
another region, the records that name it move with it.
"""

import re
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg import AsyncCursor

from domain.postal_index.events import PostalIndexLoaded
from domain.reference.events import ReferenceLoaded
from domain.shared import E, Recorded, Stored
from projections.columns import Column
from projections.folding import V, stream_of
from projections.projection import Batch, Fold

_POSTAL_CODE = re.compile(r"(?<![0-9])[0-9]{6}(?![0-9])")
AT_A_TIME = 5_000


def postal_codes(*texts: str | None) -> list[str]:
    """The six-digit numbers in these texts, each once, as they come: Russian postal codes, if the index knows them."""
    return list(dict.fromkeys(code for text in texts if text for code in _POSTAL_CODE.findall(text)))


class Map(Struct, frozen=True):
    """The region of a postal code, the okrug of a region."""

    regions: Mapping[str, str]
    okrugs: Mapping[str, str | None]


class InRegions(Fold[V]):
    """A fold whose records lie somewhere. Its columns have `postal_codes`: those a record names.

    `place` puts a record where the map says; it is asked again whenever that could be elsewhere.
    """

    def __init__(
        self,
        *,
        name: str,
        version: int,
        view: type[V],
        columns: Mapping[str, Column],
        fold: Callable[[V | None, Recorded[E]], V | None],
        place: Callable[[V, Map], V],
        key: Callable[[Recorded[E]], UUID] = stream_of,
        derived: frozenset[str],
    ) -> None:
        super().__init__(
            name=name, version=version, view=view, columns=columns, fold=fold, key=key, derived=derived
        )
        self._place = place
        self._codes: Callable[[V], Iterable[str]] = columns["postal_codes"].get
        self._places, self._okrugs = f"{name}_postal_code", f"{name}_okrug"
        self.tables = (name, self._places, self._okrugs)

    def ddl(self, schema: str) -> str:
        codes = 'code text collate "C" primary key, region_code text not null'
        okrugs = "region_code text primary key, okrug_id text"
        return (
            f'{super().ddl(schema)}\ncreate table "{schema}"."{self._places}" ({codes});\n'
            f'create table "{schema}"."{self._okrugs}" ({okrugs});'
        )

    def takes(self, stored: Stored) -> bool:
        return super().takes(stored) or stored.topic.startswith(("postal_index.", "reference."))

    async def apply(self, cursor: AsyncCursor[Any], schema: str, batch: Batch) -> None:
        events = [each.event for each in batch if isinstance(each, Recorded)]
        moved = await self._learn_codes(
            cursor, schema, [e for e in events if isinstance(e, PostalIndexLoaded)]
        )
        lists = [e for e in events if isinstance(e, ReferenceLoaded) and e.kind == "region"]
        after = await self.folded(cursor, schema, batch)
        views = {key: view for key, view in after.items() if view is not None}
        if gone := [key for key, view in after.items() if view is None]:
            await self.remove(cursor, schema, gone)
        if lists:
            await self._learn_okrugs(cursor, schema, lists[-1])
            async for others in self._everything(cursor, schema):
                await self._keep_placed(cursor, schema, [each for each in others if each.id not in views])
        elif moved:
            found = f'select view from "{schema}"."{self.name}" where postal_codes && %s::text[]'
            await cursor.execute(found.encode(), (moved,))
            for (row,) in await cursor.fetchall():
                view = self.decode(row)
                views.setdefault(view.id, view)
        await self._keep_placed(cursor, schema, list(views.values()))

    def alone(self, stream: Batch) -> bool:
        """Implements Refolding. The lists that say where something lies are about all records."""
        lists = PostalIndexLoaded | ReferenceLoaded
        return super().alone(stream) and not any(
            isinstance(each.event, lists) for each in stream if isinstance(each, Recorded)
        )

    async def _keep_placed(self, cursor: AsyncCursor[Any], schema: str, views: Sequence[V]) -> None:
        if not views:
            return
        codes = {code for view in views for code in self._codes(view)}
        whole = Map(
            await self._known(cursor, schema, self._places, "code, region_code", codes),
            await self._known(cursor, schema, self._okrugs, "region_code, okrug_id", None),
        )
        await self.keep(cursor, schema, [self._place(view, whole) for view in views])

    async def _known(
        self,
        cursor: AsyncCursor[Any],
        schema: str,
        table: str,
        columns: str,
        among: Collection[str] | None,
    ) -> dict[str, Any]:
        if among is not None and not among:
            return {}
        some = "" if among is None else " where code = any(%s::text[])"
        parameters = () if among is None else (list(among),)
        await cursor.execute(f'select {columns} from "{schema}"."{table}"{some}'.encode(), parameters)
        return dict(await cursor.fetchall())

    async def _learn_codes(
        self, cursor: AsyncCursor[Any], schema: str, loads: Sequence[PostalIndexLoaded]
    ) -> list[str]:
        """A code that leaves the index goes on lying where it lay: old addresses name it."""
        regions = {place.code: place.region_code for load in loads for place in load.codes}
        if regions:
            write = (
                f'insert into "{schema}"."{self._places}" select * from unnest(%s::text[], %s::text[])'
                " on conflict (code) do update set region_code = excluded.region_code"
            )
            await cursor.execute(write.encode(), (list(regions), list(regions.values())))
        return list(regions)

    async def _learn_okrugs(self, cursor: AsyncCursor[Any], schema: str, event: ReferenceLoaded) -> None:
        await cursor.execute(f'delete from "{schema}"."{self._okrugs}"'.encode())
        await cursor.execute(
            f'insert into "{schema}"."{self._okrugs}" select * from unnest(%s::text[], %s::text[])'.encode(),
            ([entry.code for entry in event.entries], [entry.part_of for entry in event.entries]),
        )

    async def _everything(self, cursor: AsyncCursor[Any], schema: str) -> AsyncIterator[list[V]]:
        """All records, some thousand at a time; the list of regions changes once in years."""
        after = UUID(int=0)
        while True:
            page = f'select id, view from "{schema}"."{self.name}" where id > %s order by id limit %s'
            await cursor.execute(page.encode(), (after, AT_A_TIME))
            rows = await cursor.fetchall()
            if not rows:
                return
            after = rows[-1][0]
            yield [self.decode(view) for _, view in rows]
