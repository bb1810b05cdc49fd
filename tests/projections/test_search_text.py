"""Folding for the search: alike for what is kept and what is asked, and back to the original."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.search_text import LONGEST_WORD, folded, mapped, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ЁЛКА, Берёзка", ["елка", "березка"]),
        ("Северный", ["северный"]),
        ("Société d'Électricité", ["societe", "d", "electricite"]),
        ("Œuvre", ["oeuvre"]),
        ("Straße ΣΟΦΟΣ", ["strasse", "σοφοσ"]),
        ("IN-2026-00042", ["in", "2026", "00042"]),
        ("snake_case 17/3-204", ["snake", "case", "17", "3", "204"]),
        ("ﬁn ①", ["fin", "1"]),
        ("مرحبا שלום", ["مرحبا", "שלום"]),
        ("\u0301\u0308 ·—!? 🙂", []),
        ("a" * 100, ["a" * LONGEST_WORD, "a" * (100 - LONGEST_WORD)]),
    ],
)
def test_words_are_folded_and_nothing_else_is_one(text, found):
    assert list(words(text)) == found


@given(st.text())
def test_every_part_of_a_folded_text_has_its_place_in_the_original(text):
    found = mapped(text)
    assert len(found.text) == len(found.places)
    assert list(found.places) == sorted(found.places)
    for word, start, end in found.words():
        first, last = found.origin(start, end)
        assert 0 <= first < last <= len(text)
        assert word in "".join(mapped(text[first:last]).text)


@given(st.text())
def test_what_is_folded_already_stays(text):
    assert [*words(" ".join(words(text)))] == [*words(text)]
    assert folded(text).isascii() or folded(folded(text)) == folded(text)
