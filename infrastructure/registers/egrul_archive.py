"""The XML files of the Russian register in what the Federal Tax Service gives out: one by itself, or many in a ZIP."""

import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO
from zipfile import BadZipFile, ZipFile

from infrastructure.registers.egrul_file import EgrulFile, EgrulFileRefused

ZIP = b"PK"
_DAMAGED = (BadZipFile, zlib.error, EOFError, OSError, NotImplementedError)
"""What a damaged archive raises, whenever it is noticed."""


class _Member:
    """What is packed, while it is unpacked."""

    def __init__(self, name: str, source: IO[bytes]) -> None:
        self._name, self._source = name, source

    def read(self, size: int) -> bytes:
        """Raises EgrulFileRefused."""
        try:
            return self._source.read(size)
        except _DAMAGED as error:
            raise EgrulFileRefused(f"{self._name}: {error}") from None


def files(path: Path, name: str) -> Iterator[EgrulFile]:
    """Each XML file, unpacked while it is read; `name` is how the file is told of. Raises EgrulFileRefused."""
    with ExitStack() as stack:
        try:
            source = stack.enter_context(path.open("rb"))
            packed = source.read(2) == ZIP
            source.seek(0)
            if not packed:
                yield EgrulFile(name, source)
                return
            archive = stack.enter_context(ZipFile(source))
            for each in archive.infolist():
                if each.flag_bits & 1:
                    raise EgrulFileRefused(f"{name}: it is locked by a password.")
                if each.filename.lower().endswith(".xml"):
                    with archive.open(each) as member:
                        yield EgrulFile(f"{name}/{each.filename}", _Member(name, member))
        except _DAMAGED as error:
            raise EgrulFileRefused(f"{name}: {error}") from None
