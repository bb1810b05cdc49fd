"""The guard tables as the log alone would have them: the events once more through the same functions, in memory."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, assert_never
from uuid import UUID

from msgspec import UNSET

from domain.shared import (
    Claim,
    ClaimAdded,
    Client,
    Event,
    Forgotten,
    Guard,
    Principal,
    Recorded,
    Responsible,
    RightGone,
    RightHeld,
    SessionEnded,
    SessionOpened,
    SessionProved,
    SessionsEnded,
)
from infrastructure.guards import Guards

Key = tuple[Any, ...]
NEVER_PROVED, NEVER = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
"""An API client's session: as if its password had been proved then, and its end where it has none."""


class Owned(NamedTuple):
    owner: UUID


class Acting(NamedTuple):
    role: str | None = None
    state: str | None = None
    department_id: UUID | None = None
    must_change_password: bool | None = None


class Live(NamedTuple):
    """`access_version` is no part of it: it counts changes, and compares with nothing but itself."""

    user_id: UUID
    proved_at: datetime
    expires_at: datetime
    ended: bool = False


class Held(NamedTuple):
    subject_kind: str
    subject_id: UUID
    scope_type: str
    scope_id: str
    module: str
    action: str
    grantable: bool
    not_before: datetime | None
    expires_at: datetime | None


class Answering(NamedTuple):
    user_id: UUID


class Asking(NamedTuple):
    client_key: str
    kind: str
    allowed_origins: list[str]
    allowed_ips: list[str]
    allowed_paths: list[str]
    rate_limit_per_min: int | None
    expires_at: datetime | None
    key_ids: list[str]
    keys_retire_at: list[datetime | None]


TABLES: Mapping[str, tuple[tuple[str, ...], type[Any]]] = {
    "claims": (("kind", "value"), Owned),
    "principals": (("user_id",), Acting),
    "sessions": (("session_id",), Live),
    "rights": (("grant_id",), Held),
    "responsibles": (("record_id",), Answering),
    "clients": (("client_id",), Asking),
}
"""Guard table to its key columns and the row type whose fields are the other columns."""


class Replay:  # bounded: one check of the guards, by one process at a time
    """Feed it every event in position order; then each table is a dict of key to row."""

    def __init__(self, guards: Guards) -> None:
        self._guards = guards
        self.position = 0
        self.claims: dict[Key, Owned] = {}
        self.principals: dict[Key, Acting] = {}
        self.sessions: dict[Key, Live] = {}
        self.rights: dict[Key, Held] = {}
        self.responsibles: dict[Key, Answering] = {}
        self.clients: dict[Key, Asking] = {}
        self.forgotten: set[UUID] = set()
        self._claimed: dict[tuple[UUID, str], set[str]] = {}
        self._sessions_of: dict[UUID, set[UUID]] = {}

    def table(self, name: str) -> dict[Key, Any]:
        rows: dict[Key, Any] = getattr(self, name)
        return rows

    def apply(self, recorded: Recorded[Event]) -> None:
        for guard in self._guards.of(recorded.stream_id, recorded.event):
            self._apply(recorded.stream_id, guard)
        self.position = recorded.position

    def _apply(self, stream: UUID, guard: Guard) -> None:
        match guard:
            case Claim():
                self._claim(stream, guard.kind, {self._guards.value(guard, v) for v in guard.values})
            case ClaimAdded():
                self._claim(
                    stream, guard.kind, self._claimed.get((stream, guard.kind), set()) | {guard.value}
                )
            case Principal():
                before = self.principals.get((stream,), Acting())
                given: dict[str, Any] = {name: getattr(guard, name) for name in Acting._fields}
                changes = {name: value for name, value in given.items() if value is not UNSET}
                self.principals[stream,] = before._replace(**changes)
            case SessionOpened():
                self.sessions[stream,] = Live(guard.user_id, guard.proved_at, guard.expires_at)
                self._sessions_of.setdefault(guard.user_id, set()).add(stream)
            case SessionProved():
                if (session := self.sessions.get((stream,))) is not None:
                    self.sessions[stream,] = session._replace(proved_at=guard.proved_at)
            case SessionEnded():
                if (session := self.sessions.get((stream,))) is not None:
                    self._end(session.user_id, {stream})
            case SessionsEnded():
                live = self._sessions_of.setdefault(stream, set())
                self._end(stream, live - {guard.keep})
            case RightHeld():
                self.rights[stream,] = Held(*(getattr(guard, name) for name in Held._fields))
            case RightGone():
                self.rights.pop((stream,), None)
            case Responsible():
                self.responsibles.pop((stream,), None)
                if guard.user_id is not None:
                    self.responsibles[stream,] = Answering(guard.user_id)
            case Client():
                self._client(stream, guard)
            case Forgotten():
                self.forgotten.add(stream)
            case _:
                assert_never(guard)

    def _client(self, stream: UUID, guard: Client) -> None:
        """Its terms, and the session that stands as long as they do."""
        known = self.clients.get((stream,))
        terms: dict[str, Any] = {} if known is None else known._asdict()
        given: dict[str, Any] = {name: getattr(guard, name) for name in Asking._fields}
        terms |= {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in given.items()
            if value is not UNSET
        }
        self.clients[stream,] = Asking(**terms)
        self.sessions[stream,] = Live(stream, NEVER_PROVED, terms["expires_at"] or NEVER)
        self._sessions_of.setdefault(stream, set()).add(stream)

    def _claim(self, stream: UUID, kind: str, values: set[str]) -> None:
        mine = self._claimed.setdefault((stream, kind), set())
        for value in mine - values:
            del self.claims[kind, value]
        for value in values - mine:
            owner = self.claims.setdefault((kind, value), Owned(stream)).owner
            if owner != stream:
                raise ClaimedTwice(f"{kind} {value}: {owner} has it, and {stream} took it too")
        self._claimed[stream, kind] = values

    def _end(self, user_id: UUID, sessions: set[UUID]) -> None:
        for session_id in sessions:
            self.sessions[session_id,] = self.sessions[session_id,]._replace(ended=True)
        self._sessions_of[user_id] -= sessions


class ClaimedTwice(Exception):
    """The log has two owners of one claim at one time: append never accepts that, so somebody else wrote."""
