"""Questions about rights, answered: could they, who can, and what that stands on."""

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, cast
from uuid import UUID

from msgspec import Struct

from application.access import Resource
from application.decision import (
    Decision,
    Evidence,
    Known,
    Wish,
    candidates,
    evidence,
    judged,
    nearest,
    roles_with,
    scopes_of,
)
from application.evaluated import RECORDS, resource_of, view_of
from domain.contract.guards import OCCASION
from domain.contract.occasion import tells_of
from domain.grant.events import GrantEvent
from domain.shared import Actor, Event, Recorded, Rules

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Moment(Struct, frozen=True, kw_only=True):
    """A place in the log, and the instant that its clock is at."""

    position: int
    at: datetime


class Thing(Struct, frozen=True, kw_only=True):
    """What is asked about: a record of ours, or a scope. `scopes`: others that it lies in, of a record elsewhere."""

    type: str
    id: str
    scopes: tuple[tuple[str, str], ...] = ()


class Given(Struct, frozen=True, kw_only=True):
    """A role: who gave it, when, and by which event."""

    name: str
    given_by: Actor
    given_at: datetime
    position: int
    event_id: UUID


class Found(Struct, frozen=True, kw_only=True):
    """A decision and what it stands on. `traces`: every grant there ever was by which it could have been otherwise."""

    subject: UUID
    known: Known
    wish: Wish
    decision: Decision
    traces: Mapping[UUID, Evidence] = {}
    miss: Evidence | None = None
    role: Given | None = None


class Source(Protocol):
    """The guards as they are, and the log."""

    async def standing(self, subject: UUID) -> Known:
        """As of now, by the database's clock."""
        ...

    async def events(
        self, streams: Collection[UUID], up_to: int | None
    ) -> Mapping[UUID, Sequence[Recorded[Event]]]:
        """Each stream up to a position, personal fields closed."""
        ...

    def known(
        self, subject: Sequence[Recorded[Event]], grants: Mapping[UUID, Sequence[Recorded[Event]]], at: Moment
    ) -> Known:
        """Who he was, and what he held, as these events left it."""
        ...

    def role(self, subject: Sequence[Recorded[Event]]) -> Given | None:
        """His role as they left it."""
        ...

    async def holders(
        self, wanted: "Wanted", at: Moment | None, after: UUID | None, limit: int
    ) -> Sequence[UUID]:
        """Whoever holds one of the scopes, is of one of the roles or was so once, in the order of ids."""
        ...


class Owners(Protocol):
    """Whose a custom id is."""

    async def owner(self, kind: str, value: str) -> UUID | None:
        """Which stream owns the claim; None: nobody."""
        ...


class Wanted(Struct, frozen=True, kw_only=True):
    """Whom to look for: holders of a right in any of these scopes, and people of these roles."""

    kind: str
    right: str
    scopes: Sequence[tuple[str, str]]
    roles: Sequence[str]


class Evaluations:
    def __init__(self, source: Source, claims: Owners) -> None:
        self._source, self._claims = source, claims

    async def decide(
        self,
        kind: str,
        subject: UUID | None,
        right: str,
        thing: Thing,
        at: Moment | None,
        *,
        proved_at: datetime | None = None,
        explain: bool = False,
    ) -> Found:
        """`subject` None, or one of another kind: nobody. `at` None: now."""
        wish = await self._wish(right, thing, at, proved_at)
        known = (await self._known([subject or UUID(int=0)], wish, at))[0]
        return await self._judged(kind, subject or UUID(int=0), known, wish, at, explain=explain)

    async def who_can(
        self, kind: str, right: str, thing: Thing, at: Moment | None, *, after: UUID | None, limit: int
    ) -> tuple[list[Found], UUID | None]:
        """Those who may, in the order of their ids, none twice, none left out; and after whom a page follows."""
        wish = await self._wish(right, thing, at, None)
        if wish.resource is None:
            return [], None
        wanted = Wanted(
            kind=kind,
            right=right,
            scopes=scopes_of(wish.resource),
            roles=roles_with([right]) if kind == "user" else (),
        )
        found: list[Found] = []
        while True:
            batch = await self._source.holders(wanted, at, after, limit + 1)
            for subject, known in zip(batch, await self._known(batch, wish, at), strict=True):
                decision = judged(subject, known, wish)
                if decision.allowed and known.kind == kind:
                    found.append(Found(subject=subject, known=known, wish=wish, decision=decision))
            if len(found) > limit:
                return found[:limit], found[limit - 1].subject
            if len(batch) <= limit:
                return found, None
            after = batch[-1]

    async def _known(self, subjects: Sequence[UUID], wish: Wish, at: Moment | None) -> list[Known]:
        if at is None:
            return await asyncio.gather(*map(self._source.standing, subjects))
        streams = await self._source.events(subjects, at.position)
        people = [self._source.known(streams.get(each, ()), {}, at) for each in subjects]
        wanted = [
            candidates(subject, known, wish.needed, wish.resource)
            for subject, known in zip(subjects, people, strict=True)
        ]
        grants = await self._source.events({each for one in wanted for each in one}, at.position)
        return [
            self._source.known(streams.get(subject, ()), {each: grants.get(each, ()) for each in rights}, at)
            for subject, rights in zip(subjects, wanted, strict=True)
        ]

    async def _judged(
        self, kind: str, subject: UUID, known: Known, wish: Wish, at: Moment | None, *, explain: bool
    ) -> Found:
        if known.kind != kind:
            nobody = Known(position=known.position, at=known.at)
            return Found(subject=subject, known=nobody, wish=wish, decision=judged(subject, nobody, wish))
        decision = judged(subject, known, wish)
        found = Found(subject=subject, known=known, wish=wish, decision=decision)
        if not explain and (decision.missing is None):
            return found
        rights = candidates(subject, known, wish.needed, wish.resource)
        events = await self._source.events([subject, *rights], None if at is None else at.position)
        traces = {
            grant_id: trace
            for grant_id, right in rights.items()
            if (
                trace := evidence(
                    right, cast(Sequence[Recorded[GrantEvent]], events.get(grant_id, ())), known.at
                )
            )
        }
        miss: Evidence | None = None
        if decision.missing is not None:
            reason, miss = nearest(subject, known, wish, decision.missing, traces)
            decision = Decision(allowed=False, reason=reason, missing=decision.missing)
        return Found(
            subject=subject,
            known=known,
            wish=wish,
            decision=decision,
            traces=traces,
            miss=miss,
            role=self._source.role(events.get(subject, ())),
        )

    async def _wish(self, right: str, thing: Thing, at: Moment | None, proved_at: datetime | None) -> Wish:
        rules = RECORDS.get(thing.type)
        if rules is None:
            place = Resource(scopes=frozenset({(thing.type, thing.id), *thing.scopes}))
            return Wish(right=right, resource=place, proved_at=proved_at)
        record_id = await self._id(thing)
        events = () if record_id is None else await self._past(thing.type, record_id, rules, at)
        resource_ = resource_of(thing.type, record_id, rules, events) if record_id and events else None
        return Wish(right=right, resource=resource_, view=view_of(right, thing.type), proved_at=proved_at)

    async def _id(self, thing: Thing) -> UUID | None:
        if _UUID.fullmatch(thing.id):
            return UUID(thing.id)
        return await self._claims.owner(f"{thing.type}.custom_id", thing.id.lower())

    async def _past(
        self, record: str, record_id: UUID, rules: Rules[Any, Any, Any], at: Moment | None
    ) -> Sequence[Recorded[Event]]:
        """What happened where the record stands; of another noun's record, or before it was there, nothing."""
        stream_id = record_id if record != "occasion" else await self._claims.owner(OCCASION, str(record_id))
        if stream_id is None:
            return ()
        streams = await self._source.events([stream_id], None if at is None else at.position)
        events = streams.get(stream_id, ())
        if stream_id != record_id and not any(tells_of(record_id, each.event) for each in events):
            return ()
        return events if events and events[0].topic.partition(".")[0] == rules.noun else ()
