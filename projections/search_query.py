"""Looks through the shelves: what somebody typed, folded as what is kept, within what he may view; the best first."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg import AsyncConnection, sql

from projections.columns import SYSTEM, Column, ColumnType, fold_text, trigrams
from projections.conditions import Condition, every, some
from projections.keyset import Key, binding_of, continuations, ordering, read_token, token_of
from projections.search import LANGUAGES, Shelf, key_of
from projections.search_entry import Entry
from projections.search_text import words

NEWEST = 300
"""Entries of each noun that are weighed: of what more have, the newest."""
SHORTEST_PART = 3
"""Characters by which a word is found by its beginning, or a text by any part: less is nearly everything."""


class Question(Struct, frozen=True, kw_only=True):
    """What is looked for. `phrase` and `key`: all of it, as parts of texts and as numbers are compared."""

    words: tuple[str, ...]
    phrase: str
    key: str


def question(text: str) -> Question | None:
    """None: there is not a letter or digit in it."""
    found = tuple(dict.fromkeys(words(text)))
    phrase = " ".join(fold_text("".join(each if each.isprintable() else " " for each in text)).split())
    return Question(words=found, phrase=phrase, key=key_of(phrase)) if found else None


class Stems(Struct, frozen=True, kw_only=True):
    """What becomes of a word in all languages. `stops`: one of them thinks nothing of it."""

    lexemes: frozenset[str]
    stops: bool


async def stems(connection: AsyncConnection[Any], found: Collection[str]) -> dict[str, Stems]:
    """By word, as the words of the shelves were brought to theirs."""
    by_language = ", ".join(
        f"tsvector_to_array(to_tsvector('pg_catalog.{language}', w))" for language in LANGUAGES
    )
    query = f"select w, {by_language} from unnest(%s::text[]) as w"
    cursor = await connection.execute(query.encode(), (sorted(found),))
    return {
        word: Stems(lexemes=frozenset(chain.from_iterable(each)), stops=not all(each))
        async for word, *each in cursor
    }


class Hit(Struct, frozen=True, kw_only=True):
    noun: str
    view: bytes
    place: tuple[int, datetime, UUID]


class Hits(Struct, frozen=True, kw_only=True):
    hits: tuple[Hit, ...]
    next_page_token: str | None


_KEYS = (
    Key(
        name="score", column=Column(type=ColumnType.INTEGER, get=lambda _: 0, nullable=False), descending=True
    ),
    Key(name="created_at", column=SYSTEM["created_at"], descending=True),
    Key(name="id", column=SYSTEM["id"], descending=True),
)


async def found(
    connection: AsyncConnection[Any],
    asked: Question,
    known: Mapping[str, Stems],
    shelves: Sequence[tuple[Shelf, Condition | None]],
    *,
    archived: bool,
    size: int,
    token: str | None,
) -> Hits:
    """One page of what is on these shelves, each within its scope. Raises ListRefused, for the token."""
    binding = binding_of("search", asked, [(shelf.noun, repr(scope)) for shelf, scope in shelves], archived)
    beyond = () if token is None else continuations(_KEYS, read_token(token, _KEYS, binding))
    parts = [_of_shelf(shelf, scope, asked, known, archived=archived) for shelf, scope in shelves]
    whole = sql.SQL(
        "select noun, view, score, created_at, id from ({}) as hits where {} order by {} limit %s"
    )
    after = every(beyond)
    select = whole.format(sql.SQL(" union all ").join(part.sql for part in parts), after.sql, ordering(_KEYS))
    values = (*chain.from_iterable(part.parameters for part in parts), *after.parameters, size + 1)
    # Planned by its values, as lists are: which words are rare decides on the way.
    cursor = await connection.execute(select.as_bytes(None), values, prepare=False)
    rows = [Hit(noun=row[0], view=row[1], place=row[2:]) for row in await cursor.fetchall()]
    more = len(rows) > size
    return Hits(
        hits=tuple(rows[:size]), next_page_token=token_of(rows[size - 1].place, binding) if more else None
    )


def _of_shelf(
    shelf: Shelf, scope: Condition | None, asked: Question, known: Mapping[str, Stems], *, archived: bool
) -> Condition:
    """The newest that have all words or the whole phrase, and those that have the very number; each weighed once."""
    table = sql.Identifier("read", shelf.name)
    kept = None if archived else Condition(sql=sql.SQL("not archived"))
    words_of = Condition(sql=sql.SQL("vector @@ %s::tsquery"), parameters=(tsquery(asked, known),))
    part = _phrase(asked)
    number = Condition(sql=sql.SQL("keys @> %s::text[]"), parameters=([asked.key],))
    newest = every(filter(None, (kept, scope, some(filter(None, (words_of, part))))))
    exact = every(filter(None, (kept, scope, number)))
    weight = sql.SQL(
        "(ts_rank(vector, %s::tsquery, 1) * 1000000)::bigint + ({})::int * 1000000 + ({})::int * 8000000"
    ).format(sql.SQL("false") if part is None else part.sql, number.sql)
    select = sql.SQL(
        "select {noun} as noun, view, {weight} as score, created_at, id from {table} join ("
        " (select id from {table} where {newest} order by created_at desc nulls last, id desc limit {most})"
        " union (select id from {table} where {exact} limit {most})) as among using (id)"
    ).format(
        noun=sql.Literal(shelf.noun),
        weight=weight,
        table=table,
        newest=newest.sql,
        exact=exact.sql,
        most=sql.Literal(NEWEST),
    )
    weighing = (*words_of.parameters, *(() if part is None else part.parameters), *number.parameters)
    return Condition(sql=select, parameters=(*weighing, *newest.parameters, *exact.parameters))


def _phrase(asked: Question) -> Condition | None:
    """Somewhere in a short text or a number; None: it is too short to be looked for so."""
    if len(asked.phrase) < SHORTEST_PART:
        return None
    plain = asked.phrase.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return Condition(
        sql=sql.SQL("(names_grams @> %s::text[] and names like %s)"),
        parameters=(trigrams(asked.phrase), f"%{plain}%"),
    )


def tsquery(asked: Question, known: Mapping[str, Stems]) -> str:
    """All its words, by any of their stems or how they begin. What a language thinks nothing of is left out, unless
    there is nothing else."""
    telling = [word for word in asked.words if not known[word].stops] or asked.words
    return " & ".join(_term(word, known[word].lexemes) for word in telling)


def _term(word: str, lexemes: Collection[str]) -> str:
    exact = [_quoted(lexeme) for lexeme in sorted({word, *lexemes})]
    beginning = [f"{_quoted(word)}:*"] if len(word) >= SHORTEST_PART else []
    return f"({' | '.join([*exact, *beginning])})"


def _quoted(lexeme: str) -> str:
    """As tsquery takes a lexeme whatever stands in it (PostgreSQL 8.11.2)."""
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"


def entry_of(hit: Hit, shelf: Shelf) -> Entry:
    return shelf.decode(hit.view)
