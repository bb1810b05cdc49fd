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
from projections.search_text import words

NEWEST = 200
"""Entries of each noun that are weighed: of what more have, the newest."""
FEW = 4_000
"""Matches of one noun up to which all of them are looked at for the newest."""
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


Shelves = Sequence[tuple[Shelf, Condition | None]]
"""Where to look, each within its scope; None: all of it."""


async def found(
    connection: AsyncConnection[Any],
    asked: Question,
    known: Mapping[str, Stems],
    shelves: Shelves,
    *,
    archived: bool,
    size: int,
    token: str | None,
) -> Hits:
    """One page of what is on these shelves. Raises ListRefused, for the token."""
    binding = binding_of("search", asked, [(shelf.noun, repr(scope)) for shelf, scope in shelves], archived)
    beyond = () if token is None else continuations(_KEYS, read_token(token, _KEYS, binding))
    match = matching(asked, known)
    kept = None if archived else Condition(sql=sql.SQL("not archived"))
    within = [(shelf, every(filter(None, (kept, scope)))) for shelf, scope in shelves]
    among = await _candidates(connection, match, within)
    parts = [_weighed(shelf, scope, among[shelf.noun], match) for shelf, scope in within]
    whole = sql.SQL(
        "select noun, view, score, created_at, id from ({}) as hits where {} order by {} limit %s"
    )
    after = every(beyond)
    select = whole.format(sql.SQL(" union all ").join(part.sql for part in parts), after.sql, ordering(_KEYS))
    values = (*chain.from_iterable(part.parameters for part in parts), *after.parameters, size + 1)
    cursor = await connection.execute(select.as_bytes(None), values, prepare=False)
    rows = [Hit(noun=row[0], view=row[1], place=row[2:]) for row in await cursor.fetchall()]
    more = len(rows) > size
    return Hits(
        hits=tuple(rows[:size]), next_page_token=token_of(rows[size - 1].place, binding) if more else None
    )


class Match(Struct, frozen=True, kw_only=True):
    """How an entry meets the question: by all its words, by the phrase as a part of it, by the very number.

    `likely`: what has the phrase has all of its trigrams, for which there is an index.
    """

    words: Condition
    phrase: Condition | None
    likely: Condition | None
    number: Condition


async def _candidates(
    connection: AsyncConnection[Any], match: Match, within: Sequence[tuple[Shelf, Condition]]
) -> dict[str, list[UUID]]:
    """The newest entries that match, of each noun, and those that have the very number.

    What few have is taken from the indexes of words and sorted; what is common is met soon on the way from the newest
    back. Which of the two it is, is counted: the planner takes words for independent, multiplies their shares, and is
    wrong by far both for the trigrams of one word and for words of two languages.
    """
    parts = [_few(shelf, scope, match) for shelf, scope in within]
    select = sql.SQL(" union all ").join(part.sql for part in parts)
    values = tuple(chain.from_iterable(part.parameters for part in parts))
    async with connection.transaction():
        await connection.execute(_BY_BITMAPS)
        cursor = await connection.execute(select.as_bytes(None), values, prepare=False)
        rows = await cursor.fetchall()
    among = {noun: [*(newest or ()), *(exact or ())] for noun, newest, exact, _ in rows}
    common = {noun for noun, _, _, many in rows if many >= FEW}
    for shelf, scope in within:
        if shelf.noun in common:
            back = _back(shelf.noun, scope, match)
            cursor = await connection.execute(back.sql.as_bytes(None), back.parameters, prepare=False)
            among[shelf.noun] += [row[0] for row in await cursor.fetchall()]
    return among


_BY_BITMAPS = (
    b"set local enable_seqscan = off; set local enable_indexscan = off; set local enable_indexonlyscan = off"
)


def _few(shelf: Shelf, scope: Condition, match: Match) -> Condition:
    """The newest of what matches, if those are fewer than FEW; what has the number; how many match.

    Words and phrase apart: `or` would compare the trigrams again, row by row.
    """
    ways = [every((scope, match.words))]
    if match.phrase is not None and match.likely is not None:
        ways.append(every((scope, match.likely, match.phrase)))
    exact = every((scope, match.number))
    table = sql.Identifier("read", shelf.name)
    some_of = sql.SQL("(select id, created_at from {} where {} limit {})")
    select = sql.SQL(
        "(with few as materialized ({matching})"
        " select {noun} as noun, (select array_agg(id) from (select id from few"
        " where (select count(*) from few) < {few} order by created_at desc, id desc limit {newest}) as newest),"
        " (select array_agg(id) from (select id from {table} where {exact} limit {newest}) as exact),"
        " (select count(*) from few))"
    ).format(
        noun=sql.Literal(shelf.noun),
        table=table,
        matching=sql.SQL(" union ").join(some_of.format(table, way.sql, sql.Literal(FEW)) for way in ways),
        exact=exact.sql,
        few=sql.Literal(FEW),
        newest=sql.Literal(NEWEST),
    )
    return Condition(
        sql=select, parameters=(*chain.from_iterable(way.parameters for way in ways), *exact.parameters)
    )


def _back(noun: str, scope: Condition, match: Match) -> Condition:
    """`is true` keeps the indexes of words out of it."""
    matching = some(filter(None, (match.words, match.phrase)))
    select = sql.SQL(
        "select id from {} where {} and ({}) is true order by created_at desc nulls last, id desc limit {}"
    ).format(sql.Identifier("read", f"search_{noun}"), scope.sql, matching.sql, sql.Literal(NEWEST))
    return Condition(sql=select, parameters=(*scope.parameters, *matching.parameters))


def _weighed(shelf: Shelf, scope: Condition, ids: Collection[UUID], match: Match) -> Condition:
    """Within its scope still: a candidate may have moved out of it meanwhile."""
    phrase = match.phrase or Condition(sql=sql.SQL("false"))
    select = sql.SQL(
        "select {noun} as noun, view, (ts_rank(vector, %s::tsquery, 1) * 1000000)::bigint"
        " + ({phrase})::int * 1000000 + ({number})::int * 8000000 as score, created_at, id"
        " from {table} where id = any(%s::uuid[]) and {scope}"
    ).format(
        noun=sql.Literal(shelf.noun),
        phrase=phrase.sql,
        number=match.number.sql,
        table=sql.Identifier("read", shelf.name),
        scope=scope.sql,
    )
    weighing = (*match.words.parameters, *phrase.parameters, *match.number.parameters)
    return Condition(sql=select, parameters=(*weighing, list(ids), *scope.parameters))


def matching(asked: Question, known: Mapping[str, Stems]) -> Match:
    """A phrase that is too short is in nearly everything."""
    phrase = likely = None
    if len(asked.phrase) >= SHORTEST_PART:
        plain = asked.phrase.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        phrase = Condition(sql=sql.SQL("names like %s"), parameters=(f"%{plain}%",))
        likely = Condition(sql=sql.SQL("names_grams @> %s::text[]"), parameters=(trigrams(asked.phrase),))
    return Match(
        words=Condition(sql=sql.SQL("vector @@ %s::tsquery"), parameters=(tsquery(asked, known),)),
        phrase=phrase,
        likely=likely,
        number=Condition(sql=sql.SQL("keys @> %s::text[]"), parameters=([asked.key],)),
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
