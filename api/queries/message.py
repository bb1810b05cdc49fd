"""GET of dialogs and messages: for the two who take part, and nobody else."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import Router, get
from msgspec import Struct, structs
from psycopg_pool import AsyncConnectionPool

from api import answers
from api.answers import Answer, Page
from api.auth import caller_of
from api.conditions import min_position
from api.lists import LIST_PARAMETERS, Lists, Wanted
from api.openapi import problems
from api.problems import NotFound
from api.queries.file import Viewer
from api.queries.past import Diff, History, MomentMalformed, Streams
from api.queries.records import Asked, AsOf, From, IfNoneMatch, MinPosition, Progress, Read, Records, To
from api.refs import Ref, id_of
from application.access import Caller
from domain.dialog.events import DialogRead
from domain.message.events import MessageSent
from domain.shared import Event, Recorded
from projections import dialog as dialogs
from projections.conditions import where
from projections.message import LISTING, MESSAGES, Message, covers, unread


class _Sides(Struct, frozen=True):
    sender_id: UUID
    recipient_id: UUID


class MessageSight:
    """Implements Sight: the two of the dialog see its messages whole."""

    def sees(self, caller: Caller, record: bytes) -> bool:
        sides = msgspec.json.decode(record, type=_Sides)
        return caller.actor.id in (sides.sender_id, sides.recipient_id)

    def hidden(self, caller: Caller, record_id: UUID) -> frozenset[str]:  # noqa: ARG002 - nothing, for nobody
        return frozenset()


def viewer(read_message: Read) -> Viewer:
    """The two of a dialog see what its messages bind."""

    async def views(caller: Caller, message_id: UUID) -> bool:
        found = await read_message(message_id)
        return bool(found.version) and MessageSight().sees(caller, found.view)

    return views


class WithReading:
    """Implements api.queries.past.Streams: a message's own past, and when its dialog was read as far as that."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    async def recorded(self, stream_id: UUID) -> Sequence[Recorded[Event]]:
        """What another stream says of it has no version of its own here: it stands with the version it found."""
        own = list(await self._streams.recorded(stream_id))
        sent = own[0].event if own else None
        if not isinstance(sent, MessageSent):
            return own
        for each in await self._streams.recorded(sent.dialog_id):
            if isinstance(each.event, DialogRead) and covers(each.event, sent, own[0].position):
                before = [one for one in own if one.position < each.position]
                found = structs.replace(each, version=before[-1].version)
                return [*before, found, *own[len(before) :]]
        return own


class OwnDialog(Struct, frozen=True, kw_only=True):
    """One of your dialogs, as you see it: with whom, what waits for you, what was said last."""

    id: UUID
    version: int
    created_at: datetime
    updated_at: datetime
    user_id: UUID
    title: str | None
    job_title: str | None
    department: str | None
    avatar_file_id: UUID | None
    unread_count: int
    last_message: dialogs.LastMessage | None


class UnreadCount(Struct, frozen=True, kw_only=True):
    total: int
    dialogs: dict[UUID, int]


def counting(
    pool: AsyncConnectionPool[Any],
) -> Callable[[Collection[UUID]], Awaitable[dict[UUID, UnreadCount]]]:
    """How many messages wait for each of these users."""

    async def count(user_ids: Collection[UUID]) -> dict[UUID, UnreadCount]:
        async with pool.connection() as connection:
            found = await unread(connection, user_ids)
        return {
            user_id: UnreadCount(total=sum(dialogs.values()), dialogs=dialogs)
            for user_id, dialogs in found.items()
        }

    return count


_dialog = msgspec.json.Decoder(dialogs.Dialog).decode


def routes(
    records: Records, read_dialog: Read, lists: Lists, pool: AsyncConnectionPool[Any], progress: Progress
) -> list[Router]:
    count = counting(pool)

    @get("/", dependencies=LIST_PARAMETERS)
    async def own_dialogs(
        request: Asked, wanted: Wanted, at_least: MinPosition = None
    ) -> Answer[Page[OwnDialog]]:
        """Your dialogs, the one with the last message first."""
        me = caller_of(request).actor.id
        if (position := min_position(at_least)) is not None:
            await progress.reached(MESSAGES.name, position)

        async def complete(rows: Sequence[bytes]) -> list[bytes]:
            found = [_dialog(row) for row in rows]
            async with pool.connection() as connection:
                people = await dialogs.companions(connection, {_other(each, me) for each in found})
                waiting = (await unread(connection, [me]))[me]
            return [
                msgspec.json.encode(_as_seen(each, me, people, waiting.get(each.id, 0))) for each in found
            ]

        listing = structs.replace(dialogs.LISTING, view=OwnDialog, complete=complete)
        scope = where("{column} @> %s", "user_ids", [str(me)])
        return await lists.page(request, listing, wanted, at_least=at_least, scope=scope)

    @get("/{ref:str}/messages", dependencies=LIST_PARAMETERS)
    async def messages(
        request: Asked, ref: Ref, wanted: Wanted, at_least: MinPosition = None
    ) -> Answer[Page[Message]]:
        """The messages of one of your dialogs, newest first."""
        position = min_position(at_least)
        if position is not None:
            await progress.reached(read_dialog.name, position)
        dialog_id = id_of(ref)
        found = await read_dialog(dialog_id)
        if not found.version or caller_of(request).actor.id not in _dialog(found.view).user_ids:
            raise NotFound
        scope = where("{column} = %s", "dialog_id", dialog_id)
        return await lists.page(request, LISTING, wanted, at_least=at_least, scope=scope)

    @get("/unread-count")
    async def unread_count(request: Asked, at_least: MinPosition = None) -> Answer[UnreadCount]:
        """What waits for you, in all and per dialog."""
        if (position := min_position(at_least)) is not None:
            await progress.reached(MESSAGES.name, position)
        me = caller_of(request).actor.id
        return answers.json_answer((await count([me]))[me])

    @get("/{ref:str}", responses=problems(MomentMalformed))
    async def message(
        request: Asked,
        ref: Ref,
        at_least: MinPosition = None,
        if_none_match: IfNoneMatch = None,
        as_of: AsOf = None,
    ) -> Answer[Message]:
        """One message, now or as of a moment."""
        return await records.one(
            request, id_of(ref), at_least=at_least, if_none_match=if_none_match, as_of=as_of
        )

    @get("/{ref:str}/history")
    async def message_history(request: Asked, ref: Ref, at_least: MinPosition = None) -> Answer[History]:
        """When it was sent and read."""
        return await records.history(request, id_of(ref), at_least=at_least)

    @get("/{ref:str}/diff", responses=problems(MomentMalformed))
    async def message_diff(
        request: Asked, ref: Ref, start: From, end: To, at_least: MinPosition = None
    ) -> Answer[Diff]:
        """What changed between two moments."""
        return await records.diff(request, id_of(ref), start, end, at_least=at_least)

    return [
        Router("/dialogs", route_handlers=[own_dialogs, messages]),
        Router("/messages", route_handlers=[unread_count, message, message_history, message_diff]),
    ]


def _other(dialog: dialogs.Dialog, me: UUID) -> UUID:
    first, second = dialog.user_ids
    return second if first == me else first


def _as_seen(
    dialog: dialogs.Dialog, me: UUID, people: dict[UUID, dialogs.Companion], unread_count: int
) -> OwnDialog:
    other = _other(dialog, me)
    person = people.get(other) or dialogs.Companion()
    return OwnDialog(
        id=dialog.id,
        version=dialog.version,
        created_at=dialog.created_at,
        updated_at=dialog.updated_at,
        user_id=other,
        title=person.display_name,
        job_title=person.job_title,
        department=person.department,
        avatar_file_id=person.avatar_file_id,
        unread_count=unread_count,
        last_message=dialog.last_message,
    )
