"""The names that the postal index gives regions, and whose they are among the tax service's codes."""

import re
from collections.abc import Iterable

from domain.reference.events import Entry

OTHERS = "99"
"""Other territories, Baikonur among them."""

_ALSO = {
    "Кемеровская область": "42",
    "Чувашия Республика": "21",
    "Чувашская Республика": "21",
    "Ханты-Мансийский автономный округ": "86",
    "ХМАО": "86",
    "ХМАО - Югра": "86",
    "ЯНАО": "89",
    "Саха Республика": "14",
    "Якутия Республика": "14",
    "Северная Осетия Республика": "15",
    "Тува Республика": "17",
    "Байконур": OTHERS,
    "Южная Осетия": OTHERS,
    "Республика Южная Осетия": OTHERS,
    "Казахстан": OTHERS,
    "Республика Казахстан": OTHERS,
    "Германия": OTHERS,
}
"""Names that differ from the constitutional ones in more than the order of their words."""

_WORDS = re.compile(r"\w+")
_SAY_NOTHING = frozenset(("г", "город"))

Words = frozenset[str]


def words(name: str) -> Words:
    """What names a region: its words in any order and case, so that «X РЕСПУБЛИКА» is «Республика X»."""
    return frozenset(_WORDS.findall(name.casefold().replace("ё", "е"))) - _SAY_NOTHING


class RegionNames:
    """`entries`: the regions as they ship."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._codes = {words(entry.name): entry.code for entry in entries}
        self._codes |= {words(name): code for name, code in _ALSO.items()}

    def code(self, name: str) -> str | None:
        """None: no region is named like that."""
        return self._codes.get(words(name))
