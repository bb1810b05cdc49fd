"""One process that writes to the store as hard and as wrongly as it can, and tells honestly what it was answered."""

import asyncio
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from uuid import UUID, uuid5

from application.ports import Accepted, Attempt, Key, Reliance, Replayed
from domain.organisation.aggregate import ORGANISATION
from domain.organisation.events import Identifiers, Management, OrganisationAdded, OrganisationChanged
from domain.shared import SYSTEM, Actor, Metadata
from infrastructure.event_store import EventStore, EventTooLarge, new_id
from tests.store import open_store

CALLERS, COMMANDS = 24, 16
SHARED = [uuid5(SYSTEM, f"shared {n}") for n in range(6)]
"""Streams that every process changes."""
INNS = [f"{7_700_000_000 + n}" for n in range(40)]
KEYS = [sha256(b"%d" % n).digest() for n in range(30)]


@dataclass(frozen=True)
class Told:
    """One command: what was asked, and the answer. `request_id` stands in the metadata of whatever it stored."""

    request_id: str
    stream_id: UUID
    events: int
    answer: str
    version: int = 0
    position: int = 0
    key: bytes | None = None
    reads: tuple[tuple[UUID, int], ...] = ()


def contend(name: str, write_url: str, read_url: str) -> list[Told]:
    """Runs in a process of its own; returns once every command has its answer."""
    return asyncio.run(_contend(name, write_url, read_url))


async def _contend(name: str, write_url: str, read_url: str) -> list[Told]:
    told: list[Told] = []
    async with open_store(read_url, write_url=write_url) as (store, _):
        await asyncio.gather(
            *(_caller(store, Random(f"{name} {n}"), f"{name}-{n}", told) for n in range(CALLERS))
        )
    return told


async def _caller(store: EventStore, random: Random, name: str, told: list[Told]) -> None:
    for number in range(COMMANDS):
        attempt = await _attempt(store, random, f"{name}-{number}")
        try:
            verdict = await store.append(attempt)
        except EventTooLarge:
            verdict = None
        said = (verdict.version, verdict.position) if isinstance(verdict, Accepted) else (0, 0)
        key = None if attempt.key is None else attempt.key.digest
        answer = "TooLarge" if verdict is None else type(verdict).__name__
        told.append(
            Told(
                attempt.metadata.request_id,
                attempt.stream_id,
                len(attempt.events),
                answer,
                *said,
                key=key,
                reads=attempt.relies.reads,
            )
        )
        if isinstance(verdict, Replayed):
            kept = await store.kept(attempt.key)
            assert kept is not None
            assert kept.answer.position > 0


async def _attempt(store: EventStore, random: Random, request_id: str) -> Attempt:
    """A wish of some kind, many of them doomed."""
    stream, expected, relies, key = new_id(), 0, Reliance(), None
    added = OrganisationAdded(full_name=request_id, management=Management(name="Anna"))
    events: tuple = (added,)
    match random.choice(("claim", "change", "stale", "repeat", "large", "many", "relying", "plain")):
        case "claim":
            events = (
                OrganisationAdded(full_name=request_id, identifiers=Identifiers(inn=random.choice(INNS))),
            )
        case "change" | "stale" as kind:
            stream = random.choice(SHARED)
            loaded = await store.load(ORGANISATION, stream, fresh=kind == "change")
            expected = loaded.version
            inn = random.choice((None, random.choice(INNS)))
            events = (OrganisationChanged(identifiers=Identifiers(inn=inn)),) if expected else (added,)
        case "repeat":
            key = Key(digest=random.choice(KEYS), fingerprint=b"same")
        case "large":
            events = (added, OrganisationChanged(full_name="x" * 70_000))
        case "many":
            events = (added, *(OrganisationChanged(full_name=f"{request_id} {n}") for n in range(99)))
        case "relying":
            other = random.choice(SHARED)
            loaded = await store.load(ORGANISATION, other)
            relies = Reliance(
                reads=((other, loaded.version),),
                require_none=(("organisation.inn_kpp", f"{random.choice(INNS)}:"),),
            )
    metadata = Metadata(actor=Actor(kind="system", id=SYSTEM), request_id=request_id)
    return Attempt(
        stream_id=stream,
        expected=expected,
        events=events,
        metadata=metadata,
        key=key,
        status=201,
        relies=relies,
    )
