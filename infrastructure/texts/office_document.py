"""The text of office documents: XML in a ZIP archive, read piece by piece, without entities and with an end."""

import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO
from xml.parsers import expat
from zipfile import BadZipFile, LargeZipFile, ZipFile, ZipInfo

PIECE = 1 << 16
MOST_XML = 200_000_000
"""Bytes of XML that are looked at, of all parts of a document together."""
_OLE = b"\xd0\xcf\x11\xe0"
"""How an encrypted document of Microsoft's begins: the archive is inside of another container."""


class Damaged(Exception):
    """It is not what it says it is, or not whole."""


class Encrypted(Exception):
    """It opens with a password alone."""


class Collector:  # bounded: by the longest text that is searched
    """What stands in the elements named `texts`; a line ends where one of `lines` ends. Of a spreadsheet's cells those
    are passed over that only say which of the shared strings they show.
    """

    def __init__(self, texts: set[str], lines: set[str]) -> None:
        self._texts, self._lines = texts, lines
        self._within, self._found = 0, list[str]()
        self._shared = False

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(":")[2]
        if local == "c":
            self._shared = attributes.get("t") == "s"
        if local in self._texts:
            self._within += 1

    def end(self, name: str) -> None:
        local = name.rpartition(":")[2]
        if local in self._texts:
            self._within -= 1
        if local in self._lines:
            self._found.append("\n")

    def characters(self, text: str) -> None:
        if self._within and not self._shared:
            self._found.append(text)

    def take(self) -> str:
        taken, self._found = "".join(self._found), []
        return taken


def wordprocessing(file: BinaryIO) -> Iterator[str]:
    """Body, notes, headers and footers (ECMA-376, WordprocessingML)."""

    def wanted(name: str) -> bool:
        stem = name.removeprefix("word/").removesuffix(".xml").rstrip("0123456789")
        return name.startswith("word/") and stem in ("document", "footnotes", "endnotes", "header", "footer")

    yield from _parts(file, wanted, lambda: Collector({"t"}, {"p", "tab", "br"}))


def spreadsheet(file: BinaryIO) -> Iterator[str]:
    """Shared and inline strings, and numbers as they are stored (ECMA-376, SpreadsheetML)."""

    def wanted(name: str) -> bool:
        return name == "xl/sharedStrings.xml" or name.startswith("xl/worksheets/sheet")

    yield from _parts(file, wanted, lambda: Collector({"t", "v"}, {"si", "c"}))


def opendocument(file: BinaryIO) -> Iterator[str]:
    """Everything in the body (ISO/IEC 26300)."""
    lines = {"p", "h", "s", "tab", "line-break"}
    yield from _parts(file, lambda name: name == "content.xml", lambda: Collector({"body"}, lines))


def _parts(
    file: BinaryIO, wanted: Callable[[str], bool], collector: Callable[[], Collector]
) -> Iterator[str]:
    """Raises Damaged, Encrypted."""
    try:
        with ZipFile(file) as archive:
            _require_open(archive)
            parts = [part for part in archive.infolist() if wanted(part.filename)]
            if not parts:
                raise Damaged
            left = MOST_XML
            for part in parts:
                for piece in _texts(archive, part, collector(), left):
                    left -= PIECE
                    yield piece
    except BadZipFile as error:
        file.seek(0)
        raise (Encrypted if file.read(4) == _OLE else Damaged) from error
    except (LargeZipFile, NotImplementedError, EOFError, OSError, zlib.error, expat.ExpatError) as error:
        raise Damaged from error


def _require_open(archive: ZipFile) -> None:
    names = {part.filename: part for part in archive.infolist()}
    if any(part.flag_bits & 1 for part in names.values()):
        raise Encrypted
    manifest = names.get("META-INF/manifest.xml")
    if manifest is not None:
        with archive.open(manifest) as content:
            if b"encryption-data" in content.read(PIECE * 16):
                raise Encrypted


def _texts(archive: ZipFile, part: ZipInfo, into: Collector, left: int) -> Iterator[str]:
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = into.begin, into.end
    parser.CharacterDataHandler = into.characters
    parser.StartDoctypeDeclHandler = _no_doctype
    with archive.open(part) as content:
        while left > 0 and (piece := content.read(PIECE)):
            left -= len(piece)
            parser.Parse(piece, False)
            yield into.take()
        if left > 0:
            parser.Parse(b"", True)
        yield into.take()


def _no_doctype(*_: object) -> None:
    """No office document has one: entities are how a small one becomes a large one."""
    raise Damaged
