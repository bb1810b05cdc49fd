"""Grants as people look them up: who holds what, where, until when, and by whom it was given."""

from datetime import datetime
from operator import attrgetter
from typing import assert_never
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.grant.events import (
    GrantChanged,
    GrantEvent,
    GrantExpired,
    GrantGiven,
    GrantRevoked,
    Subject,
)
from domain.shared import Actor, Recorded
from projections.audience import Audience
from projections.columns import Column, ColumnType
from projections.lists import Listing
from projections.projection import Fold, moved


class Grant(Struct, frozen=True, kw_only=True):
    """A right somebody holds or held; `given_by` gave it last.

    `state` is what the log says: one whose `expires_at` has passed gives nothing, even before the log says `expired`.
    """

    id: UUID
    version: int
    position: int
    state: str
    created_at: datetime
    updated_at: datetime
    subject: Subject
    scope_type: str
    scope_id: str
    module: str
    action: str
    not_before: datetime | None
    expires_at: datetime | None
    grantable: bool
    reason: str | None
    given_by: Actor
    given_at: datetime

    @property
    def archived(self) -> bool:
        return False


def _text(name: str, *, choices: tuple[str, ...] = (), indexed: bool = False) -> Column:
    return Column(
        type=ColumnType.TEXT, get=attrgetter(name), choices=choices, nullable=False, indexed=indexed
    )


COLUMNS = {
    "state": _text("state", choices=("active", "revoked", "expired")),
    "subject_type": _text("subject.type", choices=("user", "department", "client")),
    "subject_id": Column(
        type=ColumnType.UUID, get=attrgetter("subject.id"), aliases=("subject",), nullable=False
    ),
    "scope_type": _text("scope_type"),
    "scope_id": _text("scope_id", indexed=True),
    "scope": Column(
        type=ColumnType.TEXT,
        get=lambda view: f"{view.scope_type}/{view.scope_id}",
        nullable=False,
        indexed=False,
    ),
    "module": _text("module", indexed=True),
    "action": _text("action"),
    "not_before": Column(type=ColumnType.INSTANT, get=attrgetter("not_before"), indexed=False),
    "expires_at": Column(type=ColumnType.INSTANT, get=attrgetter("expires_at")),
    "grantable": Column(type=ColumnType.BOOLEAN, get=attrgetter("grantable"), nullable=False, indexed=False),
    "given_by": Column(type=ColumnType.UUID, get=attrgetter("given_by.id"), nullable=False, indexed=False),
}


def fold(view: Grant | None, recorded: Recorded[GrantEvent]) -> Grant:
    event = recorded.event
    if isinstance(event, GrantGiven):
        return Grant(
            id=recorded.stream_id,
            version=recorded.version,
            position=recorded.position,
            state="active",
            created_at=recorded.recorded_at if view is None else view.created_at,
            updated_at=recorded.recorded_at,
            given_by=recorded.metadata.actor,
            given_at=recorded.recorded_at,
            **msgspec.structs.asdict(event),
        )
    assert view is not None
    new: dict[str, object]
    match event:
        case GrantChanged():
            new = msgspec.structs.asdict(event)
        case GrantRevoked():
            new = {"state": "revoked"}
        case GrantExpired():
            new = {"state": "expired"}
        case _:
            assert_never(event)
    return msgspec.structs.replace(view, **moved(recorded), **new)


GRANTS = Fold(name="grant", version=2, view=Grant, columns=COLUMNS, fold=fold)
LISTING = Listing(
    name="grant",
    view=Grant,
    columns=COLUMNS,
    audience=Audience(path="grants", right="grant:view", within=("scope_type", "scope_id")),
)
