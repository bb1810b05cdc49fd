"""Which registers can be looked into here, as the settings name them."""

from typing import Any

from psycopg_pool import AsyncConnectionPool

from application.lookup import Egrul, Lookups
from application.ports import Claims
from infrastructure.registers.egrul_index import EgrulIndex
from infrastructure.registers.egrul_remote import EgrulRemote
from infrastructure.registers.french_codes import FrenchCodes
from infrastructure.registers.outside_calls import OutsideService
from infrastructure.registers.russian_codes import RussianCodes
from infrastructure.registers.sirene import SireneFile, SireneRemote
from infrastructure.settings import Settings


class Registers:
    """`lookups` looks into them; `services` are those outside, by name."""

    def __init__(self, settings: Settings, pool: AsyncConnectionPool[Any], claims: Claims) -> None:
        named = {"egrul": settings.egrul_url, "sirene": settings.sirene_url, "geo": settings.geo_url}
        self.services = {name: OutsideService(name, url) for name, url in named.items() if url}
        egrul, sirene, geo = map(self.services.get, named)
        registers: list[Egrul] = [EgrulIndex(pool)]
        if egrul is not None:
            registers.append(EgrulRemote(egrul))
        self.lookups = Lookups(
            claims,
            egrul=registers,
            sirene=None if sirene is None else SireneRemote(sirene),
            local_sirene=SireneFile(),
            french_codes=None if geo is None else FrenchCodes(geo),
            russian_codes=RussianCodes(pool),
        )

    async def close(self) -> None:
        for service in self.services.values():
            await service.close()
