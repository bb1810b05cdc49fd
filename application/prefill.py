"""An organisation added as a register of other people has it."""

from typing import ClassVar, Literal

from application.context import Context, DryRun
from application.execute import Execute
from application.lookup import Entry, Lookups, Place, identifiers
from application.organisation import Organisations
from application.ports import Answer
from domain.organisation.commands import AddOrganisation
from domain.organisation.events import Address, Addresses
from domain.shared import DomainError, Kind

UNKNOWN_REGION = "00"
LONGEST_SHORT_NAME = 255


class EntryUnknown(DomainError):
    """The register has no entry of this `ref`, or has it no longer: look it up again."""

    code: ClassVar[str] = "lookup.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class Prefill:
    def __init__(self, execute: Execute, lookups: Lookups, organisations: Organisations) -> None:
        self._execute, self._lookups, self._organisations = execute, lookups, organisations

    async def add(self, source: Literal["egrul", "siren"], ref: str, context: Context) -> Answer | DryRun:
        """What the register says now is added, not what the caller saw of it. Raises LookupUnavailable, too."""
        if (answer := await self._execute.admit(context, "organisation:create")) is not None:
            return answer
        entry = await self._lookups.entry(source, ref)
        if entry is None:
            raise EntryUnknown("The register has no entry of this ref.")
        return await self._organisations.add(organisation(entry), context)


def organisation(entry: Entry) -> AddOrganisation:
    """The short name falls back to the full one; a place the register does not know stays empty."""
    short_name = entry.short_name or entry.full_name
    address = None if entry.address is None else _address(entry.address)
    return AddOrganisation(
        full_name=entry.full_name,
        short_name=short_name if len(short_name) <= LONGEST_SHORT_NAME else None,
        identifiers=identifiers(entry),
        addresses=Addresses(legal=address, factual=address),
        region_code=None if entry.region_code == UNKNOWN_REGION else entry.region_code,
        activity_code=entry.activity_code,
        headcount_band=entry.headcount_band,
        started_on=entry.started_on,
    )


def _address(place: Place) -> Address:
    return Address(
        text=place.text,
        postal_code=place.postal_code,
        locality=place.locality,
        complement=place.complement,
        country=place.country,
    )
