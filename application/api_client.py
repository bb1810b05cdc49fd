"""API clients: register a program, set its terms, give it keys, keep it out; and what is known of one that asks."""

from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from msgspec import Struct

from application.access import Caller, Need
from application.context import Context, DryRun
from application.execute import Execute
from application.ports import NOTHING_ELSE, Answer, ClaimTaken, Clock, NewId, Reliance, Secrets
from domain.api_client.aggregate import API_CLIENT, ApiClientInvalid, ApiClientKeyTaken
from domain.api_client.commands import (
    AddApiKey,
    ApiClientCommand,
    ChangeApiClient,
    DisableApiClient,
    EnableApiClient,
    RegisterApiClient,
)
from domain.api_client.events import Terms
from domain.shared import DomainError, FieldError

VIEW = "api_client:view"
EDIT = Need(right="api_client:edit", step_up=True)

Covered = Callable[[str], bool]
"""Whether an entry of `allowed_paths` covers any route there is."""


class MadeKey(Struct, frozen=True, kw_only=True):
    """A new key: its public id, the whole of it to be shown once, and what is kept."""

    key_id: str
    key: str
    hash: str


class Keys(Protocol):
    """How keys are made, and which hashes of others' keys can be checked."""

    def name(self) -> str:
        """A client key that nobody has chosen."""
        ...

    def make(self) -> MadeKey: ...

    def adopt(self, hashed: str) -> MadeKey:
        """A key known by its hash only."""
        ...

    def refused(self, hashed: str) -> str | None:
        """Why such a hash is not taken; None: it is."""
        ...


class KnownClient(Struct, frozen=True, kw_only=True):
    """An API client as the guards know it now. `hashes`: of the keys that open something, by their ids."""

    caller: Caller
    client_key: str
    kind: str
    active: bool
    expired: bool
    allowed_origins: tuple[str, ...]
    allowed_ips: tuple[str, ...]
    allowed_paths: tuple[str, ...]
    rate_limit_per_min: int | None
    hashes: tuple[tuple[str, str], ...]
    used_at: datetime | None


class Registration(Terms, frozen=True, kw_only=True):
    """A wish for a client; with `api_key_hash` it keeps the key that it has."""

    kind: str
    client_key: str | None = None
    api_key_hash: str | None = None


class ApiClients:
    def __init__(self, execute: Execute, keys: Keys, clock: Clock, new_id: NewId) -> None:
        self._execute, self._keys, self._clock, self._new_id = execute, keys, clock, new_id

    async def register(self, wish: Registration, covered: Covered, context: Context) -> Answer | DryRun:
        """With its key shown once, unless it brings one. Raises ApiClientInvalid, ApiClientKeyTaken."""
        made = self._keys.make() if wish.api_key_hash is None else self._keys.adopt(wish.api_key_hash)
        client_key = wish.client_key or self._keys.name()
        command = RegisterApiClient(
            **{name: getattr(wish, name) for name in Terms.__struct_fields__},
            now=self._clock(),
            client_key=client_key,
            kind=wish.kind,
            key_id=made.key_id,
        )
        return await self._execute(
            API_CLIENT,
            self._new_id(),
            command,
            context,
            EDIT,
            new=True,
            relies=partial(self._possible, wish, covered),
            secrets=Secrets(api_key_hash=(made.key_id, made.hash)),
            extra={"client_key": client_key},
            once=None if wish.api_key_hash is not None else {"api_key": made.key},
            taken=_taken,
        )

    async def change(
        self, client_id: UUID, changes: dict[str, Any], covered: Covered, context: Context
    ) -> Answer | DryRun:
        relies = partial(_within, changes.get("allowed_paths") or (), covered)
        return await self._execute(
            API_CLIENT, client_id, ChangeApiClient(changes=changes), context, EDIT, relies=relies
        )

    async def add_key(self, client_id: UUID, overlap_hours: int, context: Context) -> Answer | DryRun:
        """Another key, shown once; those before it go on for so many hours. Raises TooManyKeys."""
        made = self._keys.make()
        return await self._execute(
            API_CLIENT,
            client_id,
            AddApiKey(now=self._clock(), key_id=made.key_id, overlap_hours=overlap_hours),
            context,
            EDIT,
            makes=True,
            secrets=Secrets(api_key_hash=(made.key_id, made.hash)),
            extra={"key_id": made.key_id},
            once={"api_key": made.key},
        )

    async def disable(self, client_id: UUID, reason: str | None, context: Context) -> Answer | DryRun:
        return await self._do(client_id, DisableApiClient(reason=reason), context)

    async def enable(self, client_id: UUID, context: Context) -> Answer | DryRun:
        return await self._do(client_id, EnableApiClient(), context)

    async def _do(self, client_id: UUID, command: ApiClientCommand, context: Context) -> Answer | DryRun:
        return await self._execute(API_CLIENT, client_id, command, context, EDIT)

    async def _possible(self, wish: Registration, covered: Covered) -> Reliance:
        """Raises ApiClientInvalid."""
        wrong = [*_nowhere(wish.allowed_paths, covered)]
        if wish.api_key_hash is not None and (detail := self._keys.refused(wish.api_key_hash)) is not None:
            wrong.append(FieldError(pointer="/api_key_hash", code="hash", detail=detail))
        if wish.api_key_hash is not None and wish.client_key is None:
            detail = "A key that is imported comes with its client key."
            wrong.append(FieldError(pointer="/client_key", code="missing", detail=detail))
        return _fine(wrong)


async def _within(paths: Collection[str], covered: Covered) -> Reliance:
    """Raises ApiClientInvalid."""
    return _fine([*_nowhere(paths, covered)])


def _nowhere(paths: Collection[str], covered: Covered) -> Iterator[FieldError]:
    for at, path in enumerate(paths):
        if not covered(path):
            detail = "No route has this template; write one such as /organisations/{id}, or /organisations/*."
            yield FieldError(pointer=f"/allowed_paths/{at}", code="unknown", detail=detail)


def _fine(wrong: list[FieldError]) -> Reliance:
    if wrong:
        raise ApiClientInvalid("This client could not be used.", errors=tuple(wrong))
    return NOTHING_ELSE


def _taken(taken: ClaimTaken) -> DomainError:
    return ApiClientKeyTaken("Another API client has this client key.", owner=str(taken.owner))
