"""Proof of an account's password, protected against guessing: at sign-in, at step-up, before it is changed."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import ClassVar, Protocol
from uuid import UUID

from msgspec import Struct

from application.access import Unauthenticated
from application.ports import NewId
from domain.shared import Origin


class Account(Struct, frozen=True, kw_only=True):
    """What sign-in must know of a user. `login`: his blinded e-mail address, where he has one."""

    user_id: UUID
    password_hash: str | None
    state: str
    login: str | None = None


class InvalidCredentials(Unauthenticated):
    """The login is unknown, or the password is not his."""

    code: ClassVar[str] = "auth.invalid_credentials"
    login: str | None = None
    """What was given, blinded."""
    user_id: UUID | None = None
    """Whose login it is."""


class Throttled(Exception):
    """Too many passwords were wrong. Come again in `retry_after` seconds; until then none is looked at."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many wrong passwords")
        self.login: str | None = None
        self.user_id: UUID | None = None
        self.retry_after = retry_after


class Source(Struct, frozen=True, kw_only=True):
    """Where a password comes from. `device`: the token this browser was given at its last sign-in, if it is one."""

    origin: Origin | None = None
    device: str | None = None


class Passwords(Protocol):
    async def hash(self, password: str) -> str: ...

    async def verify(self, stored: str | None, password: str) -> bool:
        """With None it takes as long as with a hash, and answers False."""
        ...

    def needs_rehash(self, stored: str) -> bool:
        """Whether hashes are made in another way by now."""
        ...


class Hashes(Protocol):
    async def replace(self, user_id: UUID, stored: str, new: str) -> None:
        """Unless another one than `stored` is kept by now: then the password was changed."""
        ...


class Devices(Protocol):
    def known(self, token: str | None, user_id: UUID) -> UUID | None:
        """The device, if this token was given to it when this very user signed in."""
        ...

    def token(self, device_id: UUID, user_id: UUID) -> str: ...


Settle = Callable[[bool], None]


class Throttle(Protocol):
    def blinded(self, kind: str, form: str) -> str:
        """What stands for a login: nobody can guess it back, and of an e-mail address it is its claim's value."""
        ...

    def trial(
        self, login: str, address: str | None, device_id: UUID | None
    ) -> AbstractAsyncContextManager[Settle]:
        """A place to verify one password in; tell it whether the password was right.

        Raises Throttled. `login` is blinded; on a known device neither it nor the address counts.
        """
        ...


class Proof:
    def __init__(self, passwords: Passwords, hashes: Hashes, throttle: Throttle, devices: Devices) -> None:
        self._passwords, self._hashes = passwords, hashes
        self._throttle, self._devices = throttle, devices
        self.blinded = throttle.blinded

    async def __call__(
        self, account: Account | None, password: str, source: Source, *, login: str | None = None
    ) -> Account:
        """The account, proved. `login`: as it was given, blinded; without it, the account's own.

        Raises InvalidCredentials, equally late whether there is such an account or not, and Throttled.
        """
        if login is None:
            assert account is not None
            login = account.login or str(account.user_id)
        device_id = None if account is None else self._devices.known(source.device, account.user_id)
        address = None if source.origin is None else source.origin.address
        try:
            async with self._throttle.trial(login, address, device_id) as settle:
                stored = None if account is None else account.password_hash
                right = await self._passwords.verify(stored, password)
                settle(right)
        except Throttled as throttled:
            throttled.login, throttled.user_id = login, None if account is None else account.user_id
            raise
        if account is None or not right:
            wrong = InvalidCredentials("The login or the password is wrong.")
            wrong.login, wrong.user_id = login, None if account is None else account.user_id
            raise wrong
        return account

    async def renew(self, account: Account, password: str) -> None:
        """Keeps a password that was just proved in the way passwords are kept today."""
        stored = account.password_hash
        if stored is not None and self._passwords.needs_rehash(stored):
            await self._hashes.replace(account.user_id, stored, await self._passwords.hash(password))

    def device(self, user_id: UUID, token: str | None, new_id: NewId) -> str:
        """The token by which the browser of a successful sign-in is known the next time: its own, or a first one."""
        return self._devices.token(self._devices.known(token, user_id) or new_id(), user_id)
