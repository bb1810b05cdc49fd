"""Order and place in a list: sort keys, what continues after a row, and the token that carries the row."""

import binascii
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta, Struct
from psycopg import sql

from projections.columns import SQL_TYPE, SYSTEM, Column, ColumnType
from projections.conditions import Condition, ListRefused, every, find_column, some, where

KEYS = 5
_BINDING = 9
_TYPES: Mapping[ColumnType, Any] = {
    ColumnType.TEXT: str,
    ColumnType.FOLDED: str,
    ColumnType.INTEGER: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)],
    ColumnType.AMOUNT: Annotated[str, Meta(pattern=r"^-?[0-9]{1,1000}(\.[0-9]{1,1000})?(?![\s\S])")],
    ColumnType.BOOLEAN: bool,
    ColumnType.INSTANT: Annotated[datetime, Meta(tz=True)],
    ColumnType.DATE: date,
    ColumnType.UUID: UUID,
}


class OrderMalformed(ListRefused):
    """`order_by` is not up to five fields with commas between, each followed by nothing, `asc` or `desc`."""

    code = "order_by_malformed"


class PageTokenMalformed(ListRefused):
    """The page token is not one that a list gave out."""

    code = "page_token_malformed"


class PageTokenMismatch(ListRefused):
    """It belongs to another list, filter, order or set of visible records. Begin at the first page."""

    code = "page_token_mismatch"


class Key(Struct, frozen=True, kw_only=True):
    """One thing a list is sorted by. A record without a value counts as less than any value."""

    name: str
    column: Column
    descending: bool


def keys_of(order_by: str, columns: Mapping[str, Column]) -> tuple[Key, ...]:
    """The sort keys of `signed_at desc, number`, and the id last, so that no two records stand in one place.

    Raises OrderMalformed, UnknownField.
    """
    keys: list[Key] = []
    for piece in order_by.split(","):
        match piece.split():
            case [field]:
                way = "asc"
            case [field, way] if way.lower() in ("asc", "desc"):
                pass
            case _:
                raise OrderMalformed("Order is written `signed_at desc, number`.", parameter="order_by")
        name, column = find_column(field.lower(), columns, "order_by")
        if any(key.name == name for key in keys):
            raise OrderMalformed(f"`{name}` stands twice in the order.", parameter="order_by")
        keys.append(Key(name=name, column=column, descending=way.lower() == "desc"))
    if len(keys) > KEYS:
        raise OrderMalformed(f"A list is ordered by at most {KEYS} fields.", parameter="order_by")
    place = next((at for at, key in enumerate(keys, 1) if key.name == "id"), None)
    return (
        (*keys[:place],)
        if place
        else (*keys, Key(name="id", column=SYSTEM["id"], descending=keys[-1].descending))
    )


def ordering(keys: Sequence[Key]) -> sql.Composable:
    """The `order by` of these keys, as the indexes of `columns.ddl` have it, read forwards or backwards."""
    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(
            sql.Identifier(key.name),
            sql.SQL("desc" if key.descending else "asc")
            if key.name == "id"
            else sql.SQL("desc nulls last" if key.descending else "asc nulls first"),
        )
        for key in keys
    )


# --- what comes after a row ---------------------------------------------------------------------------------


def continuations(keys: Sequence[Key], row: Sequence[Any]) -> tuple[Condition, ...]:
    """The rows after `row`, given by its key values, in parts that follow each other in the list.

    Where all keys run one way each part is one range of an index; with `or` the list would be read from its
    start.
    """
    one_way = len({key.descending for key in keys}) == 1
    empties_follow = keys[0].descending and any(key.column.nullable for key in keys)
    if one_way and None not in row and not empties_follow:
        return (_beyond_row(keys, row),)
    if one_way and len(keys) == 2:
        return _around_empties(keys, row)
    ways = [
        every([*map(_same, keys[:at], row), beyond])
        for at, key in enumerate(keys)
        if (beyond := _beyond(key, row[at])) is not None
    ]
    return (some(ways),)


def _beyond_row(keys: Sequence[Key], row: Sequence[Any]) -> Condition:
    """By comparing whole rows. One with an empty key is never beyond; ascending, those come first."""
    names = sql.SQL(", ").join(sql.Identifier(key.name) for key in keys)
    values = sql.SQL(", ").join(sql.SQL("%s::" + SQL_TYPE[key.column.type]) for key in keys)
    sign = sql.SQL("<" if keys[0].descending else ">")
    return Condition(sql=sql.SQL("({}) {} ({})").format(names, sign, values), parameters=tuple(row))


def _around_empties(keys: Sequence[Key], row: Sequence[Any]) -> tuple[Condition, ...]:
    """Sorted by one key that may be empty, then by id: first what is left on this side of the empty ones."""
    name = keys[0].name
    if row[0] is not None:
        return _beyond_row(keys, row), where("{column} is null", name)
    rest = every([where("{column} is null", name), _beyond_row(keys[1:], row[1:])])
    return (rest,) if keys[0].descending else (rest, where("{column} is not null", name))


def _same(key: Key, value: Any) -> Condition:
    if value is None:
        return where("{column} is null", key.name)
    return where("{column} = %s::" + SQL_TYPE[key.column.type], key.name, value)


def _beyond(key: Key, value: Any) -> Condition | None:
    """None: nothing lies beyond."""
    if value is None:
        return None if key.descending else where("{column} is not null", key.name)
    if not key.descending:
        return where("{column} > %s::" + SQL_TYPE[key.column.type], key.name, value)
    less = where("{column} < %s::" + SQL_TYPE[key.column.type], key.name, value)
    return some([less, where("{column} is null", key.name)]) if key.column.nullable else less


# --- the token ----------------------------------------------------------------------------------------------


def binding_of(*asked: Any) -> bytes:
    """A digest of everything that two pages of one list must share."""
    return blake2b(msgspec.msgpack.encode(asked), digest_size=_BINDING).digest()


def token_of(row: Sequence[Any], binding: bytes) -> str:
    """The token of the page after `row`, given by its key values. No secret: the caller has the row."""
    values = [format(value, "f") if isinstance(value, Decimal) else value for value in row]
    return urlsafe_b64encode(binding + msgspec.msgpack.encode(values)).rstrip(b"=").decode()


def read_token(token: str, keys: Sequence[Key], binding: bytes) -> tuple[Any, ...]:
    """The key values in a token. A forged one shows nobody more, but no value reaches SQL unchecked.

    Raises PageTokenMalformed, PageTokenMismatch.
    """
    try:
        packed = b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        values = msgspec.msgpack.decode(packed[_BINDING:], type=list[Any])
    except (binascii.Error, ValueError, RecursionError):
        raise PageTokenMalformed(parameter="page_token") from None
    if packed[:_BINDING] != binding:
        raise PageTokenMismatch(parameter="page_token")
    try:
        return tuple(_read(key, value) for key, value in zip(keys, values, strict=True))
    except ValueError:
        raise PageTokenMalformed(parameter="page_token") from None


def _read(key: Key, value: Any) -> Any:
    if value is None and key.column.nullable:
        return None
    read = msgspec.convert(value, _TYPES[key.column.type])
    if isinstance(read, str) and "\0" in read:
        raise ValueError(key.name)
    return Decimal(read) if key.column.type is ColumnType.AMOUNT else read
