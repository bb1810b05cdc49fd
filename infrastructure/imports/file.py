"""A file to import, on disk while it is read; why one is refused as a whole, and what a row is that fails."""

import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from application.file_content import Objects
from domain.shared import FieldError


class FileRefused(Exception):
    """Nothing can be made of this file; `code` is stable, the message is for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


class FailedRow(Struct, frozen=True, kw_only=True):
    """A row that is left out: `row` as a person counts it in the file, `cells` as they stand there."""

    row: int
    cells: tuple[str, ...]
    problems: tuple[FieldError, ...]


class About(Protocol):
    """What is known of a file that is being read. `header`: the names of its columns."""

    @property
    def format(self) -> str: ...
    @property
    def encoding(self) -> str: ...
    @property
    def header(self) -> tuple[str, ...]: ...


def problem(row: int, cells: tuple[str, ...], pointer: str, code: str, detail: str) -> FailedRow:
    return FailedRow(row=row, cells=cells, problems=(FieldError(pointer=pointer, code=code, detail=detail),))


@asynccontextmanager
async def fetched(objects: Objects, object_id: UUID) -> AsyncGenerator[Path]:
    """The object as a file that is gone afterwards: what reads it must seek. Raises ObjectMissing.

    What a killed attempt at the same object has left here goes, too: its rows may be about people.
    """
    prefix = f"chancery-import-{object_id.hex}-"
    _clear(prefix)
    with tempfile.TemporaryDirectory(prefix=prefix) as folder:
        path = Path(folder) / "file"
        with path.open("wb") as file:
            async with objects.reading(object_id) as pieces:
                async for piece in pieces:
                    file.write(piece)
        yield path


def _clear(prefix: str) -> None:
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
