"""What an organisation keeps for itself: its pairs of register numbers, and that one may deal with it."""

from uuid import UUID

from msgspec import UnsetType

from domain.organisation.events import (
    Identifiers,
    OrganisationAdded,
    OrganisationArchived,
    OrganisationChanged,
    OrganisationEvent,
)
from domain.shared import Claim, Guard

INN_KPP = "organisation.inn_kpp"
SIREN_NIC = "organisation.siren_nic"
OPEN = "organisation.open"
"""Required by whatever needs an organisation that is not archived; the value is its id."""


def guards(stream_id: UUID, event: OrganisationEvent) -> tuple[Guard, ...]:
    match event:
        case OrganisationAdded():
            return (*pairs(event.identifiers), Claim(kind=OPEN, values=(str(stream_id),)))
        case OrganisationChanged():
            return () if isinstance(event.identifiers, UnsetType) else pairs(event.identifiers)
        case OrganisationArchived():
            return (Claim(kind=OPEN, values=()),)  # it keeps its numbers: nobody is registered twice


def pairs(identifiers: Identifiers) -> tuple[Claim, ...]:
    """At most one organisation per (inn, kpp) and per (siren, nic); several nic under one siren are fine."""
    inn_kpp = (f"{identifiers.inn}:{identifiers.kpp or ''}",) if identifiers.inn else ()
    siren_nic = (f"{identifiers.siren}:{identifiers.nic or ''}",) if identifiers.siren else ()
    return Claim(kind=INN_KPP, values=inn_kpp), Claim(kind=SIREN_NIC, values=siren_nic)
