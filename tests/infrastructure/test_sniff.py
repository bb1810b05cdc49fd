"""What a file is said to be, from its bytes alone and however they are cut."""

import io
import os
import struct
import zipfile

import pytest

from domain.file.content import TYPES
from infrastructure.sniff import Sniffer


def zipped(*names, mimetype=""):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        if mimetype:
            archive.writestr("mimetype", mimetype, zipfile.ZIP_STORED)
        for name in names:
            archive.writestr(name, os.urandom(3_000))
    return made.getvalue()


def compound(stream):
    """The beginning of an OLE file: a header, and a directory that names one stream, far from the first sector."""
    entry = stream.encode("utf-16-le").ljust(64, b"\0") + struct.pack("<H", 2 * len(stream) + 2)
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(9_000) + entry.ljust(128, b"\0") + bytes(500)


LATE = ("[Content_Types].xml", "_rels/.rels", "docProps/app.xml", "docProps/core.xml", "customXml/a.xml")
TRUE = [
    ("jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(99)),
    ("png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(99)),
    ("webp", b"RIFF\x24\0\0\0WEBPVP8 " + bytes(99)),
    ("pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(99)),
    ("zip", zipped("a.txt")),
    ("docx", zipped("[Content_Types].xml", "word/document.xml")),
    ("docx", zipped(*LATE, "word/document.xml")),
    ("xlsx", zipped(*LATE, "xl/workbook.xml")),
    ("odt", zipped("content.xml", mimetype=TYPES["odt"])),
    ("ods", zipped("content.xml", mimetype=TYPES["ods"])),
    ("doc", compound("WordDocument")),
    ("xls", compound("Workbook")),
    ("xls", compound("Book")),
    ("txt", "Привет, мир\n".encode()),
    ("txt", "Привет, мир\r\n".encode("cp1251")),
    ("txt", b"BM and MZ begin other files, too"),
    ("txt", b"a < b, and <nothing> here is a page"),
    ("csv", "имя;сумма\nАнна;1\n".encode("cp1251")),
    ("txt", b"\xef\xbb\xbfwith a mark"),
]


@pytest.mark.parametrize(("extension", "data"), TRUE, ids=[each[0] for each in TRUE])
@pytest.mark.parametrize("size", [1, 1_000, 1 << 20])
def test_what_it_is_is_told_however_it_is_cut(extension, data, size):
    assert TYPES[extension] in sniffed(data, size)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"MZ\x90\0\x03" + bytes(99),
        b"\x7fELF" + bytes(99),
        b"GIF89a" + bytes(99),
        b"<!DOCTYPE html><p>hello",
        b"  \n<HTML>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<?xml version='1.0'?><svg/>",
        b"<script>alert(1)</script>",
        b"\xef\xbb\xbf<html>",
        b"text\0with a NUL",
        b"text " * 9_000 + b"\x1b[2J",
        "UTF-16".encode("utf-16"),
        b"\x98 is nothing in Windows-1251",
        compound("PowerPoint Document"),
    ],
)
def test_what_is_never_taken_is_nothing(data):
    assert not data or sniffed(data, 1_000) == ()


def test_a_zip_archive_is_no_office_document():
    assert sniffed(zipped("a.txt"), 500) == (TYPES["zip"],)


def sniffed(data, size):
    sniffer = Sniffer()
    for start in range(0, len(data), size):
        sniffer.feed(data[start : start + size])
    return sniffer.types()
