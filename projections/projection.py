"""What a projection is to the engine that drives it, and the shape most read models have: a fold, a row per record."""

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from itertools import chain
from typing import Any, Generic, Protocol, runtime_checkable
from uuid import UUID

import msgspec
from psycopg import AsyncCursor

import projections
from domain.shared import E, Recorded, Stored
from projections import columns as table
from projections.columns import Column, ColumnType
from projections.copies import Copies, erased, tells_of_erasure
from projections.folding import Folding, V, stream_of
from projections.packing import a_uuid, array_type, column

AT_ONCE = 2_000
"""Records emptied by one statement when somebody is forgotten."""

Batch = Sequence[Stored]
"""Events in position order, without a hole; those that the projection takes come opened, as Recorded."""


@runtime_checkable
class Projection(Protocol):
    """A part of what is known, derived from the events alone, so it can be thrown away and built again.

    A change of `ddl` or of what `apply` writes needs a new `version`; the table is then built beside and swapped in.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int: ...

    @property
    def tables(self) -> tuple[str, ...]:
        """Every table it owns, without the schema."""
        ...

    def ddl(self, schema: str) -> str:
        """The statements that make its tables in `schema`; `create index ...;` may be run when they are full."""
        ...

    def takes(self, stored: Stored) -> bool:
        """Whether the event may be its business; told from the topic's noun, so that no version of one is missed."""
        ...

    async def apply(self, cursor: AsyncCursor[Any], schema: str, batch: Batch) -> None:
        """Write what follows from the batch, in the caller's transaction. Events it does not know pass by."""
        ...


def discover() -> dict[str, Projection]:
    """Every projection there is, by name: each object at the top of a module here that keeps the contract.

    Raises ValueError when two have one name or own one table.
    """
    found: dict[str, Projection] = {}
    for module in sorted(pkgutil.iter_modules(projections.__path__), key=lambda m: m.name):
        for value in vars(import_module(f"projections.{module.name}")).values():
            keeps = isinstance(value, Projection) and not isinstance(value, type)
            if keeps and found.setdefault(value.name, value) is not value:
                raise ValueError(f"two projections are named {value.name}")
    owned = [each for projection in found.values() for each in projection.tables]
    if len(owned) != len(set(owned)):
        raise ValueError("two projections own one table")
    return found


_FIXED = {
    "id": "uuid",
    "version": "bigint",
    "position": "bigint",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
    "archived": "boolean",
    "view": "bytea",
}


class Rows(Generic[V]):
    """A read model's table, a row per record: made, and written many rows at once.

    `indexes`: those that serve several columns together, as `create index on <table>` goes on.
    """

    def __init__(
        self,
        *,
        name: str,
        version: int,
        view: type[V],
        columns: Mapping[str, Column],
        indexes: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.version = version
        self.tables: tuple[str, ...] = (name,)
        self.view = view
        self.columns = columns
        self.indexes = indexes
        self.decode: Callable[[bytes], V] = msgspec.json.Decoder(view).decode
        self._encode = msgspec.json.Encoder(order="deterministic").encode

    def ddl(self, schema: str) -> str:
        return table.ddl(schema, self.name, self.columns, self.indexes)

    async def keep(self, cursor: AsyncCursor[Any], schema: str, views: Sequence[V]) -> None:
        """Write these records, new or known."""
        place = f'"{schema}"."{self.name}"'.encode()
        await cursor.execute(self._upsert.replace(b"@", place, 1), self._rows(views), prepare=True)

    async def remove(self, cursor: AsyncCursor[Any], schema: str, ids: Sequence[UUID]) -> None:
        place = f'"{schema}"."{self.name}"'
        await cursor.execute(f"delete from {place} where id = any(%b::uuid[])".encode(), [a_uuid(ids)])

    @cached_property
    def _types(self) -> dict[str, str]:
        return {**_FIXED, **table.physical(self.columns)}

    @cached_property
    def _upsert(self) -> bytes:
        names = [f'"{name}"' for name in self._types]
        arrays = ", ".join(f"%b::{array_type(sql)}" for sql in self._types.values())
        casts = ", ".join(f"u.{name}::{sql}" for name, sql in zip(names, self._types.values(), strict=True))
        changed = ", ".join(f"{name} = excluded.{name}" for name in names if name != '"id"')
        return (
            f"insert into @ ({', '.join(names)}) select {casts} from unnest({arrays}) as u({', '.join(names)})"
            f" on conflict (id) do update set {changed}"
        ).encode()

    def _rows(self, views: Sequence[V]) -> list[bytes]:
        fixed = [
            (v.id, v.version, v.position, v.created_at, v.updated_at, v.archived, self._encode(v))
            for v in views
        ]
        by_column = chain(zip(*fixed, strict=True), table.stored(self.columns, views))
        return [column(sql, values) for sql, values in zip(self._types.values(), by_column, strict=True)]


def begun(recorded: Recorded[Any]) -> dict[str, Any]:
    """What every view takes from its stream's first event."""
    return {"id": recorded.stream_id, "created_at": recorded.recorded_at, **moved(recorded)}


def moved(recorded: Recorded[Any]) -> dict[str, Any]:
    """What every view takes from each event of its stream."""
    return {
        "version": recorded.version,
        "position": recorded.position,
        "updated_at": recorded.recorded_at,
    }


class Fold(Rows[V], Folding[V]):
    """A read model whose rows are pure folds: `view = fold(view, recorded)`, the row written as a whole.

    Which events it takes is what the annotation of `fold`'s second parameter names, `Recorded[Added | Changed]`. A
    fold that answers None has no row, or gives it up. `key` tells which record an event is about. `derived` members
    follow from other streams, too, so that a record's own past does not tell them. `copies`: whose personal fields its
    records hold, if not those of whoever the record is. `stream`: the column that names the one stream which a record's
    events stand in; the record itself is it unless `key` tells another; None: it has several.
    """

    def __init__(
        self,
        *,
        name: str,
        version: int,
        view: type[V],
        columns: Mapping[str, Column],
        fold: Callable[[V | None, Recorded[E]], V | None],
        key: Callable[[Recorded[E]], UUID] = stream_of,
        derived: frozenset[str] = frozenset(),
        copies: Copies[V] | None = None,
        indexes: Sequence[str] = (),
        stream: str | None = None,
        halts: str = "",
    ) -> None:
        Rows.__init__(self, name=name, version=version, view=view, columns=columns, indexes=indexes)
        Folding.__init__(self, fold=fold, key=key, copies=copies)
        self.derived = derived
        self.stream = "id" if key is stream_of else stream
        self.halts = halts
        self._nouns = {event.TOPIC.partition(".")[0] for event in self._takes}

    @property
    def pure(self) -> bool:
        """Whether its rows are what the fold makes of the events, and nothing besides."""
        return type(self).apply is Fold.apply

    def takes(self, stored: Stored) -> bool:
        if self.copies is not None and tells_of_erasure(stored):
            return True
        return stored.topic.partition(".")[0] in self._nouns

    async def apply(self, cursor: AsyncCursor[Any], schema: str, batch: Batch) -> None:
        after = await self.folded(cursor, schema, batch)
        if kept := [view for view in after.values() if view is not None]:
            await self.keep(cursor, schema, kept)
        if gone := [key for key, view in after.items() if view is None]:
            await self.remove(cursor, schema, gone)
        if self.copies is not None and (people := erased(batch)):
            await self._forget(cursor, schema, self.copies, people)

    def alone(self, stream: Batch) -> bool:  # noqa: ARG002 - others do look
        """Implements Refolding."""
        return self.stream is not None

    async def refold(self, cursor: AsyncCursor[Any], schema: str, stream: Batch) -> None:
        """Implements Refolding."""
        mine = [each for each in stream if isinstance(each, Recorded) and isinstance(each.event, self._takes)]
        await self.remove(cursor, schema, list({self._key(each) for each in mine}))
        await self.apply(cursor, schema, stream)

    async def folded(self, cursor: AsyncCursor[Any], schema: str, batch: Batch) -> dict[UUID, V | None]:
        """The records that the batch touches, as they are after it."""
        touched: dict[UUID, list[Recorded[Any]]] = {}
        for recorded in batch:
            if isinstance(recorded, Recorded) and isinstance(recorded.event, self._takes):
                touched.setdefault(self._key(recorded), []).append(recorded)
        if not touched:
            return {}
        find = f'select id, view from "{schema}"."{self.name}" where id = any(%b::uuid[])'.encode()
        await cursor.execute(find, [a_uuid(touched)], prepare=True, binary=True)
        before = {key: self.decode(view) for key, view in await cursor.fetchall()}
        return {key: self._after(before.get(key), events) for key, events in touched.items()}

    async def _forget(
        self, cursor: AsyncCursor[Any], schema: str, copies: Copies[V], people: Sequence[UUID]
    ) -> None:
        """What the records hold of people who were erased. Nothing can be sealed for them after that, so what else the
        batch tells of them is empty already."""
        several = self.columns[copies.column].type is ColumnType.TEXT_ARRAY
        named = "&& %b::uuid[]::text[]" if several else "= any(%b::uuid[])"
        query = (
            f'select id, view from "{schema}"."{self.name}" where "{copies.column}" {named} and id > %b'
            f" order by id limit {AT_ONCE}"
        ).encode()
        last = UUID(int=0)
        while True:
            await cursor.execute(query, [a_uuid(people), last], binary=True)
            rows = await cursor.fetchall()
            if not rows:
                return
            last, changed = rows[-1][0], []
            for _, row in rows:
                before = view = self.decode(row)
                for person in people:
                    view = copies.without(view, person) if self._names(copies, view, person) else view
                changed += [] if view == before else [view]
            if changed:
                await self.keep(cursor, schema, changed)
