"""A whole API and the people who use it: users with the rights they were given, each with a client of their own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

import httpx
import psycopg

from application.access import Need, system
from application.context import Context
from application.ports import Secrets
from domain.user.aggregate import USER
from domain.user.commands import RegisterUser
from infrastructure.bootstrap import System
from infrastructure.event_store import new_id
from tests import servers
from tests.serving import PASSWORD, Following, caller, hashed, settings, sign_in, whole

EVERYWHERE = ("global", "*")


@dataclass
class Person:
    """`client` asks as this person; everybody's password is the same."""

    id: UUID
    email: str
    client: httpx.AsyncClient


@dataclass
class Office:
    """`admin` and `stranger` ask as such. `transport.follows = False`: the read models lag."""

    addresses: servers.Addresses
    system: System
    transport: Following
    owner: psycopg.Connection
    admin: httpx.AsyncClient
    stranger: httpx.AsyncClient
    stack: AsyncExitStack

    async def user(
        self, *rights: str, role: str = "user", scope: tuple[str, str] = EVERYWHERE, **fields
    ) -> Person:
        """A new user with these rights (`organisation:view`), signed in."""
        user_id = new_id()
        email = f"{user_id}@example.org"
        made = await self.system.execute(
            USER,
            user_id,
            RegisterUser(email=email, role=role, **fields),
            Context(caller=system(), request_id="office"),
            Need(right="user:create"),
            new=True,
            secrets=Secrets(password_hash=(user_id, await hashed())),
        )
        assert made.id == user_id
        for right in rights:
            self.grant(user_id, right, scope=scope)
        return Person(user_id, email, await self.signed_in(email))

    async def signed_in(self, login: str, password: str = PASSWORD) -> httpx.AsyncClient:
        client = await self.stack.enter_async_context(caller(self.transport))
        client.headers.update(await sign_in(client, login, password))
        return client

    def grant(
        self,
        subject: UUID,
        right: str,
        *,
        kind: str = "user",
        scope: tuple[str, str] = EVERYWHERE,
        not_before: datetime | None = None,
        expires_at: datetime | None = None,
    ) -> UUID:
        """A row of the `rights` guard, as a grant leaves it."""
        grant, (module, action) = uuid4(), right.split(":")
        self.owner.execute(
            "insert into rights values (%s, %s, %s, %s, %s, %s, %s, false, %s, %s)",
            (grant, kind, subject, *scope, module, action, not_before, expires_at),
        )
        return grant

    def revoke(self, grant: UUID) -> None:
        self.owner.execute("delete from rights where grant_id = %s", (grant,))

    async def organisation(self, **fields) -> str:
        """The path of a new one."""
        answer = await self.admin.post("/organisations", json={"full_name": "Alpha", **fields})
        assert answer.status_code == 201, answer.text
        return answer.headers["location"].removeprefix("/api/v1")

    async def head(self) -> int:
        return await self.system.log.head()

    @asynccontextmanager
    async def nothing_stored(self) -> AsyncIterator[None]:
        """What happens inside leaves no event."""
        before = await self.head()
        yield
        assert await self.head() == before


@asynccontextmanager
async def opened(addresses: servers.Addresses, nats_url: str, **changed: object) -> AsyncIterator[Office]:
    """An office on a database of its own, with these settings changed."""
    async with AsyncExitStack() as stack:
        system, transport = await stack.enter_async_context(
            whole(settings(addresses.app, nats_url, **changed))
        )
        owner = stack.enter_context(psycopg.connect(addresses.owner, autocommit=True))
        admin, stranger = [await stack.enter_async_context(caller(transport)) for _ in range(2)]
        admin.headers.update(await sign_in(admin))
        yield Office(addresses, system, transport, owner, admin, stranger, stack)
