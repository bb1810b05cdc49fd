"""The identity provider's admin API, as Authentik has it: users looked up, made and changed."""

import asyncio
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

import httpx
import msgspec
from msgspec import Struct

from application.provider import (
    Ensured,
    ProviderNotConfigured,
    ProviderRefused,
    ProviderUnavailable,
    Wish,
)
from domain.shared import FieldError
from infrastructure.outbound import SECONDS, client
from infrastructure.registers.outside_calls import Breaker, OutsideFailed

T = TypeVar("T")
NAME = "identity provider"
USERS = "/api/v3/core/users/"
LARGEST = 1 << 20


class _User(Struct, frozen=True):
    pk: int | str
    username: str
    uuid: str = ""
    email: str = ""
    name: str = ""
    is_active: bool = True


class _Page(Struct, frozen=True):
    results: list[_User]


class IdentityProvider:
    """Implements application.provider.Provider."""

    def __init__(self, url: str, token: str, *, breaker: Breaker | None = None) -> None:
        base = url.rstrip("/").removesuffix("/api/v3")
        self._at, self._token = f"{base}{USERS}" if url else "", token
        self._client = client() if url else None
        self.breaker = breaker or Breaker()

    async def ensure(self, wish: Wish) -> Ensured:
        """Found by the id that its tokens call him by, else by user name, else by an address that only one has there.

        Raises ProviderUnavailable, ProviderNotConfigured, ProviderRefused.
        """
        if not (self._at and self._token):
            raise ProviderNotConfigured
        try:
            with self.breaker.call(NAME):
                try:
                    async with asyncio.timeout(SECONDS):
                        return await self._ensure(wish)
                except TimeoutError:
                    raise OutsideFailed(NAME, f"took longer than {SECONDS:g} s") from None
        except OutsideFailed as failed:
            raise ProviderUnavailable(failed.reason, max(failed.retry_after, 5)) from None

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def _ensure(self, wish: Wish) -> Ensured:
        found = await self._found(wish)
        if found is None:
            status, made = await self._ask("POST", self._at, _new(wish))
            if status == 201:
                return Ensured(id=_decoded(made, _User).pk, result="created")
            found = await self._found(wish)  # somebody else has just made him
            if status != 400 or found is None:
                raise _refused(status, made)
        changes = _changes(found, wish)
        if not changes:
            return Ensured(id=found.pk, result="unchanged")
        status, said = await self._ask("PATCH", f"{self._at}{found.pk}/", changes)
        if status != 200:
            raise _refused(status, said)
        return Ensured(id=found.pk, result="updated")

    async def _found(self, wish: Wish) -> _User | None:
        looked_up = (("uuid", _uuid(wish.sub)), ("username", wish.name), ("email", wish.email))
        for field, value in looked_up:
            if value is None:
                continue
            status, said = await self._ask("GET", f"{self._at}?{urlencode({field: value})}", None)
            if status != 200:
                raise OutsideFailed(NAME, f"answered {status}")
            page: _Page = _decoded(said, _Page)
            same = [user for user in page.results if getattr(user, field).lower() == value.lower()]
            if len(same) == 1:
                return same[0]
        return None

    async def _ask(self, method: str, url: str, body: dict[str, Any] | None) -> tuple[int, bytes]:
        """Status and body of an answer that a caller can mean something by. Raises OutsideFailed."""
        assert self._client is not None
        headers = {"authorization": f"Bearer {self._token}"}
        content = None if body is None else msgspec.json.encode(body)
        if content is not None:
            headers["content-type"] = "application/json"
        try:
            async with self._client.stream(method, url, headers=headers, content=content) as answer:
                status, said = answer.status_code, b""
                async for part in answer.aiter_raw():
                    said += part
                    if len(said) > LARGEST:
                        raise OutsideFailed(NAME, f"answered more than {LARGEST} bytes")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise OutsideFailed(NAME, type(error).__name__) from None
        if status >= 500 or status in (401, 403, 407, 408, 429) or 300 <= status < 400:
            raise OutsideFailed(NAME, f"answered {status}")
        return status, said


def _new(wish: Wish) -> dict[str, Any]:
    return {
        "username": wish.name,
        "name": wish.display_name or wish.name,
        "email": wish.email or "",
        "is_active": wish.is_active is not False,
    }


def _changes(found: _User, wish: Wish) -> dict[str, Any]:
    """Only what is wished and is not so. A user name is never changed: it is a login."""
    wished = {"name": wish.display_name, "email": wish.email, "is_active": wish.is_active}
    return {n: value for n, value in wished.items() if value is not None and value != getattr(found, n)}


def _decoded(said: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(said, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise OutsideFailed(NAME, "answered something of another shape") from None


def _refused(status: int, said: bytes) -> ProviderRefused:
    """Which fields it did not take, in our words: what it wrote is not passed on."""
    try:
        named = sorted(msgspec.json.decode(said, type=dict[str, Any]))[:10]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        named = []
    fields = {"name": "display_name"}
    errors = tuple(
        FieldError(
            pointer=f"/{fields.get(name, name)}", code="refused", detail="The provider does not take it."
        )
        for name in named
        if name in ("username", "name", "email", "is_active")
    )
    return ProviderRefused(f"The identity provider refused it with {status}.", errors=errors)


def _uuid(sub: str | None) -> str | None:
    try:
        return None if sub is None else str(UUID(sub))
    except ValueError:
        return None
