"""What every noun is made of: commands ask, events state, rules judge, and the store adds its envelope."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from keyword import iskeyword
from typing import Annotated, Any, ClassVar, Generic, TypeVar
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

T = TypeVar("T")
S = TypeVar("S")
C = TypeVar("C")
E = TypeVar("E", bound="Event")

SYSTEM = UUID(int=0)
"""The actor of what Chancery does by itself: bootstrap, reactions, sweepers."""


def noun_of(folder: str) -> str:
    """The noun that a folder under `domain/` is named for; a word that Python reserves stands there in the plural."""
    singular = folder.removesuffix("s")
    return singular if iskeyword(singular) else folder


class _Personal:
    """The mark of a personal field; the codec looks for it in annotations."""


PERSONAL = _Personal()
Personal = Annotated[T | None, PERSONAL]
"""A field sealed under its subject's own key wherever it is stored. None: never given, or erased."""


class Event(Struct, frozen=True, kw_only=True):
    """A fact. Its stored name is TOPIC, `<noun>.<participle>.v<n>`, and never changes; where the class stands may.

    SUBJECT names the field that holds the id of the person whose personal fields these are; None: the stream itself.
    """

    TOPIC: ClassVar[str]
    SUBJECT: ClassVar[str | None] = None


class Command(Struct, frozen=True, kw_only=True):
    """A wish. One that judges time carries `now`: the only clock a decision may read."""


class Kind(Enum):
    """How a refusal is meant; api/errors.py alone turns it into a status code."""

    MISSING = "missing"
    FORBIDDEN = "forbidden"
    CONFLICT = "conflict"
    INVALID = "invalid"
    HELD = "held"
    WRONG_REFERENCE = "wrong_reference"
    TOO_LARGE = "too_large"
    UNSUPPORTED = "unsupported"


class FieldError(Struct, frozen=True, kw_only=True):
    """One wrong field: an RFC 6901 pointer into the body, a stable code, and a sentence for people."""

    pointer: str
    code: str
    detail: str


class Warning(FieldError, frozen=True, kw_only=True):
    """Something accepted that a person should look at; same shape as an error."""


class DomainError(Exception):
    """A rule that says no. `code` is stable (`organisation.archived`), `detail` is for people."""

    code: ClassVar[str]
    kind: ClassVar[Kind]

    def __init__(self, detail: str, *, errors: tuple[FieldError, ...] = (), **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors
        self.extra = extra


class Actor(Struct, frozen=True, kw_only=True):
    """Who acts: `user`, `client`, `service` or `system`; `anonymous` was refused, and nobody knows who it was."""

    kind: str
    id: UUID


class Origin(Struct, frozen=True, kw_only=True):
    """From where: personal, so sealed under the actor's key in every event."""

    address: str | None = None
    agent: str | None = None


class Metadata(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the store keeps beside a fact. `allowed_by` is the grant id or `role:<name>` the actor relied on."""

    actor: Actor
    request_id: str
    session_id: UUID | None = None
    client_id: UUID | None = None
    cause: UUID | None = None
    allowed_by: str | None = None
    origin: Origin | None = None


class Stored(Struct, frozen=True, kw_only=True):
    """An event as the log holds it. `position` is its dense place in the log, `version` in its stream; both from 1.

    `state` and `meta` are the stored bytes, personal fields as ciphertext: what the audit log hashes and NATS carries.
    """

    position: int
    event_id: UUID
    stream_id: UUID
    version: int
    topic: str
    recorded_at: datetime
    meta: bytes
    state: bytes


class Recorded(Stored, Generic[E], frozen=True, kw_only=True):
    """A stored event that has been read: the fact and what stood beside it, personal fields opened or None."""

    event: E
    metadata: Metadata


@dataclass(frozen=True, kw_only=True)
class Rules(Generic[S, C, E]):
    """The decider of one noun. `decide` may refuse, `evolve` may not; `unknown` is told of what is not there."""

    initial: S
    decide: Callable[[S, C], tuple[E, ...]]
    evolve: Callable[[S, E], S]
    unknown: type[DomainError]

    @property
    def noun(self) -> str:
        """The first word of its topics, as of its codes."""
        return self.unknown.code.partition(".")[0]


# --- guards: what the append transaction keeps besides the events ---------------------------------------------------


class Claim(Struct, frozen=True, kw_only=True, tag=True):
    """The stream's claims of `kind` are now exactly `values`; a value owned by another stream refuses the command.

    `personal`: the store keeps a keyed hash instead of the value.
    """

    kind: str
    values: tuple[str, ...]
    personal: bool = False


class ClaimAdded(Struct, frozen=True, kw_only=True, tag=True):
    """The stream has this claim, too, besides those of its kind, and for ever; another owner refuses the command."""

    kind: str
    value: str


class Principal(Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """The stream is a user who may act so; UNSET stays. Every change makes cached access of his sessions stale."""

    role: str | UnsetType = UNSET
    state: str | UnsetType = UNSET
    department_id: UUID | None | UnsetType = UNSET
    must_change_password: bool | UnsetType = UNSET


class SessionOpened(Struct, frozen=True, kw_only=True, tag=True):
    """The stream is a live session of `user_id`."""

    user_id: UUID
    proved_at: datetime
    expires_at: datetime


class SessionProved(Struct, frozen=True, kw_only=True, tag=True):
    """The password was proved again in the session that the stream is."""

    proved_at: datetime


class SessionEnded(Struct, frozen=True, kw_only=True, tag=True):
    """The session that the stream is has ended."""


class SessionsEnded(Struct, frozen=True, kw_only=True, tag=True):
    """Every session of the user that the stream is has ended, but for `keep`."""

    keep: UUID | None = None


class RightHeld(Struct, frozen=True, kw_only=True, tag=True):
    """The stream is a grant in force."""

    subject_kind: str
    subject_id: UUID
    scope_type: str
    scope_id: str
    module: str
    action: str
    grantable: bool = False
    not_before: datetime | None = None
    expires_at: datetime | None = None


class RightGone(Struct, frozen=True, kw_only=True, tag=True):
    """The grant that the stream is gives nothing any more."""


class Client(Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """The stream is an API client that asks on these terms; UNSET stays. Its standing session ends at `expires_at`.

    Of its keys one opens something until just before it retires; None: until further notice.
    """

    client_key: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    allowed_origins: tuple[str, ...] | UnsetType = UNSET
    allowed_ips: tuple[str, ...] | UnsetType = UNSET
    allowed_paths: tuple[str, ...] | UnsetType = UNSET
    rate_limit_per_min: int | None | UnsetType = UNSET
    expires_at: datetime | None | UnsetType = UNSET
    key_ids: tuple[str, ...] | UnsetType = UNSET
    keys_retire_at: tuple[datetime | None, ...] | UnsetType = UNSET


class Responsible(Struct, frozen=True, kw_only=True, tag=True):
    """`user_id` answers for the record that the stream is; own/* reads this."""

    user_id: UUID | None


class Forgotten(Struct, frozen=True, kw_only=True, tag=True):
    """The person that the stream is was erased: his key is destroyed; password and kept answers are deleted."""


Guard = (
    Claim
    | ClaimAdded
    | Principal
    | SessionOpened
    | SessionProved
    | SessionEnded
    | SessionsEnded
    | RightHeld
    | RightGone
    | Responsible
    | Client
    | Forgotten
)
