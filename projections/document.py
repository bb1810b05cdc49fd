"""Documents of organisations: the newest version, and all that came before."""

from datetime import date, datetime
from operator import attrgetter
from uuid import UUID

from msgspec import Struct

from domain.document.events import DocumentEvent, Paper
from domain.shared import Recorded
from projections.audience import Audience
from projections.columns import Column, ColumnType
from projections.lists import Listing
from projections.projection import Fold


class Version(Struct, frozen=True, kw_only=True):
    """One version as it was put on record. Without a file it is confidential."""

    number: int
    recorded_at: datetime
    date_approved: date
    file_id: UUID | None
    confidential: bool


class Document(Paper, frozen=True, kw_only=True):
    """An organisation's document of one type, as its newest version has it."""

    id: UUID
    version: int
    position: int
    created_at: datetime
    updated_at: datetime
    organisation_id: UUID
    type_id: UUID
    prefix: str
    confidential: bool
    versions: tuple[Version, ...]

    @property
    def archived(self) -> bool:
        return False


COLUMNS = {
    "organisation_id": Column(type=ColumnType.UUID, get=attrgetter("organisation_id"), nullable=False),
    "type_id": Column(type=ColumnType.UUID, get=attrgetter("type_id"), aliases=("type",), nullable=False),
    "prefix": Column(type=ColumnType.TEXT, get=attrgetter("prefix"), nullable=False, indexed=False),
    "date_approved": Column(type=ColumnType.DATE, get=attrgetter("date_approved"), nullable=False),
    "confidential": Column(
        type=ColumnType.BOOLEAN, get=attrgetter("confidential"), nullable=False, indexed=False
    ),
    "inventory_number": Column(type=ColumnType.TEXT, get=attrgetter("inventory_number")),
}


def fold(view: Document | None, recorded: Recorded[DocumentEvent]) -> Document:
    event = recorded.event
    confidential = event.file_id is None
    version = Version(
        number=event.number,
        recorded_at=recorded.recorded_at,
        date_approved=event.date_approved,
        file_id=event.file_id,
        confidential=confidential,
    )
    told = {name: getattr(event, name) for name in Paper.__struct_fields__}
    return Document(
        id=recorded.stream_id,
        version=recorded.version,
        position=recorded.position,
        created_at=recorded.recorded_at if view is None else view.created_at,
        updated_at=recorded.recorded_at,
        organisation_id=event.organisation_id,
        type_id=event.type_id,
        prefix=event.prefix,
        confidential=confidential,
        versions=(*(() if view is None else view.versions), version),
        **told,
    )


DOCUMENTS = Fold(name="document", version=1, view=Document, columns=COLUMNS, fold=fold)
LISTING = Listing(
    name="document",
    view=Document,
    columns=COLUMNS,
    audience=Audience(path="documents", right="document:view", by={"organisation": "organisation_id"}),
)
