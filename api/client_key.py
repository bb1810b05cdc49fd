"""API clients: `X-Client-Key` says who, `X-API-Key` proves it, and its terms say from where, to what, how often."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, Protocol

from litestar import Request

from api.answers import Header
from api.auth import origin_of
from api.problems import Problem
from api.route_templates import allowed
from application.access import Caller
from application.api_client import KnownClient
from application.key_use import Used
from domain.api_client.lists import Network, folded

NAME, KEY = b"x-client-key", b"x-api-key"
LONGEST_NAME = 200


class _Refused(Problem):
    """401: another credential would help (RFC 9110 11.6.1 wants a challenge)."""

    def __init__(self) -> None:
        super().__init__(headers={"www-authenticate": "ApiKey"})


class InvalidClient(_Refused):
    """No API client has this client key, or none was sent."""

    code, status = "invalid_client", 401


class InvalidApiKey(_Refused):
    """The API key is not the client's, or not any more; or none was sent."""

    code, status = "invalid_api_key", 401


class ClientInactive(_Refused):
    """The API client was disabled."""

    code, status = "client_inactive", 401


class ClientExpired(_Refused):
    """The API client's time has run out."""

    code, status = "client_expired", 401


class OriginNotAllowed(Problem):
    """The API client may not ask from this origin; one for browsers never without any."""

    code, status = "origin_not_allowed", 403


class IpNotAllowed(Problem):
    """The API client may not ask from this address."""

    code, status = "ip_not_allowed", 403


class PathNotAllowed(Problem):
    """The API client may not use this route."""

    code, status = "path_not_allowed", 403


REFUSALS = (
    InvalidClient,
    InvalidApiKey,
    ClientInactive,
    ClientExpired,
    OriginNotAllowed,
    IpNotAllowed,
    PathNotAllowed,
)


class Clients(Protocol):
    async def known(self, client_key: str) -> KnownClient | None:
        """As the guards know it now."""
        ...

    async def upgrade(self, client: KnownClient, before: tuple[str, str], after: str) -> None: ...

    def used(self, client: KnownClient) -> None: ...


class Keys(Protocol):
    def sound(self, key: str) -> bool:
        """Whether it can be a key at all."""
        ...

    async def match(self, key: str, hashes: tuple[tuple[str, str], ...]) -> tuple[str, str] | None:
        """Which of the (key id, hash) pairs it opens."""
        ...

    def fingerprint(self, key: str) -> str: ...


class Uses(Protocol):
    def note(self, used: Used, route: str, request_id: str) -> None:
        """That this key was good for a request just now; nobody waits for it."""
        ...


class Limits(Protocol):
    async def client(self, client: KnownClient) -> None:
        """Takes one request of its quota. Raises RateLimited."""
        ...

    def quota(self, client: KnownClient) -> Sequence[Header]:
        """Headers that say what is left of it."""
        ...


class ClientKey:
    """Implements api.auth.Way. Its terms are read anew for each request, commands too: they have no other judge."""

    def __init__(self, clients: Clients, keys: Keys, limits: Limits, uses: Uses) -> None:
        self._clients, self._keys, self._limits, self._uses = clients, keys, limits, uses

    def offered(self, headers: Mapping[bytes, bytes]) -> bool:
        return NAME in headers or KEY in headers

    async def caller(self, request: Request[Any, Any, Any], *, fresh: bool) -> Caller:  # noqa: ARG002 - always is
        """Raises one of REFUSALS, RateLimited, Busy."""
        scope: Any = request.scope
        client, key_id = await self._proved(scope)
        _admit(client, scope)
        try:
            await self._limits.client(client)
        finally:
            scope["quota"] = self._limits.quota(client)
        self._clients.used(client)
        used = Used(client_id=client.caller.actor.id, key_id=key_id, origin=origin_of(request))
        self._uses.note(used, f"{request.method} {scope['path_template']}", scope["request_id"])
        return client.caller

    async def _proved(self, scope: Any) -> tuple[KnownClient, str]:
        """With its key's id. Who is named stands in the scope, proved or not: whoever keeps refusals looks there."""
        headers: Mapping[bytes, bytes] = scope["h"]
        name, key = (headers.get(each, b"").decode("latin-1") for each in (NAME, KEY))
        if not 0 < len(name) <= LONGEST_NAME:
            raise InvalidClient
        if not self._keys.sound(key):
            raise InvalidApiKey
        client = await self._clients.known(name)
        if client is None:
            await self._keys.match(key, ())
            raise InvalidClient
        scope["named_client"] = client.caller.actor.id
        if not client.active:
            raise ClientInactive
        if client.expired:
            raise ClientExpired
        opened = await self._keys.match(key, client.hashes)
        if opened is None:
            raise InvalidApiKey
        if opened[1] != (quick := self._keys.fingerprint(key)):
            await self._clients.upgrade(client, opened, quick)
        return client, opened[0]


def _admit(client: KnownClient, scope: Any) -> None:
    """Raises OriginNotAllowed, IpNotAllowed, PathNotAllowed."""
    origin = scope["h"].get(b"origin")
    if origin is None:
        if client.kind == "browser":
            raise OriginNotAllowed
    elif client.allowed_origins and origin.decode("latin-1") not in client.allowed_origins:
        raise OriginNotAllowed
    if not _within(scope["client_address"], client.allowed_ips):
        raise IpNotAllowed
    if not allowed(client.allowed_paths, scope["path_template"]):
        raise PathNotAllowed


@lru_cache(4096)
def _within(address: str | None, networks: tuple[str, ...]) -> bool:
    """Whether the address lies in one of the networks; none given: any does. Who has no address is in none."""
    if not networks:
        return True
    try:
        seen = folded(str(ip_address(address or "")))
    except ValueError:
        return False
    return any(seen in network for network in _networks(networks))


@lru_cache(4096)
def _networks(entries: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ip_network(entry) for entry in entries)
