"""What a document keeps for itself: the files of all its versions."""

from uuid import UUID

from domain.document.events import DocumentEvent
from domain.file.guards import BINDING
from domain.shared import Claim, Guard


def guards(stream_id: UUID, event: DocumentEvent) -> tuple[Guard, ...]:
    return (Claim(kind=BINDING, values=tuple(map(str, event.bound))),)
