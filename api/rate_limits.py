"""Where requests are counted: a client's to the one, people's and strangers' by leases that are spent in memory."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from typing import Protocol
from uuid import UUID

from api.answers import Header
from api.problems import RateLimited
from application.access import Caller
from application.api_client import KnownClient

LEASES = 100
"""A process takes a hundredth of a quota at a time, so one in a hundred requests of a busy caller asks the database."""
IPV6_SITE = 56
"""Bits of an IPv6 address that one subscriber has at least (RFC 6177): the rest of it is his to choose."""


class Limiter(Protocol):
    def spend(self, key: UUID | str) -> bool: ...

    async def take(self, key: UUID | str, quota: int, *, lease: int = 1) -> float | None: ...

    def left(self, key: UUID | str, quota: int) -> tuple[int, float]: ...


class Limits:
    """Implements api.auth.Limits and api.client_key.Limits.

    `people`, `strangers`: requests a minute of each user, and of each address on routes that ask for no credential.
    """

    def __init__(self, limiter: Limiter, people: int, strangers: int) -> None:
        self._limiter, self._people, self._strangers = limiter, people, strangers

    async def client(self, client: KnownClient) -> None:
        """Raises RateLimited."""
        if client.rate_limit_per_min is not None:
            _judge(await self._limiter.take(client.caller.actor.id, client.rate_limit_per_min))

    def quota(self, client: KnownClient) -> Sequence[Header]:
        """What is left to a client with a limit, as draft-ietf-httpapi-ratelimit-headers-10 tells it."""
        limit = client.rate_limit_per_min
        if limit is None:
            return ()
        left, seconds = self._limiter.left(client.caller.actor.id, limit)
        return (
            (b"ratelimit-policy", b'"client";q=%d;w=60' % limit),
            (b"ratelimit", b'"client";r=%d;t=%d' % (left, ceil(seconds))),
        )

    async def caller(self, caller: Caller) -> None:
        """A person's request; a client's has been counted, and Chancery's own services are not. Raises RateLimited."""
        if caller.actor.kind == "user" and not self._limiter.spend(caller.actor.id):
            await self._leased(caller.actor.id, self._people)

    async def stranger(self, address: str | None) -> None:
        """Raises RateLimited."""
        key = site(address)
        if not self._limiter.spend(key):
            await self._leased(key, self._strangers)

    async def _leased(self, key: UUID | str, quota: int) -> None:
        _judge(await self._limiter.take(key, quota, lease=max(1, quota // LEASES)))


@lru_cache(20_000)
def site(address: str | None) -> str:
    """Who is counted as one: an IPv4 address, or an IPv6 network as subscribers have them."""
    try:
        seen = ip_address(address or "")
    except ValueError:
        return "stranger"
    if isinstance(seen, IPv6Address):
        return str(seen.ipv4_mapped or ip_network((seen, IPV6_SITE), strict=False))
    return str(seen)


def _judge(seconds: float | None) -> None:
    if seconds is not None:
        raise RateLimited(headers={"retry-after": str(max(1, ceil(seconds)))})
