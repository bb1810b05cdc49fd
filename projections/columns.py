"""What a read model's column is: its type, its place in the table, its indexes, how text is folded."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from operator import attrgetter
from typing import Any, LiteralString

from msgspec import Struct

KEY_LENGTH = 600
"""Characters kept of a text that is sorted: 4 bytes each fit the 2,704 bytes that a B-tree entry may have."""


class ColumnType(Enum):
    """What a column holds.

    TEXT is for codes, numbers and states: letters count as they stand. FOLDED is for names and titles: letter
    case and marks do not count, and a second column `<name>_grams` makes "contains" quick. INSTANT is UTC,
    DATE a calendar day.
    """

    TEXT = "text"
    FOLDED = "folded text"
    INTEGER = "integer"
    AMOUNT = "amount"
    BOOLEAN = "boolean"
    INSTANT = "instant"
    DATE = "date"
    UUID = "uuid"
    TEXT_ARRAY = "text array"


SQL_TYPE: Mapping[ColumnType, LiteralString] = {
    ColumnType.TEXT: "text",
    ColumnType.FOLDED: "text",
    ColumnType.INTEGER: "bigint",
    ColumnType.AMOUNT: "numeric",
    ColumnType.BOOLEAN: "boolean",
    ColumnType.INSTANT: "timestamptz",
    ColumnType.DATE: "date",
    ColumnType.UUID: "uuid",
    ColumnType.TEXT_ARRAY: "text[]",
}


class Column(Struct, frozen=True, kw_only=True):
    """One thing a list can be filtered and sorted by, besides `SYSTEM`.

    `get` takes the value from the view; FOLDED text is folded by `values`. `aliases` are other names callers
    may use. `choices` are all the values a TEXT column can have, so that a misspelt state is refused. Only a
    column that is never empty may say `nullable=False`. Without an index (`indexed=False`) sorting and
    comparing read the whole table; each index slows every write.
    """

    type: ColumnType
    get: Callable[[Any], Any]
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    filterable: bool = True
    sortable: bool = True
    nullable: bool = True
    indexed: bool = True


def _always(kind: ColumnType, name: str, *, indexed: bool, aliases: tuple[str, ...] = ()) -> Column:
    return Column(type=kind, get=attrgetter(name), nullable=False, indexed=indexed, aliases=aliases)


SYSTEM: Mapping[str, Column] = {
    "id": _always(ColumnType.UUID, "id", indexed=False),
    "version": _always(ColumnType.INTEGER, "version", indexed=False),
    "created_at": _always(ColumnType.INSTANT, "created_at", indexed=True, aliases=("creation_date",)),
    "updated_at": _always(ColumnType.INSTANT, "updated_at", indexed=True, aliases=("last_update_date",)),
}
"""What every record can be filtered and sorted by."""

_FIXED = """\
  id uuid primary key,
  version bigint not null,
  position bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  archived boolean not null,
  view bytea not null"""
_COLLATION = ' collate "C"'
_TAKEN = frozenset(re.findall(r"^  (\w+)", _FIXED, re.MULTILINE))


def physical(columns: Mapping[str, Column]) -> dict[str, str]:
    """The columns of the table in the order of `values`, each with its SQL type."""
    found: dict[str, str] = {}
    for name, column in columns.items():
        found[name] = SQL_TYPE[column.type]
        if column.type is ColumnType.FOLDED:
            found[grams_of(name)] = "text[]"
    return found


def values(columns: Mapping[str, Column], view: Any) -> tuple[Any, ...]:
    """What a view puts into its row, in the order of `physical`."""
    return tuple(value for column in columns.values() for value in _stored(column, column.get(view)))


def stored(columns: Mapping[str, Column], views: Sequence[Any]) -> Iterator[list[Any]]:
    """What many views put into the table, column by column, in the order of `physical`."""
    for column in columns.values():
        got = [column.get(view) for view in views]
        kept = KEY_LENGTH if is_sortable(column) else None
        match column.type:
            case ColumnType.FOLDED:
                folded = [None if value is None else fold_text(value) for value in got]
                yield [None if text is None else text[:kept] for text in folded]
                yield [None if text is None else _grams(text) for text in folded]
            case ColumnType.TEXT:
                yield [None if text is None else text[:kept] for text in got]
            case _:
                yield got


def _stored(column: Column, value: Any) -> Iterator[Any]:
    match column.type:
        case ColumnType.FOLDED:
            folded = None if value is None else fold_text(value)
            yield key(column, folded)
            yield None if folded is None else _grams(folded)
        case ColumnType.TEXT:
            yield key(column, value)
        case _:
            yield value


def key(column: Column, text: str | None) -> str | None:
    """The part of a text that a sortable column keeps; a column that is not sortable keeps all of it."""
    return text if text is None or not is_sortable(column) else text[:KEY_LENGTH]


def is_sortable(column: Column) -> bool:
    return column.sortable and column.type is not ColumnType.TEXT_ARRAY


def grams_of(name: str) -> str:
    """The column that holds the trigrams of the folded column `name`."""
    return f"{name}_grams"


def fold_text(text: str) -> str:
    """Text as it is compared: NFKD, case folded, marks off; `Ёлка` is `елка`, `Société` is `societe`.

    Case folding is lowering made for comparing (Unicode 3.13): `ß` is `ss`, and a final sigma is a sigma.
    """
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(character for character in folded if unicodedata.category(character) != "Mn")


def trigrams(text: str) -> list[str]:
    """All runs of three characters of the folded text, each once. What contains a text has all of them."""
    return _grams(fold_text(text))


def _grams(folded: str) -> list[str]:
    return sorted({folded[at : at + 3] for at in range(len(folded) - 2)})


def ddl(schema: str, name: str, columns: Mapping[str, Column], more: Sequence[str] = ()) -> str:
    """The statements that make the read model's table and its indexes. `more`: indexes besides those of its columns.

    Raises ValueError for a name that is no plain identifier or that every table has already.
    """
    stored = physical(columns)
    wrong = [each for each in (schema, name, *stored) if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", each)]
    if wrong := wrong + [each for each in stored if each in _TAKEN]:
        raise ValueError(f"not a name for a column or table of {name}: {', '.join(wrong)}")
    strict = {each for each, column in columns.items() if not column.nullable}
    # Code point order on every server, whatever its locale: pages and the index agree with Python.
    lines = [
        f'  "{each}" {sql}{_COLLATION * (sql == "text")}{" not null" * (each in strict)}'
        for each, sql in stored.items()
    ]
    table = f'"{schema}"."{name}"'
    return "\n".join(
        [f"create table {table} (", ",\n".join([_FIXED, *lines]), ");"]
        + [f'alter table {table} alter column "{each}" {_SAMPLED};' for each in _arrays(columns)]
        + [f"create index on {table} {index};" for index in (*_indexes(columns), *more)]
    )


# With the default of 100 a member that few records have is none that the planner knows: it reads the whole list for it.
_SAMPLED = "set statistics 1000"


def _arrays(columns: Mapping[str, Column]) -> Iterator[str]:
    return (
        name for name, column in columns.items() if column.type is ColumnType.TEXT_ARRAY and column.indexed
    )


# Every search reads the list of entries not yet sorted in: 4 MB, the default, make it 3 ms, this 0.2 ms.
_GIN = "with (gin_pending_list_limit = 256)"


def _indexes(columns: Mapping[str, Column]) -> Iterator[str]:
    for name, column in {**SYSTEM, **columns}.items():
        if not column.indexed:
            continue
        if column.type is ColumnType.FOLDED:
            yield f'using gin ("{grams_of(name)}") {_GIN}'
        if column.type is ColumnType.TEXT_ARRAY:
            yield f'using gin ("{name}") {_GIN}'
        elif is_sortable(column):
            # Empty first, as lists sort it: read backwards the same index serves the descending order.
            yield f'("{name}" nulls first, id)'
