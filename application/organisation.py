"""The register of organisations: add, change, archive."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from stdnum.exceptions import ValidationError
from stdnum.fr import siren, siret
from stdnum.ru import inn, ogrn

from application.access import Need, Resource
from application.context import Context, DryRun
from application.execute import Execute
from application.ports import NOTHING_ELSE, Answer, Claims, ClaimTaken, NewId, Reliance
from domain.organisation.aggregate import ORGANISATION, Nothing, Organisation, OrganisationDuplicate
from domain.organisation.commands import AddOrganisation, ArchiveOrganisation, ChangeOrganisation
from domain.organisation.events import Identifiers
from domain.shared import DomainError, FieldError, Kind, Warning
from domain.user.guards import ACTIVE

VIEW = "organisation:view"


class AccountManagerUnknown(DomainError):
    """The account manager must be an active user."""

    code: ClassVar[str] = "organisation.account_manager_unknown"
    kind: ClassVar[Kind] = Kind.INVALID


class Organisations:
    def __init__(self, execute: Execute, claims: Claims, new_id: NewId) -> None:
        self._execute, self._claims, self._new_id = execute, claims, new_id

    async def add(self, command: AddOrganisation, context: Context) -> Answer | DryRun:
        return await self._execute(
            ORGANISATION,
            self._new_id(),
            command,
            context,
            Need(right="organisation:create"),
            new=True,
            relies=self._on(command.account_manager_id),
            extra=_warned(command.identifiers),
            taken=_duplicate,
        )

    async def change(
        self, organisation_id: UUID, command: ChangeOrganisation, context: Context
    ) -> Answer | DryRun:
        manager = command.changes.get("account_manager_id")
        return await self._execute(
            ORGANISATION,
            organisation_id,
            command,
            context,
            Need(right="organisation:edit", view=VIEW),
            resource=partial(of, organisation_id),
            relies=self._on(None if manager is None else UUID(manager)),
            extra=_warned(Identifiers(**command.changes.get("identifiers", {}))),
            taken=_duplicate,
        )

    async def archive(
        self, organisation_id: UUID, command: ArchiveOrganisation, context: Context
    ) -> Answer | DryRun:
        return await self._execute(
            ORGANISATION,
            organisation_id,
            command,
            context,
            Need(right="organisation:archive", view=VIEW),
            resource=partial(of, organisation_id),
        )

    def _on(self, manager_id: UUID | None) -> Callable[[], Awaitable[Reliance]]:
        async def reliance() -> Reliance:
            if manager_id is None:
                return NOTHING_ELSE
            if await self._claims.owner(ACTIVE, str(manager_id)) is None:
                wrong = FieldError(
                    pointer="/account_manager_id", code="unknown", detail="No active user has this id."
                )
                raise AccountManagerUnknown("The account manager is not an active user.", errors=(wrong,))
            return Reliance(require=((ACTIVE, str(manager_id), manager_id),))

        return reliance


def of(organisation_id: UUID, organisation: Organisation) -> Resource:
    """The organisation as scopes see it: `organisation/<id>`, and `own/*` of its account manager."""
    manager_id = None if isinstance(organisation, Nothing) else organisation.details.account_manager_id
    return Resource(
        scopes=frozenset({("organisation", str(organisation_id))}),
        responsible_ids=frozenset() if manager_id is None else frozenset({manager_id}),
    )


def _duplicate(taken: ClaimTaken) -> DomainError:
    return OrganisationDuplicate(
        "Another organisation has these register numbers.",
        candidates=[{"id": str(taken.owner), "same": taken.kind.removeprefix("organisation.")}],
    )


def _warned(identifiers: Identifiers) -> dict[str, Any]:
    found = warnings(identifiers)
    return {"warnings": found} if found else {}


def warnings(identifiers: Identifiers) -> list[Warning]:
    """Wrong check digits are accepted, since real registers contain them, but a person should look.

    INN and OGRN: modulus 11 (FNS); SIREN, SIRET: Luhn, but La Poste's SIRETs have a digit sum divisible by 5.
    """
    wrong = [
        name
        for name, value, validate in (
            ("inn", identifiers.inn, inn.validate),
            ("ogrn", identifiers.ogrn, ogrn.validate),
        )
        if value is not None and not _fits(validate, value)
    ]
    wrong += _wrong_french(identifiers)
    detail = "The check digit does not fit; is it mistyped?"
    return [Warning(pointer=f"/identifiers/{name}", code="check_digit", detail=detail) for name in wrong]


def _wrong_french(identifiers: Identifiers) -> list[str]:
    """A SIRET that fits vouches for its SIREN."""
    if identifiers.siren is None:
        return []
    if identifiers.nic is not None and _fits(siret.validate, identifiers.siren + identifiers.nic):
        return []
    if not _fits(siren.validate, identifiers.siren):
        return ["siren"]
    return [] if identifiers.nic is None else ["nic"]


def _fits(validate: Callable[[str], str], value: str) -> bool:
    try:
        validate(value)
    except ValidationError:
        return False
    return True
