"""What was refused to somebody: failed sign-ins and what he was not allowed."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from msgspec import Struct

from domain.shared import Event


class Refused(Struct, frozen=True, kw_only=True):
    """`code` is what he was told, `route` the template of the address, `required` the right that was missing. `login`
    stands for what was typed: blinded, since people mistype passwords there. `user_id` is whose login it was,
    `client_id` the API client that was named.
    """

    at: datetime
    code: str
    method: str
    route: str
    required: str | None = None
    login: str | None = None
    user_id: UUID | None = None
    client_id: UUID | None = None
    session_id: UUID | None = None


class RefusalNoted(Refused, Event, frozen=True, kw_only=True, omit_defaults=True):
    """One refusal. Who asked, from where, and in which request stands beside it, like with any event."""

    TOPIC: ClassVar[str] = "refusal.noted.v1"


class RefusalsCounted(Event, frozen=True, kw_only=True):
    """So many more, too quick to be noted one by one, from `since` until just before `until`, by their code."""

    TOPIC: ClassVar[str] = "refusal.counted.v1"

    since: datetime
    until: datetime
    counts: dict[str, int]


RefusalEvent = RefusalNoted | RefusalsCounted
