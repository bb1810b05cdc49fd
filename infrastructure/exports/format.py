"""How an exported list is written: CSV that spreadsheets open as text, NDJSON as the list itself answers."""

import csv
from collections.abc import Iterator, Sequence
from io import StringIO
from typing import Any, Protocol, cast, get_args

import msgspec
from msgspec import Struct

from domain.export.events import CSV, NDJSON, XLSX

CONTENT_TYPES = {
    CSV: "text/csv; charset=utf-8; header=present",
    NDJSON: "application/x-ndjson",
    XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
BOM = "\ufeff".encode()
"""Without it spreadsheets take UTF-8 for the code page of their country."""
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
_record = msgspec.json.Decoder(dict[str, Any])
Path = tuple[str, ...]


class Writing(Protocol):
    """Bytes for the beginning, for some records, and for the end."""

    def head(self) -> bytes: ...
    def rows(self, records: Sequence[bytes]) -> bytes: ...
    def tail(self) -> bytes: ...


class NdjsonWriting:
    """A record a line, each as a page of the list has it."""

    def head(self) -> bytes:
        return b""

    def rows(self, records: Sequence[bytes]) -> bytes:
        return b"".join(record + b"\n" for record in records)

    def tail(self) -> bytes:
        return b""


class CsvWriting:
    """RFC 4180 with a header, UTF-8 with its mark; a member of a member is the column `identifiers.inn`."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def head(self) -> bytes:
        return BOM + _lines([[".".join(path) for path in self._paths]])

    def rows(self, records: Sequence[bytes]) -> bytes:
        return _lines([[_cell(value) for value in cells(record, self._paths)] for record in records])

    def tail(self) -> bytes:
        return b""


def _lines(rows: Sequence[Sequence[str]]) -> bytes:
    text = StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def harmless(text: str) -> str:
    """What a spreadsheet would run as a formula, behind an apostrophe (OWASP, CSV injection)."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _cell(value: Any) -> str:
    """A number is no formula, whatever its sign."""
    return text_of(value) if isinstance(value, int | float) else harmless(text_of(value))


def cells(record: bytes, paths: Sequence[Path]) -> list[Any]:
    """The values of a record, column by column."""
    whole = _record.decode(record)
    return [_at(whole, path) for path in paths]


def _at(value: Any, path: Path) -> Any:
    for name in path:
        if not isinstance(value, dict):
            return None
        value = cast(dict[str, Any], value).get(name)
    return value


def text_of(value: Any) -> str:
    """As one cell has it."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case list() if all(isinstance(each, str) for each in value):
            return "; ".join(cast(list[str], value))
        case _:
            return msgspec.json.encode(value).decode()


def paths_of(view: type[Struct], members: Sequence[str] | None) -> tuple[Path, ...]:
    """The columns of a view's records: its members, or these in this order, with what is nested laid flat."""
    types = {field.encode_name: field.type for field in msgspec.structs.fields(view)}
    names = types if members is None else members
    return tuple(path for name in names for path in _paths(types[name], (name,)))


def _paths(kind: Any, path: Path) -> Iterator[Path]:
    nested = [arm for arm in get_args(kind) or (kind,) if isinstance(arm, type) and issubclass(arm, Struct)]
    others = [arm for arm in get_args(kind) if arm is not type(None) and arm not in nested]
    if len(nested) != 1 or others:
        yield path
        return
    for field in msgspec.structs.fields(nested[0]):
        yield from _paths(field.type, (*path, field.encode_name))
