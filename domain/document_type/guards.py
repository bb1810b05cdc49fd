"""What a type of document keeps for itself: its prefix."""

from uuid import UUID

from domain.document_type.events import DocumentTypeAdded, DocumentTypeEvent
from domain.shared import Claim, Guard

PREFIX = "document_type.prefix"


def guards(stream_id: UUID, event: DocumentTypeEvent) -> tuple[Guard, ...]:
    if isinstance(event, DocumentTypeAdded):
        return (Claim(kind=PREFIX, values=(event.prefix.lower(),)),)
    return ()
