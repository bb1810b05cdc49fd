"""Occasions: added by who answers for the contract, managed, assigned to people of support, withdrawn."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import msgspec
from msgspec import Struct, structs

from application import contract
from application.access import Need, Resource
from application.context import Context, DryRun
from application.execute import Execute
from application.ports import Answer, Claims, EventStore, NewId, Reliance
from domain.contract.aggregate import CONTRACT, Contract, Nothing
from domain.contract.commands import (
    AddOccasion,
    AssignOccasion,
    ChangeOccasion,
    WithdrawOccasion,
)
from domain.contract.guards import BOOKING, OCCASION, sortable
from domain.contract.occasion import Occasion, judged
from domain.contract.refusals import ContractUnknown, OccasionTimesWrong, OccasionUnknown
from domain.department.events import shipped_id
from domain.department.guards import CUSTOM_ID
from domain.shared import DomainError, FieldError, Kind, Warning
from domain.user.account import Active
from domain.user.aggregate import USER

VIEW = "occasion:view"
SUPPORT = "support"
"""The custom id of the department whose members hold occasions."""
LOOKED_THROUGH = 500
"""Bookings of somebody, the latest before an occasion's end, among which one at the same time is looked for."""


class NotOfSupport(DomainError):
    """An occasion is assigned to active members of the department `support`, or to nobody."""

    code: ClassVar[str] = "contract.assignee_not_of_support"
    kind: ClassVar[Kind] = Kind.INVALID


class Time(Struct, frozen=True, kw_only=True):
    """Somebody's, taken by an occasion."""

    user_id: UUID
    starts_at: datetime
    ends_at: datetime


class Occasions:
    """An occasion stands in its contract's stream and lies in its organisation's scope. It is its assignee's own; to
    add one is to do something with its contract, which is own to whoever answers for that.
    """

    def __init__(self, execute: Execute, store: EventStore, claims: Claims, new_id: NewId) -> None:
        self._execute, self._store, self._claims, self._new_id = execute, store, claims, new_id

    async def add(
        self, contract_id: UUID, command: Callable[[UUID], AddOccasion], context: Context
    ) -> Answer | DryRun:
        """`command` makes it of an id. The answer's `id` is the occasion's. Raises ContractUnknown."""
        occasion_id = self._new_id()
        return await self._execute(
            CONTRACT,
            contract_id,
            command(occasion_id),
            context,
            Need(right="occasion:create", view=contract.VIEW),
            resource=contract.of,
            makes=True,
            extra={"id": str(occasion_id), "contract_id": str(contract_id)},
        )

    async def change(self, occasion_id: UUID, changes: dict[str, Any], context: Context) -> Answer | DryRun:
        """Moved to when whoever holds it is taken elsewhere, it is moved with a warning."""
        contract_id, occasion = await self._find(occasion_id)
        warned: dict[str, Any] = {}
        taken = None if occasion is None else _moved(occasion, changes)
        if taken is not None:
            warned = await self._warned(occasion_id, taken, "/starts_at")
        command = ChangeOccasion(occasion_id=occasion_id, changes=changes)
        return await self._on(contract_id, command, context, "occasion:edit", warned=warned)

    async def assign(self, occasion_id: UUID, user_id: UUID | None, context: Context) -> Answer | DryRun:
        """Whoever is taken at that time is assigned all the same, with a warning. Raises NotOfSupport."""
        contract_id, occasion = await self._find(occasion_id)
        warned: dict[str, Any] = {}
        if occasion is not None and user_id is not None:
            when = occasion.arrangement
            taken = Time(user_id=user_id, starts_at=when.starts_at, ends_at=when.ends_at)
            warned = await self._warned(occasion_id, taken, "/user_id")

        async def of_support() -> Reliance:
            return Reliance() if user_id is None else await self._of_support(user_id)

        command = AssignOccasion(occasion_id=occasion_id, user_id=user_id)
        return await self._on(
            contract_id, command, context, "occasion:assign", relies=of_support, warned=warned
        )

    async def withdraw(self, occasion_id: UUID, reason: str | None, context: Context) -> Answer | DryRun:
        contract_id, _ = await self._find(occasion_id)
        command = WithdrawOccasion(occasion_id=occasion_id, reason=reason)
        return await self._on(contract_id, command, context, "occasion:withdraw")

    async def _on(
        self,
        contract_id: UUID,
        command: ChangeOccasion | AssignOccasion | WithdrawOccasion,
        context: Context,
        right: str,
        *,
        relies: Callable[[], Awaitable[Reliance]] | None = None,
        warned: dict[str, Any] | None = None,
    ) -> Answer | DryRun:
        """Raises OccasionUnknown."""
        occasion_id = command.occasion_id
        told = {"id": str(occasion_id), "contract_id": str(contract_id), **(warned or {})}

        def about(state: Contract) -> Resource:
            return of(state, occasion_id)

        def since(state: Contract) -> int:
            occasion = _within(state, occasion_id)
            return 0 if occasion is None else occasion.version

        try:
            return await self._execute(
                CONTRACT,
                contract_id,
                command,
                context,
                Need(right=right, view=VIEW),
                resource=about,
                since=since,
                relies=relies,
                extra=told,
            )
        except ContractUnknown:
            raise OccasionUnknown("There is no such occasion.") from None

    async def _find(self, occasion_id: UUID) -> tuple[UUID, Occasion | None]:
        """The contract it belongs to, and the occasion as it is now. Raises OccasionUnknown."""
        contract_id = await self._claims.owner(OCCASION, str(occasion_id))
        if contract_id is None:
            raise OccasionUnknown("There is no such occasion.")
        loaded = await self._store.load(CONTRACT, contract_id, fresh=True)
        return contract_id, _within(loaded.state, occasion_id)

    async def _of_support(self, user_id: UUID) -> Reliance:
        """That he is one of them, and active, when it is written. Raises NotOfSupport."""
        department_id = await self._claims.owner(CUSTOM_ID, SUPPORT) or shipped_id(SUPPORT)
        loaded = await self._store.load(USER, user_id, fresh=True)
        user = loaded.state
        if not isinstance(user, Active) or user.department_id != department_id:
            detail = "No active member of the department `support` has this id."
            wrong = FieldError(pointer="/user_id", code="not_of_support", detail=detail)
            raise NotOfSupport(detail, errors=(wrong,))
        return Reliance(reads=((user_id, loaded.version),))

    async def _warned(self, occasion_id: UUID, taken: Time, pointer: str) -> dict[str, Any]:
        """Another occasion that he is to hold at that time, if there is one."""
        found = await self._claims.among(
            BOOKING, f"{taken.user_id}:", f"{taken.user_id}:{sortable(taken.ends_at)}", LOOKED_THROUGH
        )
        for value, contract_id in found:
            *_, until, name = value.split(":")
            if until <= sortable(taken.starts_at) or UUID(name) == occasion_id:
                continue
            other = _within((await self._store.load(CONTRACT, contract_id, fresh=True)).state, UUID(name))
            if other is not None and _takes(other, taken):
                when = other.arrangement
                detail = f"Booked for {name} from {when.starts_at:%Y-%m-%d %H:%M} to {when.ends_at:%Y-%m-%d %H:%M} UTC."
                warning = Warning(pointer=pointer, code="double_booked", detail=detail)
                return {"warnings": msgspec.to_builtins([warning])}
        return {}


def _moved(occasion: Occasion, changes: dict[str, Any]) -> Time | None:
    """When whoever holds it is taken from then on; None: nobody, as before, or never, which is refused in its place."""
    times = {
        name: msgspec.convert(changes[name], datetime) for name in ("starts_at", "ends_at") if name in changes
    }
    if occasion.assigned_to is None or not times:
        return None
    with suppress(OccasionTimesWrong):
        when = judged(structs.replace(occasion.arrangement, **times))
        return Time(user_id=occasion.assigned_to, starts_at=when.starts_at, ends_at=when.ends_at)
    return None


def of(state: Contract, occasion_id: UUID) -> Resource:
    """The occasion as scopes see it, as it stands before the command."""
    occasion = _within(state, occasion_id)
    if occasion is None or isinstance(state, Nothing):
        return Resource()
    return contract.in_hand_of(state.paper.terms.organisation_id, occasion.assigned_to)


def _within(state: Contract, occasion_id: UUID) -> Occasion | None:
    return None if isinstance(state, Nothing) else state.paper.occasions.get(occasion_id)


def _takes(occasion: Occasion, time: Time) -> bool:
    when = occasion.arrangement
    overlaps = when.starts_at < time.ends_at and time.starts_at < when.ends_at
    return occasion.assigned_to == time.user_id and not occasion.withdrawn and overlaps
