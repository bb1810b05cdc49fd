"""Signing in and out: a password becomes a session, a session becomes short-lived tokens."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import ClassVar, Protocol
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from application.access import AccessError, Caller, Need, Unauthenticated
from application.context import Context, DryRun
from application.execute import Execute
from application.ports import Answer, Claims, Clock, NewId, Reliance, Secrets
from application.proof import Account, Proof, Source
from domain.session.aggregate import SESSION, SessionUnknown
from domain.session.commands import CloseSession, OpenSession, ProveSession
from domain.shared import Actor, Origin
from domain.user.aggregate import USER
from domain.user.commands import SignOutEverywhere
from domain.user.guards import ACTIVE, EMAIL, login

OWN = Need(right=None)


class Accounts(Protocol):
    async def account(self, user_id: UUID) -> Account | None: ...

    async def sessions(self, user_id: UUID) -> frozenset[UUID]:
        """His live sessions."""
        ...


class Rotated(Struct, frozen=True, kw_only=True):
    user_id: UUID
    session_id: UUID
    proved_at: datetime
    token: str


class Reused(Struct, frozen=True, kw_only=True):
    user_id: UUID
    session_id: UUID


class Refreshes(Protocol):
    def first(self, session_id: UUID) -> tuple[bytes, str]:
        """A new session's wrapped secret, and the first refresh token made with it."""
        ...

    async def let_rest(self, session_id: UUID, idle: timedelta) -> None:
        """This session may go unused for longer than others."""
        ...

    async def rotate(self, token: str) -> Rotated | Reused | None:
        """The successor; Reused when an old one came back; None when it is no token of ours.

        Raises RefreshedTooOften.
        """
        ...


class AccessTokens(Protocol):
    def issue(self, user_id: UUID, session_id: UUID, proved_at: datetime) -> str: ...


class SignedIn(Struct, frozen=True, kw_only=True):
    """A session's tokens. `refresh_token` is None where nothing new was made (step-up), and so is `device`."""

    user_id: UUID
    session_id: UUID
    access_token: str
    refresh_token: str | None = None
    device: str | None = None


class InvalidRefresh(Unauthenticated):
    """The refresh token is not valid, or not any more."""

    code: ClassVar[str] = "auth.invalid_refresh_token"


class RefreshReused(Unauthenticated):
    """This refresh token was used before: somebody else may have it, so its session was ended. Sign in again."""

    code: ClassVar[str] = "auth.refresh_token_reused"


class RefreshedTooOften(Exception):
    """One refresh token was sent again and again within seconds. Its session goes on."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"wait {retry_after} s")
        self.retry_after = retry_after


class Stay(Struct, frozen=True, kw_only=True):
    """How long a session lives at most, and how long unused; None: as long as any other."""

    lifetime: timedelta
    idle: timedelta | None = None


class AccountBlocked(AccessError):
    """The password is right, but the account may not sign in."""

    code: ClassVar[str] = "auth.account_blocked"
    user_id: UUID | None = None


class Sessions:
    def __init__(
        self,
        execute: Execute,
        claims: Claims,
        accounts: Accounts,
        proof: Proof,
        refreshes: Refreshes,
        tokens: AccessTokens,
        clock: Clock,
        new_id: NewId,
        stay: Stay,
        stays: Mapping[str, Stay],
    ) -> None:
        self._execute, self._claims, self._accounts, self._proof = execute, claims, accounts, proof
        self._refreshes, self._tokens, self._clock, self._new_id = refreshes, tokens, clock, new_id
        self._stay, self._stays = stay, stays

    async def sign_in(
        self,
        name: str,
        password: str,
        *,
        transport: str,
        request_id: str,
        origin: Origin | None,
        device: str | None = None,
    ) -> SignedIn:
        """`device`: the token an earlier sign-in left there. Raises InvalidCredentials, Throttled, AccountBlocked."""
        kind, form = login(name)
        user_id = await self._claims.owner(kind, form, personal=kind == EMAIL)
        claimed = None if user_id is None else await self._accounts.account(user_id)
        source, blinded = Source(origin=origin, device=device), self._proof.blinded(kind, form)
        account = await self._proof(claimed, password, source, login=blinded)
        if account.state != "active":
            blocked = AccountBlocked("This account may not sign in.")
            blocked.user_id = account.user_id
            raise blocked
        await self._proof.renew(account, password)
        signed_in = await self._open(account.user_id, transport, request_id, origin)
        return replace(signed_in, device=self._proof.device(account.user_id, device, self._new_id))

    async def _open(self, user_id: UUID, transport: str, request_id: str, origin: Origin | None) -> SignedIn:
        now, session_id, stay = self._clock(), self._new_id(), self._stays.get(transport, self._stay)
        wrapped, refresh = self._refreshes.first(session_id)
        command = OpenSession(
            now=now, user_id=user_id, transport=transport, method="password", expires_at=now + stay.lifetime
        )
        context = Context(
            caller=Caller(actor=Actor(kind="user", id=user_id)), request_id=request_id, origin=origin
        )

        async def still_active() -> Reliance:
            if await self._claims.owner(ACTIVE, str(user_id)) is None:
                raise AccountBlocked("This account may not sign in.")
            return Reliance(require=((ACTIVE, str(user_id), user_id),))

        await self._execute(
            SESSION,
            session_id,
            command,
            context,
            OWN,
            new=True,
            relies=still_active,
            secrets=Secrets(refresh_secret=wrapped),
        )
        if stay.idle is not None:
            await self._refreshes.let_rest(session_id, stay.idle)
        token = self._tokens.issue(user_id, session_id, now)
        return SignedIn(user_id=user_id, session_id=session_id, access_token=token, refresh_token=refresh)

    async def refresh(self, token: str, *, request_id: str, origin: Origin | None) -> SignedIn:
        """A new pair for a refresh token; one that was used before ends its session.

        Raises InvalidRefresh, RefreshReused, RefreshedTooOften.
        """
        match await self._refreshes.rotate(token):
            case Rotated(user_id=user_id, session_id=session_id, proved_at=proved_at, token=successor):
                access = self._tokens.issue(user_id, session_id, proved_at)
                return SignedIn(
                    user_id=user_id, session_id=session_id, access_token=access, refresh_token=successor
                )
            case Reused(user_id=user_id, session_id=session_id):
                context = Context(
                    caller=Caller(actor=Actor(kind="user", id=user_id)), request_id=request_id, origin=origin
                )
                await self._execute(SESSION, session_id, CloseSession(reason="refresh_reused"), context, OWN)
                raise RefreshReused("This refresh token was used before, so its session was ended.")
            case None:
                raise InvalidRefresh("The refresh token is not valid any more. Sign in again.")

    async def prove(self, password: str, context: Context, *, device: str | None = None) -> SignedIn:
        """Step-up: the same session, its password proved now. Raises InvalidCredentials, Throttled."""
        caller = context.caller
        assert caller.session_id is not None
        account = await self._accounts.account(caller.actor.id)
        await self._proof(account, password, Source(origin=context.origin, device=device))
        now = self._clock()
        await self._execute(SESSION, caller.session_id, ProveSession(now=now), context, OWN)
        token = self._tokens.issue(caller.actor.id, caller.session_id, now)
        return SignedIn(user_id=caller.actor.id, session_id=caller.session_id, access_token=token)

    async def sign_out(self, context: Context, *, everywhere: bool = False) -> None:
        """Ends the caller's session, or all of his at once."""
        caller = context.caller
        assert caller.session_id is not None
        if everywhere:
            await self._execute(USER, caller.actor.id, SignOutEverywhere(), context, OWN)
        else:
            await self._execute(SESSION, caller.session_id, CloseSession(reason="signed_out"), context, OWN)

    async def close(self, session_id: UUID, context: Context) -> Answer | DryRun:
        """Ends one of the caller's own sessions; another's is as unknown as none."""
        if session_id not in await self._own(context):
            raise SessionUnknown("There is no such session.")
        return await self._execute(SESSION, session_id, CloseSession(reason="closed_by_user"), context, OWN)

    async def _own(self, context: Context) -> frozenset[UUID]:
        return await self._accounts.sessions(context.caller.actor.id)
