"""Everything that is searched: a shelf of entries for each noun, and the words of the files that entries carry."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from msgspec import UNSET
from msgspec.structs import replace
from psycopg import AsyncCursor

from domain.file.events import FileRemoved, FileTextRead
from domain.letter.events import LetterChanged
from domain.shared import Recorded, Stored
from projections import search_entry
from projections.columns import Column, ColumnType, fold_text
from projections.copies import Copies
from projections.packing import a_uuid
from projections.projection import Batch, Fold
from projections.search_entry import Entry
from projections.search_text import words

WORDS = "search_words"
LANGUAGES = ("russian", "french", "english", "simple")
"""Each word counts in all of them, whichever it is of; as it stands, too, so that it is found by how it begins."""
MOST_WORDS = 200_000
"""Characters of a file's different words, and of all files of one entry: what PostgreSQL keeps of a text for searching
has an end at 1 MB, and a longer one would stop the projection."""


def _heading(entry: Entry) -> str:
    return " ".join(words(entry.title, entry.number, *entry.names.values()))


def _names(entry: Entry) -> str:
    """What is found by any part of it: short texts and numbers, and how a longer one begins."""
    told = (entry.number, *entry.names.values(), entry.title, entry.text and entry.text[:LONGEST_NAME])
    return "\n".join(each for each in told if each)


LONGEST_NAME = 500


def keys(entry: Entry) -> list[str]:
    """Its numbers, as whoever knows one types it: without blanks, in any case."""
    told = {**entry.names, "number": entry.number}
    return sorted({key_of(value) for name, value in told.items() if value and name != "short_name"})


def key_of(text: str) -> str:
    return "".join(fold_text(text).split())


def _several(name: str, get: Callable[[Entry], Iterable[Any]]) -> dict[str, Column]:
    return {
        name: Column(type=ColumnType.TEXT_ARRAY, get=lambda entry: [*map(str, get(entry))], nullable=False)
    }


def _one(name: str, get: Callable[[Entry], UUID | None]) -> dict[str, Column]:
    return {name: Column(type=ColumnType.UUID, get=get)}


def _text(get: Callable[[Entry], str]) -> Column:
    return Column(type=ColumnType.TEXT, get=get, sortable=False, nullable=False, indexed=False)


_SEARCHED = {
    "heading": _text(_heading),
    "body": _text(lambda entry: " ".join(words(entry.text))),
    "names": Column(type=ColumnType.FOLDED, get=_names, sortable=False, nullable=False),
    **_several("keys", keys),
}
_VECTOR = " || ".join(
    f"setweight(to_tsvector('pg_catalog.{language}', heading), 'A')"
    f" || setweight(to_tsvector('pg_catalog.{language}', body), 'B')"
    f" || strip(to_tsvector('pg_catalog.{language}', attached))"
    for language in LANGUAGES
)


class Shelf(Fold[Entry]):
    """The entries of one noun. `columns` are those that the audience of its list names, under the same names."""

    def __init__(
        self,
        noun: str,
        fold: Callable[[Entry | None, Recorded[Any]], Entry],
        columns: Mapping[str, Column],
        copies: Copies[Entry] | None = None,
    ) -> None:
        super().__init__(
            name=f"search_{noun}",
            version=1,
            view=Entry,
            columns={**_SEARCHED, **columns},
            fold=fold,
            copies=copies,
        )
        self.noun = noun
        self.carries = "attachments" in columns

    def ddl(self, schema: str) -> str:
        table = f'"{schema}"."{self.name}"'
        return (
            f"{super().ddl(schema)}\n"
            f"alter table {table} add column attached text not null default '';\n"
            f"alter table {table} add column vector tsvector not null generated always as ({_VECTOR}) stored;\n"
            f"alter table {table} alter column vector set statistics 1000;\n"
            f"create index on {table} using gin (vector) with (gin_pending_list_limit = 256);"
        )

    async def attach(
        self, cursor: AsyncCursor[Any], schema: str, touched: Collection[UUID], files: Collection[UUID]
    ) -> None:
        """What is in the files of these entries, and of those that carry these files, is searched with them."""
        carrying = (
            f'update "{schema}"."{self.name}" r set attached = found.words from (select e.id, coalesce(left('
            f' (select string_agg(w.words, \' \' order by w.file_id) from "{schema}"."{WORDS}" w'
            f" where w.file_id = any(e.attachments::uuid[])), {MOST_WORDS}), '') as words"
            f' from "{schema}"."{self.name}" e where e.id = any(%b::uuid[])'
            f" or e.attachments && %b::uuid[]::text[]) found where r.id = found.id and r.attached <> found.words"
        )
        await cursor.execute(carrying.encode(), [a_uuid(touched), a_uuid(files)], prepare=True)


class Search:
    """All shelves together, one checkpoint: what is found of one noun and of another is true at one position."""

    name = "search"
    version = 2

    def __init__(self, shelves: Sequence[Shelf]) -> None:
        self.shelves = {shelf.noun: shelf for shelf in shelves}
        self.tables = (*(shelf.name for shelf in shelves), WORDS)

    def ddl(self, schema: str) -> str:
        kept = f'create table "{schema}"."{WORDS}" (file_id uuid primary key, words text not null);'
        return "\n".join([*(shelf.ddl(schema) for shelf in self.shelves.values()), kept])

    def takes(self, stored: Stored) -> bool:
        return stored.topic.startswith("file.") or any(shelf.takes(stored) for shelf in self.shelves.values())

    async def apply(self, cursor: AsyncCursor[Any], schema: str, batch: Batch) -> None:
        files = await self._learn(cursor, schema, batch)
        bound = [each.stream_id for each in batch if isinstance(each, Recorded) and _carries(each.event)]
        for shelf in self.shelves.values():
            await shelf.apply(cursor, schema, batch)
            if shelf.carries and (files or bound):
                await shelf.attach(cursor, schema, bound, files)

    def alone(self, stream: Batch) -> bool:  # noqa: ARG002 - each is an entry, or a file's words
        """Implements Refolding."""
        return True

    async def refold(self, cursor: AsyncCursor[Any], schema: str, stream: Batch) -> None:
        """Implements Refolding."""
        ids = list({each.stream_id for each in stream})
        for shelf in self.shelves.values():
            await shelf.remove(cursor, schema, ids)
        await cursor.execute(
            f'delete from "{schema}"."{WORDS}" where file_id = any(%b::uuid[])'.encode(), [a_uuid(ids)]
        )
        await self.apply(cursor, schema, stream)

    async def _learn(self, cursor: AsyncCursor[Any], schema: str, batch: Batch) -> list[UUID]:
        """The files that the batch tells something of: what their texts say is kept until they are removed."""
        read = [each.stream_id for each in batch if isinstance(each, Recorded) and _is(each, FileTextRead)]
        gone = [each.stream_id for each in batch if isinstance(each, Recorded) and _is(each, FileRemoved)]
        for file_id in read:  # one by one: each may say a million characters
            await cursor.execute(b"select text from file_texts where file_id = %b", (file_id,), prepare=True)
            row = await cursor.fetchone()
            different = "" if row is None else await asyncio.to_thread(_different, row[0])
            await cursor.execute(
                f'insert into "{schema}"."{WORDS}" values (%b, %b)'
                " on conflict (file_id) do update set words = excluded.words".encode(),
                (file_id, different),
                prepare=True,
            )
        if gone:
            await cursor.execute(
                f'delete from "{schema}"."{WORDS}" where file_id = any(%b::uuid[])'.encode(), [a_uuid(gone)]
            )
        return read + gone


def _different(text: str) -> str:
    return " ".join(dict.fromkeys(words(text)))[:MOST_WORDS]


def _is(recorded: Recorded[Any], event: type[FileTextRead | FileRemoved]) -> bool:
    return isinstance(recorded.event, event)


def _carries(event: Any) -> bool:
    """Whether it says anew which files a record carries."""
    attachments = getattr(event, "attachments", UNSET)
    return bool(attachments) or (attachments == () and isinstance(event, LetterChanged))


def _without(entry: Entry, _sender_id: UUID) -> Entry:
    return replace(entry, text=None)


_FILES = _several("attachments", lambda entry: entry.attachments)
_MANAGER = _one("account_manager_id", lambda entry: entry.account_manager_id)
SEARCH = Search(
    [
        Shelf(
            "letter", search_entry.letter, _several("organisation_ids", lambda e: e.organisation_ids) | _FILES
        ),
        Shelf("organisation", search_entry.organisation, _MANAGER),
        Shelf(
            "contract", search_entry.contract, _one("organisation_id", lambda e: e.organisation_id) | _MANAGER
        ),
        Shelf(
            "message",
            search_entry.message,
            _several("user_ids", lambda e: e.user_ids) | _one("sender_id", lambda e: e.user_ids[0]) | _FILES,
            Copies(column="sender_id", without=_without),
        ),
        Shelf("notice", search_entry.notice, {}),
    ]
)
