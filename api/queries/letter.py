"""GET of letters: one with its answers, the lists of both registers, what happened to one."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Router, get
from psycopg_pool import AsyncConnectionPool

from api import answers
from api.answers import Answer, Page
from api.auth import caller_of
from api.conditions import min_position
from api.lists import LIST_PARAMETERS, Lists, Wanted
from api.problems import NotFound
from api.queries.file import Viewer
from api.queries.past import History
from api.queries.records import Asked, Clock, IfNoneMatch, MinPosition, Progress, Read, Records
from api.refs import Ref, Refs
from application.access import Caller, Resource, may
from infrastructure.audience import visible
from projections.letter import Letter, Reply, listing, replies

VIEW = "letter:view"
_letter = msgspec.json.Decoder(Letter)


class LetterView(Letter, frozen=True, kw_only=True):
    """One letter with its `answers`: those that you may view, oldest first, 100 at most."""

    answers: tuple[Reply, ...] = ()


class _Scope(msgspec.Struct, frozen=True):
    organisation_ids: tuple[UUID, ...]


_scope = msgspec.json.Decoder(_Scope)


class LetterSight:
    """Implements Sight."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def sees(self, caller: Caller, record: bytes) -> bool:
        places = _scope.decode(record).organisation_ids
        about = Resource(scopes=frozenset(("organisation", str(each)) for each in places))
        return may(caller, VIEW, about, self._clock()) is not None

    def hidden(self, caller: Caller, record_id: UUID) -> frozenset[str]:  # noqa: ARG002 - the same for all
        return frozenset()


def viewer(read_letter: Read, clock: Clock) -> Viewer:
    """Who may view a letter sees what is enclosed, and what ever was."""
    sight = LetterSight(clock)

    async def views(caller: Caller, letter_id: UUID) -> bool:
        found = await read_letter(letter_id)
        return bool(found.version) and sight.sees(caller, found.view)

    return views


def routes(
    records: Records,
    read: Read,
    lists: Lists,
    pool: AsyncConnectionPool[Any],
    progress: Progress,
    refs: Refs,
    time_zone: str,
    clock: Clock,
) -> Router:
    sight, register = LetterSight(clock), listing(time_zone)

    @get("/", dependencies=LIST_PARAMETERS)
    async def letters(request: Asked, wanted: Wanted, at_least: MinPosition = None) -> Answer[Page[Letter]]:
        """The letters you may view, newest first, withdrawn ones, too; `overdue=true`, `unnumbered=true`."""
        scope = visible(caller_of(request), register, clock())
        return await lists.page(request, register, wanted, at_least=at_least, scope=scope)

    @get("/{ref:str}")
    async def letter(
        request: Asked, ref: Ref, at_least: MinPosition = None, if_none_match: IfNoneMatch = None
    ) -> Answer[LetterView]:
        """One letter with the letters that answer it."""
        letter_id, caller = await refs.numbered("letter", ref), caller_of(request)
        if (position := min_position(at_least)) is not None:
            await progress.reached(read.name, position)
        found = await read(letter_id)
        if not found.version or not sight.sees(caller, found.view):
            raise NotFound
        async with pool.connection() as connection:
            answering = await replies(connection, letter_id, visible(caller, register, clock()))
        one = msgspec.convert(_letter.decode(found.view), LetterView, from_attributes=True)
        body = msgspec.json.encode(msgspec.structs.replace(one, answers=answering), order="deterministic")
        return answers.record(body, found.version, found.position, if_none_match)

    @get("/{ref:str}/history")
    async def letter_history(request: Asked, ref: Ref, at_least: MinPosition = None) -> Answer[History]:
        """Who registered, corrected, signed and withdrew it, from where to where, and why."""
        return await records.history(request, await refs.numbered("letter", ref), at_least=at_least)

    return Router("/letters", route_handlers=[letters, letter, letter_history])
