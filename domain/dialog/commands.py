"""What one may ask of a dialog."""

from uuid import UUID

from domain.shared import Command


class OpenDialog(Command, frozen=True, kw_only=True):
    user_id: UUID
    with_user_id: UUID


DialogCommand = OpenDialog
