"""Numbers that an office gives out one after the other: a series, a year, a counter without gaps."""

import re

from msgspec import Struct

WIDTH = 12
"""Digits a counter has where numbers are sorted."""

_FORM = re.compile(r"([A-Z][A-Z0-9]{0,7})-(\d{4})-(\d{1,12})")


class Number(Struct, frozen=True):
    """The `counter`-th of its series and year, from 1."""

    series: str
    year: int
    counter: int

    def written(self, digits: int) -> str:
        """`F-2026-000017`, with at least so many digits."""
        return f"{self.series}-{self.year}-{self.counter:0{digits}d}"

    @property
    def claim(self) -> str:
        """The value of the claim that it is: those of a series and year sort by their counter."""
        return f"{prefix(self.series, self.year)}{self.counter:0{WIDTH}d}"


def prefix(series: str, year: int) -> str:
    """What the claims of all numbers of a series and year begin with."""
    return f"{series}-{year}:"


def number_of(text: str) -> Number | None:
    """The number that is written so; None: none is."""
    found = _FORM.fullmatch(text)
    return None if found is None else Number(found[1], int(found[2]), int(found[3]))
