"""The tree of a filter: each comparison reads its values as the column's type and becomes a condition."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, LiteralString, TypeAlias
from uuid import UUID

from msgspec import Struct

from projections.columns import SQL_TYPE, Column, ColumnType, fold_text, grams_of, key, trigrams
from projections.conditions import Condition, ListRefused, every, find_column, negated, some, where


class FilterWrongType(ListRefused):
    """The filter compares a field with something of another type."""

    code = "filter_wrong_type"


class Operator(Enum):
    EQUAL = "="
    DIFFERENT = "!="
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="
    HAS = ":"


class Operand(Struct, frozen=True, kw_only=True):
    """A value as typed, without its quotes, and its place in the filter."""

    text: str
    column: int
    null: bool = False


class Comparison(Struct, frozen=True, kw_only=True):
    """`many`: the operands stood in brackets."""

    field: str
    operator: Operator
    operands: tuple[Operand, ...]
    many: bool
    column: int


class Negated(Struct, frozen=True, kw_only=True):
    part: "Node"


class Joined(Struct, frozen=True, kw_only=True):
    word: Literal["and", "or"]
    parts: tuple["Node", ...]


Node: TypeAlias = Comparison | Negated | Joined


def condition_of(node: Node, columns: Mapping[str, Column]) -> Condition:
    """The condition a tree sets. Raises FilterUnknownField, FilterWrongType."""
    match node:
        case Joined(word="and", parts=parts):
            return every(condition_of(part, columns) for part in parts)
        case Joined(parts=parts):
            return some(condition_of(part, columns) for part in parts)
        case Negated(part=part):
            return negated(condition_of(part, columns))
        case Comparison():
            name, column = find_column(node.field, columns, "filter", node.column)
            return _compared(node, name, column)


_ORDERS: Mapping[Operator, LiteralString] = {
    Operator.LESS: "{column} < %s::",
    Operator.AT_MOST: "{column} <= %s::",
    Operator.MORE: "{column} > %s::",
    Operator.AT_LEAST: "{column} >= %s::",
}
_TEXTS = (ColumnType.TEXT, ColumnType.FOLDED)


def _compared(asked: Comparison, name: str, column: Column) -> Condition:
    match asked.operator:
        case Operator.EQUAL:
            return _any_of(asked, name, column)
        case Operator.DIFFERENT:
            return negated(_any_of(asked, name, column))
        case Operator.HAS:
            return _has(asked, name, column)
        case _:
            return _ordered(asked, name, column)


def _any_of(asked: Comparison, name: str, column: Column) -> Condition:
    """Equal to one of the values, or having one as a member. A date stands for its whole day of UTC; of a date yes
    and no ask whether there is one.
    """
    there = {_whether(column, operand) for operand in asked.operands}
    given = [
        _value(asked, column, operand) for operand in asked.operands if _whether(column, operand) is None
    ]
    days = [value for value in given if column.type is ColumnType.INSTANT and not isinstance(value, datetime)]
    exact = [value for value in given if value not in days] if days else given
    kind: LiteralString = SQL_TYPE[column.type]
    ways = [where("({column} >= %s and {column} < %s)", name, *_day(day)) for day in days]
    if exact and column.type is ColumnType.TEXT_ARRAY:
        ways.append(where("{column} && %s::text[]", name, exact))
    elif len(exact) == 1:
        ways.append(where("{column} = %s::" + kind, name, exact[0]))
    elif exact:
        ways.append(where("{column} = any(%s::" + kind + "[])", name, exact))
    if False in there:
        array = column.type is ColumnType.TEXT_ARRAY
        ways.append(where("coalesce(cardinality({column}), 0) = 0" if array else "{column} is null", name))
    if True in there:
        ways.append(where("{column} is not null", name))
    return some(ways)


def _whether(column: Column, operand: Operand) -> bool | None:
    """Whether it asks that there be a value (yes) or none (no, null); None: it asks for one value."""
    if operand.null:
        return False
    dated = column.type in (ColumnType.DATE, ColumnType.INSTANT)
    return _TRUTH.get(operand.text.lower()) if dated else None


def _has(asked: Comparison, name: str, column: Column) -> Condition:
    """A text contains all of the values, an array has them as members, anything else is its own value."""
    for operand in asked.operands:
        if operand.null:
            raise _wrong(asked, operand, "text; null goes with = and !=, and in quotes it is the word")
    if column.type is ColumnType.TEXT_ARRAY:
        return where("{column} @> %s::text[]", name, [operand.text for operand in asked.operands])
    if column.type in _TEXTS:
        return every(_contains(name, column, operand.text) for operand in asked.operands)
    if asked.many:
        raise _wrong(asked, asked.operands[0], "one value; any of several is =[…]")
    return _any_of(asked, name, column)


def _contains(name: str, column: Column, text: str) -> Condition:
    if column.type is ColumnType.TEXT:
        return where("{column} like %s::text", name, _pattern(text))
    like = where("{column} like %s::text", name, _pattern(fold_text(text)))
    grams = trigrams(text)
    return every([where("{column} @> %s::text[]", grams_of(name), grams), like]) if grams else like


def _pattern(text: str) -> str:
    return "%" + re.sub(r"([\\%_])", r"\\\1", text) + "%"


def _ordered(asked: Comparison, name: str, column: Column) -> Condition:
    first = asked.operands[0]
    if asked.many or first.null or column.type in (ColumnType.BOOLEAN, ColumnType.TEXT_ARRAY):
        raise _wrong(
            asked, first, f"= and != here; {asked.operator.value} compares one number, text, date or id"
        )
    value = _value(asked, column, first)
    if column.type is not ColumnType.INSTANT or isinstance(value, datetime):
        return where(_ORDERS[asked.operator] + SQL_TYPE[column.type], name, value)
    start, end = _day(value)
    if asked.operator in (Operator.LESS, Operator.AT_LEAST):
        return where(_ORDERS[asked.operator] + "timestamptz", name, start)
    return where("{column} < %s" if asked.operator is Operator.AT_MOST else "{column} >= %s", name, end)


def _day(day: date) -> tuple[datetime, datetime]:
    start = datetime.combine(day, time(), UTC)
    return start, start + timedelta(days=1)


# --- values -------------------------------------------------------------------------------------------------

_TRUTH = {
    **dict.fromkeys(("true", "yes", "oui", "да", "1"), True),
    **dict.fromkeys(("false", "no", "non", "нет", "0"), False),
}
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_DATE = re.compile(
    r"(?P<y>[0-9]{4})-(?P<m>[0-9]{2})-(?P<d>[0-9]{2})|(?P<D>[0-9]{2})-(?P<M>[0-9]{2})-(?P<Y>[0-9]{4})"
)
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_WANTED = {
    ColumnType.INTEGER: "a whole number of at most 18 digits",
    ColumnType.AMOUNT: "a number such as 12500.00",
    ColumnType.BOOLEAN: "true or false",
    ColumnType.DATE: "a date such as 2026-12-31, or yes or no",
    ColumnType.INSTANT: "a date such as 2026-12-31, an instant such as 2026-12-31T18:00:00Z, or yes or no",
    ColumnType.UUID: "an id (UUID)",
}


def _value(asked: Comparison, column: Column, operand: Operand) -> Any:
    value = _read(column, operand.text)
    if value is None:
        raise _wrong(asked, operand, _WANTED.get(column.type) or f"one of {', '.join(column.choices)}")
    return value


def _wrong(asked: Comparison, operand: Operand, wanted: str) -> FilterWrongType:
    typed = operand.text if len(operand.text) <= 60 else f"{operand.text[:59]}…"
    detail = f"`{asked.field}` takes {wanted}, not `{typed}` (column {operand.column})."
    return FilterWrongType(detail, parameter="filter", column=operand.column)


def _read(column: Column, text: str) -> Any:
    """The value as the column's type; None: it is none of them."""
    match column.type:
        case ColumnType.TEXT if column.choices:
            return next((choice for choice in column.choices if fold_text(choice) == fold_text(text)), None)
        case ColumnType.TEXT:
            return key(column, text)
        case ColumnType.TEXT_ARRAY:
            return text
        case ColumnType.FOLDED:
            return key(column, fold_text(text))
        case ColumnType.INTEGER:
            return int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else None
        case ColumnType.AMOUNT:
            return Decimal(text) if _NUMBER.fullmatch(text) else None
        case ColumnType.BOOLEAN:
            return _TRUTH.get(text.lower())
        case ColumnType.DATE:
            return _date(text)
        case ColumnType.INSTANT:
            return _instant(text) if _INSTANT.fullmatch(text) else _date(text)
        case ColumnType.UUID:
            return UUID(text) if _UUID.fullmatch(text) else None


def _date(text: str) -> date | None:
    """9999-12-31, the last one there is, has no day after it and is refused."""
    if not (found := _DATE.fullmatch(text)):
        return None
    try:
        day = date(
            int(found["y"] or found["Y"]), int(found["m"] or found["M"]), int(found["d"] or found["D"])
        )
    except ValueError:
        return None
    return day if day < date.max else None


def _instant(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
