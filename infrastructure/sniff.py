"""What a file is, told from its bytes as they stream by: the first ones, the last ones, and all of them if text."""

import re
from codecs import getincrementaldecoder

import filetype  # type: ignore[import-untyped]

from domain.file.content import TYPES

HEAD = 8192
"""Bytes at the beginning that are looked at as a whole."""
TAIL = 1 << 16
"""Bytes at the end: there a zip archive lists what it holds."""

PLAIN, CSV, ZIP, DOC, XLS = (TYPES[each] for each in ("txt", "csv", "zip", "doc", "xls"))
_TAKEN = frozenset(TYPES.values())
_NAMED_OTHERWISE = {"image/apng": "image/png"}
_ZIPPED = re.compile(rb"PK\x01\x02.{42}(?=(word/document\.xml|xl/workbook\.xml))", re.DOTALL)
_IN_ZIP = tuple(TYPES[each] for each in ("docx", "xlsx", "odt", "ods"))
_INSIDE = {b"word/document.xml": TYPES["docx"], b"xl/workbook.xml": TYPES["xlsx"]}

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# Streams of a compound file, as its directory names them: Word has the one, Excel one of the others.
_STREAMS = {
    "WordDocument".encode("utf-16-le"): DOC,
    "Workbook\0".encode("utf-16-le"): XLS,
    "Book\0".encode("utf-16-le"): XLS,
}
_LONGEST_STREAM = max(map(len, _STREAMS))

_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\r\f") + b"\x7f"
_NOT_CP1251 = b"\x98"
# What a browser could take for a page or a drawing (WHATWG MIME Sniffing 7.1).
_MARKUP = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*<(?:!--|\?xml"
    rb"|(?:!doctype|html|head|body|script|iframe|style|title|meta|link|table|div|svg|font|h1|br|p|a|b)[\s>/])",
    re.IGNORECASE,
)


class Sniffer:
    """Takes a file's bytes chunk by chunk, in bounded memory; `types` is asked at the end, `head_types` any time."""

    def __init__(self) -> None:
        self._head, self._tail = b"", b""
        self._text = _Text()
        # bounded: by the names looked for
        self._streams: set[str] = set()

    def feed(self, chunk: bytes) -> None:
        if len(self._head) < HEAD:
            self._head += chunk[: HEAD - len(self._head)]
        if self._head.startswith(_OLE):
            seam = self._tail + chunk
            self._streams |= {kind for name, kind in _STREAMS.items() if name in seam}
            self._tail = seam[-_LONGEST_STREAM:]
        elif self._head.startswith(b"PK"):
            self._tail = (self._tail + chunk)[-TAIL:]
        self._text.feed(chunk)

    def types(self) -> tuple[str, ...]:
        """Every type that the content truly has, of those that are ever taken, the most telling first.

        A Word document is also a zip archive, a CSV file is also plain text; empty: nothing that is taken.
        """
        found = self._of_head()
        if found[-1:] == (ZIP,) and (inside := _ZIPPED.search(self._tail)):
            found = (_INSIDE[inside[1]], ZIP)
        if self._head.startswith(_OLE):
            return tuple(sorted(self._streams))
        return (*found, *self._texts())

    def head_types(self) -> tuple[str, ...]:
        """The same, as far as the beginning tells: for a file whose rest is looked at later."""
        if self._head.startswith(_OLE):
            return tuple(sorted(self._streams)) or (DOC, XLS)
        found = self._of_head()
        return (*found, *(_IN_ZIP if ZIP in found else ()), *self._texts(cut=True))

    def _of_head(self) -> tuple[str, ...]:
        guess = filetype.guess_mime(self._head)
        kind: str = _NAMED_OTHERWISE.get(guess or "", guess or "")
        if kind not in _TAKEN and not self._head.startswith(b"PK\x03\x04"):
            return ()
        if self._head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            return (kind, ZIP) if kind in _TAKEN and kind != ZIP else (ZIP,)
        return (kind,)

    def _texts(self, *, cut: bool = False) -> tuple[str, ...]:
        return (PLAIN, CSV) if self._text.is_text(cut=cut) and not _MARKUP.match(self._head) else ()


class _Text:
    """Whether all bytes so far are text: UTF-8 or Windows-1251, and no control characters."""

    def __init__(self) -> None:
        self._decoder = getincrementaldecoder("utf-8")()
        self._clean = self._utf8 = self._cp1251 = True

    def feed(self, chunk: bytes) -> None:
        if not self._clean:
            return
        self._clean = len(chunk.translate(None, _CONTROLS)) == len(chunk)
        self._cp1251 = self._cp1251 and _NOT_CP1251 not in chunk
        if self._utf8:
            try:
                self._decoder.decode(chunk)
            except UnicodeDecodeError:
                self._utf8 = False

    def is_text(self, *, cut: bool) -> bool:
        """`cut`: the end may be amid a character; else that is no UTF-8."""
        utf8 = self._utf8 and (cut or not self._decoder.getstate()[0])
        return self._clean and (utf8 or self._cp1251)
