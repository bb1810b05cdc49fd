"""Reading the postal index as Pochta Rossii gives it out: a dBase table (III+ to Visual FoxPro) of codes and places."""

import struct
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from dbfread import DBF  # type: ignore[import-untyped]
from dbfread.codepages import guess_encoding  # type: ignore[import-untyped]
from msgspec import Struct

from domain.postal_index.events import PostalCode
from infrastructure.imports.file import FailedRow, FileRefused, problem
from infrastructure.registers.region_names import RegionNames

VERSIONS = frozenset(b"\x02\x03\x04\x05\x30\x31\x32\x43\x63\x83\x8b\x8e\xcb\xf5\xfb")
"""First bytes of dBase tables."""
HEADER = struct.Struct("<4xLHH17xB2x")
"""Records, bytes of the header, bytes of a record; the language driver."""
DEFAULT = "cp866"
CYRILLIC = (DEFAULT, "cp1251", "utf-8")
LOOKED_AT = 200
"""Records whose region tells how the file is written."""
END = b"\r"


class Row(Struct, frozen=True, kw_only=True):
    """`failed`: why nothing can be made of it."""

    row: int
    place: PostalCode | None = None
    failed: FailedRow | None = None


class PostalIndexFile:
    """`total` counts deleted records, too, which are passed over."""

    format = "dbf"

    def __init__(self, path: Path, regions: RegionNames, encoding: str | None = None) -> None:
        """Raises FileRefused."""
        self.total, language = _judged(path)
        self._regions, self._table = regions, _opened(path)
        self._at = {str(name).upper(): at for at, name in enumerate(self._table.field_names)}
        self.header = tuple(self._at)
        missing = [name for name in ("INDEX", "CITY") if name not in self._at]
        if not {"REGION", "AUTONOM"} & self._at.keys():
            missing.append("REGION or AUTONOM")
        if missing:
            had = ", ".join(self.header[:20])
            raise FileRefused("file.columns_missing", f"It has no {', no '.join(missing)}; it has {had}.")
        self.encoding = encoding or self._guessed(language)

    def __iter__(self) -> Iterator[Row]:
        seen = bytearray(1_000_000)
        for row, cells in enumerate(self._table.records, 1):
            yield self._row(row, cells, seen)

    def _row(self, row: int, cells: list[tuple[str, bytes]], seen: bytearray) -> Row:
        shown = tuple(cell.decode(self.encoding, "replace").strip("\0 ") for _, cell in cells)

        def refused(column: str, code: str, detail: str) -> Row:
            return Row(row=row, failed=problem(row, _without_nul(shown), f"/{column}", code, detail))

        code = self._cell(shown, "INDEX")
        if len(code) != 6 or not (code.isascii() and code.isdigit()):
            return refused("INDEX", "postal_code", "A postal code has six digits.")
        try:
            name, area, locality = (
                self._text(cells, column) for column in (self._region_column(shown), "AREA", "CITY")
            )
        except ValueError:
            return refused("REGION", "encoding", f"This is not written in {self.encoding}.")
        region_code = self._regions.code(name)
        if region_code is None:
            return refused("REGION", "region_unknown", f"There is no region «{name}».")
        if seen[int(code)]:
            return refused("INDEX", "repeated", "This code stands in the file before; the first one counts.")
        seen[int(code)] = 1
        place = PostalCode(code=code, region_code=region_code, area=area or None, locality=locality or None)
        return Row(row=row, place=place)

    def _region_column(self, shown: tuple[str, ...]) -> str:
        return "REGION" if self._cell(shown, "REGION") else "AUTONOM"

    def _cell(self, shown: tuple[str, ...], column: str) -> str:
        at = self._at.get(column)
        return "" if at is None else shown[at]

    def _text(self, cells: list[tuple[str, bytes]], column: str) -> str:
        """Raises ValueError where it is not in the file's encoding, or holds control characters."""
        at = self._at.get(column)
        text = "" if at is None else cells[at][1].strip(b"\0 ").decode(self.encoding)
        if any(ord(each) < 32 for each in text):
            raise ValueError(text)
        return " ".join(text.split())

    def _guessed(self, language: int) -> str:
        """As the header says, unless its regions are known only when read another way: many programs write zero."""
        try:
            said = str(guess_encoding(language)) if language else DEFAULT
        except LookupError:
            said = DEFAULT
        known: Counter[str] = Counter()
        columns = [self._at[name] for name in ("REGION", "AUTONOM") if name in self._at]
        for cells in islice(self._table.records, LOOKED_AT):
            for encoding in {said, *CYRILLIC}:
                names = (cells[at][1].strip(b"\0 ").decode(encoding, "replace") for at in columns)
                known[encoding] += any(self._regions.code(name) for name in names)
        return max((said, *CYRILLIC), key=lambda encoding: known[encoding])


def _judged(path: Path) -> tuple[int, int]:
    """Records and language driver, of a table that is whole. dbfread itself would read any bytes, or never end."""
    size = path.stat().st_size
    if not size:
        raise FileRefused("file.empty", "The file is empty.")
    with path.open("rb") as file:
        head = file.read(HEADER.size)
        if head[0] not in VERSIONS or len(head) < HEADER.size:
            raise FileRefused("file.not_dbf", "This is no dBase table, whatever its name says.")
        records, header, record, language = HEADER.unpack(head)
        fields = file.read(max(0, header - HEADER.size))
    lengths = []
    for at in range(0, len(fields) - 31, 32):
        if fields[at : at + 1] == END:
            break
        kind, length, more = fields[at + 11], fields[at + 16], fields[at + 17]
        lengths.append(length | more << 8 if chr(kind) == "C" else length)
    if not lengths or record != 1 + sum(lengths):
        raise FileRefused("file.not_dbf", "This is no dBase table: its fields do not make up its records.")
    if size < header + records * record:
        there = max(0, size - header) // record
        raise FileRefused(
            "file.truncated", f"The file is cut off: it announces {records} records and has {there}."
        )
    if not records:
        raise FileRefused("file.empty", "The table has no records.")
    return records, language


def _opened(path: Path) -> Any:
    table: Any = DBF
    try:
        return table(
            str(path),
            ignorecase=False,
            raw=True,
            recfactory=list,
            ignore_missing_memofile=True,
            encoding="latin-1",
        )
    except (ValueError, struct.error, TypeError) as error:
        raise FileRefused("file.not_dbf", f"This is no dBase table that can be read: {error}.") from None


def _without_nul(cells: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(cell.replace("\0", "�") for cell in cells)
