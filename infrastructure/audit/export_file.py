"""An export as a file: under its name only once it is whole, and one that was interrupted goes on where it stopped."""

import fcntl
import os
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec
from msgspec import Struct

from infrastructure.audit import export, selected
from infrastructure.audit.export import Order, Source, export_lines
from infrastructure.audit.form import LONGEST_LINE, Block, End, ProvedLine, encode, written
from infrastructure.audit.paths import Paths
from infrastructure.audit.report import Verdict
from infrastructure.audit.selected import Asked, selected_lines, settle
from infrastructure.audit.verify_file import examiner_for
from projections.merkle import verify_consistency
from projections.proofs import Malformed
from projections.tiles import WIDTH

Progress = Callable[[int, int], None]
"""Told the position reached, and the last one there will be."""


class Busy(Exception):
    """Another export is being written to the same file."""


class Written(NamedTuple):
    """How many entries the file has, and after how many of them it went on: 0, if it was not interrupted."""

    entries: int
    resumed: int


class _Begun(Struct, frozen=True, kw_only=True):
    """What stands beside an unfinished file: what was asked for, and what was settled then."""

    asked: Asked
    order: Order


class _Done(NamedTuple):
    """The part that is there: `size` bytes of it are good, with so many entries, up to `position`."""

    size: int
    entries: int
    position: int


_NOTHING = _Done(0, 0, 0)


async def write_export(source: Source, asked: Asked, file: Path, told: Progress) -> Written:
    """Write the log, or what is asked for of it, as it is signed now, or was when this export was begun.

    Raises NothingToExport, Malformed, Backwards, Busy, OSError.
    """
    begun = file.with_name(f"{file.name}.part.order")
    fresh = await settle(source, asked)
    with file.with_name(f"{file.name}.part").open("a+b") as part:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"another export is writing to {file}") from None
        kept = await _settled_before(source, _read(begun), asked, fresh)
        done = _NOTHING if kept is None else _sound(part, kept)
        order = fresh if kept is None or done is _NOTHING else kept
        part.truncate(done.size)
        if done is _NOTHING:
            begun.write_bytes(encode(_Begun(asked=asked, order=order)))
        entries = await _write(source, order, part, done, told)
        _finish(part, file)
    begun.unlink()
    return Written(entries, done.entries)


async def _write(source: Source, order: Order, part: BinaryIO, done: _Done, told: Progress) -> int:
    """What is missing; answers how many entries the file has now."""
    entries = done.entries
    if order.selection is None:
        size = order.head.size
        async for lines in export_lines(source, order, done.position // WIDTH):
            part.write(lines)
            entries += lines.count(b'{"i":')
            told(entries, size)
        return entries
    if done is _NOTHING:
        part.write(selected.first_line(order, order.selection))
    async for position, lines in selected_lines(source, order, done.position):
        part.write(lines)
        entries += lines.count(b"\n")
        told(position, order.selection.last)
    digest = sha256()
    part.seek(0)
    while chunk := part.read(1 << 20):
        digest.update(chunk)
    part.write(written(End(entries=entries, sha256=digest.hexdigest())))
    return entries


def _finish(part: BinaryIO, file: Path) -> None:
    part.flush()
    os.fsync(part.fileno())
    Path(part.name).replace(file)


def _read(begun: Path) -> bytes:
    try:
        return begun.read_bytes()
    except FileNotFoundError:
        return b""


async def _settled_before(source: Source, begun: bytes, asked: Asked, now: Order) -> Order | None:
    """What an unfinished file was to be, if it was begun for the same, of this very log."""
    try:
        before = msgspec.json.decode(begun, type=_Begun)
        old, new = before.order.head, now.head
    except (msgspec.MsgspecError, Malformed):
        return None
    if before.asked != asked or old.origin != new.origin or old.size > new.size:
        return None
    proof = await Paths(source, new.size).consistency(old.size)
    return before.order if verify_consistency(old.size, new.size, old.root, new.root, proof) else None


def _sound(part: BinaryIO, order: Order) -> _Done:
    """How far the part can be gone on with: nowhere, if anything in it is not as it must be."""
    whole = order.selection is None
    begins = (
        export.first_line(order) if order.selection is None else selected.first_line(order, order.selection)
    )
    lines, entries, done = _lines(part), 0, _NOTHING
    if next(lines, b"") != begins:
        return _NOTHING
    examiner = examiner_for(begins)
    examiner.take(begins)
    for line in lines:
        examiner.take(line)
        entries += line.startswith(b'{"i":')
        if reached := _reached(line, whole=whole):
            done = _Done(part.tell(), entries, reached)
    found = examiner.report().findings
    return done if all(each.verdict is Verdict.INCOMPLETE for each in found) else _NOTHING


def _reached(line: bytes, *, whole: bool) -> int | None:
    """The position after which an export can go on behind this line, if it ends a block or is a proved entry."""
    try:
        if whole and line.startswith(b'{"block":'):
            return (msgspec.json.decode(line, type=Block).block + 1) * WIDTH
        if not whole and line.startswith(b'{"i":'):
            return msgspec.json.decode(line, type=ProvedLine).i + 1
    except msgspec.MsgspecError:
        return None  # the examiner has noted it, too
    return None


def _lines(part: BinaryIO) -> Iterator[bytes]:
    """Those that were written to their end."""
    part.seek(0)
    while (line := part.readline(LONGEST_LINE)).endswith(b"\n"):
        yield line
