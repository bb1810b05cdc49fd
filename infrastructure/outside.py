"""Identity providers and the systems that name people as they do, put together."""

from datetime import timedelta
from typing import Any

from psycopg_pool import AsyncConnectionPool

from application.client_grant import ClientGrants, People
from application.execute import Execute
from application.grant import Grants
from application.outside import OutsideSignIns
from application.ports import Claims, EventStore
from application.provider import ProviderUsers
from application.session import Accounts
from application.user import Users
from infrastructure.operations import Operations
from infrastructure.personal_data import Wrapping
from infrastructure.security.identity_provider import IdentityProvider
from infrastructure.security.kept_keys import KeptKeys
from infrastructure.security.oidc import Issuers
from infrastructure.security.provider_wishes import ProviderWishes
from infrastructure.settings import Settings


class Outside:
    """`issuers` judge tokens, `sign_ins` make sessions of them; `people` are found by their subjects, given rights
    (`grants`), and made at the provider (`provider`, by its `admin` API). `run` keeps the issuers' keys.
    """

    def __init__(
        self,
        settings: Settings,
        execute: Execute,
        store: EventStore,
        claims: Claims,
        accounts: Accounts,
        users: Users,
        grants: Grants,
        pool: AsyncConnectionPool[Any],
        wrapping: Wrapping,
    ) -> None:
        self.issuers = issuers = Issuers(settings.oidc_issuers, KeptKeys(pool, wrapping))
        self.run = issuers.run
        lifetime = timedelta(days=settings.session_days)
        self.sign_ins = OutsideSignIns(execute, claims, accounts, users, execute.clock, lifetime)
        self.people = People(accounts, issuers.default)
        self.grants = ClientGrants(execute, grants, users, self.people)
        self.admin = IdentityProvider(settings.idp_admin_url, settings.idp_admin_token)
        operations = Operations(pool)

        async def ask(kind: str, about: dict[str, Any], occasion: str) -> None:
            await operations.ask(kind, about, occasion=occasion)

        wishes = ProviderWishes(pool, wrapping)
        self.provider = ProviderUsers(self.admin, wishes, store, self.people, users, ask)

    async def close(self) -> None:
        await self.issuers.close()
        await self.admin.close()
