"""The French register of companies: at a service in recherche-entreprises.api.gouv.fr's shape, or in our own file."""

import asyncio
import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.json import Decoder

from application.lookup import Entry, Place
from infrastructure.outbound import SECONDS
from infrastructure.registers.outside_calls import OutsideService
from infrastructure.registers.outside_lookup import asked, tidy

SHIPPED = Path(__file__).parent.parent.parent / "data" / "french_companies.csv"
MOST = 100
"""Establishments of one company that are shown."""

_SIREN = r"^[0-9]{9}(?![\s\S])"
_SIRET = r"^[0-9]{14}(?![\s\S])"
_Text = Annotated[str, Meta(max_length=1_000)]
_Code = Annotated[str, Meta(max_length=20)]
_YEAR = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


class _Establishment(Struct, kw_only=True):
    siret: Annotated[str, Meta(pattern=_SIRET)]
    adresse: _Text | None = None
    complement_adresse: _Text | None = None
    code_postal: _Code | None = None
    libelle_commune: _Text | None = None
    cedex: _Code | None = None
    region: _Code | None = None
    activite_principale: _Code | None = None
    date_debut_activite: _Code | None = None
    date_creation: _Code | None = None
    tranche_effectif_salarie: _Code | None = None


class _Company(Struct, kw_only=True):
    siren: Annotated[str, Meta(pattern=_SIREN)]
    nom_complet: _Text | None = None
    nom_raison_sociale: _Text | None = None
    sigle: _Text | None = None
    date_mise_a_jour: _Text | None = None
    siege: _Establishment | None = None
    matching_etablissements: list[_Establishment] = []


class _Found(Struct, kw_only=True):
    results: list[_Company]


_FOUND = Decoder(_Found)


class SireneRemote:
    """Implements application.lookup.Sirene."""

    def __init__(self, service: OutsideService) -> None:
        self._service = service

    async def establishments(self, siren: str, nic: str | None) -> tuple[Sequence[Entry], date | None]:
        """Its seat comes first. The service tells other establishments to who asks for their whole number."""
        until = asyncio.get_running_loop().time() + SECONDS
        found = await self._asked(siren, siren, until)
        if nic is not None and not any(each.nic == nic for each, _ in found):
            found = await self._asked(siren, siren + nic, until)
        wanted = [(entry, as_of) for entry, as_of in found if nic in (None, entry.nic)][:MOST]
        return [entry for entry, _ in wanted], max((as_of for _, as_of in wanted if as_of), default=None)

    async def _asked(self, siren: str, q: str, until: float) -> list[tuple[Entry, date | None]]:
        with asked("The French register"):
            found = await self._service.get("/search", {"q": q}, _FOUND, until=until)
        return [
            (entry, _day(company.date_mise_a_jour))
            for company in (found.results if found else ())
            if company.siren == siren
            for entry in _entries(company)
        ]


def _entries(company: _Company) -> Iterator[Entry]:
    name = tidy(company.nom_raison_sociale) or tidy(company.nom_complet)
    if name is None:
        return
    seat = "" if company.siege is None else company.siege.siret
    known = (*company.matching_etablissements, *([company.siege] if company.siege else ()))
    each = {one.siret: one for one in known if one.siret[:9] == company.siren}
    for siret in sorted(each, key=lambda siret: (siret != seat, siret)):
        at = each[siret]
        yield Entry(
            ref=siret,
            full_name=name,
            short_name=tidy(company.sigle),
            siren=company.siren,
            nic=siret[9:],
            address=_place(at.adresse, at.code_postal, at.libelle_commune, at.complement_adresse, at.cedex),
            region_code=tidy(at.region),
            activity_code=tidy(at.activite_principale),
            headcount_band=tidy(at.tranche_effectif_salarie),
            started_on=_day(at.date_debut_activite) or _day(at.date_creation),
            is_main=siret == seat,
        )


class SireneFile:
    """Implements application.lookup.Sirene by the hundred companies of data/: no service is needed for them."""

    @cached_property
    def _by_siren(self) -> Mapping[str, Mapping[str, Entry]]:
        found: dict[str, dict[str, Entry]] = {}
        with SHIPPED.open(encoding="utf-8", newline="") as rows:
            for row in csv.DictReader(rows):
                text = f"{row['adresse']}, {row['code_postal']} {row['commune']}"
                entry = Entry(
                    ref=row["siret"],
                    full_name=row["nom_raison_sociale"],
                    siren=row["siren"],
                    nic=row["siret"][9:],
                    address=_place(
                        text, row["code_postal"], row["commune"], row["complement_adresse"], row["cedex"]
                    ),
                    region_code=row["region"] or None,
                    activity_code=row["activite_principale"] or None,
                    headcount_band=row["tranche_effectif_salarie"] or None,
                    started_on=_day(row["date_debut_activite"]),
                )
                found.setdefault(row["siren"], {})[entry.nic or ""] = entry
        return found

    async def establishments(self, siren: str, nic: str | None) -> tuple[Sequence[Entry], date | None]:
        of_company = self._by_siren.get(siren, {})
        return [entry for entry in of_company.values() if nic in (None, entry.nic)], None


def _place(
    text: str | None, postal_code: str | None, locality: str | None, complement: str | None, cedex: str | None
) -> Place | None:
    told = tidy(text)
    if told is None:
        return None
    return Place(
        text=told,
        postal_code=tidy(postal_code),
        locality=tidy(locality),
        complement=tidy(complement),
        cedex=tidy(cedex),
        country="FR",
    )


def _day(said: str | None) -> date | None:
    """A day, or an instant's day."""
    try:
        return date.fromisoformat(said[:10]) if said and _YEAR.match(said) else None
    except ValueError:
        return None
