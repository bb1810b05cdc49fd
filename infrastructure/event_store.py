"""The event store as the application sees it: streams folded and remembered, appends judged under one lock."""

import time
from collections import OrderedDict, deque
from collections.abc import Collection
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from psycopg import AsyncConnection

from application import spans
from application.ports import (
    Accepted,
    Answer,
    Attempt,
    ClaimTaken,
    KeptAnswer,
    Key,
    Loaded,
    Moved,
    NoneLeft,
    Replayed,
    StaleAccess,
    Verdict,
    VersionConflict,
)
from domain.shared import Event, Rules
from infrastructure import append_call, fact_spans, guards, told_facts
from infrastructure.entropy import random_bytes
from infrastructure.event_codec import EventCodec
from infrastructure.event_log import EventLog
from infrastructure.guards import FORGOTTEN
from infrastructure.personal_data import SubjectErased, SubjectKey, Vault
from infrastructure.postgres import GroupRead
from infrastructure.writer import Writer
from projections.leaf import LEAF_LIMIT, leaf_bound

S = TypeVar("S")
C = TypeVar("C")
E = TypeVar("E", bound=Event)

REMEMBERED = 20_000
"""Streams whose folded state is kept."""


class EventTooLarge(Exception):
    """An event's audit leaf would exceed 60,000 bytes."""


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): sorts by time, unguessable enough for a name, never used for order."""
    milliseconds = time.time_ns() // 1_000_000
    number = milliseconds << 80 | int.from_bytes(random_bytes(10), "big")
    return UUID(int=number & ~(0xF000 << 64 | 0xC000 << 48) | 0x7000 << 64 | 0x8000 << 48)


class EventStore:
    """Implements application.ports.EventStore."""

    def __init__(
        self,
        log: EventLog,
        write: Writer,
        codec: EventCodec,
        vault: Vault,
        guard: guards.Guards,
        receipts: GroupRead[bytes, KeptAnswer],
    ) -> None:
        self._log, self._writer, self._codec, self._vault, self._guards = log, write, codec, vault, guard
        self._receipts = receipts
        self._doubted: deque[UUID] = deque(maxlen=1000)
        # bounded: by REMEMBERED streams, the one unused for longest goes
        self._remembered: OrderedDict[UUID, tuple[str, Any, int, int]] = OrderedDict()

    async def load(self, rules: Rules[S, C, E], stream_id: UUID, *, fresh: bool = False) -> Loaded[S]:
        """The stream of another noun is as unknown as none: ids come from callers."""
        noun = rules.noun
        nothing: tuple[str, Any, int, int] = (noun, rules.initial, 0, 0)
        of, known, version, position = self._remembered.get(stream_id) or nothing
        state: S = known
        if of != noun:
            return Loaded(state=rules.initial, version=0, position=0, fresh=True)
        if version and not fresh:
            self._remembered.move_to_end(stream_id)
            return Loaded(state=state, version=version, position=position, fresh=False)
        stored = await self._log.stream(stream_id, after=version)
        if stored and stored[0].topic.partition(".")[0] != noun:
            return Loaded(state=rules.initial, version=0, position=0, fresh=True)
        for recorded in await self._log.open(stored):
            state = rules.evolve(state, recorded.event)  # type: ignore[arg-type]  # one of the noun's, as its topic says
            version, position = recorded.version, recorded.position
        if version:
            self._remember(noun, stream_id, state, version, position)
        return Loaded(state=state, version=version, position=position, fresh=True)

    async def kept(self, key: Key) -> KeptAnswer | None:
        return await self._receipts(key.digest)

    async def append(self, attempt: Attempt, *, rehearse: bool = False) -> Verdict:
        with spans.part("append", "client") as span:
            verdict = await self._judged(attempt, rehearse=rehearse)
            if span is not None:
                span.attributes["chancery.verdict"] = type(verdict).__name__
            return verdict

    async def _judged(self, attempt: Attempt, *, rehearse: bool) -> Verdict:
        with spans.part("seal"):
            item = await self._item(attempt)
        judged = await (self._writer.rehearse(item) if rehearse else self._writer.append(item))
        match judged.verdict:
            case append_call.ACCEPTED if rehearse:
                return Accepted(version=attempt.expected + len(attempt.events), position=judged.position)
            case append_call.ACCEPTED:
                for subject, wrapped in item.subjects:
                    if wrapped is not None:
                        self._vault.stored(subject, wrapped)
                if any(name == FORGOTTEN for name, _ in item.rows):
                    self.forget_keys([attempt.stream_id])
                    self.forget_states()
                self._advance(attempt, judged.position)
                told_facts.tell(attempt, judged.position)
                fact_spans.written(attempt.metadata, attempt.events, item.event_ids, judged.position)
                return Accepted(version=attempt.expected + len(attempt.events), position=judged.position)
            case append_call.KEY_SEEN:
                return Replayed()
            case append_call.STALE_ACCESS:
                return StaleAccess()
            case append_call.CLAIM_TAKEN:
                assert judged.detail is not None
                return ClaimTaken(kind=judged.detail["kind"], owner=UUID(judged.detail["owner"]))
            case append_call.CONFLICT:
                return VersionConflict()
            case append_call.MOVED:
                for subject, _ in item.subjects:
                    self._vault.forget(subject)
                if attempt.expected == 0:
                    self._doubted.append(attempt.stream_id)
                return Moved()
            case append_call.NONE_LEFT:
                return NoneLeft()
            case append_call.ERASED:
                for subject, _ in item.subjects:
                    self._vault.forget(subject)
                raise SubjectErased(str(attempt.stream_id))
            case unknown:
                raise AssertionError(f"append answered {unknown}")

    def forget(self, stream_id: UUID) -> None:
        """Drops what is remembered of a stream."""
        self._remembered.pop(stream_id, None)

    def forget_keys(self, subjects: Collection[UUID]) -> None:
        for subject in subjects:
            self._vault.forget(subject)

    def forget_states(self) -> None:
        """Drops all that is remembered: any stream may tell of a person."""
        self._remembered.clear()

    def _advance(self, attempt: Attempt, position: int) -> None:
        """The next command on this stream loads nothing: what is remembered moves on with what was just accepted."""
        known = self._remembered.get(attempt.stream_id)
        if attempt.events and known is not None and attempt.state_after is not None:
            version = attempt.expected + len(attempt.events)
            self._remember(known[0], attempt.stream_id, attempt.state_after(), version, position)

    def _remember(self, noun: str, stream_id: UUID, state: Any, version: int, position: int) -> None:
        self._remembered[stream_id] = (noun, state, version, position)
        self._remembered.move_to_end(stream_id)
        if len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)

    def _unseen(self, attempt: Attempt) -> UUID | None:
        """A new stream's first try; once append has said that something moved, its key is looked up, too."""
        return attempt.stream_id if attempt.expected == 0 and attempt.stream_id not in self._doubted else None

    async def _item(self, attempt: Attempt) -> append_call.Item:
        stream_id, events, metadata = attempt.stream_id, attempt.events, attempt.metadata
        subjects = {s for event in events if (s := self._codec.subject(event, stream_id)) is not None}
        if metadata.origin is not None and events:
            subjects.add(metadata.actor.id)
        keys = await self._vault.to_seal(subjects, unseen=self._unseen(attempt)) if subjects else {}
        versions = range(attempt.expected + 1, attempt.expected + len(events) + 1)
        states = [self._codec.encode(e, stream_id, v, keys) for e, v in zip(events, versions, strict=True)]
        metas = [self._codec.encode_metadata(metadata, stream_id, v, keys) for v in versions]
        for event, state, meta in zip(events, states, metas, strict=True):
            if leaf_bound(event.TOPIC, len(meta), len(state)) > LEAF_LIMIT:
                raise EventTooLarge(event.TOPIC)
        changes = self._guards.changes(stream_id, events, first=attempt.expected == 0)
        key = attempt.key
        relies = attempt.relies
        return append_call.Item(
            stream_id=stream_id,
            expected=attempt.expected,
            actor_id=metadata.actor.id,
            event_ids=[new_id() for _ in events],
            topics=[event.TOPIC for event in events],
            states=states,
            metas=metas,
            session=attempt.session,
            grant_id=attempt.grant_id,
            key=None
            if key is None
            else (key.digest, key.fingerprint, attempt.status, msgspec.json.encode(attempt.extra)),
            claims=changes.claims,
            rows=(*changes.rows, *_secrets(attempt)),
            conditions=_conditions(attempt),
            subjects=[(s, k.fresh) for s, k in keys.items()],
            writes=frozenset(
                [
                    *(stream_id, *changes.claims, *relies.keep_one, *relies.unheld),
                    *((key.digest,) if key else ()),
                    *_fresh(keys),
                ]
            ),
            reads=frozenset(
                [
                    *(s for s, _ in relies.reads),
                    *((k, v) for k, v, *_ in (*relies.require, *relies.require_none)),
                    *_others(attempt, changes),
                ]
            ),
        )


def _others(attempt: Attempt, changes: guards.Changes) -> list[UUID]:
    """Streams that, changed in the same batch, would take away what this command stands on: its session and that one's
    user, its grant, the owner of a claim it requires, the user whose session it opens."""
    stands_on = [owner for _, _, owner in attempt.relies.require]
    stands_on += [UUID(row["user_id"]) for name, row in changes.rows if name == "opened"]
    stands_on += [] if attempt.session is None else [attempt.session[0], attempt.metadata.actor.id]
    return stands_on if attempt.grant_id is None else [*stands_on, attempt.grant_id]


def _fresh(keys: dict[UUID, SubjectKey]) -> list[tuple[str, UUID]]:
    """Two commands that would both store a subject's first key must not share a batch: one may be refused."""
    return [("key", subject) for subject, key in keys.items() if key.fresh is not None]


def _secrets(attempt: Attempt) -> list[append_call.Row]:
    if attempt.secrets is None:
        return []
    rows = []
    if attempt.secrets.password_hash is not None:
        rows.append(guards.credential(*attempt.secrets.password_hash))
    if attempt.secrets.refresh_secret is not None:
        rows.append(guards.refresh(attempt.secrets.refresh_secret))
    if attempt.secrets.api_key_hash is not None:
        rows.append(guards.api_key(*attempt.secrets.api_key_hash))
    return rows


def _conditions(attempt: Attempt) -> list[append_call.Row]:
    relies = attempt.relies
    return [
        *(("reads", {"stream": str(s), "version": v}) for s, v in relies.reads),
        *(("require", {"kind": k, "value": v, "owner": str(o)}) for k, v, o in relies.require),
        *(("require_none", {"kind": k, "value": v}) for k, v in relies.require_none),
        *(("keep_one", {"kind": k}) for k in relies.keep_one),
        *(("vacant", {"department": str(d)}) for d in relies.vacant),
        *(("unheld", {"subject": str(s)}) for s in relies.unheld),
    ]


async def read_receipts(connection: AsyncConnection[Any], keys: list[bytes]) -> dict[bytes, KeptAnswer]:
    rows = await connection.execute(
        "select key, fingerprint, stream_id, version, position, status, extra from receipts where key = any(%s)",
        (keys,),
        prepare=True,
    )
    return {
        key: KeptAnswer(
            fingerprint=fingerprint,
            answer=Answer(
                id=stream, version=version, position=position, status=status, extra=msgspec.json.decode(extra)
            ),
        )
        for key, fingerprint, stream, version, position, status, extra in await rows.fetchall()
    }
