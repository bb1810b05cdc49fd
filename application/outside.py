"""People whom an outside issuer vouches for: their token is a sign-in here, so a block or a sign-out ends it, too."""

from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID, uuid5

from msgspec import Struct

from application.access import Caller, Need, SessionEnded
from application.context import Context, DryRun
from application.execute import Execute
from application.ports import Answer, Claims, Clock, Reliance
from application.session import Accounts
from domain.session.aggregate import SESSION, SessionIsClosed
from domain.session.commands import OpenSession, ProveSession
from domain.shared import Actor, Origin
from domain.user.events import person_id
from domain.user.guards import ACTIVE

OWN = Need(right=None)
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""When a password was proved of which the issuer says nothing: no step-up will take that for an answer."""

_SIGN_INS = UUID("8c2f6a1e-3f0b-4f57-9a53-0d9b7f1c5e64")
"""The namespace of the ids of sessions that outside tokens open (RFC 9562 5.5). It never changes."""


class Vouched(Struct, frozen=True, kw_only=True):
    """What a verified token says. `sign_in` tells sign-ins at the issuer apart: all tokens of one are one session.

    `lasts`: whether it outlives the token; else each token is a sign-in of its own. `proved_at`: when the password was.
    """

    issuer: str
    sub: str
    sign_in: str
    lasts: bool
    expires_at: datetime
    proved_at: datetime | None = None
    email: str | None = None
    display_name: str | None = None

    @property
    def user_id(self) -> UUID:
        return person_id(self.issuer, self.sub)

    @property
    def session_id(self) -> UUID:
        return uuid5(_SIGN_INS, f"{self.issuer}\n{self.sub}\n{self.sign_in}")


class Provisioning(Protocol):
    async def provision(
        self,
        issuer: str,
        sub: str,
        *,
        email: str | None = None,
        display_name: str | None = None,
        is_active: bool | None = None,
        context: Context,
    ) -> Answer | DryRun: ...


class OutsideSignIns:
    def __init__(
        self,
        execute: Execute,
        claims: Claims,
        accounts: Accounts,
        users: Provisioning,
        clock: Clock,
        lifetime: timedelta,
    ) -> None:
        self._execute, self._claims, self._accounts = execute, claims, accounts
        self._users, self._clock, self._lifetime = users, clock, lifetime

    async def open(self, vouched: Vouched, *, request_id: str, origin: Origin | None) -> None:
        """Makes the session of this sign-in, and its user if need be; what the issuer says of him is taken over.

        Raises SessionEnded when the session is over, or its user may not act.
        """
        himself = Caller(actor=Actor(kind="user", id=vouched.user_id))
        context = Context(caller=himself, request_id=request_id, origin=origin)
        account = await self._accounts.account(vouched.user_id)
        if account is None:
            await self._provision(vouched, context)
        elif account.state != "active":
            raise SessionEnded("This account may not sign in.")
        try:
            await self._open(vouched, context)
        except SessionIsClosed:
            raise SessionEnded("This session is over. Sign in again.") from None
        if account is not None:
            await self._provision(vouched, context)

    async def prove(
        self, vouched: Vouched, caller: Caller, *, request_id: str, origin: Origin | None
    ) -> None:
        """The issuer has asked for the password again within the same sign-in: a step-up that happened there."""
        assert vouched.proved_at is not None
        context = Context(caller=caller, request_id=request_id, origin=origin)
        await self._execute(SESSION, vouched.session_id, ProveSession(now=vouched.proved_at), context, OWN)

    async def _provision(self, vouched: Vouched, context: Context) -> None:
        await self._users.provision(
            vouched.issuer,
            vouched.sub,
            email=vouched.email,
            display_name=vouched.display_name,
            context=context,
        )

    async def _open(self, vouched: Vouched, context: Context) -> None:
        user_id, now = vouched.user_id, self._clock()

        async def still_active() -> Reliance:
            if await self._claims.owner(ACTIVE, str(user_id)) is None:
                raise SessionEnded("This account may not sign in.")
            return Reliance(require=((ACTIVE, str(user_id), user_id),))

        command = OpenSession(
            now=now,
            user_id=user_id,
            transport="bearer",
            method="oidc",
            expires_at=now + self._lifetime if vouched.lasts else vouched.expires_at,
            proved_at=vouched.proved_at or NEVER,
        )
        await self._execute(
            SESSION, vouched.session_id, command, context, OWN, upsert=True, relies=still_active
        )
