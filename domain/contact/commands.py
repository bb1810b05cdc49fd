"""What one may ask of a contact."""

from typing import Any
from uuid import UUID

from domain.contact.events import Details
from domain.shared import Command


class AddContact(Details, Command, frozen=True, kw_only=True):
    organisation_id: UUID


class ChangeContact(Command, frozen=True, kw_only=True):
    """`changes` holds field names of Details with their new values."""

    changes: dict[str, Any]


class ArchiveContact(Command, frozen=True, kw_only=True):
    reason: str | None = None


class EraseContact(Command, frozen=True, kw_only=True):
    """Forget him, for good."""

    reason: str


ContactCommand = AddContact | ChangeContact | ArchiveContact | EraseContact
