"""Rights that people hold: give them, change their terms, take them back, and note that they have lapsed."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Protocol
from uuid import UUID

from msgspec import UNSET, UnsetType, structs

from application.access import ANYTHING, Need, Passing, Resource, system
from application.catalogue import ACTIONS, OWN, Module, faults
from application.context import Context, DryRun
from application.execute import Execute
from application.ports import Answer, Claims, Clock, Reliance
from domain.grant.aggregate import GRANT, GrantInvalid, Nothing, Standing
from domain.grant.commands import GiveGrant, LapseGrant, RevokeGrant
from domain.grant.events import Grant, GrantGiven, Right, Subject
from domain.module.events import module_id
from domain.module.guards import ACTION
from domain.shared import FieldError
from domain.user.guards import ACTIVE

VIEW = "grant:view"
GIVE = Need(right="grant:give", step_up=True)
REVOKE = Need(right="grant:revoke", view=VIEW, step_up=True)
LAPSE = Need(right="grant:revoke")

SUBJECTS = {"user": ACTIVE, "department": "department.open", "client": "client.active"}
"""Subject type to the claim that shows there is such a one, and that it may act."""

AT_A_TIME = 500


class Rights(Protocol):
    """What the guards know of rights now."""

    async def lapsed(self, limit: int) -> Sequence[UUID]:
        """Grants whose time has run out but whose streams do not say so yet, longest ago first."""
        ...

    async def foreign(self) -> Sequence[Module]:
        """The modules of other systems."""
        ...


class Grants:
    def __init__(self, execute: Execute, claims: Claims, rights: Rights, clock: Clock) -> None:
        self._execute, self._claims, self._rights, self._clock = execute, claims, rights, clock

    async def give(self, grant: Grant, context: Context, need: Need = GIVE) -> Answer | DryRun:
        """Made, changed, or as it was, under the one id of that right. Raises GrantInvalid, GrantToOneself.

        A `need` without a right: whoever asks may, since nothing of ours is passed on.
        """
        grant = _in_utc(grant)
        return await self._execute(
            GRANT,
            grant.stream_id,
            GiveGrant(now=self._clock(), by=context.caller.actor.id, grant=grant),
            context,
            need,
            upsert=True,
            made=lambda events: any(isinstance(event, GrantGiven) for event in events),
            resource=lambda _: ANYTHING if need.right is None else about(grant, until=grant.expires_at),
            relies=partial(self._possible, grant),
        )

    async def revoke(self, grant_id: UUID, reason: str, context: Context) -> Answer | DryRun:
        return await self._execute(
            GRANT,
            grant_id,
            RevokeGrant(now=self._clock(), reason=reason),
            context,
            REVOKE,
            resource=_of,
        )

    async def lapse(self, now: datetime) -> int:
        """For the record: tells the log which grants had run out by `now`. They give nothing since then anyway."""
        found = await self._rights.lapsed(AT_A_TIME)
        context = Context(caller=system(), request_id="grants-lapse")
        for grant_id in found:
            await self._execute(GRANT, grant_id, LapseGrant(now=now), context, LAPSE)
        return len(found)

    async def check(self, right: Right) -> None:
        """That the catalogue has such a right. Raises GrantInvalid."""
        if wrong := tuple(faults(right, await self._module(right))):
            raise GrantInvalid("This cannot be given.", errors=wrong)

    async def _module(self, right: Right) -> Module | None:
        modules = OWN if right.module in ACTIONS else await self._rights.foreign()
        return next((each for each in modules if each.module == right.module), None)

    async def _possible(self, grant: Grant) -> Reliance:
        """Raises GrantInvalid when there is no such right in the catalogue, or nobody to hold it."""
        module, subject = await self._module(grant), grant.subject
        claim = SUBJECTS[subject.type], str(subject.id)
        known = await self._claims.owner(*claim) == subject.id
        if wrong := (*faults(grant, module), *_unknown(subject, known=known)):
            raise GrantInvalid("This cannot be given.", errors=wrong)
        foreign = (ACTION, f"{grant.module}:{grant.action}", module_id(grant.module))
        return Reliance(require=((*claim, subject.id), *((foreign,) if module and module.foreign else ())))


def about(right: Right, *, until: datetime | None | UnsetType = UNSET) -> Resource:
    """A right as the record that grant:give and grant:revoke are asked for: it lies in its own scope."""
    return Resource(
        scopes=frozenset({(right.scope_type, right.scope_id)}),
        passing=Passing(
            right=f"{right.module}:{right.action}",
            scope_type=right.scope_type,
            scope_id=right.scope_id,
            until=until,
        ),
    )


def _of(standing: Standing) -> Resource:
    assert not isinstance(standing, Nothing), "a grant that is not there was asked for"
    return about(standing.grant)


def _unknown(subject: Subject, *, known: bool) -> Iterator[FieldError]:
    if not known:
        detail = f"No {subject.type} that may act has this id."
        yield FieldError(pointer="/subject/id", code="unknown", detail=detail)


def _in_utc(grant: Grant) -> Grant:
    """The same terms however their instants were written. Raises GrantInvalid at the ends of time."""
    window = {"not_before": grant.not_before, "expires_at": grant.expires_at}
    moved: dict[str, datetime | None] = {}
    for name, instant in window.items():
        try:
            moved[name] = instant and instant.astimezone(UTC)
        except OverflowError:
            wrong = FieldError(pointer=f"/{name}", code="range", detail="No calendar reaches that far.")
            raise GrantInvalid("The terms make no sense.", errors=(wrong,)) from None
    return structs.replace(grant, **moved)
