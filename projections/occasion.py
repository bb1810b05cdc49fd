"""Occasions as people look them up: what is to be held when, and by whom."""

from datetime import datetime
from operator import attrgetter
from typing import assert_never
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace
from psycopg import sql

from domain.contract.events import (
    OccasionAdded,
    OccasionAssigned,
    OccasionChanged,
    OccasionEvent,
    OccasionWithdrawn,
)
from domain.shared import Recorded
from projections.audience import Audience
from projections.columns import Column, ColumnType
from projections.lists import Listing
from projections.projection import Fold, moved


class Occasion(Struct, frozen=True, kw_only=True):
    """One occasion; `version` is its contract's when it last changed. `sequence` counts its changes (RFC 5545 3.8.7.4).

    `assigned_to`: who of support holds it. A withdrawn one counts as archived.
    """

    id: UUID
    version: int
    position: int
    state: str
    created_at: datetime
    updated_at: datetime
    contract_id: UUID
    organisation_id: UUID
    title: str
    starts_at: datetime
    ends_at: datetime
    place: str | None
    attendees: int | None
    notes: str | None
    assigned_to: UUID | None = None
    sequence: int = 0
    added_by: UUID
    withdrawn_at: datetime | None = None
    withdraw_reason: str | None = None

    @property
    def archived(self) -> bool:
        return self.state == "withdrawn"


COLUMNS = {
    "state": Column(
        type=ColumnType.TEXT,
        get=attrgetter("state"),
        choices=("planned", "withdrawn"),
        nullable=False,
        indexed=False,
    ),
    "contract_id": Column(type=ColumnType.UUID, get=attrgetter("contract_id"), nullable=False),
    "organisation_id": Column(type=ColumnType.UUID, get=attrgetter("organisation_id"), nullable=False),
    "title": Column(type=ColumnType.FOLDED, get=attrgetter("title"), nullable=False),
    "starts_at": Column(
        type=ColumnType.INSTANT, get=attrgetter("starts_at"), aliases=("event_start_date",), nullable=False
    ),
    "ends_at": Column(
        type=ColumnType.INSTANT, get=attrgetter("ends_at"), aliases=("event_end_date",), nullable=False
    ),
    "place": Column(type=ColumnType.FOLDED, get=attrgetter("place")),
    "attendees": Column(type=ColumnType.INTEGER, get=attrgetter("attendees"), indexed=False),
    "assigned_to": Column(type=ColumnType.UUID, get=attrgetter("assigned_to"), aliases=("user_id",)),
}


def about(recorded: Recorded[OccasionEvent]) -> UUID:
    return recorded.event.occasion_id


def fold(view: Occasion | None, recorded: Recorded[OccasionEvent]) -> Occasion:
    event = recorded.event
    if isinstance(event, OccasionAdded):
        facts = msgspec.structs.asdict(event)
        return Occasion(
            id=facts.pop("occasion_id"),
            state="planned",
            created_at=recorded.recorded_at,
            **moved(recorded),
            contract_id=recorded.stream_id,
            added_by=recorded.metadata.actor.id,
            **facts,
        )
    assert view is not None
    after = replace(view, **moved(recorded), sequence=view.sequence + 1)
    match event:
        case OccasionChanged():
            given = {name: getattr(event, name) for name in _CHANGED}
            return replace(after, **{name: value for name, value in given.items() if value is not UNSET})
        case OccasionAssigned():
            return replace(after, assigned_to=event.user_id)
        case OccasionWithdrawn():
            return replace(
                after, state="withdrawn", withdrawn_at=recorded.recorded_at, withdraw_reason=event.reason
            )
        case _:
            assert_never(event)


_CHANGED = ("title", "starts_at", "ends_at", "place", "attendees", "notes")

OCCASIONS = Fold(
    name="occasion",
    version=1,
    view=Occasion,
    columns=COLUMNS,
    fold=fold,
    key=about,
    stream="contract_id",
)


def _named(*aliases: str) -> Column:
    """By id, or by the name that people have for it; of another record, as it is now."""
    get = attrgetter("contract_id")
    return Column(type=ColumnType.TEXT_ARRAY, get=get, aliases=aliases, sortable=False, indexed=False)


_OF_CONTRACT = Column(type=ColumnType.UUID, get=attrgetter("contract_id"), indexed=False)
LISTING = Listing(
    name="occasion",
    view=Occasion,
    columns={
        **COLUMNS,
        "account_manager_id": _OF_CONTRACT,
        "contact_id": replace(_OF_CONTRACT, aliases=("client_id",)),
        "contract": _named(),
        "support_id": _named("collaborator_id"),
        "commercial_id": _named(),
    },
    # Whom its contract is with and who answers for it now, custom ids and staff numbers: who does not ask for these
    # pays nothing for them.
    relation=sql.SQL(
        "(select o.*, c.account_manager_id, c.contact_id,"
        " array_remove(array[o.contract_id::text, c.custom_id], null) as contract,"
        " array_remove(array[o.assigned_to::text, s.staff_number], null) as support_id,"
        " array_remove(array[c.account_manager_id::text, m.staff_number], null) as commercial_id"
        ' from "read"."occasion" o left join "read"."contract" c on c.id = o.contract_id'
        ' left join "read"."user" s on s.id = o.assigned_to'
        ' left join "read"."user" m on m.id = c.account_manager_id) as occasions'
    ),
    audience=Audience(
        path="occasions",
        right="occasion:view",
        by={"organisation": "organisation_id", "own": "assigned_to"},
    ),
)
