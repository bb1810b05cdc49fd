"""People at the identity provider: made or brought up to date there, at once or as soon as it is back."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Protocol
from uuid import UUID

from msgspec import Struct, structs

from application.client_grant import People
from application.ports import EventStore
from domain.shared import DomainError, FieldError, Kind
from domain.user.account import Erased, Nothing
from domain.user.aggregate import USER
from domain.user.refusals import IdentityInvalid

UNAVAILABLE, REFUSED = "provider_unavailable", "provider_refused"
"""What an identity's `last_error` says."""


class ProviderUnavailable(Exception):
    """The identity provider cannot be reached, or what it said last is too old. Come again after `retry_after` s."""

    def __init__(self, detail: str, retry_after: int = 5) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class ProviderNotConfigured(Exception):
    """No identity provider's admin API is set."""


class ProviderRefused(DomainError):
    """The identity provider understood, and does not take it: a user name that cannot be, an address that is none."""

    code: ClassVar[str] = "identity_provider_refused"
    kind: ClassVar[Kind] = Kind.INVALID


class Wish(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A person as the provider should have him; None: as it has him. `sub` and `issuer` are what he is called here."""

    sub: str | None = None
    issuer: str | None = None
    username: str | None = None
    email: str | None = None
    display_name: str | None = None
    is_active: bool | None = None

    @property
    def name(self) -> str:
        """His user name there. Raises IdentityInvalid when nobody is named."""
        name = self.username or self.email or self.sub
        if name is None:
            wrong = FieldError(
                pointer="/username", code="missing", detail="Give a sub, a username or an email."
            )
            raise IdentityInvalid("Nobody is named.", errors=(wrong,))
        return name

    @property
    def person(self) -> str:
        """Whose wishes are one: the later one joins the one that waits."""
        return self.name if self.sub is None else f"{self.issuer}\n{self.sub}"


class Ensured(Struct, frozen=True, kw_only=True):
    """`id`: the provider's own, as it writes it. `result`: created, updated or unchanged."""

    id: int | str
    result: str


class Waiting(Struct, frozen=True, kw_only=True):
    """A wish that waits, all that was wished since in one. `since`: its first day, in a word that names it."""

    wish: Wish
    edition: int
    since: str


class Provider(Protocol):
    async def ensure(self, wish: Wish) -> Ensured:
        """Once or often, it is one user there. Raises ProviderUnavailable, ProviderNotConfigured, ProviderRefused."""
        ...


class Wishes(Protocol):
    """What was wished and not yet told, however long that takes."""

    async def keep(self, person: str, wish: Wish) -> Waiting: ...
    async def waiting(self, key: str) -> Waiting | None: ...
    async def told(self, key: str, edition: int) -> None: ...
    async def all(self) -> Mapping[str, Waiting]:
        """By what each person is called where anybody may read it."""
        ...

    def key(self, person: str) -> str:
        """What a person is called where anybody may read it."""
        ...


class Syncing(Protocol):
    async def synced(self, user_id: UUID, issuer: str) -> None: ...
    async def sync_failed(self, user_id: UUID, issuer: str, error: str) -> None: ...


Ask = Callable[[str, dict[str, Any], str], Awaitable[object]]
"""An operation: its kind, what it is about, and the occasion that asks once."""


class ProviderUsers:
    def __init__(
        self, provider: Provider, wishes: Wishes, store: EventStore, people: People, users: Syncing, ask: Ask
    ) -> None:
        self._provider, self._wishes, self._store = provider, wishes, store
        self._people, self._users, self._ask = people, users, ask

    async def ensure(self, wish: Wish) -> Ensured:
        """Kept before it is told, so that nothing is lost. Raises what Provider raises, and IdentityInvalid."""
        wish = await self._whole(wish)
        waiting = await self._wishes.keep(wish.person, wish)
        try:
            return await self._tell(waiting, self._wishes.key(wish.person))
        except ProviderUnavailable:
            key = self._wishes.key(wish.person)
            await self._ask("user.tell_provider", {"person": key}, f"wish {key} {waiting.since}")
            raise

    async def again(self, key: str) -> None:
        """For a wish that waits; one that was told meanwhile is none any more. Raises ProviderUnavailable."""
        waiting = await self._wishes.waiting(key)
        if waiting is not None:
            await self._tell(waiting, key)

    async def forget(self, user_id: UUID) -> None:
        """He was erased: what the provider was not told of him yet it need not know."""
        for key, waiting in (await self._wishes.all()).items():
            wish = waiting.wish
            if wish.sub is not None and self._people.id(wish.sub, wish.issuer) == user_id:
                await self._wishes.told(key, waiting.edition)

    async def _tell(self, waiting: Waiting, key: str) -> Ensured:
        try:
            ensured = await self._provider.ensure(waiting.wish)
        except ProviderUnavailable:
            await self._note(waiting.wish, UNAVAILABLE)
            raise
        except ProviderNotConfigured:
            await self._wishes.told(key, waiting.edition)
            raise
        except ProviderRefused:
            await self._wishes.told(key, waiting.edition)
            await self._note(waiting.wish, REFUSED)
            raise
        await self._wishes.told(key, waiting.edition)
        await self._note(waiting.wish, None)
        return ensured

    async def _whole(self, wish: Wish) -> Wish:
        """With the address and the name that we know ourselves, where the wish leaves them out."""
        if wish.sub is None:
            assert wish.name
            return wish
        wish = structs.replace(wish, issuer=wish.issuer or self._people.default)
        assert wish.sub is not None
        user = (await self._store.load(USER, self._people.id(wish.sub, wish.issuer))).state
        if isinstance(user, Nothing | Erased):
            return wish
        return structs.replace(
            wish,
            email=wish.email or user.email,
            display_name=wish.display_name or user.display_name,
        )

    async def _note(self, wish: Wish, error: str | None) -> None:
        """In the books of the user whom it is about, if he has an account here."""
        if wish.sub is None or wish.issuer is None:
            return
        user_id = self._people.id(wish.sub, wish.issuer)
        if await self._people.account(wish.sub, wish.issuer) is None:
            return
        if error is None:
            await self._users.synced(user_id, wish.issuer)
        else:
            await self._users.sync_failed(user_id, wish.issuer, error)
