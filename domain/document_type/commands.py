"""What one may ask of a type of organisation document."""

from typing import Any

from domain.shared import Command


class AddDocumentType(Command, frozen=True, kw_only=True):
    name: str
    prefix: str
    is_main: bool = False


class ChangeDocumentType(Command, frozen=True, kw_only=True):
    changes: dict[str, Any]


DocumentTypeCommand = AddDocumentType | ChangeDocumentType
