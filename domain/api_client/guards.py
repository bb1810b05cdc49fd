"""What an API client keeps for every request to be judged by: its key's name, its terms, and that it may act."""

from datetime import datetime
from typing import assert_never
from uuid import UUID

from domain.api_client.events import (
    ApiClientChanged,
    ApiClientDisabled,
    ApiClientEnabled,
    ApiClientEvent,
    ApiClientKeyAdded,
    ApiClientRegistered,
    ApiKey,
)
from domain.shared import Claim, Client, Guard, Principal

CLIENT_KEY = "api_client.client_key"
ACTIVE = "client.active"
"""Claims: no two clients have one name, and a right is given only to one that may act."""
ROLE = "client"
"""The role of its principal: it holds nothing by it, only what it was granted."""


def guards(stream_id: UUID, event: ApiClientEvent) -> tuple[Guard, ...]:
    match event:
        case ApiClientRegistered():
            principal = Principal(role=ROLE, state="active", department_id=None, must_change_password=False)
            ids, ends = _keys(event.keys)
            client = Client(
                client_key=event.client_key,
                kind=event.kind,
                allowed_origins=event.allowed_origins,
                allowed_ips=event.allowed_ips,
                allowed_paths=event.allowed_paths,
                rate_limit_per_min=event.rate_limit_per_min,
                expires_at=event.expires_at,
                key_ids=ids,
                keys_retire_at=ends,
            )
            named = Claim(kind=CLIENT_KEY, values=(event.client_key,))
            return named, _acting(stream_id), principal, client
        case ApiClientChanged():
            return (
                Client(
                    allowed_origins=event.allowed_origins,
                    allowed_ips=event.allowed_ips,
                    allowed_paths=event.allowed_paths,
                    rate_limit_per_min=event.rate_limit_per_min,
                    expires_at=event.expires_at,
                ),
            )
        case ApiClientKeyAdded():
            ids, ends = _keys(event.keys)
            return (Client(key_ids=ids, keys_retire_at=ends),)
        case ApiClientDisabled():
            return Claim(kind=ACTIVE, values=()), Principal(state="inactive")
        case ApiClientEnabled():
            return _acting(stream_id), Principal(state="active")
        case _:
            assert_never(event)


def _acting(stream_id: UUID) -> Claim:
    return Claim(kind=ACTIVE, values=(str(stream_id),))


def _keys(keys: tuple[ApiKey, ...]) -> tuple[tuple[str, ...], tuple[datetime | None, ...]]:
    return tuple(key.key_id for key in keys), tuple(key.retires_at for key in keys)
