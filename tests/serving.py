"""The API in the test's own loop, on a real database; its read models follow before every question."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import psycopg

from api.app import edge_of
from infrastructure.bootstrap import System, running
from infrastructure.postgres import connect
from infrastructure.security.passwords import Passwords
from infrastructure.settings import Settings
from projections.projection import Projection, discover
from workers import checkpoint

ADMIN, PASSWORD = "admin@example.org", "correct horse battery staple"


def settings(dsn: str, nats_url: str, **changed: object) -> Settings:
    return Settings(
        database_url=dsn,
        nats_url=nats_url,
        key_encryption_key=base64.b64encode(bytes(32)).decode(),
        admin_email=ADMIN,
        admin_password=PASSWORD,
        public_url="http://testserver",
        **changed,
    )


class Follower:
    """Brings every read model to the log's head, as workers would."""

    def __init__(self, system: System) -> None:
        self._system, self._models = system, list(discover().values())
        self._lock, self._connection = asyncio.Lock(), None

    async def __call__(self, only: str | None = None) -> None:
        """All, or `only` the one of this name."""
        async with self._lock:
            try:
                await self._follow(only)
            except psycopg.OperationalError:  # a test has cut it
                await self.close()
                await self._follow(only)

    async def _follow(self, only: str | None) -> None:
        if self._connection is None or self._connection.closed:
            self._connection = await connect(self._system.settings.database_url)
            for model in self._models:
                await checkpoint.begin(self._connection, model, "read")
        for model in self._models:
            if only is None or model.name == only:
                await self._advance(model)

    async def _advance(self, model: Projection) -> None:
        log, at = self._system.log, await checkpoint.load(self._connection, model.name, "read")
        while stored := await log.read(at.position, 500):
            at = await checkpoint.advance(self._connection, model, "read", at, await log.open(stored))

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()


class Following(httpx.ASGITransport):
    """Brings every read model to the log's head before a read, so that no test need wait; unless `follows` is off."""

    follows = True

    def __init__(self, app: object, follow: Follower) -> None:
        super().__init__(app)  # type: ignore[arg-type]
        self._follow = follow

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method in ("GET", "HEAD") and self.follows:
            await self._follow()
        return await super().handle_async_request(request)


@asynccontextmanager
async def whole(with_settings: Settings) -> AsyncIterator[tuple[System, Following]]:
    """A whole API with one administrator, and the way to it."""
    async with running(with_settings) as system:
        await system.users.ensure_admin(ADMIN, await hashed())
        system.refusals.note = system.key_uses.note = _not_noted  # type: ignore[method-assign]
        follower = Follower(system)
        try:
            yield system, Following(edge_of(system), follower)
        finally:
            await follower.close()


def _not_noted(*_: object) -> None:
    """Refusals and uses of keys are kept a moment later: a test that looks at the head would see them come."""


def keep_refusals(system: System) -> None:
    del system.refusals.note


def keep_key_uses(system: System) -> None:
    del system.key_uses.note


def caller(transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
    """One who asks, not signed in yet."""
    return httpx.AsyncClient(transport=transport, base_url="http://testserver/api/v1")


@asynccontextmanager
async def served(with_settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a whole API with one administrator; nobody is signed in yet."""
    async with whole(with_settings) as (_, transport), caller(transport) as client:
        yield client


async def sign_in(client: httpx.AsyncClient, login: str = ADMIN, password: str = PASSWORD) -> dict[str, str]:
    """The header that says who asks."""
    answer = await client.post("/auth/login", json={"login": login, "password": password})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def hashed(password: str = PASSWORD) -> str:
    passwords = Passwords()
    try:
        return await passwords.hash(password)
    finally:
        passwords.close()
