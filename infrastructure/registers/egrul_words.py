"""The words of a Russian organisation's name, as they are indexed and searched."""

import re
import unicodedata

from projections.columns import fold_text

STOP = frozenset(("общество", "ограниченной", "ответственностью"))
"""Most of the register are limited liability companies: these words find nothing and would fill the index."""

_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> str:
    """Folded, without marks and stop words, one space between. «й» stays «й»: the endings of words are told by it."""
    composed = unicodedata.normalize("NFC", text).lower()
    folded = "й".join(fold_text(part) for part in composed.split("й"))
    return " ".join(word for word in _WORD.findall(folded) if word not in STOP)
