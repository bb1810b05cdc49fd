"""What makes exports, put together for a job."""

from collections.abc import Sequence

from msgspec import structs

from infrastructure.bootstrap import System, clock
from infrastructure.exports.exporting import Exporter
from projections import api_client
from projections.lists import Listing


def exporter(system: System) -> Exporter:
    async def with_use(rows: Sequence[bytes]) -> Sequence[bytes]:
        return await api_client.with_use(rows, system.known_clients.last_used)

    def completed(listing: Listing) -> Listing:
        return structs.replace(listing, complete=with_use) if listing is api_client.LISTING else listing

    return Exporter(
        system.exports,
        system.exported_lists,
        system.actors,
        system.objects,
        system.url,
        clock,
        completed,
    )
