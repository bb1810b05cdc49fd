"""What one may ask of API clients."""

from datetime import datetime
from typing import Any

from domain.api_client.events import Terms
from domain.shared import Command


class RegisterApiClient(Terms, Command, frozen=True, kw_only=True):
    """`key_id` names its first key."""

    now: datetime
    client_key: str
    kind: str
    key_id: str


class ChangeApiClient(Command, frozen=True, kw_only=True):
    """`changes`: field names of Terms with their new values; None clears."""

    changes: dict[str, Any]


class AddApiKey(Command, frozen=True, kw_only=True):
    """The keys of until now open something for so many hours more; 0: no longer."""

    now: datetime
    key_id: str
    overlap_hours: int


class DisableApiClient(Command, frozen=True, kw_only=True):
    reason: str | None = None


class EnableApiClient(Command, frozen=True, kw_only=True):
    pass


ApiClientCommand = RegisterApiClient | ChangeApiClient | AddApiKey | DisableApiClient | EnableApiClient
