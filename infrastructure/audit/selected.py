"""A part of the log as a file: every entry with the proof that it is under the signed root, and nothing of the rest."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from domain.shared import Stored
from infrastructure.audit.export import NothingToExport, Order, Source, order
from infrastructure.audit.form import (
    SELECTION,
    Continued,
    ProvedLine,
    SelectionHeader,
    checkpoint_of,
    encode,
    written,
)
from infrastructure.audit.paths import Paths
from infrastructure.audit.selection import Selection
from infrastructure.event_codec import EventCodec
from projections.leaf import stored_of
from projections.proofs import Checkpoint
from projections.tiles import WIDTH

Bound = int | datetime | None
"""A position, an instant, or no bound."""


class Asked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What somebody wants of a log: some of it, from `first` to `last`. `kept`: an earlier checkpoint, which the file
    is to show the log to begin with.
    """

    filters: Selection = Selection()
    first: Bound = None
    last: Bound = None
    kept: str | None = None

    @property
    def whole(self) -> bool:
        """A whole log needs no proofs: its root follows from all that is there."""
        return self == Asked(kept=self.kept)


class Backwards(Exception):
    """The kept checkpoint is of another log, or of a later state of this one."""


async def settle(source: Source, asked: Asked) -> Order:
    """What is to be written of the log as it is signed now. Raises NothingToExport, Malformed, Backwards."""
    settled = await order(source)
    if asked.whole:
        return settled
    head = settled.head
    places = _Places(source, head.size)
    begin = await places.first(asked.first) if asked.first is not None else 1
    end = await places.last(asked.last) if asked.last is not None else head.size
    if not 1 <= begin <= end <= head.size:
        raise NothingToExport(f"there is nothing from {begin} to {end} in a log of {head.size} entries")
    return replace(
        settled,
        selection=replace(asked.filters, first=begin, last=end),
        continues=None if asked.kept is None else await _continued(source, asked.kept, head),
    )


def first_line(settled: Order, selection: Selection) -> bytes:
    header = SelectionHeader(
        format=SELECTION,
        selection=selection,
        checkpoint=settled.checkpoint,
        keys=settled.keys,
        continues=settled.continues,
    )
    return written(header)


async def selected_lines(source: Source, settled: Order, after: int = 0) -> AsyncIterator[tuple[int, bytes]]:
    """The entries of a selection, some at a time, each time with the position reached; they follow position `after`.

    Raises NothingToExport, Malformed.
    """
    paths = Paths(source, settled.head.size)
    async for last, entries in fitting(source, settled, after):
        proofs = await paths.inclusion([index for index, _ in entries]) if entries else {}
        yield last, b"".join([encode(ProvedLine(at, leaf, proofs[at])) + b"\n" for at, leaf in entries])


async def fitting(
    source: Source, settled: Order, after: int = 0
) -> AsyncIterator[tuple[int, list[tuple[int, bytes]]]]:
    """The entries that fit, a tile at a time, and the position reached with them."""
    size, selection = settled.head.size, settled.selection or Selection(last=settled.head.size)
    metadata = EventCodec().metadata
    begin = max(selection.first, after + 1)
    for number in range((begin - 1) // WIDTH, (selection.last - 1) // WIDTH + 1):
        width = min(WIDTH, size - number * WIDTH)
        here = await source.leaves(number, width)
        last = min(selection.last, (number + 1) * WIDTH)
        yield (
            last,
            [
                (index, leaf)
                for index, leaf in here
                if index + 1 >= begin and selection.fits(stored_of(leaf), metadata)
            ],
        )


async def _continued(source: Source, note: str, head: Checkpoint) -> Continued:
    kept = checkpoint_of(note)
    if kept.origin != head.origin:
        raise Backwards(f"the kept checkpoint is of the log {kept.origin}")
    if kept.size > head.size:
        raise Backwards(f"the log once had {kept.size} entries, and {head.size} are signed now")
    return Continued(size=kept.size, proof=await Paths(source, head.size).consistency(kept.size))


class _Places:  # bounded: one selection, as it is verified
    """Where an instant stands in the log. Its clock never runs backwards, so that is found by halving."""

    def __init__(self, source: Source, size: int) -> None:
        self._source, self._size = source, size
        self._tiles: dict[int, list[tuple[int, bytes]]] = {}

    async def first(self, bound: int | datetime) -> int:
        """The first position at or after the bound."""
        if isinstance(bound, int):
            return bound
        return await self._before(lambda event: event.recorded_at < bound) + 1

    async def last(self, bound: int | datetime) -> int:
        """The last position at or before the bound."""
        if isinstance(bound, int):
            return bound
        return await self._before(lambda event: event.recorded_at <= bound)

    async def _before(self, early: Callable[[Stored], bool]) -> int:
        """How many entries are early: those are the first."""
        low, high = 0, self._size
        while low < high:
            middle = (low + high) // 2
            if early(await self._at(middle)):
                low = middle + 1
            else:
                high = middle
        return low

    async def _at(self, index: int) -> Stored:
        number = index // WIDTH
        if number not in self._tiles:
            self._tiles[number] = await self._source.leaves(number, min(WIDTH, self._size - number * WIDTH))
        for at, leaf in self._tiles[number]:
            if at == index:
                return stored_of(leaf)
        raise NothingToExport(f"entry {index + 1} is missing")
