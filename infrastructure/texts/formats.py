"""The text of a file, by its type; whatever is wrong with it is one of three things."""

import logging
from codecs import BOM_UTF16_BE, BOM_UTF16_LE, getincrementaldecoder
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO

from pypdf import PdfReader
from pypdf.errors import PyPdfError

from domain.file.content import TYPES
from infrastructure.texts.office_document import Damaged, Encrypted, opendocument, spreadsheet, wordprocessing

PIECE = 1 << 20
logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what it thinks of others' files is nobody's concern


def pdf(file: BinaryIO) -> Iterator[str]:
    """Page by page; one that cannot be read is passed over, as long as another can."""
    try:
        reader = PdfReader(file)
        if reader.is_encrypted and not reader.decrypt(""):
            raise Encrypted
        pages = len(reader.pages)
    except (PyPdfError, ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise Damaged from error
    unreadable = 0
    for number in range(pages):
        try:
            yield reader.pages[number].extract_text() + "\n"
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - a parser of others' files raises whatever they lead it to
            unreadable += 1
    if pages == unreadable:
        raise Damaged


def plain(file: BinaryIO) -> Iterator[str]:
    """UTF-8, UTF-16 by its mark, else Windows-1251: what old files here are in."""
    head = file.read(PIECE)
    decoder = getincrementaldecoder(_encoding(head))("replace")
    yield decoder.decode(head)
    while piece := file.read(PIECE):
        yield decoder.decode(piece)


def _encoding(head: bytes) -> str:
    if head.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig" if _is_utf8(head) else "cp1251"


def _is_utf8(piece: bytes) -> bool:
    """A character cut off at the end of a whole piece is none that is wrong."""
    try:
        piece.decode("utf-8")
    except UnicodeDecodeError as error:
        return len(piece) == PIECE and error.start >= len(piece) - 3
    return True


READERS: Mapping[str, Callable[[BinaryIO], Iterator[str]]] = {
    TYPES["pdf"]: pdf,
    TYPES["docx"]: wordprocessing,
    TYPES["xlsx"]: spreadsheet,
    TYPES["odt"]: opendocument,
    TYPES["ods"]: opendocument,
    TYPES["txt"]: plain,
    TYPES["csv"]: plain,
}
"""Of every type that is READABLE."""
