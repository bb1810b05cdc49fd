"""Papers set by typst: a template of `data/` and what stands on it make a PDF/A-3b, always of the same bytes.

Nothing else goes in: no clock (the template dates the document), no font but those that typst itself brings. They write
Latin, Greek and Cyrillic script, Hebrew and Arabic; a letter that they have not stands as an empty box.
"""

from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import version
from typing import Any

import msgspec
import typst

from infrastructure.shipped import DATA

BOX = "\u25a1"
_CANNOT_SHOW = "could not be displayed with font"
_LETTER = b"""#set document(date: datetime(year: 2000, month: 1, day: 1))
#set text(font: "Libertinus Serif")
#sys.inputs.data"""


def pdf(template: str, content: Any) -> bytes:
    """Sets `data/<template>.typ` with the content as JSON in `sys.inputs.data`. Takes tens of milliseconds of a core.

    Raises typst.TypstError when the template cannot be set so.
    """
    told, text = msgspec.to_builtins(content), _template(template)
    try:
        return _set(text, _json(told))
    except typst.TypstError as error:
        if _CANNOT_SHOW not in str(error):
            raise
    return _set(text, _json(_boxed(told)))


def setting(template: str) -> str:
    """By what exactly a paper is set: with another typst or template its bytes are others."""
    return f"typst {version('typst')}, {template}.typ {sha256(_template(template)).hexdigest()}"


def _template(name: str) -> bytes:
    return (DATA / f"{name}.typ").read_bytes()


def _set(template: bytes, data: str) -> bytes:
    made = typst.compile(
        template, format="pdf", ignore_system_fonts=True, sys_inputs={"data": data}, pdf_standards="a-3b"
    )
    assert isinstance(made, bytes)
    return made


def _json(content: Any) -> str:
    return msgspec.json.encode(content, order="deterministic").decode()


def _boxed(content: Any) -> Any:
    """With a box for each letter that no font has."""
    if isinstance(content, str):
        return "".join(each if (each.isascii() and each >= " ") or _shown(each) else BOX for each in content)
    if isinstance(content, Mapping):
        return {name: _boxed(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_boxed(each) for each in content]
    return content


@lru_cache(maxsize=10_000)
def _shown(letter: str) -> bool:
    try:
        _set(_LETTER, letter)
    except typst.TypstError as error:
        if _CANNOT_SHOW not in str(error):
            raise
        return False
    return True
