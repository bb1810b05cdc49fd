"""Pages of a read model: filtered, ordered, within what the caller may view, continued after the last row."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from difflib import get_close_matches
from itertools import chain
from typing import Any

import msgspec
from msgspec import Struct
from psycopg import AsyncConnection, sql

from projections import filters
from projections.audience import Audience
from projections.columns import Column
from projections.conditions import Condition, ListRefused, every
from projections.keyset import Key, binding_of, continuations, keys_of, ordering, read_token, token_of

PAGE_SIZE, LARGEST_PAGE = 25, 100


class Listing(Struct, frozen=True, kw_only=True):
    """A read model that can be listed: the table `<schema>.<name>`; `view` types one record's JSON.

    `relation` stands for the table where the read model has another shape; it has every system column, `archived` and
    `view`. `complete` makes the records of a page out of what `view` holds. `audience` says who views them; None: the
    route that lists them.
    """

    name: str
    view: type[Struct]
    columns: Mapping[str, Column]
    order_by: str = "created_at desc"
    schema: str = "read"
    relation: sql.Composable | None = None
    complete: Callable[[Sequence[bytes]], Awaitable[Sequence[bytes]]] | None = None
    audience: Audience | None = None

    @property
    def table(self) -> sql.Composable:
        return self.relation or sql.Identifier(self.schema, self.name)


class ListQuery(Struct, frozen=True, kw_only=True):
    """What a caller asks of a list, as typed. A `page_size` above 100 counts as 100."""

    filter: str = ""
    order_by: str = ""
    page_size: int = PAGE_SIZE
    page_token: str | None = None
    include_total: bool = False
    fields: str = ""
    show_archived: bool = False


class Page(Struct, frozen=True, kw_only=True):
    """Records as ready JSON. `total` counts every page's records, and only when asked for."""

    rows: tuple[bytes, ...]
    next_page_token: str | None = None
    total: int | None = None

    @property
    def has_more(self) -> bool:
        return self.next_page_token is not None


class PageSizeInvalid(ListRefused):
    """A page has at least one record."""

    code = "page_size_invalid"


class FieldUnknown(ListRefused):
    """`fields` names something that the records of this list do not have."""

    code = "fields_unknown"


class Statements(Struct, frozen=True, kw_only=True):
    """What reads one page and a row more, to see whether there is another; and what counts all."""

    rows: Condition
    total: Condition
    size: int
    binding: bytes


async def page(
    connection: AsyncConnection[Any],
    listing: Listing,
    query: ListQuery,
    *,
    scope: Condition | None = None,
    hidden: frozenset[str] = frozenset(),
) -> Page:
    """One page of a list. `scope` is what the caller may view; `hidden` fields he may neither see nor ask by.

    Each statement is planned by its values: a connection tuned for index probes (no sequential scans, generic
    plans) is the wrong one. Raises ListRefused.
    """
    asked = statements(listing, query, scope=scope, hidden=hidden)
    members = members_of(listing, query.fields, hidden)
    found = await _read(connection, asked.rows)
    total = (await _read(connection, asked.total))[0][0] if query.include_total else None
    rows = found[: asked.size]
    return Page(
        rows=tuple(await shown(listing, [row[0] for row in rows], members)),
        next_page_token=token_of(rows[-1][1:], asked.binding) if len(found) > asked.size else None,
        total=total,
    )


class Asked(Struct, frozen=True, kw_only=True):
    """What is to be counted of a list: as its filter says, within what the caller may view."""

    listing: Listing
    filter: str
    scope: Condition | None = None


async def counts(connection: AsyncConnection[Any], asked: Sequence[Asked]) -> tuple[int, ...]:
    """How many records each of them has, all from one snapshot: what the lists' own totals would be.

    Raises ListRefused.
    """
    totals = [
        statements(each.listing, ListQuery(filter=each.filter), scope=each.scope).total for each in asked
    ]
    together = sql.SQL(", ").join(sql.SQL("({})").format(total.sql) for total in totals)
    parameters = tuple(chain.from_iterable(total.parameters for total in totals))
    select = Condition(sql=sql.SQL("select {}").format(together), parameters=parameters)
    return (await _read(connection, select))[0]


async def shown(listing: Listing, views: Sequence[bytes], members: Sequence[str] | None) -> Sequence[bytes]:
    """The records of a list, out of what their rows hold; with these members alone, unless None."""
    if listing.complete is not None:
        views = await listing.complete(views)
    return views if members is None else [_cut(view, members) for view in views]


async def _read(connection: AsyncConnection[Any], select: Condition) -> list[tuple[Any, ...]]:
    # Not prepared: from its sixth run on a prepared statement may be planned without looking at the values.
    cursor = await connection.execute(select.sql.as_bytes(None), select.parameters, prepare=False)
    return await cursor.fetchall()


def statements(
    listing: Listing,
    query: ListQuery,
    *,
    scope: Condition | None = None,
    hidden: frozenset[str] = frozenset(),
) -> Statements:
    """What a page is read by. Raises ListRefused, before the database is asked."""
    if query.page_size < 1:
        raise PageSizeInvalid(parameter="page_size")
    keys, among = _asked(listing, query, scope, hidden)
    order = [(key.name, key.descending) for key in keys]
    binding = binding_of(listing.name, query.filter.strip(), order, query.show_archived, repr(scope))
    parts = [among]
    if query.page_token:
        row = read_token(query.page_token, keys, binding)
        parts = [every((among, part)) for part in continuations(keys, row)]
    size = min(query.page_size, LARGEST_PAGE)
    return Statements(
        rows=_select(listing, keys, parts, size + 1), total=_count(listing, among), size=size, binding=binding
    )


def whole(
    listing: Listing,
    query: ListQuery,
    *,
    scope: Condition | None = None,
    hidden: frozenset[str] = frozenset(),
) -> Condition:
    """What reads the views of all pages at once, in their order; for a cursor. Raises ListRefused."""
    keys, among = _asked(listing, query, scope, hidden)
    select = sql.SQL("select view from {} where {} order by {}")
    return Condition(sql=select.format(listing.table, among.sql, ordering(keys)), parameters=among.parameters)


def _asked(
    listing: Listing, query: ListQuery, scope: Condition | None, hidden: frozenset[str]
) -> tuple[tuple[Key, ...], Condition]:
    """The order, and the condition that every record meets."""
    columns = {name: column for name, column in listing.columns.items() if name not in hidden}
    keys = keys_of(query.order_by if query.order_by.strip() else listing.order_by, columns)
    kept = None if query.show_archived else Condition(sql=sql.SQL("not archived"))
    return keys, every(filter(None, (kept, filters.compile(query.filter, columns), scope)))


def _select(listing: Listing, keys: Sequence[Key], parts: Sequence[Condition], limit: int) -> Condition:
    """The rows of all parts; each part is cut short by itself, so that a part not needed costs little."""
    names = sql.SQL(", ").join(sql.Identifier(key.name) for key in keys)
    end = sql.SQL("order by {} limit %s").format(ordering(keys))
    selects = [
        Condition(
            sql=sql.SQL("select view, {} from {} where {} {}").format(names, listing.table, part.sql, end),
            parameters=(*part.parameters, limit),
        )
        for part in parts
    ]
    if len(selects) == 1:
        return selects[0]
    union = sql.SQL(" union all ").join(sql.SQL("({})").format(select.sql) for select in selects)
    return Condition(
        sql=sql.SQL("select * from ({}) as parts {}").format(union, end),
        parameters=(*chain.from_iterable(select.parameters for select in selects), limit),
    )


def _count(listing: Listing, among: Condition) -> Condition:
    return Condition(
        sql=sql.SQL("select count(*) from {} where {}").format(listing.table, among.sql),
        parameters=among.parameters,
    )


def members_of(listing: Listing, fields: str, hidden: frozenset[str]) -> tuple[str, ...] | None:
    """The members of each record to show, as asked; None: the record as it stands. Raises FieldUnknown."""
    names = (field.encode_name for field in msgspec.structs.fields(listing.view))
    known = tuple(name for name in names if name not in hidden)
    if not fields.strip():
        return known if hidden else None
    asked = [name.strip() for name in fields.split(",")]
    if (strange := next((name for name in asked if name not in known), None)) is not None:
        near = get_close_matches(strange[:60], known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(sorted(known))}."
        raise FieldUnknown(f"There is no field `{strange[:60]}`; {hint}", parameter="fields")
    return tuple(dict.fromkeys(asked))


def _cut(record: bytes, members: Sequence[str]) -> bytes:
    whole = _whole.decode(record)
    return msgspec.json.encode({name: value for name, value in whole.items() if name in members})


_whole = msgspec.json.Decoder(dict[str, msgspec.Raw])
