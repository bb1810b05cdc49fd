"""GET of everything that has certain words or numbers in it, as far as whoever asks may view it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import Annotated, Any, Protocol
from uuid import UUID

from litestar import Router, get
from litestar.params import QueryParameter
from msgspec import Struct
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from api import answers
from api.answers import Answer, Page
from api.auth import caller_of
from api.conditions import min_position
from api.lists import LIST_PROBLEMS, PageSize, PageToken, ShowArchived
from api.openapi import problems
from api.problems import ParameterInvalid
from api.queries.records import Asked, Clock, MinPosition, Progress
from application.access import Caller
from domain.shared import FieldError
from infrastructure.audience import visible
from projections import search_query
from projections.conditions import Condition, where
from projections.contract import LISTING as CONTRACTS
from projections.highlight import Highlight, Text, alike, highlight, text
from projections.keyset import PageTokenMalformed, PageTokenMismatch
from projections.letter import LISTING as LETTERS
from projections.lists import LARGEST_PAGE, PAGE_SIZE, PageSizeInvalid
from projections.notice import LISTING as NOTICES
from projections.organisation import LISTING as ORGANISATIONS
from projections.search import SEARCH
from projections.search_entry import Entry
from projections.search_query import Hits, Question, Stems

LONGEST = 500
MARKED = 100_000
"""Characters of texts in which hits are marked, for one answer; MOST_OF_FILE of each attachment."""
MOST_OF_FILE = 20_000
_LISTS = {"letter": LETTERS, "organisation": ORGANISATIONS, "contract": CONTRACTS, "notice": NOTICES}
NOUNS = {f"{noun}s": noun for noun in SEARCH.shelves}
"""What `in` names, by the noun it means."""

Q = Annotated[
    str,
    QueryParameter(
        name="q",
        min_length=1,
        max_length=LONGEST,
        description="Words in Russian, French or English, in any form; how a word begins; a number, or a part of one.",
    ),
]
In = Annotated[
    str | None,
    QueryParameter(
        name="in", description=f"Where to look, with commas between; else in all: {','.join(NOUNS)}."
    ),
]


class Found(Struct, frozen=True, kw_only=True):
    """A record that was found: a `letter`, `organisation`, `contract`, `message` or `notice`; of a message also its
    dialog and who sent it. `highlights`: where it was found, as plain text in pieces.
    """

    kind: str
    id: UUID
    title: str | None
    number: str | None
    state: str
    created_at: datetime
    updated_at: datetime
    dialog_id: UUID | None
    sender_id: UUID | None
    highlights: tuple[Highlight, ...]


class FileTexts(Protocol):
    async def some(self, file_ids: Collection[UUID], characters: int) -> dict[UUID, str]: ...


def scope_of(noun: str, caller: Caller, now: datetime) -> Condition | None:
    """What the caller may view of it: as its list judges, and of messages those to and from him."""
    if noun == "message":
        return where("{column} @> %s::text[]", "user_ids", [str(caller.actor.id)])
    return visible(caller, _LISTS[noun], now)


def routes(
    pool: AsyncConnectionPool[Any],
    texts: FileTexts,
    known: Callable[[str], int],
    progress: Progress,
    clock: Clock,
) -> Router:
    @get(
        "/",
        responses=problems(
            LIST_PROBLEMS[PageSizeInvalid],
            LIST_PROBLEMS[PageTokenMalformed],
            LIST_PROBLEMS[PageTokenMismatch],
        ),
    )
    async def search(
        request: Asked,
        q: Q,
        within: In = None,
        page_size: PageSize = PAGE_SIZE,
        page_token: PageToken = None,
        show_archived: ShowArchived = False,  # noqa: FBT002 - litestar names its arguments
        at_least: MinPosition = None,
    ) -> Answer[Page[Found]]:
        """What you may view that has all these words, or this number, in itself or in its attachments; the best first.

        Of each kind the newest 200 hits are weighed. Archived and withdrawn records only with `show_archived`.
        """
        asked, nouns = _asked(q), _nouns(within)
        if page_size < 1:
            raise PageSizeInvalid(parameter="page_size")
        if (position := min_position(at_least)) is not None:
            await progress.reached(SEARCH.name, position)
        at, caller, now = known(SEARCH.name), caller_of(request), clock()
        shelves = [(SEARCH.shelves[noun], scope_of(noun, caller, now)) for noun in nouns]
        async with pool.connection() as connection:
            stems = await search_query.stems(connection, asked.words)
            found = await search_query.found(
                connection,
                asked,
                stems,
                shelves,
                archived=show_archived,
                size=min(page_size, LARGEST_PAGE),
                token=page_token,
            )
            rows = await _shown(connection, texts, asked, stems, found)
        return answers.page(
            rows,
            projection_position=at,
            url=answers.asked(request),
            next_page_token=found.next_page_token,
        )

    return Router("/search", route_handlers=[search], tags=["Search"])


def _asked(q: str) -> Question:
    asked = search_query.question(q)
    if asked is None:
        detail = "What is looked for has a letter or a digit at least."
        raise ParameterInvalid(errors=(FieldError(pointer="/q", code="no_words", detail=detail),))
    return asked


def _nouns(within: str | None) -> list[str]:
    """Each once. Raises ParameterInvalid."""
    if within is None:
        return list(SEARCH.shelves)
    named = list(dict.fromkeys(each.strip() for each in within.split(",")))
    if (strange := next((each for each in named if each not in NOUNS), None)) is not None:
        near = get_close_matches(strange[:60], NOUNS, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(NOUNS)}."
        error = FieldError(pointer="/in", code="unknown", detail=f"There is no `{strange[:60]}`; {hint}")
        raise ParameterInvalid(errors=(error,))
    return [NOUNS[each] for each in named]


async def _shown(
    connection: AsyncConnection[Any],
    texts: FileTexts,
    asked: Question,
    stems: Mapping[str, Stems],
    found: Hits,
) -> list[Found]:
    entries = [(hit.noun, SEARCH.shelves[hit.noun].decode(hit.view)) for hit in found.hits]
    files = await texts.some({each for _, entry in entries for each in entry.attachments}, MOST_OF_FILE)
    read, left = list[list[Text]](), MARKED
    for _, entry in entries:
        read.append(_texts(entry, files, left))
        left -= sum(len(each.original) for each in read[-1])
    candidates = set[str]().union(*(alike(each, asked) for each in read))
    known = await search_query.stems(connection, candidates)
    lexemes = frozenset[str]().union(*(each.lexemes for each in stems.values()))
    return [
        _found(noun, entry, [highlight(each, asked, lexemes, known) for each in of_entry])
        for (noun, entry), of_entry in zip(entries, read, strict=True)
    ]


def _texts(entry: Entry, files: Mapping[UUID, str], left: int) -> list[Text]:
    """What may have been found of it, as long as there is room for more."""
    named = [("title", entry.title), ("number", entry.number), *entry.names.items(), ("text", entry.text)]
    all_of_it: list[tuple[str, str, UUID | None]] = [(field, value, None) for field, value in named if value]
    all_of_it += [("attachment", files[each], each) for each in entry.attachments if each in files]
    shown = list[Text]()
    for field, value, file_id in all_of_it:
        if left <= 0:
            break
        shown.append(text(field, value[:left], file_id))
        left -= len(value)
    return shown


def _found(noun: str, entry: Entry, marked: Sequence[Highlight | None]) -> Found:
    return Found(
        kind=noun,
        id=entry.id,
        title=entry.title,
        number=entry.number,
        state=entry.state,
        created_at=entry.created_at,
        updated_at=entry.updated_at,
        dialog_id=entry.dialog_id,
        sender_id=entry.user_ids[0] if entry.user_ids else None,
        highlights=tuple(each for each in marked if each is not None),
    )
