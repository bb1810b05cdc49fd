"""Two exports side by side: what one has that the other has not, and where one position holds two entries."""

from collections.abc import Iterable, Iterator
from enum import Enum

import msgspec
from msgspec import Struct

from domain.shared import Stored
from projections.leaf import stored_of


class Side(Enum):
    """Where an entry is: in the first export alone, in the second alone, or at this position another in each."""

    FIRST = "<"
    SECOND = ">"
    FORK = "!"


class Unlike(Struct, frozen=True, kw_only=True):
    """A position the two do not have alike; `event` is the first's, if it has one. `other`: of a fork the second's."""

    side: Side
    event: Stored
    other: Stored | None = None


class _Entry(Struct):
    i: int
    leaf: bytes


_entry = msgspec.json.Decoder(_Entry).decode


def unlike(first: Iterable[bytes], second: Iterable[bytes]) -> Iterator[Unlike]:
    """In the order of positions, from the lines of two exports that were verified, in memory that does not grow."""
    ours, theirs = _entries(first), _entries(second)
    left, right = next(ours, None), next(theirs, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left.i < right.i):
            assert left is not None
            yield Unlike(side=Side.FIRST, event=stored_of(left.leaf))
            left = next(ours, None)
        elif left is None or right.i < left.i:
            yield Unlike(side=Side.SECOND, event=stored_of(right.leaf))
            right = next(theirs, None)
        else:
            if left.leaf != right.leaf:
                yield Unlike(side=Side.FORK, event=stored_of(left.leaf), other=stored_of(right.leaf))
            left, right = next(ours, None), next(theirs, None)


def _entries(lines: Iterable[bytes]) -> Iterator[_Entry]:
    return (_entry(line) for line in lines if line.startswith(b'{"i":'))
