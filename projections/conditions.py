"""What a list's rows must meet: conditions with bound values, how they combine, and how a list says no."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, ClassVar, Literal, LiteralString

from msgspec import Struct
from psycopg import sql

from projections.columns import SYSTEM, Column, is_sortable


class ListRefused(Exception):
    """A list cannot be asked so; a subclass's docstring says what its code means.

    `parameter` is the query parameter at fault, `column` the place in it, counted from 1.
    """

    code: ClassVar[str]

    def __init__(self, detail: str | None = None, *, parameter: str, column: int | None = None) -> None:
        self.detail = detail or " ".join((type(self).__doc__ or "").split())
        super().__init__(self.detail)
        self.parameter = parameter
        self.column = column


class FilterUnknownField(ListRefused):
    """The filter names a field that this list is not filtered by."""

    code = "filter_unknown_field"


class OrderUnknownField(ListRefused):
    """`order_by` names a field that this list is not sorted by."""

    code = "order_by_unknown_field"


class Condition(Struct, frozen=True, kw_only=True):
    """A boolean expression over a read model's table, and what its placeholders are bound to, in order."""

    sql: sql.Composable
    parameters: tuple[Any, ...] = ()


def where(template: LiteralString, column: str, *parameters: Any) -> Condition:
    """A condition on one column, which stands as `{column}` in the template; one `%s` for each parameter."""
    return Condition(sql=sql.SQL(template).format(column=sql.Identifier(column)), parameters=parameters)


def every(conditions: Iterable[Condition]) -> Condition:
    """True where all of them are; of none: always."""
    return _joined(" and ", tuple(conditions)) or Condition(sql=sql.SQL("true"))


def some(conditions: Iterable[Condition]) -> Condition:
    """True where one of them is; of none: never."""
    return _joined(" or ", tuple(conditions)) or Condition(sql=sql.SQL("false"))


def _joined(word: LiteralString, conditions: tuple[Condition, ...]) -> Condition | None:
    if len(conditions) < 2:
        return conditions[0] if conditions else None
    inner = sql.SQL(word).join(condition.sql for condition in conditions)
    parameters = tuple(each for condition in conditions for each in condition.parameters)
    return Condition(sql=sql.SQL("({})").format(inner), parameters=parameters)


def negated(condition: Condition) -> Condition:
    """Where it is not true. A comparison with an empty column is not true, so those rows are shown."""
    return Condition(sql=sql.SQL("(({}) is not true)").format(condition.sql), parameters=condition.parameters)


def find_column(
    name: str, columns: Mapping[str, Column], parameter: Literal["filter", "order_by"], at: int | None = None
) -> tuple[str, Column]:
    """The column that a name or an alias stands for.

    Raises FilterUnknownField or OrderUnknownField, with the nearest name there is.
    """
    names = {
        each: (stored, column)
        for stored, column in {**columns, **SYSTEM}.items()
        if (column.filterable if parameter == "filter" else is_sortable(column))
        for each in (stored, *column.aliases)
    }
    if name in names:
        return names[name]
    near = get_close_matches(name[:60], names, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(sorted(names))}."
    refused = FilterUnknownField if parameter == "filter" else OrderUnknownField
    raise refused(f"There is no field `{name[:60]}`; {hint}", parameter=parameter, column=at)
