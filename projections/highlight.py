"""Where in a record it was found: pieces of its texts as they were typed, each marked as a hit or not. No HTML."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from uuid import UUID

from msgspec import Struct

from projections.columns import fold_text
from projections.search_query import SHORTEST_PART, Question, Stems
from projections.search_text import Mapped, mapped

SHOWN = 240
"""Characters of a long text that are shown around its first hit."""
BEFORE = 60
Span = tuple[int, int]


class Piece(Struct, frozen=True, kw_only=True):
    """A part of a text. Together the pieces are the text, or what is shown of it between `…`."""

    text: str
    hit: bool


class Highlight(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A field in which something was found; of an attachment also which."""

    field: str
    pieces: tuple[Piece, ...]
    file_id: UUID | None = None


class Text(Struct, frozen=True, kw_only=True):
    """One text of a record that may have been what was found."""

    field: str
    original: str
    folded: Mapped
    file_id: UUID | None = None


def text(field: str, original: str, file_id: UUID | None = None) -> Text:
    return Text(field=field, original=original, folded=mapped(original), file_id=file_id)


def alike(texts: Sequence[Text], asked: Question) -> set[str]:
    """The words of these texts that could share a stem with what was asked for: a stem is cut off at the end."""
    starts = {word[:2] for word in asked.words}
    return {word for each in texts for word, _, _ in each.folded.words() if word[:2] in starts}


def highlight(
    one: Text, asked: Question, lexemes: Collection[str], known: Mapping[str, Stems]
) -> Highlight | None:
    """`lexemes`: those of the words asked for; `known`: of the words of the text. None: it was not found here."""
    spans = _merged([*_words(one.folded, asked, lexemes, known), *_phrases(one.folded, asked.phrase)])
    if not spans:
        return None
    return Highlight(field=one.field, pieces=tuple(_pieces(one.original, spans)), file_id=one.file_id)


def _words(
    folded: Mapped, asked: Question, lexemes: Collection[str], known: Mapping[str, Stems]
) -> Iterator[Span]:
    exact = set(asked.words)
    starts = tuple(word for word in asked.words if len(word) >= SHORTEST_PART)
    for word, start, end in folded.words():
        stems = known.get(word)
        same = stems is not None and not stems.lexemes.isdisjoint(lexemes)
        if same or word in exact or word.startswith(starts):
            yield folded.origin(start, end)


def _phrases(folded: Mapped, phrase: str) -> Iterator[Span]:
    if len(phrase) < SHORTEST_PART:
        return
    text = fold_text(folded.text)  # й is и to a phrase, as to the lists
    if len(text) != len(folded.text):
        return
    at = text.find(phrase)
    while at >= 0:
        yield folded.origin(at, at + len(phrase))
        at = text.find(phrase, at + len(phrase))


def _merged(spans: list[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _pieces(original: str, spans: Sequence[Span]) -> Iterator[Piece]:
    first, last = _window(original, spans[0])
    if first:
        yield Piece(text="…", hit=False)
    at = first
    for start, end in spans:
        if start >= last:
            break
        if start > at:
            yield Piece(text=original[at:start], hit=False)
        at = min(end, last)
        yield Piece(text=original[max(start, first) : at], hit=True)
    if at < last:
        yield Piece(text=original[at:last], hit=False)
    if last < len(original):
        yield Piece(text="…", hit=False)


def _window(original: str, span: Span) -> Span:
    """All of a short text; of a long one whole words around the hit."""
    if len(original) <= SHOWN:
        return 0, len(original)
    first = max(0, min(span[0] - BEFORE, len(original) - SHOWN))
    last = min(len(original), first + SHOWN)
    if first and (blank := original.find(" ", first, span[0])) >= 0:
        first = blank + 1
    if last < len(original) and (blank := original.rfind(" ", span[1], last)) >= 0:
        last = blank
    return first, max(last, min(span[1], first + SHOWN))
