"""An exported list as a workbook of one sheet (ECMA-376, Office Open XML), written as it flows by: nothing is kept."""

import re
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import IO, Any
from xml.sax.saxutils import escape

from infrastructure.exports.format import Path, cells, text_of

MOST_ROWS, LONGEST = 1_048_576, 32_767
"""What a sheet holds, its header included, and a cell, in characters."""

_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels"'
    ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1"'
    f' Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
    '<sheet name="Export" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1"'
    f' Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
}
_SHEET = "xl/worksheets/sheet1.xml"
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that XML 1.0 cannot hold."""


class TooManyRows(Exception):
    """A sheet holds 1,048,575 records below its header: narrow the filter, or take csv."""

    code = "export.too_many_rows"


class _Sink:  # bounded: what was written since it was taken
    """Where the archive goes: it only ever grows, and what came since is taken from it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def taken(self) -> bytes:
        whole, self._parts = b"".join(self._parts), []
        return whole


class XlsxWriting:
    """Implements export_format.Writing. Every text is a text (`inlineStr`), so no cell is a formula."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths, self._sink, self._rows = paths, _Sink(), 0
        self._archive = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_DEFLATED)  # type: ignore[call-overload]
        self._sheet: IO[bytes]

    def head(self) -> bytes:
        for name, text in _PARTS.items():
            self._archive.writestr(_entry(name), _HEAD + text)
        self._sheet = self._archive.open(_entry(_SHEET), "w", force_zip64=True)
        self._sheet.write(f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
        self._put([".".join(path) for path in self._paths])
        return self._sink.taken()

    def rows(self, records: Sequence[bytes]) -> bytes:
        """Raises TooManyRows."""
        for record in records:
            self._put(cells(record, self._paths))
        return self._sink.taken()

    def tail(self) -> bytes:
        self._sheet.write(b"</sheetData></worksheet>")
        self._sheet.close()
        self._archive.close()
        return self._sink.taken()

    def _put(self, values: Sequence[Any]) -> None:
        self._rows += 1
        if self._rows > MOST_ROWS:
            raise TooManyRows(" ".join((TooManyRows.__doc__ or "").split()))
        self._sheet.write(f"<row>{''.join(map(_cell, values))}</row>".encode())


def _cell(value: Any) -> str:
    match value:
        case None:
            return "<c/>"
        case bool():
            return f'<c t="b"><v>{int(value)}</v></c>'
        case int():
            return f"<c><v>{value}</v></c>"
        case _:
            text = escape(_NO_XML.sub("\ufffd", text_of(value)[:LONGEST]))
            return f'<c t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


def _entry(name: str) -> zipfile.ZipInfo:
    now = datetime.now(UTC)
    made = zipfile.ZipInfo(name, (now.year, now.month, now.day, 0, 0, 0))
    made.compress_type = zipfile.ZIP_DEFLATED
    return made
