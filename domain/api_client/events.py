"""What can happen to a program that asks as itself, with a key of its own."""

from datetime import datetime
from typing import ClassVar

from msgspec import UNSET, Struct, UnsetType

from domain.shared import Event


class ApiKey(Struct, frozen=True, kw_only=True):
    """A key by its public id: from `retires_at` on it opens nothing. Neither the key nor its hash is an event's."""

    key_id: str
    made_at: datetime
    retires_at: datetime | None = None


class Terms(Struct, frozen=True, kw_only=True):
    """On what terms a client may ask. An empty list allows any; no limit and no end unless given.

    allowed_origins: serialised as browsers send them · allowed_ips: addresses and networks · allowed_paths: templates
    of routes (`/organisations/{id}`), or everything below one (`/organisations/*`).
    """

    name: str
    allowed_origins: tuple[str, ...] = ()
    allowed_ips: tuple[str, ...] = ()
    allowed_paths: tuple[str, ...] = ()
    rate_limit_per_min: int | None = None
    expires_at: datetime | None = None


class ApiClientRegistered(Terms, Event, frozen=True, kw_only=True, omit_defaults=True):
    """`client_key` is its public name; `kind` is `server`, or `browser` where an Origin is a must."""

    TOPIC: ClassVar[str] = "api_client.registered.v1"

    client_key: str
    kind: str
    keys: tuple[ApiKey, ...]


class ApiClientChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Only what changed stands here, each with its new value; None: cleared."""

    TOPIC: ClassVar[str] = "api_client.changed.v1"

    name: str | UnsetType = UNSET
    allowed_origins: tuple[str, ...] | UnsetType = UNSET
    allowed_ips: tuple[str, ...] | UnsetType = UNSET
    allowed_paths: tuple[str, ...] | UnsetType = UNSET
    rate_limit_per_min: int | None | UnsetType = UNSET
    expires_at: datetime | None | UnsetType = UNSET


class ApiClientKeyAdded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """It has another key; `keys` are all that open anything from now on, or did until just now."""

    TOPIC: ClassVar[str] = "api_client.key_added.v1"

    key_id: str
    keys: tuple[ApiKey, ...]


class ApiClientDisabled(Event, frozen=True, kw_only=True, omit_defaults=True):
    TOPIC: ClassVar[str] = "api_client.disabled.v1"

    reason: str | None = None


class ApiClientEnabled(Event, frozen=True, kw_only=True, omit_defaults=True):
    TOPIC: ClassVar[str] = "api_client.enabled.v1"


ApiClientEvent = (
    ApiClientRegistered | ApiClientChanged | ApiClientKeyAdded | ApiClientDisabled | ApiClientEnabled
)
