"""Turns facts into what follows from them: commands under the event's own key, and operations."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, assert_never

import structlog
from msgspec import structs
from psycopg import AsyncConnection

from application.access import system
from application.context import Context
from application.contract import Contracts
from application.letter_brought import Brought, BroughtLetters
from application.message import Dialogs
from application.ports import Key
from application.reactions import Ask, Effect, Notify, Reassign, Tell, reactions
from domain.shared import Event, Recorded, Stored
from infrastructure import fact_spans
from infrastructure.event_log import EventLog
from infrastructure.logging import caused_by
from infrastructure.operations import ask
from infrastructure.postgres import REACTOR
from infrastructure.role import UNREACHABLE, hold
from workers.epoch import EpochMismatch
from workers.failure import told
from workers.feed import Feed

BATCH = 200
LONGEST_PAUSE = 60.0
NAME = "reactor"
REMEMBERED = 10_000
"""Mails that were asked for lately."""
STALE = timedelta(days=1)
"""What happened so long ago is told by no mail: a reactor that comes late, or begins anew, is not to flood anybody."""
PLACE = "work"
"""It keeps its checkpoint among those of the projections, in a place that no read model is in."""

log = structlog.get_logger()


class Reactor:
    """One at a time does it. What it does is idempotent, so that a crash before the checkpoint costs nothing."""

    def __init__(
        self,
        events: EventLog,
        feed: Feed,
        dialogs: Dialogs,
        contracts: Contracts,
        brought_letters: BroughtLetters,
        *,
        mail: bool = False,
    ) -> None:
        """`mail`: there is a server that takes it; without one none is queued."""
        self._events, self._feed = events, feed
        self._dialogs, self._contracts, self._brought_letters = dialogs, contracts, brought_letters
        self._reactions = reactions(mail=mail)
        # bounded: by REMEMBERED occasions, the oldest goes
        self._asked: dict[str, None] = {}
        self._nouns = {_noun(each.when.TOPIC) for each in self._reactions}

    async def run(self, url: str) -> None:
        async with self._feed:
            await hold(url, NAME, REACTOR, self._work)

    async def _work(self, connection: AsyncConnection[Any]) -> None:
        position = await begin(connection)
        if position > (head := await self._events.head()):
            raise EpochMismatch(f"the reactor stands at {position}, the store at {head}")
        while True:
            stored = await self._feed.after(position, BATCH)
            for recorded in await self._events.open(self._mine(stored)):
                await self._until_done(connection, recorded)
            position = stored[-1].position
            await connection.execute(
                "update projections set position = %s, count = count + %s, failure = null, failed_at = null,"
                " updated_at = clock_timestamp() where name = %s and place = %s",
                (position, len(stored), NAME, PLACE),
            )

    def _mine(self, stored: Sequence[Stored]) -> list[Stored]:
        return [each for each in stored if _noun(each.topic) in self._nouns]

    async def _until_done(self, connection: AsyncConnection[Any], recorded: Recorded[Event]) -> None:
        """Tries for ever, with growing pauses, and says so: nothing is skipped."""
        pause = 1.0
        while True:
            try:
                with caused_by(recorded.metadata.request_id):
                    return await self.react(connection, recorded)
            except UNREACHABLE:
                raise
            except Exception as error:
                failure = f"event {recorded.event_id} at position {recorded.position}: {told(error)}"
                request = recorded.metadata.request_id
                log.exception("reactor.stopped", failure=failure, request_id=request)
                await connection.execute(
                    "update projections set failure = %s, failed_at = coalesce(failed_at, clock_timestamp())"
                    " where name = %s and place = %s",
                    (failure, NAME, PLACE),
                )
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def react(self, connection: AsyncConnection[Any], recorded: Recorded[Event]) -> None:
        """All that follows from one event; a second time it changes nothing."""
        for reaction in self._reactions:
            if isinstance(recorded.event, reaction.when):
                with fact_spans.following(recorded, f"react {reaction.name}"):
                    for number, effect in enumerate(reaction.then(recorded)):
                        occasion = f"{reaction.name} {number} {recorded.event_id}"
                        await self._effect(connection, occasion, recorded, effect)

    async def _effect(
        self, connection: AsyncConnection[Any], occasion: str, recorded: Recorded[Event], effect: Effect
    ) -> None:
        context = Context(caller=system(), request_id=recorded.metadata.request_id, cause=recorded.event_id)
        match effect:
            case Tell():
                digest = sha256(occasion.encode()).digest()
                keyed = structs.replace(context, key=Key(digest=digest, fingerprint=digest))
                await self._dialogs.tell(effect.user_id, effect.text, keyed)
            case Reassign():
                await self._contracts.reassign(effect.party_id, context)
            case Brought():
                await self._brought_letters.register(effect, context)
            case Ask():
                await ask(connection, effect.kind, effect.about, occasion=occasion)
            case Notify():
                if recorded.recorded_at > datetime.now(UTC) - STALE:
                    await self._notify(connection, occasion, effect)
            case _:
                assert_never(effect)

    async def _notify(self, connection: AsyncConnection[Any], occasion: str, mail: Notify) -> None:
        """What many events ask for is a row once, and mostly not even a question to the database."""
        if mail.once is not None:
            occasion = f"{mail.notice} {mail.user_id} {mail.once}"
        if occasion in self._asked:
            return
        about = {"user_id": str(mail.user_id), "notice": mail.notice, **mail.about}
        await ask(connection, "mail.send", about, occasion=occasion, after=mail.after)
        self._asked[occasion] = None
        if len(self._asked) > REMEMBERED:
            del self._asked[next(iter(self._asked))]


def _noun(topic: str) -> str:
    return topic.partition(".")[0]


async def begin(connection: AsyncConnection[Any]) -> int:
    """The position after which to go on; a new log is followed from its beginning."""
    await connection.execute(
        "insert into projections (name, place, version) values (%s, %s, 1) on conflict do nothing",
        (NAME, PLACE),
    )
    cursor = await connection.execute(
        "select position from projections where name = %s and place = %s", (NAME, PLACE)
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])
