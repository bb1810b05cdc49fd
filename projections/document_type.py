"""Types of organisation documents."""

from datetime import datetime
from operator import attrgetter
from typing import assert_never
from uuid import UUID

from msgspec import UNSET, Struct
from msgspec.structs import asdict, replace

from domain.document_type.events import DocumentTypeAdded, DocumentTypeChanged, DocumentTypeEvent
from domain.shared import Recorded
from projections.audience import Audience
from projections.columns import Column, ColumnType
from projections.lists import Listing
from projections.projection import Fold, begun, moved


class DocumentType(Struct, frozen=True, kw_only=True):
    """A type of organisation document. `is_main`: it makes an agreement with us."""

    id: UUID
    version: int
    position: int
    created_at: datetime
    updated_at: datetime
    name: str
    prefix: str
    is_main: bool

    @property
    def archived(self) -> bool:
        return False


COLUMNS = {
    "name": Column(type=ColumnType.FOLDED, get=attrgetter("name"), nullable=False),
    "prefix": Column(type=ColumnType.TEXT, get=attrgetter("prefix"), nullable=False),
    "is_main": Column(type=ColumnType.BOOLEAN, get=attrgetter("is_main"), nullable=False, indexed=False),
}


def fold(view: DocumentType | None, recorded: Recorded[DocumentTypeEvent]) -> DocumentType:
    event = recorded.event
    match event:
        case DocumentTypeAdded():
            return DocumentType(
                **begun(recorded),
                **asdict(event),
            )
        case DocumentTypeChanged():
            assert view is not None
            new = {name: value for name, value in asdict(event).items() if value is not UNSET}
            return replace(
                view,
                **moved(recorded),
                **new,
            )
        case _:
            assert_never(event)


DOCUMENT_TYPES = Fold(name="document_type", version=1, view=DocumentType, columns=COLUMNS, fold=fold)
LISTING = Listing(
    name="document_type",
    view=DocumentType,
    columns=COLUMNS,
    order_by="prefix",
    audience=Audience(path="document-types"),
)
