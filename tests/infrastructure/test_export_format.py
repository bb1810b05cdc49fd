"""Exported cells: nested members laid flat, texts that a spreadsheet would run made harmless, RFC 4180."""

import csv
import zipfile
from io import BytesIO, StringIO
from xml.etree import ElementTree as ET

import msgspec
import pytest
from msgspec import Struct

from infrastructure.exports import xlsx as export_xlsx
from infrastructure.exports.format import BOM, CsvWriting, harmless, paths_of
from infrastructure.exports.xlsx import XlsxWriting


class Inner(Struct):
    inn: str | None = None
    tags: tuple[str, ...] = ()


class Outer(Struct):
    name: str
    inner: Inner
    maybe: Inner | None = None
    several: tuple[Inner, ...] = ()
    count: int = 0
    sure: bool = False


def written(record, *members):
    writing = CsvWriting(paths_of(Outer, members or None))
    data = writing.head() + writing.rows([msgspec.json.encode(record)]) + writing.tail()
    assert data.startswith(BOM)
    return list(csv.reader(StringIO(data.decode("utf-8-sig"), newline="")))


def test_what_is_nested_is_a_column_of_its_own():
    header, row = written(Outer("a", Inner("77", ("x", "y")), several=(Inner("1"),), count=-3, sure=True))
    assert dict(zip(header, row, strict=True)) == {
        "name": "a",
        "inner.inn": "77",
        "inner.tags": "x; y",
        "maybe.inn": "",
        "maybe.tags": "",
        "several": '[{"inn":"1","tags":[]}]',
        "count": "-3",
        "sure": "true",
    }


def test_columns_stand_as_they_were_asked_for():
    assert written(Outer("a", Inner("77")), "count", "inner")[0] == ["count", "inner.inn", "inner.tags"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＠x"])
def test_a_text_that_would_be_a_formula_is_none(text):
    assert harmless(text) == f"'{text}"
    assert written(Outer(text, Inner()))[1][0] == f"'{text}"


@pytest.mark.parametrize(
    "text", ["", "a=1", "'=1", "7707", "Ёлка", "x\n=1", 'a "b", c;d', "\u202eabc", "e\u0301"]
)
def test_any_other_text_comes_through_as_it_stands(text):
    assert written(Outer(text, Inner()))[1][0] == text


def test_a_workbook_is_an_archive_of_well_formed_parts_and_holds_the_cells():
    records = [
        Outer("=1+1", Inner("77", ("x",)), count=-3, sure=True),
        Outer("<&>\x0b" + "я" * 40_000, Inner()),
    ]
    writing = XlsxWriting(paths_of(Outer, None))
    data = writing.head() + writing.rows([msgspec.json.encode(each) for each in records]) + writing.tail()
    with zipfile.ZipFile(BytesIO(data)) as archive:
        assert archive.testzip() is None
        parts = {name: ET.fromstring(archive.read(name)) for name in archive.namelist()}
    rows = [["".join(cell.itertext()) for cell in row] for row in parts["xl/worksheets/sheet1.xml"][0]]
    assert rows[0] == [
        "name",
        "inner.inn",
        "inner.tags",
        "maybe.inn",
        "maybe.tags",
        "several",
        "count",
        "sure",
    ]
    assert rows[1] == ["=1+1", "77", "x", "", "", "", "-3", "1"]
    assert (rows[2][0][:4], len(rows[2][0])) == ("<&>\ufffd", 32_767)
    kinds = {cell.get("t") for row in parts["xl/worksheets/sheet1.xml"][0] for cell in row}
    assert kinds == {"inlineStr", "b", None}


def test_a_sheet_has_an_end(monkeypatch):
    monkeypatch.setattr(export_xlsx, "MOST_ROWS", 2)
    writing = XlsxWriting(paths_of(Outer, None))
    writing.head()
    record = msgspec.json.encode(Outer("a", Inner()))
    writing.rows([record])
    with pytest.raises(export_xlsx.TooManyRows):
        writing.rows([record])
