"""What one may ask of the register of organisations."""

from typing import Any

from domain.organisation.events import Details
from domain.shared import Command


class AddOrganisation(Details, Command, frozen=True, kw_only=True):
    pass


class ChangeOrganisation(Command, frozen=True, kw_only=True):
    """`changes`: field names of Details with their new values; identifiers and addresses merge by member (RFC 7396)."""

    changes: dict[str, Any]


class ArchiveOrganisation(Command, frozen=True, kw_only=True):
    reason: str | None = None


OrganisationCommand = AddOrganisation | ChangeOrganisation | ArchiveOrganisation
