"""Reading a table of organisations: CSV as spreadsheets and registers write it, in small pieces, row by row."""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from application.organisation_columns import fields_of
from infrastructure.imports.file import FailedRow, FileRefused, problem

COLUMNS = 500
LONGEST_LINE = 1 << 20
"""Characters up to a line's end: a file without line ends must not fill the memory."""
LONGEST_CELL = 100_000
LOOKED_AT = 4 << 20
"""Bytes that tell how the file is written, if it is not in UTF-8."""
PIECE = 1 << 20
DELIMITERS = ",;\t|"
_ARCHIVES = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"%PDF", b"\x1f\x8b")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CYRILLIC = re.compile(rb"[\xa8\xb8\xc0-\xff]{2,}")
_HIGH = re.compile(rb"[\x80-\xff]")


class Row(Struct, frozen=True, kw_only=True):
    """`row` as a spreadsheet counts it: the heading is row 1. `failed`: why nothing can be made of it."""

    row: int
    cells: tuple[str, ...] = ()
    failed: FailedRow | None = None


class OrganisationTable:
    """`fields`: by column, from 0, the field it is."""

    format = "csv"

    def __init__(self, path: Path, encoding: str | None, mapping: Mapping[str, str] | None) -> None:
        """Raises FileRefused."""
        self._path = path
        self.encoding = encoding or _encoding(path)
        with self._opened() as file:
            first = _first_line(file, self.encoding)
            self.delimiter = max(DELIMITERS, key=lambda each: _outside_quotes(first).count(each))
        self.header = self._header()
        self.fields = fields_of(self.header, mapping)
        self._judge(mapping or {})

    @property
    def columns(self) -> dict[str, str]:
        """Column to field."""
        return {self.header[at]: field for at, field in self.fields.items()}

    def __iter__(self) -> Iterator[Row]:
        """Raises FileRefused."""
        with self._opened() as file:
            reader = csv.reader(_lines(file, self.encoding), delimiter=self.delimiter)
            next(reader)
            row = 1
            while True:
                row += 1
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error:
                    detail = f"A cell has more than {csv.field_size_limit()} characters; is a quote missing?"
                    yield Row(row=row, failed=problem(row, (), "", "too_long", detail))
                    continue
                if any(cells):
                    yield self._row(row, tuple(cells))

    def _row(self, row: int, cells: tuple[str, ...]) -> Row:
        if len(cells) != len(self.header):
            detail = f"This row has {len(cells)} cells, the heading {len(self.header)}."
            return Row(row=row, failed=problem(row, _kept(cells), "", "ragged", detail))
        for at, cell in enumerate(cells):
            if "\0" in cell:
                pointer, detail = f"/{self.header[at]}", "A cell holds a NUL character."
                return Row(row=row, failed=problem(row, _kept(cells), pointer, "nul", detail))
        return Row(row=row, cells=cells)

    def _opened(self) -> io.TextIOWrapper:
        encoding = "utf-8-sig" if self.encoding == "utf-8" else self.encoding
        return self._path.open(encoding=encoding, newline="")

    def _header(self) -> tuple[str, ...]:
        with self._opened() as file:
            try:
                cells = next(csv.reader(_lines(file, self.encoding), delimiter=self.delimiter), [])
            except csv.Error:
                raise FileRefused(
                    "file.not_csv", "The first line is no heading: a cell is too long."
                ) from None
        return tuple(cell.strip() for cell in cells)

    def _judge(self, mapping: Mapping[str, str]) -> None:
        if len(self.header) > COLUMNS:
            raise FileRefused(
                "file.too_many_columns", f"It has {len(self.header)} columns; {COLUMNS} are taken."
            )
        if any("\0" in name for name in self.header):
            raise FileRefused("file.not_csv", "The heading holds NUL characters: this is no text.")
        named = [name.casefold() for name in self.header if name]
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise FileRefused("file.column_repeated", f"A column stands twice: {', '.join(twice[:5])}.")
        if absent := [name for name in mapping if name not in self.header]:
            raise FileRefused("file.columns_missing", f"There is no column {', '.join(absent[:5])}.")
        fields = list(self.fields.values())
        if twice := sorted({field for field in fields if fields.count(field) > 1}):
            raise FileRefused(
                "file.column_repeated",
                f"Two columns are the field {twice[0]}; say by `mapping` which one is.",
            )
        if not {"identifiers.inn", "identifiers.siren", "siret"}.intersection(fields):
            had = ", ".join(name[:40] for name in self.header[:20])
            raise FileRefused(
                "file.columns_missing",
                f"No column is an inn, a siren or a siret, by which organisations are told apart; it has {had}.",
            )


def _encoding(path: Path) -> str:
    """UTF-8 if all of it is; else what its letters look like: Russian ones come in runs, French accents alone."""
    if not path.stat().st_size:
        raise FileRefused("file.empty", "The file is empty.")
    with path.open("rb") as file:
        head = file.read(LOOKED_AT)
        if head.startswith(_ARCHIVES):
            raise FileRefused(
                "file.not_csv", "This is no text, whatever its name says; save the table as CSV."
            )
        if head.startswith(_UTF16):
            return "utf-16"
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            piece = head
            while piece:
                decoder.decode(piece)
                piece = file.read(PIECE)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return _single_byte(head)
    return "utf-8"


def _single_byte(head: bytes) -> str:
    high = len(_HIGH.findall(head))
    if 2 * sum(map(len, _CYRILLIC.findall(head))) > high:
        return "cp1251"
    try:
        head.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252" if re.search(rb"[\x80-\x9f]", head) else "latin-1"


def _lines(file: io.TextIOWrapper, encoding: str) -> Iterator[str]:
    """Raises FileRefused."""
    while True:
        try:
            line = file.readline(LONGEST_LINE)
        except UnicodeError:
            raise FileRefused("file.encoding", f"The file is not written in {encoding}.") from None
        if not line:
            return
        if len(line) == LONGEST_LINE:
            raise FileRefused("file.not_csv", f"A line is longer than {LONGEST_LINE} characters.")
        yield line


def _first_line(file: io.TextIOWrapper, encoding: str) -> str:
    line = next(_lines(file, encoding), "")
    if not line.strip():
        raise FileRefused("file.empty", "The file has no heading.")
    return line


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])


def _kept(cells: tuple[str, ...]) -> tuple[str, ...]:
    """As they can be kept to be shown."""
    return tuple(cell.replace("\0", "�")[:LONGEST_CELL] for cell in cells[:COLUMNS])
