"""French postal codes, at a service in geo.api.gouv.fr's shape."""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.json import Decoder

from application.lookup import Locality
from infrastructure.registers.outside_calls import OutsideService
from infrastructure.registers.outside_lookup import asked, tidy

_Text = Annotated[str, Meta(max_length=255)]


class _Region(Struct, kw_only=True):
    code: _Text
    nom: _Text


class _Commune(Struct, kw_only=True, rename={"region_code": "codeRegion"}):
    nom: Annotated[str, Meta(pattern=r"\S", max_length=255)]
    region_code: _Text | None = None
    region: _Region | None = None
    population: int | None = None


_COMMUNES = Decoder(list[_Commune])


class FrenchCodes:
    """Implements application.lookup.Localities."""

    def __init__(self, service: OutsideService) -> None:
        self._service = service

    async def of(self, postal_code: str) -> Sequence[Locality]:
        asked_for = {
            "codePostal": postal_code,
            "fields": "nom,codeRegion,region,population",
            "format": "json",
        }
        with asked("The register of communes"):
            found = await self._service.get("/communes", asked_for, _COMMUNES)
        return [
            Locality(
                locality=tidy(each.nom) or "",
                region=tidy(each.region.nom) if each.region else None,
                region_code=each.region.code if each.region else each.region_code,
                population=each.population,
            )
            for each in found or ()
        ]
