"""Access tokens of outside issuers: whoever they vouch for is a user of ours, in a session of ours."""

from typing import Protocol
from uuid import UUID

from msgspec import structs

from application.access import Caller, SessionEnded
from application.outside import Vouched
from domain.shared import Origin


class Issuers(Protocol):
    async def verify(self, token: str) -> Vouched:
        """Raises InvalidToken, ProviderUnavailable."""
        ...


class SignIns(Protocol):
    async def open(self, vouched: Vouched, *, request_id: str, origin: Origin | None) -> None:
        """Raises SessionEnded."""
        ...

    async def prove(
        self, vouched: Vouched, caller: Caller, *, request_id: str, origin: Origin | None
    ) -> None: ...


class Callers(Protocol):
    async def of_session(self, session_id: UUID, user_id: UUID, *, fresh: bool) -> Caller: ...


class OutsideTokens:
    """What `Bearer` does with a token that is not ours."""

    def __init__(self, issuers: Issuers, sign_ins: SignIns, callers: Callers) -> None:
        self._issuers, self._sign_ins, self._callers = issuers, sign_ins, callers

    async def caller(self, token: str, *, fresh: bool, request_id: str, origin: Origin | None) -> Caller:
        """At the first sight of a sign-in its user and session are made; later ones cost a look at the session alone.

        Raises InvalidToken, SessionEnded, ProviderUnavailable.
        """
        vouched = await self._issuers.verify(token)
        try:
            caller = await self._caller(vouched, fresh=fresh)
        except SessionEnded:
            await self._sign_ins.open(vouched, request_id=request_id, origin=origin)
            return await self._caller(vouched, fresh=True)
        if vouched.proved_at is not None and (
            caller.proved_at is None or caller.proved_at < vouched.proved_at
        ):
            await self._sign_ins.prove(vouched, caller, request_id=request_id, origin=origin)
            return await self._caller(vouched, fresh=True)
        return caller

    async def _caller(self, vouched: Vouched, *, fresh: bool) -> Caller:
        caller = await self._callers.of_session(vouched.session_id, vouched.user_id, fresh=fresh)
        return structs.replace(caller, sub=vouched.sub)
