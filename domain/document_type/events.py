"""What can happen to a type of organisation document."""

from typing import ClassVar

from msgspec import UNSET, UnsetType

from domain.shared import Event


class DocumentTypeAdded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """`is_main`: an organisation that has such a document has an agreement with us, of the day it was approved."""

    TOPIC: ClassVar[str] = "document_type.added.v1"

    name: str
    prefix: str
    is_main: bool = False


class DocumentTypeChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Only what changed stands here. Documents that were recorded before stay what they were."""

    TOPIC: ClassVar[str] = "document_type.changed.v1"

    name: str | UnsetType = UNSET
    is_main: bool | UnsetType = UNSET


DocumentTypeEvent = DocumentTypeAdded | DocumentTypeChanged
