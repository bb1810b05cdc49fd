"""What one may ask of an information resource. `latest`: the last day that is not the future, anywhere on Earth."""

from datetime import date
from typing import Any
from uuid import UUID

from domain.resource.events import Details
from domain.shared import Command


class AddResource(Details, Command, frozen=True, kw_only=True):
    organisation_id: UUID
    latest: date = date.max


class ChangeResource(Command, frozen=True, kw_only=True):
    """`changes` holds field names of Details with their new values."""

    changes: dict[str, Any]
    latest: date = date.max


class RetireResource(Command, frozen=True, kw_only=True):
    reason: str | None = None


ResourceCommand = AddResource | ChangeResource | RetireResource
