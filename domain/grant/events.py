"""What can happen to a right that somebody was given."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID, uuid5

from msgspec import Struct

from domain.shared import Event

_RIGHTS = UUID("d50204bf-4738-420a-8430-246ceff5b6b2")
"""The namespace of grant ids (RFC 9562 5.5). It never changes: a right's stream is found by it."""


class Subject(Struct, frozen=True, kw_only=True):
    """Who holds a right: a `user`, a `department` (each of its members), or an API `client`."""

    type: str
    id: UUID


class Right(Struct, frozen=True, kw_only=True):
    """A module's action within a scope, held by somebody."""

    subject: Subject
    scope_type: str
    scope_id: str
    module: str
    action: str

    @property
    def stream_id(self) -> UUID:
        """One stream per right, whoever gives it and however often."""
        parts = (
            self.subject.type,
            str(self.subject.id),
            self.scope_type,
            self.scope_id,
            self.module,
            self.action,
        )
        return uuid5(_RIGHTS, "|".join(parts))


class Grant(Right, frozen=True, kw_only=True):
    """A right with the terms it is held on: from `not_before` until just before `expires_at`."""

    not_before: datetime | None = None
    expires_at: datetime | None = None
    grantable: bool = False
    reason: str | None = None


class GrantGiven(Grant, Event, frozen=True, kw_only=True, omit_defaults=True):
    TOPIC: ClassVar[str] = "grant.given.v1"


class GrantChanged(Grant, Event, frozen=True, kw_only=True, omit_defaults=True):
    """Other terms for the same right; the whole stands here, so that what is held follows from this event alone."""

    TOPIC: ClassVar[str] = "grant.changed.v1"


class GrantRevoked(Event, frozen=True, kw_only=True, omit_defaults=True):
    TOPIC: ClassVar[str] = "grant.revoked.v1"

    reason: str | None = None


class GrantExpired(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Its time had run out at `expired_at`, from when it gave nothing any more; told later, for the record."""

    TOPIC: ClassVar[str] = "grant.expired.v1"

    expired_at: datetime


GrantEvent = GrantGiven | GrantChanged | GrantRevoked | GrantExpired
