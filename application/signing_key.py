"""The keys that sign access tokens: one after the other, each known before it signs, at once another when one leaks."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from application.access import Need, system
from application.context import Context
from application.execute import Execute
from application.ports import Clock, EventStore
from domain.signing_key.aggregate import (
    SIGNING_KEY,
    Active,
    Pending,
    Retiring,
    signing_key_id,
)
from domain.signing_key.commands import (
    ActivateSigningKey,
    AddSigningKey,
    CompromiseSigningKey,
    RetireSigningKey,
    SigningKeyCommand,
    SupersedeSigningKey,
)
from domain.signing_key.guards import ACTIVE, PENDING, RETIRING

OWN = Need(right=None)
K = TypeVar("K", Pending, Active, Retiring)
_KIND: Mapping[type[Any], str] = {Pending: PENDING, Active: ACTIVE, Retiring: RETIRING}


class Halves(Protocol):
    """Private halves, wrapped, and which key is in which state now."""

    async def make(self) -> tuple[str, dict[str, str]]:
        """A new pair, its private half kept; its id and its public half."""
        ...

    async def states(self) -> Mapping[str, str]:
        """Key id to state, of the published ones, oldest first."""
        ...

    async def forget(self) -> None:
        """Deletes the private halves of keys that are retired or compromised."""
        ...

    def alone(self) -> AbstractAsyncContextManager[None]:
        """One process at a time is within."""
        ...


class Schedule(Struct, frozen=True, kw_only=True):
    """`published`: how long a key is known before it signs, so that whoever caches the published keys has it.
    `age`: how long it signs. `verifies`: how long after that its last token may still come.
    """

    published: timedelta = timedelta(minutes=10)
    age: timedelta = timedelta(days=90)
    verifies: timedelta = timedelta(minutes=12)


class SigningKeys:
    """Everything here may be repeated, and be done by several processes at once."""

    def __init__(
        self, execute: Execute, store: EventStore, halves: Halves, clock: Clock, schedule: Schedule
    ) -> None:
        self._execute, self._store, self._halves, self._clock = execute, store, halves, clock
        self._schedule = schedule

    async def ensure(self) -> None:
        """That a key signs: the very first start makes one, however many processes start at once."""
        if not await self._in_state(Active):
            async with self._halves.alone():
                if not await self._in_state(Active):
                    await self.activate(await self.add())

    async def add(self) -> str:
        """A key that is to sign after its time; the one that waits already, if there is one."""
        if waiting := await self._in_state(Pending):
            return waiting[-1].kid
        kid, public_jwk = await self._halves.make()
        signs_from = self._clock() + self._schedule.published
        await self._ask(kid, AddSigningKey(kid=kid, public_jwk=public_jwk, signs_from=signs_from), new=True)
        return kid

    async def activate(self, kid: str) -> None:
        """It signs now, however short it has been published; the one before verifies what it signed.

        Raises SigningKeyUnknown, SigningKeyWrongState.
        """
        await self._ask(kid, ActivateSigningKey(now=self._clock(), early=True))
        await self._supersede()

    async def compromise(self, kid: str, reason: str) -> str | None:
        """Nothing it signed is believed any more. If it was to sign on, another one does, whose id this answers.

        Raises SigningKeyUnknown.
        """
        successor = None
        if [active.kid for active in await self._in_state(Active)] == [kid]:
            waiting = await self._in_state(Pending)
            successor = waiting[-1].kid if waiting else await self.add()
            await self._ask(successor, ActivateSigningKey(now=self._clock(), early=True))
        await self._ask(kid, CompromiseSigningKey(reason=reason))
        await self._halves.forget()
        return successor

    async def advance(self) -> None:
        """Whatever is due: a waiting key signs, an old one retires, one that has signed for long gets a successor."""
        now = self._clock()
        for pending in await self._in_state(Pending):
            if pending.signs_from <= now:
                await self._ask(pending.kid, ActivateSigningKey(now=now))
        await self._supersede()
        retiring = [key for key in await self._in_state(Retiring) if key.verifies_until <= now]
        for key in retiring:
            await self._ask(key.kid, RetireSigningKey(now=now))
        if retiring:
            await self._halves.forget()
        if all(key.activated_at + self._schedule.age <= now for key in await self._in_state(Active)):
            await self.add()

    async def _supersede(self) -> None:
        """Of several active ones the newest signs."""
        for older in (await self._in_state(Active))[:-1]:
            until = self._clock() + self._schedule.verifies
            await self._ask(older.kid, SupersedeSigningKey(verifies_until=until))

    async def _in_state(self, state: type[K]) -> list[K]:
        """Oldest first."""
        named = [kid for kid, kind in (await self._halves.states()).items() if kind == _KIND[state]]
        found = [await self._store.load(SIGNING_KEY, signing_key_id(kid), fresh=True) for kid in named]
        return [key.state for key in found if isinstance(key.state, state)]

    async def _ask(self, kid: str, command: SigningKeyCommand, *, new: bool = False) -> None:
        context = Context(caller=system(), request_id="signing-keys")
        await self._execute(SIGNING_KEY, signing_key_id(kid), command, context, OWN, new=new)
