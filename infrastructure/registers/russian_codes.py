"""Russian postal codes, from the postal index that imports load."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from msgspec.json import Decoder
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from application.lookup import Locality
from domain.postal_index.events import code_id
from domain.reference.events import entry_id
from projections.address import Address
from projections.reference import Region

_ADDRESS, _REGION = Decoder(Address), Decoder(Region)


class RussianCodes:
    """Implements application.lookup.Localities. A code that has left the index still says where it lay."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    async def of(self, postal_code: str) -> Sequence[Locality]:
        async with self._pool.connection() as connection:
            found = await _view(connection, "address", code_id(postal_code))
            if found is None:
                return ()
            address = _ADDRESS.decode(found)
            region = await _view(connection, "region", entry_id("region", address.region_code))
        name = None if region is None else _REGION.decode(region).name
        locality = address.locality or address.area or name
        if locality is None:
            return ()
        return (Locality(locality=locality, region=name, region_code=address.region_code),)


async def _view(connection: AsyncConnection[Any], model: str, record_id: UUID) -> bytes | None:
    cursor = connection.cursor(binary=True)
    await cursor.execute(f'select view from read."{model}" where id = %s'.encode(), (record_id,))
    row = await cursor.fetchone()
    return None if row is None else row[0]
