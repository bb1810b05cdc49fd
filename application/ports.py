"""What the application needs of the world: a store that judges appends, and to know who is calling."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from msgspec import Struct

from application.access import Caller
from domain.shared import Event, Metadata, Rules

S = TypeVar("S")
C = TypeVar("C")
E = TypeVar("E", bound=Event)


class Key(Struct, frozen=True, kw_only=True):
    """A client's Idempotency-Key: `digest` of principal, method, path and key; `fingerprint` of what was asked."""

    digest: bytes
    fingerprint: bytes


class Answer(Struct, frozen=True, kw_only=True):
    """What a command is answered with. `extra` is what only now is known: number, warnings."""

    id: UUID
    version: int
    position: int
    status: int
    extra: dict[str, Any] = {}
    replayed: bool = False


class KeptAnswer(Struct, frozen=True, kw_only=True):
    """An answer stored under a client's key, with the fingerprint it belongs to."""

    fingerprint: bytes
    answer: Answer


class Loaded(Struct, Generic[S], frozen=True, kw_only=True):
    """A stream folded: state, version, and the position of its last event. `fresh`: read just now, not from memory."""

    state: S
    version: int
    position: int
    fresh: bool


class Secrets(Struct, frozen=True, kw_only=True):
    """What is kept in the same transaction but never in an event."""

    password_hash: tuple[UUID, str] | None = None
    refresh_secret: bytes | None = None
    api_key_hash: tuple[str, str] | None = None


class Reliance(Struct, frozen=True, kw_only=True):
    """What a decision relied on outside its stream; append judges it again under the lock.

    reads: other streams' versions · require: (kind, value, owner) claims that must stand · require_none: (kind, value)
    that must not · keep_one: kinds of which another stream must still own one · vacant: departments nobody is in ·
    unheld: who or what no legal hold may be on.
    """

    reads: tuple[tuple[UUID, int], ...] = ()
    require: tuple[tuple[str, str, UUID], ...] = ()
    require_none: tuple[tuple[str, str], ...] = ()
    keep_one: tuple[str, ...] = ()
    vacant: tuple[UUID, ...] = ()
    unheld: tuple[UUID, ...] = ()


NOTHING_ELSE = Reliance()


class Attempt(Struct, frozen=True, kw_only=True):
    """One command's facts on their way into the log. `state_after` folds them, should they be accepted."""

    stream_id: UUID
    expected: int
    events: tuple[Event, ...]
    metadata: Metadata
    session: tuple[UUID, int] | None = None
    grant_id: UUID | None = None
    key: Key | None = None
    status: int = 200
    extra: dict[str, Any] = {}
    relies: Reliance = NOTHING_ELSE
    secrets: Secrets | None = None
    state_after: Callable[[], Any] | None = None


class Accepted(Struct, frozen=True, kw_only=True):
    version: int
    position: int


class Replayed(Struct, frozen=True):
    """The client's key has been seen: by now an answer is kept under it."""


class StaleAccess(Struct, frozen=True):
    """The session or the grant is not what the caller was judged by."""


class ClaimTaken(Struct, frozen=True, kw_only=True):
    kind: str
    owner: UUID


class VersionConflict(Struct, frozen=True):
    """The stream has moved on."""


class Moved(Struct, frozen=True):
    """Something else that was relied on has changed: decide again."""


class NoneLeft(Struct, frozen=True):
    """It would leave none of a kind of which one must stay."""


Verdict = Accepted | Replayed | StaleAccess | ClaimTaken | VersionConflict | Moved | NoneLeft


class EventStore(Protocol):
    async def load(self, rules: Rules[S, C, E], stream_id: UUID, *, fresh: bool = False) -> Loaded[S]: ...

    async def append(self, attempt: Attempt, *, rehearse: bool = False) -> Verdict:
        """`rehearse`: the verdict is the same, nothing stays. Raises EventTooLarge, SubjectErased, Unavailable."""
        ...

    async def kept(self, key: Key) -> KeptAnswer | None: ...


class Claims(Protocol):
    async def owner(self, kind: str, value: str, *, personal: bool = False) -> UUID | None:
        """Which stream owns the claim now; None: it is free."""
        ...

    async def owners(self, kind: str, prefix: str) -> Sequence[UUID]:
        """The streams that own a claim whose value begins so; `prefix` ends with a colon."""
        ...

    async def among(self, kind: str, prefix: str, end: str, most: int) -> Sequence[tuple[str, UUID]]:
        """Values that begin so and sort before `end`, with their streams: the last ones, at most so many."""
        ...

    async def last(self, kind: str, prefix: str) -> str | None:
        """The greatest claimed value that begins so, as of now; `prefix` ends with a colon."""
        ...


class Callers(Protocol):
    async def caller(self, caller: Caller) -> Caller:
        """The same caller as the guards know him now. Raises SessionEnded."""
        ...


Clock = Callable[[], datetime]
NewId = Callable[[], UUID]
