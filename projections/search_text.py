"""Text as it is searched: folded alike where it is written and where it is asked for, and found in the original."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from msgspec import Struct

LONGEST_WORD = 64
"""Characters of a word that count."""
_LETTERS = {"й": "й", "œ": "oe", "æ": "ae"}
"""Those that NFKD does to what it should not, or nothing."""
_WORD = re.compile(rf"[^\W_]{{1,{LONGEST_WORD}}}")


def folded(text: str) -> str:
    """NFKD, case folded, marks off, ё as е, œ as oe; й stays, since Russian endings stand on it."""
    return text.lower() if text.isascii() else "".join(map(_folded, unicodedata.normalize("NFC", text)))


@lru_cache(maxsize=4_096)
def _folded(character: str) -> str:
    if (letter := _LETTERS.get(character.lower())) is not None:
        return letter
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    return "".join(each for each in plain if unicodedata.category(each) != "Mn")


def words(*texts: str | None) -> Iterator[str]:
    """The words and numbers of these texts, folded, as they come: everything between is no part of them."""
    for text in texts:
        if text:
            yield from _WORD.findall(folded(text))


class Mapped(Struct, frozen=True):
    """A text, folded, with the place in the original that each of its characters comes from."""

    text: str
    places: tuple[int, ...]

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The part of the original that a part of the folded text stands for."""
        return self.places[start], self.places[end - 1] + 1

    def words(self) -> Iterator[tuple[str, int, int]]:
        """Each word with where it begins and ends in the folded text."""
        for found in _WORD.finditer(self.text):
            yield found[0], found.start(), found.end()


def mapped(text: str) -> Mapped:
    """`text` is in NFC, as everything that is stored."""
    if text.isascii():
        return Mapped(text.lower(), tuple(range(len(text))))
    pieces = [_folded(character) for character in text]
    return Mapped("".join(pieces), tuple(at for at, piece in enumerate(pieces) for _ in piece))
